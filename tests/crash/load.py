"""Sessions that do what users and the world do, as fast as they are answered, until the server is gone or they are told to end.

Each has dice of its own, thrown from the seed and its name, so what it asks for
depends on nothing but the seed and the answers. Each works on messages that no
other session touches, so the ledger can follow every one of them.
"""

from __future__ import annotations

import itertools
import random
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.crash.imap import APPENDUID, COPYUID, Answer, Imap, append, numbers, set_of
from tests.crash.ledger import MARK, Ledger, Step, letter
from tests.interop.house import PASSWORD, House, Person
from tests.interop.talk import Talk

ALICE, BOB, CAROL = PEOPLE = Person("alice"), Person("bob"), Person("carol")
OUT = "out@blue.test"  # an alias that leads away; nobody is asked about names, so that mail waits
#: The folder in which the ledger books mail that waits in the queue.
QUEUE = ("queue", "ready")

#: Sections of the configuration that make it so. Passwords are in clear: a hash would cost a tenth of a second for each login.
HOUSEHOLD = (
    "[users]\nsource = config\n"
    + "".join(f"[user:{person.address}]\npassword = {PASSWORD}\n" for person in PEOPLE)
    + f"[aliases]\nsource = config\n[alias:{OUT}]\nto = carol@green.test\n"
)
#: Octets of a message; the largest does not stay in memory.
SIZES = (200, 200, 800, 800, 3_000, 3_000, 20_000, 300_000)
MOST_KEPT = 40  # messages of a folder before some go
FLAG_SETS = tuple(frozenset(words.split()) for words in ("", "\\Seen", "\\Seen \\Answered", "\\Flagged work", "\\Draft later \\Seen"))


@dataclass(frozen=True)
class Signs:
    """What all sessions look at."""

    ending: threading.Event = field(default_factory=threading.Event)
    resting: threading.Event = field(default_factory=threading.Event)


class Session(threading.Thread):
    """One connection. *name* is unique; it becomes part of the marks."""

    def __init__(self, ledger: Ledger, seed: str, name: str, signs: Signs) -> None:
        super().__init__(name=name, daemon=True)
        self.ledger = ledger
        self.dice = random.Random(f"{seed} {name}")
        self._marks = map(f"{seed}-{name}-{{}}".format, itertools.count())
        self.signs = signs

    @property
    def goes_on(self) -> bool:
        """Wait while all rest; False at the end."""
        while self.signs.resting.is_set() and not self.signs.ending.wait(0.01):
            pass
        return not self.signs.ending.is_set()

    def run(self) -> None:
        try:
            self.work()
        except OSError:
            return  # killed, or it has said goodbye
        except Exception:
            self.ledger.complain(f"session {self.name}: {traceback.format_exc()}")

    def work(self) -> None:
        raise NotImplementedError

    def fresh(self) -> tuple[str, bytes]:
        """A new message; its mark."""
        content = letter(next(self._marks), self.dice.choice(SIZES), self.dice)
        return self.ledger.wrote(content), content

    def chosen(self, uids: Sequence[int], most: int) -> list[int]:
        return sorted(self.dice.sample(list(uids), self.dice.randint(1, min(most, len(uids)))))


class Sender(Session):
    """The world writes, to one or to several of *recipients*."""

    RECIPIENTS = (
        (ALICE.address,), (BOB.address,), (CAROL.address,), (ALICE.address, BOB.address),
        (BOB.address, CAROL.address, ALICE.address), (CAROL.address,), (BOB.address,), (OUT, ALICE.address),
    )  # fmt: skip

    def __init__(self, port: int, *session: object) -> None:
        super().__init__(*session)  # type: ignore[arg-type]
        self.port = port

    def work(self) -> None:
        with Talk(self.port) as talk:
            talk.reply()
            talk.ask("EHLO lab.test")
            while self.goes_on and self.one(talk, self.dice.choice(self.RECIPIENTS)):
                pass

    def one(self, talk: Talk, recipients: Sequence[str]) -> bool:
        lines = ("MAIL FROM:<eve@red.test>", *(f"RCPT TO:<{one}>" for one in recipients), "DATA")
        for line in lines:
            talk.say(line)
        replies = [talk.reply() for _ in lines]
        if not replies[-1].startswith("354"):
            return not _is_over(replies[-1])
        mark, content = self.fresh()
        steps = [Step(*((QUEUE[0], mark, None, QUEUE[1]) if one == OUT else (one, mark, None, "INBOX"))) for one in recipients]
        self.ledger.begin(*steps)
        talk.socket.sendall(content + b".\r\n")
        reply = talk.reply()
        if reply.startswith("250"):
            self.ledger.done(*steps)
        elif reply.startswith(("4", "5")) and len(recipients) == 1:  # of several recipients some may have got it
            self.ledger.refused(*steps)
        return not _is_over(reply)


def _is_over(reply: str) -> bool:
    return not reply or reply.startswith("421")


