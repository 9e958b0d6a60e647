"""A client that goes and comes back by QRESYNC, and believes what it is told, ends with what the server has (RFC 7162 §6)."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dialogues.imap_house import NOW, Guest, ImapHouse, mail
from tests.helpers import result_of
from tests.remembering import Cache, Remembering
from twistmail import disk
from twistmail.mail.mailbox import FIRST_KEYWORD_BIT, Flag, FlagChange
from twistmail.store.mailstore import MailStore
from twistmail.tasks import Inline

SYSTEM = {"\\Seen": Flag.SEEN, "\\Flagged": Flag.FLAGGED, "\\Deleted": Flag.DELETED}


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
    st.just("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since} VANISHED)"),
)
PLACES = st.integers(0, 8)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("command"), OWN),
        st.tuples(st.just("flag"), st.tuples(PLACES, FLAGS, st.sampled_from(list(FlagChange)))),
        st.tuples(st.just("expunge"), PLACES),
        st.tuples(st.just("deliver"), st.just(None)),
        st.tuples(st.just("behind"), st.tuples(PLACES, PLACES, st.sampled_from(["SEARCH ALL", "FETCH 1:* (MODSEQ)"]))),
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
        self.guest = Guest(house)
        self.client = Remembering(self.guest.say, self.cache)

    def step(self, what: str, how: Any) -> None:
        mailbox = self.house.mailbox()
        if what == "command":
            if self.client.uids or not re.match("FETCH", how):
                self.client.do(how.format(since=self.cache.modseq))
        elif what == "behind":
            self.hides_an_expunge(*how)
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

    def hides_an_expunge(self, gone: int, changed: int, command: str) -> None:
        """Something goes and then something changes, and only of the latter may the client hear."""
        self.step("expunge", gone)
        self.step("flag", (changed, "kw", FlagChange.ADD))
        self.step("command", command)

    def comes_back(self, known: bool, sample: bool) -> None:
        """The connection was lost without a word; the client opens the mailbox again, and knows it."""
        self.guest.leave()
        self.guest = Guest(self.house)
        self.client = Remembering(self.guest.say, self.cache, known=known, sample=sample)
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


@settings(max_examples=100, deadline=None)
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
