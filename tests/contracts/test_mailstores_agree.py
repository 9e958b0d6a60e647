"""The same random life on the maildir store and on the one in memory: after each step both say the same of everything.

What they may see differently is told apart: modification sequences are
compared by what has changed since moments in the past; dates of arrival where they were given; UIDVALIDITY by
which mailboxes share one over time; and a store that does not remember what has
vanished may name all that is missing.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from tests.contracts.mailstores import ALICE, ENCODED, KINDS, PLAIN, MemoryHouse, flags_of, message, vanished_since
from tests.helpers import result_of
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Column, Delivery, FlagChange, NewMessage, SortKey, StoreError

#: By name, because what fails is printed.
CONTENTS = {
    "plain": PLAIN,
    "encoded": ENCODED,
    "empty": b"",
    "header": b"Subject: no body\r\n",
    "body": b"\r\nno header",
    "reply": message(b"Re: first light", Message_ID=b"<2@b.test>", References=b"<1@a.test>", Date=b"Wed, 15 Nov 2023 12:00:00 +0000"),
    "lists": message(
        b"=?utf-8?b?5pel?= [x] Beta", b"> quoted\r\nnew", From=b'"A, B" <ann@x.test>', To=b"a@x.test, b@x.test", Cc=b"c: d@x.test;"
    ),
    "parts": message(
        b"parts", b"--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\n<b>2\r\n--b--", Content_Type=b"multipart/mixed; boundary=b"
    ),
    "long": message(b"long", b"0123456789\r\n" * 8000),
}
VALUES = {"none": None, "empty": b"", "short": b"value", "octets": b"\xff\0\r\n", "too long": b"x" * 65_537}
#: The more likely ones several times.
NAMES = ["INBOX", "A", "A/B", "INBOX", "A", "Sent", "inbox", "A/B/C", "B", "no//name"]
NEEDLES = ["", "first", "beta", "a@x", "one", "日"]
FIELDS = ["Subject", "to", "FROM", "message-id", "references"]
TIMES = (Column.INTERNALDATE, Column.SENT, Column.SAVEDATE)
COMPARED = tuple(column for column in Column if column not in (Column.MODSEQ, Column.PREVIEW_AT_HAND, *TIMES))
#: Before all tests. What came later has the date of the kernel, or of the clock that stands still.
LATELY = 1_750_000_000.0

names = st.sampled_from(NAMES)
uids = st.lists(st.integers(1, 7), min_size=1, max_size=5, unique=True)
contents = st.lists(st.sampled_from(list(CONTENTS)), min_size=1, max_size=3)
flags = st.lists(st.sampled_from(["\\Seen", "\\Deleted", "\\flagged", "work", "WORK", "$Later", "idea", "x" * 51]), max_size=3)
dates = st.none() | st.sampled_from([1.0, 1_234_567_890.0, 1_700_000_000.0])
uses = st.lists(st.sampled_from(["\\All", "\\Flagged", "\\Sent", "\\Nothing"]), max_size=2)
entries = st.sampled_from(["/private/comment", "/SHARED/comment", "/shared/vendor/x", "comment"])
values = st.sampled_from(list(VALUES))
limits = st.none() | st.integers(0, 5)


class Heard(list):
    """What one watcher was told, a word and a UID each: several changes may be told as one."""

    def hear(self, change):
        for word in ("arrived", "expunged", "flagged"):
            self += [(word, uid) for uid in getattr(change, word)]
        self += ["gone"] * change.gone


class Side:
    """One of the two stores, and what somebody who looks at it has heard and noted."""

    def __init__(self, house):
        self.house = house
        self.heard = []  # by each who watched
        self.watched = []
        self.marks = {}  # uidvalidity -> highest modification sequences at some moments

    @property
    def mailboxes(self):
        return result_of(self.house.running.mailboxes(ALICE))

    def do(self, name, verb, *arguments, **more):
        """What a verb of mailbox *name* returns."""
        mailbox = result_of(self.mailboxes.open(name))
        try:
            return result_of(getattr(mailbox, verb)(*arguments, **more))
        finally:
            mailbox.close()

    def watch(self, name):
        mailbox = result_of(self.mailboxes.open(name))
        self.heard.append(Heard())
        self.watched.append((mailbox, self.heard[-1].hear))
        mailbox.watch(self.watched[-1][1])

    def let_go(self):
        for mailbox, watcher in self.watched:
            mailbox.unwatch(watcher)
            mailbox.close()
        self.watched.clear()

    def tree(self):
        found = [(folder.name, folder.subscribed, folder.selectable, folder.has_children, set(folder.uses))
                 for folder in result_of(self.mailboxes.folders())]  # fmt: skip
        notes = {name: result_of(self.mailboxes.annotations(name)) for name, _, selectable, *_ in found if selectable}
        return found, result_of(self.mailboxes.subscriptions()), notes, result_of(self.mailboxes.quota())

    def contents(self, name):
        """All that is promised of one mailbox, in comparable words."""
        mailbox = result_of(self.mailboxes.open(name))
        status = result_of(self.mailboxes.status(name))
        everything = list(mailbox.uids)
        assert len(mailbox.uids) == len(mailbox.bits) == len(mailbox.modseqs)
        assert status.highest_modseq == mailbox.highest_modseq >= max(mailbox.modseqs, default=1)
        assert [(uid, modseq) for uid, modseq in result_of(mailbox.rows(everything, (Column.MODSEQ,)))] == list(
            zip(mailbox.uids, mailbox.modseqs, strict=True)
        )
        found = {
            "status": (status.messages, status.recent, status.unseen, status.uidnext, status.size),
            "flags": [(uid, *flags_of(mailbox, uid)) for uid in everything],
            "rows": result_of(mailbox.rows(everything, COMPARED)),
            "some": result_of(mailbox.rows(everything[::2], (Column.HEADER, Column.PREVIEW))),
            "load": result_of(mailbox.load(everything)),
            "spans": [result_of(mailbox.span(uid, uid * 7, 50_000)) for uid in everything],
            "times": (times := [[uid, *map(dated, some)] for uid, *some in result_of(mailbox.rows(everything, TIMES))]),
            "sort": [
                list(result_of(mailbox.sort(everything, [(key, key is SortKey.FROM), (SortKey.SIZE, True)])))
                for key in SortKey
                if key not in (SortKey.ARRIVAL, SortKey.DATE) or "lately" not in (word for _, *some in times for word in some)
            ],
            "header": [result_of(mailbox.header_search(everything, field, needle)) for field in FIELDS for needle in NEEDLES],
            "text": [result_of(mailbox.text_search(everything, needle, headers)) for needle in NEEDLES for headers in (True, False)],
            "changed": [mailbox.changed_since(mark) for mark in self.marks.get(mailbox.uidvalidity, ())],
        }
        gone = [set(vanished_since(mailbox, mark)) for mark in self.marks.get(mailbox.uidvalidity, ())]
        self.marks.setdefault(mailbox.uidvalidity, []).append(mailbox.highest_modseq)
        uidvalidity, missing = mailbox.uidvalidity, set(range(1, mailbox.uidnext)).difference(everything)
        mailbox.close()
        return found, gone, missing, uidvalidity


class Life(RuleBasedStateMachine):
    kind = "maildir"

    def __init__(self):
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="agree"))
        self.disk, self.memory = Side(KINDS[self.kind](self.root)), Side(MemoryHouse())
        self.memory.house.time = self.disk.house.time
        self.touched = set()
        self.uidvalidities = {}

    def teardown(self):
        self.disk.house.close()
        shutil.rmtree(self.root)

    def both(self, action, *touched):
        self.touched.update(touched)
        self.disk.house.time += 1
        self.memory.house.time += 1
        one, other = outcome(action, self.disk), outcome(action, self.memory)
        assert one == other

    # ----- what happens

    @initialize(some=contents)
    def begin(self, some):
        for folder in ("INBOX", "A", "INBOX", "A/B"):
            self.deliver(some, folder)

    @rule(contents=contents, folder=names)
    def deliver(self, contents, folder):
        deliveries = [Delivery(ALICE, b"X-Prefix: 1\r\n" * (word != "empty"), Memory(CONTENTS[word]), folder) for word in contents]
        self.both(lambda side: [error and error.errno for error in result_of(side.house.running.deliver(deliveries))], folder, "INBOX")

    @rule(name=names, contents=contents, flags=flags, date=dates)
    def append(self, name, contents, flags, date):
        messages = [NewMessage(Memory(CONTENTS[word]), tuple(flags), date) for word in contents]
        self.both(lambda side: side.do(name, "append", messages).target, name)

    @rule(name=names, uids=uids, change=st.sampled_from(FlagChange), flags=flags)
    def store(self, name, uids, change, flags):
        self.both(lambda side: side.do(name, "store", uids, change, flags), name)

    @rule(name=names, uids=uids, mark=st.integers(0, 3))
    def store_unchanged(self, name, uids, mark):
        def action(side):
            uidvalidity = result_of(side.mailboxes.status(name)).uidvalidity
            since = [0, *side.marks.get(uidvalidity, ())][-mark:][0]
            return side.do(name, "store", uids, FlagChange.ADD, ["\\Answered"], unchanged_since=since)

        self.both(action, name)

    @rule(name=names, uids=uids)
    def expunge(self, name, uids):
        self.both(lambda side: side.do(name, "expunge", uids), name)

    @rule(name=names, other=names, uids=uids, verb=st.sampled_from(["copy", "move"]))
    def transfer(self, name, other, uids, verb):
        def action(side):
            copied = side.do(name, verb, uids, other)
            return copied.source, copied.target

        self.both(action, name, other)

    @rule(name=names)
    def claim(self, name):
        self.both(lambda side: side.do(name, "claim_recent"), name)

    @rule(name=names, uses=uses)
    def create(self, name, uses):
        self.both(lambda side: result_of(side.mailboxes.create(name, uses)), name)

    @rule(name=names)
    def delete(self, name):
        self.both(lambda side: result_of(side.mailboxes.delete(name)), name)

    @rule(old=names, new=names)
    def rename(self, old, new):
        self.claim_everything()
        self.both(lambda side: result_of(side.mailboxes.rename(old, new)), *NAMES)

    @rule(name=names, subscribed=st.booleans())
    def subscribe(self, name, subscribed):
        self.both(lambda side: result_of(side.mailboxes.subscribe(name, subscribed)))

    @rule(name=st.sampled_from(["", *NAMES]), notes=st.dictionaries(entries, values, max_size=2))
    def annotate(self, name, notes):
        self.both(lambda side: result_of(side.mailboxes.annotate(name, {entry: VALUES[word] for entry, word in notes.items()})))

    @rule(octets=limits, messages=limits)
    def limit(self, octets, messages):
        """The account may hold so much more than now."""
        quota = result_of(self.memory.mailboxes.quota())
        allowed = (None if octets is None else quota.octets + octets * 200, None if messages is None else quota.messages + messages)
        self.disk.house.limits[ALICE] = self.memory.house.limits[ALICE] = allowed

    @rule(name=names)
    def watch(self, name):
        self.both(lambda side: side.watch(name))

    @precondition(lambda self: self.disk.watched)
    @rule()
    def let_go(self):
        self.both(lambda side: side.let_go())

    @rule(look=st.booleans())
    def restart(self, look):
        """Mail may come again before anybody looks."""
        self.claim_everything()
        for side in (self.disk, self.memory):
            side.let_go()
            side.house.restart()
        self.touched.update(NAMES if look else ())

    def claim_everything(self):
        """What is recent in a mailbox that is read anew is not promised: appended messages lie in cur/ (RFC 3501 §2.3.2)."""
        for folder in result_of(self.memory.mailboxes.folders()):
            if folder.selectable:
                self.both(lambda side, name=folder.name: side.do(name, "claim_recent"))

    # ----- what is then so

    @invariant()
    def they_agree(self):
        assert self.disk.tree() == self.memory.tree()
        assert self.disk.heard == self.memory.heard
        selectable = {folder.name for folder in result_of(self.memory.mailboxes.folders()) if folder.selectable}
        for name in sorted(selectable.intersection(self.touched)):
            self.compare(name)
        self.touched.clear()

    def compare(self, name):
        one, gone, _, uidvalidity = self.disk.contents(name)
        other, really_gone, missing, its_uidvalidity = self.memory.contents(name)
        for what, expected in other.items():
            assert one[what] == expected, what
        for told, expunged in zip(gone, really_gone, strict=True):
            assert told in (expunged, missing)
        assert self.uidvalidities.setdefault(its_uidvalidity, uidvalidity) == uidvalidity


def dated(time):
    return "lately" if time > LATELY else time


def outcome(action, side):
    """What an action returns, or which refusal it meets."""
    try:
        return action(side)
    except StoreError as error:
        return type(error), error.code
    except OSError as error:
        return OSError, error.errno


class LifeInMboxes(Life):
    kind = "mbox"


@pytest.mark.parametrize("life", [Life, LifeInMboxes])
def test_a_random_life_is_the_same_on_disk_and_in_memory(life):
    """What fails is not made shorter by itself, that takes minutes: add Phase.shrink."""
    health = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    phases = [Phase.reuse, Phase.generate]
    short = settings(max_examples=10, stateful_step_count=20, deadline=None, phases=phases, suppress_health_check=health)
    run_state_machine_as_test(life, settings=short)