class Mover(Session):
    """Works on two folders of one account: *home*, where messages come from, and *away*, where some of them go.

    With *appends* it puts messages into *home* itself; otherwise others do.
    """

    def __init__(self, port: int, person: Person, folders: tuple[str, str], appends: bool, *session: object) -> None:
        super().__init__(*session)  # type: ignore[arg-type]
        self.port, self.person = port, person
        self.account = person.address
        self.home, self.away = folders
        self.appends = appends
        self.uidvalidity: dict[str, int] = {}
        self.uids: dict[str, dict[int, str]] = {self.home: {}, self.away: {}}

    def work(self) -> None:
        with Imap(self.port, self.person) as imap:
            for folder in (self.away, self.home):
                self.enter(imap, folder)
            while self.goes_on:
                self.one(imap)

    def enter(self, imap: Imap, folder: str) -> None:
        self.uidvalidity[folder], _ = imap.select(folder)
        self.learn(imap, folder, "1:*")

    def one(self, imap: Imap) -> None:
        """One of the things that can be done now."""
        uids = list(self.uids[self.home])
        if len(self.uids[self.away]) > MOST_KEPT:
            self.clear(imap, self.away)
        elif len(uids) > MOST_KEPT:
            self.expunge(imap, self.home, self.chosen(uids, len(uids)))
        elif self.appends and (len(uids) < 4 or self.dice.random() < 0.5):
            self.append(imap, self.dice.randint(1, 4))
        elif not uids:
            self.signs.ending.wait(0.005)
            self.learn(imap, self.home, "1:*")
        else:
            self.dice.choice((self.copy, self.move, self.flag, self.flag, self.remove, self.look))(imap, self.chosen(uids, 12))

    # ----- what can be done

    def append(self, imap: Imap, count: int) -> None:
        letters = [self.fresh() for _ in range(count)]
        steps = [Step(self.account, mark, None, self.home) for mark, _ in letters]
        self.ledger.begin(*steps)
        answers = imap.ask_all(append(self.home, content, "\\Draft") for _, content in letters)
        for step, answer in zip(steps, answers, strict=True):
            uid = APPENDUID.search(answer.line)
            if answer.ok and uid:
                self.ledger.done(step)
                self.shown(self.home, int(uid[1]), {int(uid[2]): step.mark})
            else:
                self.ledger.refused(step)

    def copy(self, imap: Imap, uids: list[int]) -> None:
        steps = [Step(self.account, self.uids[self.home][uid], None, self.away) for uid in uids]
        self.ledger.begin(*steps)
        answer = imap.ask(f'UID COPY {set_of(uids)} "{self.away}"')
        if answer.ok:
            self.ledger.done(*steps)
            self.copied(answer, len(uids))
        else:
            self.ledger.refused(*steps)

    def move(self, imap: Imap, uids: list[int]) -> None:
        steps = [Step(self.account, self.uids[self.home][uid], self.home, self.away) for uid in uids]
        self.ledger.flags_unknown(self.account, self.home, uids)
        self.ledger.begin(*steps)
        answer = imap.ask(f'UID MOVE {set_of(uids)} "{self.away}"')
        if answer.ok:  # otherwise the copies may be there, and the originals, too
            self.ledger.done(*steps)
            self.copied(answer, len(uids))
            self.forget(self.home, uids)
        else:
            self.learn(imap, self.home, "1:*")

    def copied(self, answer: Answer, count: int) -> None:
        told = COPYUID.search(answer.text)
        assert told, answer
        sources, targets = numbers(told[2]), numbers(told[3])
        assert len(sources) == len(targets) == count, answer
        marks = [self.uids[self.home][uid] for uid in sources]
        self.shown(self.away, int(told[1]), dict(zip(targets, marks, strict=True)))

    def flag(self, imap: Imap, uids: list[int]) -> None:
        flags = self.dice.choice(FLAG_SETS)
        self.ledger.flagging(self.account, self.home, uids, flags)
        if imap.ask(f"UID STORE {set_of(uids)} FLAGS.SILENT ({' '.join(sorted(flags))})").ok:
            self.ledger.flagged(self.account, self.home, uids, flags)

    def remove(self, imap: Imap, uids: list[int]) -> None:
        self.expunge(imap, self.home, uids)

    def expunge(self, imap: Imap, folder: str, uids: list[int]) -> None:
        steps = [Step(self.account, self.uids[folder][uid], folder) for uid in uids]
        self.ledger.flags_unknown(self.account, folder, uids)
        self.ledger.begin(*steps)
        marked, expunged = imap.ask_all((f"UID STORE {set_of(uids)} +FLAGS.SILENT (\\Deleted)", f"UID EXPUNGE {set_of(uids)}"))
        if marked.ok and expunged.ok:
            self.ledger.done(*steps)
            self.forget(folder, uids)
        else:
            self.learn(imap, folder, "1:*")

    def clear(self, imap: Imap, folder: str) -> None:
        imap.select(folder)
        self.expunge(imap, folder, sorted(self.uids[folder]))
        imap.select(self.home)

    def look(self, imap: Imap, _: list[int]) -> None:
        """See what has come, and what is there."""
        self.learn(imap, self.home, "1:*")

    # ----- what is known

    def learn(self, imap: Imap, folder: str, uids: str) -> None:
        found = imap.fetch(uids, "BODY.PEEK[HEADER.FIELDS (X-MARK)]")
        marks = {one.uid: mark[1].decode() for one in found if (mark := MARK.search(one.body))}
        self.uids[folder] = {}
        self.shown(folder, self.uidvalidity[folder], marks)

    def shown(self, folder: str, uidvalidity: int, marks: dict[int, str]) -> None:
        self.ledger.saw(self.account, folder, uidvalidity, marks)
        self.uids[folder].update(marks)

    def forget(self, folder: str, uids: list[int]) -> None:
        for uid in uids:
            del self.uids[folder][uid]


