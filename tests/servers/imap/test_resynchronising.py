"""A client that goes and comes back by QRESYNC, and believes what it is told, ends with what the server has (RFC 7162 §6)."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dialogues.imap_house import NOW, Guest, ImapHouse, mail
from tests.helpers import result_of
from twistmail import disk
from twistmail.mail.mailbox import FIRST_KEYWORD_BIT, Flag, FlagChange
from twistmail.store.mailstore import MailStore
from twistmail.tasks import Inline

SYSTEM = {"\\Seen": Flag.SEEN, "\\Flagged": Flag.FLAGGED, "\\Deleted": Flag.DELETED}


@dataclass
class Cache:
    """What a client keeps on its disk between two sessions."""

    uidvalidity: int = 0
    modseq: int = 1
    flags: dict[int, set[str]] = field(default_factory=dict)
    complete_to: int = 0  # up to this UID it has fetched whatever there was


def numbers(spelled: str) -> list[int]:
    """ "1:3,7" -> [1, 2, 3, 7]"""
    found: list[int] = []
    for piece in spelled.split(","):
        low, _, high = piece.partition(":")
        found += range(int(low), int(high or low) + 1)
    return found


class Remembering(Guest):
    """One session over a Cache. It counts modification sequences as RFC 7162 §6 says, and asserts what it must never hear."""

    def __init__(self, house: Any, cache: Cache, *, known: bool = False, sample: bool = False) -> None:
        self.cache = cache
        self.uids: list[int | None] = []  # by sequence number
        super().__init__(house)
        self.command("ENABLE QRESYNC")
        asked = f" (QRESYNC ({cache.uidvalidity} {cache.modseq}{self._remembered(known, sample)}))" if cache.uidvalidity else ""
        self.command("SELECT INBOX" + asked)
        self.catch_up()

    def _remembered(self, known: bool, sample: bool) -> str:
        uids = sorted(uid for uid in self.cache.flags if uid <= self.cache.complete_to)
        spelled = ",".join(map(str, uids))
        text = f" {spelled}" if known and uids else ""
        # of what came after `complete_to` it does not know all, and therefore no numbers
        return text + (f" (1:{len(uids)} {spelled})" if sample and uids else "")

    def catch_up(self) -> None:
        """Fetch what is new."""
        self.command(f"UID FETCH {self.cache.complete_to + 1}:* (FLAGS)")
        found = sorted(self.cache.flags)
        assert len(self.uids) == len(found)
        assert all(told in (None, uid) for told, uid in zip(self.uids, found, strict=True)), "a number means another message"
        self.uids = [*found]
        self.cache.complete_to = max([self.cache.complete_to, *found])

    def command(self, text: str) -> None:
        told, highest = 0, 0
        may_renumber = not re.match("(FETCH|STORE|SEARCH)", text)
        lines = self.say("x " + text)
        for line in lines:
            if match := re.search(r"\[HIGHESTMODSEQ (\d+)\]", line):
                highest = int(match[1])
            if match := re.fullmatch(r"\* VANISHED \(EARLIER\) (\S+)", line):
                for uid in numbers(match[1]):
                    assert uid not in self.uids, "a message that is there has not vanished earlier"
                    self.cache.flags.pop(uid, None)
            elif match := re.fullmatch(r"\* VANISHED (\S+)", line):
                assert may_renumber, text
                self.forget(numbers(match[1]))
            elif match := re.fullmatch(r"\* (\d+) EXISTS", line):
                assert int(match[1]) >= len(self.uids)
                self.uids += [None] * (int(match[1]) - len(self.uids))
            elif match := re.fullmatch(r"\* (\d+) FETCH \((?:UID (\d+) )?(?:FLAGS \(([^)]*)\) ?)?(?:MODSEQ \((\d+)\))?\)", line):
                told = max(told, int(match[4] or 0))
                self.learn(int(match[1]), match[2], match[3])
            elif match := re.search(r"\[UIDVALIDITY (\d+)\]", line):
                self.same_mailbox(int(match[1]))
            else:
                assert re.match(r"\* (FLAGS|OK|\d+ RECENT|SEARCH|ENABLED)|x (OK|NO \[(EXPUNGEISSUED|READ-ONLY))", line), line
        self.cache.modseq = highest or max(told, self.cache.modseq)

    def same_mailbox(self, uidvalidity: int) -> None:
        assert self.cache.uidvalidity in (0, uidvalidity)
        self.cache.uidvalidity = uidvalidity

    def forget(self, uids: list[int]) -> None:
        places = []
        for uid in uids:
            # one of which the number is known, or one of those that it has never asked for
            places.append(self.uids.index(uid) if uid in self.uids else self.uids.index(None))
            self.uids[places[-1]] = 0
            self.cache.flags.pop(uid, None)
        for place in sorted(places, reverse=True):
            del self.uids[place]

    def learn(self, number: int, uid: str | None, flags: str | None) -> None:
        if uid is not None:
            known = self.uids[number - 1]
            assert known in (None, int(uid)), "a number means another message than before"
            self.uids[number - 1] = int(uid)
        if flags is not None and (told := self.uids[number - 1]) is not None:
            self.cache.flags[told] = set(flags.split()) - {"\\Recent"}

    def do(self, change: str) -> None:
        """Change flags, and remember it by oneself where the server is asked to be silent."""
        self.command(change)
        match = re.fullmatch(r"UID STORE (\d+):(\d+) ([+-])FLAGS\.SILENT \((\S+)\)", change)
        if match:
            for uid in [uid for uid in self.cache.flags if int(match[1]) <= uid <= int(match[2]) and uid in self.uids]:
                (self.cache.flags[uid].add if match[3] == "+" else self.cache.flags[uid].discard)(match[4])


def truth(mailbox: Any) -> dict[int, set[str]]:
    return {
        uid: {flag for flag, bit in SYSTEM.items() if bits & bit} | ({"kw"} if bits >> FIRST_KEYWORD_BIT else set())
        for uid, bits in zip(mailbox.uids, mailbox.bits, strict=True)
    }


FLAGS = st.sampled_from([*SYSTEM, "kw"])
RANGES = st.tuples(st.integers(1, 9), st.integers(1, 9)).map(lambda pair: "{}:{}".format(*sorted(pair)))
OWN = st.one_of(
    st.sampled_from(["NOOP", "EXPUNGE", "FETCH 1:* (FLAGS)", "UID FETCH 1:* (FLAGS MODSEQ)", "SEARCH ALL"]),
    st.builds("UID STORE {} {}FLAGS{} ({})".format, RANGES, st.sampled_from("+-"), st.sampled_from(["", ".SILENT"]), FLAGS),
    st.builds("UID FETCH {} (FLAGS MODSEQ)".format, RANGES),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("command"), OWN),
        st.tuples(st.just("flag"), st.tuples(st.integers(0, 8), FLAGS, st.sampled_from(list(FlagChange)))),
        st.tuples(st.just("expunge"), st.integers(0, 8)),
        st.tuples(st.just("deliver"), st.just(None)),
        st.tuples(st.just("return"), st.tuples(st.booleans(), st.booleans())),
        st.tuples(st.just("restart"), st.booleans()),
    ),
    max_size=30,
)  # fmt: skip


class Story:
    """One client, who loses the connection now and then, and everybody else; on a store that may be killed."""

    def __init__(self, house: ImapHouse) -> None:
        self.house = house
        house.put(*(mail(f"number {number}") for number in range(4)))
        self.cache = Cache()
        self.client = Remembering(house, self.cache)

    def step(self, what: str, how: Any) -> None:
        mailbox = self.house.mailbox()
        if what == "command":
            if self.client.uids or not re.match("FETCH", how):
                self.client.do(how)
        elif what == "deliver":
            self.house.put(mail("new"))
        elif what == "return":
            self.comes_back(*how)
        elif what == "restart":
            self.restarts(killed=how)
        elif mailbox.uids:
            uid = mailbox.uids[min(how if what == "expunge" else how[0], len(mailbox.uids) - 1)]
            if what == "expunge":
                result_of(mailbox.expunge([uid]))
            else:
                result_of(mailbox.store([uid], how[2], [how[1]]))

    def comes_back(self, known: bool, sample: bool) -> None:
        """The connection was lost without a word; the client opens the mailbox again, and knows it."""
        self.client.leave()
        self.client = Remembering(self.house, self.cache, known=known, sample=sample)
        self.check()

    def restarts(self, *, killed: bool) -> None:
        """The store in memory does not."""

    def check(self) -> None:
        mailbox = self.house.mailbox()
        assert self.cache.flags == truth(mailbox)
        assert self.client.uids == list(mailbox.uids)
        assert max(mailbox.modseqs, default=1) <= self.cache.modseq <= mailbox.highest_modseq

    def play(self, steps: list[tuple[str, Any]]) -> None:
        for step in steps:
            self.step(*step)
        self.comes_back(known=False, sample=False)
        self.client.command("NOOP")
        self.check()


class StoryOnDisk(Story):
    """The same on a store that is closed or killed, and started again a moment later."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.time = NOW
        self.stores: list[MailStore] = []
        super().__init__(ImapHouse(store=self._store()))

    def _store(self) -> MailStore:
        self.stores.append(MailStore(self.root, None, disk.InlineCommitter(), Inline(), now=lambda: self.time, boot="this"))
        return self.stores[-1]

    def step(self, what: str, how: Any) -> None:
        self.time += 0.25
        super().step(what, how)

    def restarts(self, *, killed: bool) -> None:
        if not killed:
            self.stores[-1].close()
        self.house.store = self._store()
        self.comes_back(known=False, sample=False)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_who_comes_back_knows_what_the_server_knows(steps: list[tuple[str, Any]]) -> None:
    Story(ImapHouse()).play(steps)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_who_comes_back_to_a_server_that_was_killed_knows_what_it_knows(steps: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as root:
        story = StoryOnDisk(Path(root))
        try:
            story.play(steps)
        finally:
            story.stores[-1].close()
