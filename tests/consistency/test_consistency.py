"""Twenty sessions on one mailbox, with deliveries, POP3 and programs that change the files, at random: nobody is told anything false.

Rounds: everybody acts for a while; then all stop, hear what is left to hear, and what each of them believes is compared with what a
newcomer finds. Some were away during the round and come back by QRESYNC: they must know the same. CONSISTENCY_SECONDS says for how
long, CONSISTENCY_SEED how it begins; `make consistency` does it for half an hour.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import poplib
import smtplib
from random import Random

import pytest

from tests.consistency.belief import World
from tests.consistency.session import KINDS, OTHER, Session
from tests.consistency.talk import Wrong
from tests.interop.house import CONFIG, House, Person, folder, running

SECONDS = float(os.environ.get("CONSISTENCY_SECONDS", "60" if os.environ.get("REQUIRE_CLIENTS") == "1" else "8"))
SEED = os.environ.get("CONSISTENCY_SEED", "1")
SESSIONS = 20
ROUND = 2.0  # seconds
ANN = Person("ann")


@pytest.fixture(scope="module")
def house():
    with folder() as place:
        text = CONFIG.format(domain="blue.test", tls="offered", mx=0, more_mx="", more="")
        many = "[imap]\nmax_connections_per_user = 100\nmax_connections_per_user_ip = 100\n"
        house = House(place, text.replace("[imap]\n", many))
        with running(house):
            house.add(ANN)
            yield house


class Crowd:
    """All who are at it, and what they know together."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.world = World()
        self.doomed: set[int] = set()
        self.marks_doomed: set[bytes] = set()
        self.random = Random(SEED)
        self.sessions = [self.session(f"s{n}", KINDS[n % len(KINDS)]) for n in range(SESSIONS)]
        self.away: set[Session] = set()
        self.letters = 0
        self.names: dict[bytes, bytes] = {}  # POP3's unique id -> mark
        self.before: set[int] = set()

    def session(self, name: str, kind: str) -> Session:
        login = f"{ANN.address} {ANN.password}".encode()
        return Session(name, kind, self.house.port("imap"), login, self.world, self.doomed, f"{SEED}-{name}")

    async def run(self, seconds: float) -> None:
        clerk = self.session("clerk", "plain")
        await clerk.arrive()
        await clerk._ok(b"CREATE " + OTHER)
        await clerk.leave()
        await asyncio.gather(*(session.arrive() for session in self.sessions))
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        while clock() < end:
            await self.round(clock() + ROUND)
            await self.compare()

    async def round(self, end: float) -> None:
        here = [session for session in self.sessions if session not in self.away]
        others = [self.delivers(end), self.fetches(end), self.meddles(end)]
        await asyncio.gather(*(self.acts(session, end) for session in here), *others)

    async def acts(self, session: Session, end: float) -> None:
        while asyncio.get_running_loop().time() < end:
            try:
                await session.act()
            except Exception as error:
                said = "\n".join(map(repr, session.talk.lines))
                raise Wrong(f"{session.name} ({session.kind}): {error!r}\n{said}") from error

    # ----- who else is at it

    async def delivers(self, end: float) -> None:
        while asyncio.get_running_loop().time() < end:
            await asyncio.to_thread(self._deliver)
            await asyncio.sleep(0.1)

    def _deliver(self) -> None:
        self.letters += 1
        with smtplib.SMTP("127.0.0.1", self.house.port("mx")) as smtp:
            smtp.sendmail("eve@red.test", [ANN.address], f"X-Mark: m{self.letters}\r\nSubject: by mail\r\n\r\nwords\r\n")

    async def fetches(self, end: float) -> None:
        """POP3 takes one away now and then."""
        while asyncio.get_running_loop().time() < end:
            await asyncio.to_thread(self._fetch)
            await asyncio.sleep(0.4)

    def _fetch(self) -> None:
        pop3 = poplib.POP3("127.0.0.1", self.house.port("pop3"))
        pop3.user(ANN.address)
        pop3.pass_(ANN.password)
        names = [line.split()[1] for line in pop3.uidl()[1]]
        sizes = [int(line.split()[1]) for line in pop3.list()[1]]
        if pop3.stat() != (len(names), sum(sizes)) or len(set(names)) != len(sizes):
            raise Wrong(f"POP3 tells of {pop3.stat()} messages, and of {names} with {sizes}")
        for number in self.random.sample(range(1, len(names) + 1), min(3, len(names))):
            with contextlib.suppress(poplib.error_proto):  # it has gone meanwhile
                _, lines, size = pop3.retr(number)
                mark = next(line for line in lines if line.startswith(b"X-Mark: "))[8:]
                self._check_pop3(names[number - 1], mark, size, sizes[number - 1])
                if number % 3 == 0:
                    self.doom(mark)
                    pop3.dele(number)
        with contextlib.suppress(poplib.error_proto):
            pop3.quit()

    def _check_pop3(self, name: bytes, mark: bytes, size: int, told: int) -> None:
        """What POP3 calls *name* is what IMAP has under its UID, and what POP3 itself has called so before."""
        known = self.world.marks.get(int(name[:8], 16), mark)
        if known != mark or self.names.setdefault(name, mark) != mark or size not in (told, 0) or told == 0:
            raise Wrong(f"POP3 calls {mark!r} {name!r}, which IMAP knows as {known!r}; {size} octets, and {told} were told")

    async def meddles(self, end: float) -> None:
        """Another program renames and deletes files."""
        while asyncio.get_running_loop().time() < end:
            self._meddle()
            await asyncio.sleep(0.3)

    def _meddle(self) -> None:
        files = sorted((self.house.maildir(ANN) / "cur").iterdir())
        if not files:
            return
        path = self.random.choice(files)
        with contextlib.suppress(FileNotFoundError):
            if self.random.random() < 0.3:
                text = path.read_bytes()
                self.doom(text.partition(b"X-Mark: ")[2].split(b"\n")[0].strip())
                path.unlink()
            else:
                base, _, flags = path.name.partition(":2,")
                turned = set(flags) ^ {self.random.choice("FRS")}
                path.rename(path.with_name(f"{base}:2,{''.join(sorted(turned))}"))

    def doom(self, mark: bytes) -> None:
        """Whatever bears *mark* may go; copies bear it too."""
        self.marks_doomed.add(mark)

    # ----- what it comes to

    async def compare(self) -> None:
        """Everybody believes what a newcomer finds."""
        here = [session for session in self.sessions if session not in self.away]
        await asyncio.sleep(0.5)  # where it is doubtful whether others have changed something too, we look from time to time only
        for _ in range(2):  # what the first one moves others hear by the second
            await asyncio.gather(*(session._ok(b"NOOP") for session in here))
        await asyncio.gather(*(session.return_with_memory() for session in self.away))
        newcomer = self.session("newcomer", "condstore")
        await newcomer.arrive()
        await newcomer._ok(b"UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (X-MARK)])")
        truth = newcomer.belief.state()
        await newcomer.leave()
        for session in self.sessions:
            self.check(session, truth)
        self.check_losses(set(truth))
        await self.part()

    def check(self, session: Session, truth: dict[int, frozenset[str]]) -> None:
        believed = session.belief.state()
        wrong = {uid: (sorted(flags), sorted(truth.get(uid, ()))) for uid, flags in believed.items() if truth.get(uid) != flags}
        known = [uid for uid in session.belief.uids if uid is not None]
        misplaced = [uid for uid in known if uid not in truth]
        if wrong or misplaced or (not session.belief.by_uid and len(session.belief.uids) != len(truth)):
            was = "came back" if session in self.away else "stayed"
            said = "\n".join(map(repr, session.talk.lines))
            raise Wrong(
                f"{session.name} ({session.kind}, {was}) believes of {len(session.belief.uids)} messages, there are {len(truth)}; "
                f"UID: (believed, true): {wrong}; there are no {misplaced}\n{said}"
            )

    def check_losses(self, there: set[int]) -> None:
        lost = {uid for uid in self.before - there if uid not in self.doomed and self.world.marks.get(uid) not in self.marks_doomed}
        if lost:
            raise Wrong(f"nobody has removed {sorted(lost)}, and they are gone")
        self.before = there

    async def part(self) -> None:
        """Some go away for the next round; they know how to come back."""
        able = [session for session in self.sessions if session.kind in ("qresync", "uidonly")]
        self.away = set(self.random.sample(able, 2))
        for session in self.away:
            await session.leave()


def test_nobody_is_told_anything_false(house):
    crowd = Crowd(house)
    asyncio.run(asyncio.wait_for(crowd.run(SECONDS), SECONDS + 120))
    assert all(session.done for session in crowd.sessions)
    assert len(crowd.world.marks) > 10