class Fetcher(Session):
    """A POP3 client that takes its mail away, a few messages each time."""

    def __init__(self, port: int, person: Person, *session: object) -> None:
        super().__init__(*session)  # type: ignore[arg-type]
        self.port, self.person = port, person

    def work(self) -> None:
        while self.goes_on and not self.signs.ending.wait(0.01):
            with Talk(self.port) as talk:
                self.visit(talk)

    def visit(self, talk: Talk) -> None:
        for line in ("", f"USER {self.person.address}", f"PASS {self.person.password}"):
            if line:
                talk.say(line)
            if not talk.hear().startswith("+OK"):
                return
        talk.say("STAT")
        answer = talk.hear()
        if not answer.startswith("+OK "):
            return
        there = int(answer.split(" ")[1])
        steps = [Step(self.person.address, self.mark(talk, number), "INBOX") for number in range(1, min(there, 6) + 1)]
        for number in range(1, len(steps) + 1):
            talk.say(f"DELE {number}")
            if not talk.hear().startswith("+OK"):
                return
        self.ledger.begin(*steps)
        talk.say("QUIT")
        if talk.hear().startswith("+OK"):  # otherwise some may have gone
            self.ledger.done(*steps)

    def mark(self, talk: Talk, number: int) -> str:
        return self.ledger.identify(retrieved(talk, number), f"POP3 of {self.person.name}")


def retrieved(talk: Talk, number: int) -> bytes:
    """A message by POP3. No line of ours is empty but the one below the header, so two in a row are the end of the connection."""
    talk.say(f"RETR {number}")
    lines: list[str] = []
    while lines[-1:] != ["."]:
        lines.append(talk.hear())
        if lines[-2:] == ["", ""]:
            raise ConnectionError("gone in a message")
    return "\r\n".join([*lines[1:-1], ""]).encode("latin-1")


class Load:
    """All of them at once on one server. *ports*: of "mx", "imap" and "pop3"."""

    def __init__(self, ledger: Ledger, seed: str, ports: dict[str, int]) -> None:
        self.signs = Signs()
        self.ledger = ledger
        mx, imap, pop3 = ports["mx"], ports["imap"], ports["pop3"]
        common = (ledger, seed)
        self.sessions: list[Session] = [
            *(Sender(mx, *common, f"s{number}", self.signs) for number in range(3)),
            Mover(imap, ALICE, ("Drafts", "Archive"), True, *common, "filer", self.signs),
            Mover(imap, ALICE, ("INBOX", "Sent"), False, *common, "sorter", self.signs),
            Mover(imap, BOB, ("INBOX", "Trash"), False, *common, "bob", self.signs),
            Mover(imap, BOB, ("Drafts", "Junk"), True, *common, "copier", self.signs),
            Fetcher(pop3, CAROL, *common, "fetcher", self.signs),
        ]

    @classmethod
    def on(cls, house: House, ledger: Ledger, seed: str) -> Load:
        return cls(ledger, seed, {name: house.port(name) for name in ("mx", "imap", "pop3")})

    def start(self) -> None:
        for session in self.sessions:
            session.start()

    def work(self, dice: random.Random, *, rests: bool, least: int = 25) -> None:
        """Start, and let them work for a moment, and until *least* promises more are made: half a minute is enough on any machine.

        With *rests* they pause before, longer than it takes the redo log to come to rest.
        """
        wanted = self.ledger.promises + least
        self.start()
        if rests:
            self.go_on(0.3)
            self.signs.resting.set()
            self.go_on(1.3)
            self.signs.resting.clear()
        self.go_on(dice.uniform(0.05, 0.6))
        for _ in range(600):
            if self.ledger.promises >= wanted:
                break
            self.go_on(0.05)

    def go_on(self, seconds: float) -> None:
        """Let them work so long."""
        self.signs.ending.wait(seconds)

    def end(self) -> None:
        """Tell them to end, or wait until those have ended whose server is gone."""
        self.signs.ending.set()
        for session in self.sessions:
            session.join(25)
            assert not session.is_alive(), f"session {session.name} hangs"
