"""Whatever was done, and wherever the power failed: what was acknowledged is there, under its UID, and no UID means two messages."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers import result_of
from tests.inline_log import LoggingCommitter
from tests.store.conftest import ALICE
from tests.store.inline_log import prepare
from tests.store.lossy_disk import LossyDisk
from twistmail import disk, tasks
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Delivery, FlagChange, NewMessage, NoSuchMailbox, StoreError
from twistmail.store.mailstore import MailStore

BOXES = ("INBOX", "Sent", "Work", "Done")

boxes = st.sampled_from(BOXES)
some = st.integers(1, 3)
steps = st.one_of(
    st.tuples(st.sampled_from(["deliver", "append", "expunge", "flag"]), boxes, some),
    st.tuples(st.sampled_from(["deliver", "append"]), boxes, some),
    st.tuples(st.sampled_from(["copy", "move", "rename"]), boxes, boxes),
    st.tuples(st.sampled_from(["delete", "checkpoint", "turn"]), boxes, some),
)


class SyncingCommitter(LoggingCommitter):
    """As the log for new mail, so the other way for the rest: everything is synced."""

    syncfs = True

    def _sync(self, descriptor):
        disk.os.fsync(descriptor)


@dataclass
class Expected:
    """What was acknowledged: {folder: {UID: content}}; `history` also what was expunged since."""

    messages: dict[str, dict[int, bytes]] = field(default_factory=lambda: {name: {} for name in ("INBOX", "Sent")})
    history: dict[str, dict[int, bytes]] = field(default_factory=lambda: {name: {} for name in ("INBOX", "Sent")})

    def copied(self):
        return Expected(*({name: dict(box) for name, box in part.items()} for part in (self.messages, self.history)))


class World:
    """A store on a lossy disk; the power fails at event number *doom*."""

    def __init__(self, folder, monkeypatch, doom, chance, syncfs):
        self.before, self.after = folder / "before", folder / "after"
        self.before.mkdir()
        self.after.mkdir()
        self.left, self.doom, self.chance = doom, doom, chance
        self.expected, self.promised = Expected(), None
        self.step = ("", "", "")
        self.sent = set()
        self.numbers = count()
        self.disk = LossyDisk(self.before, self._event)
        self.store = self._store(self.before, "first")
        self.mailboxes = result_of(self.store.mailboxes(ALICE))
        syncer = self.store._redo._syncer
        syncer._syncfs = syncfs
        syncer._sync_all = self.disk.sync_all
        self.disk.sync_all(0)
        self.left = doom
        self.disk.patch(monkeypatch)

    def _store(self, folder, boot):
        made = MailStore(folder, None, SyncingCommitter(), tasks.Inline(), hostname="mx.blue.test", boot=boot)
        prepare(made._redo)
        return made

    def _event(self):
        self.left -= 1
        if self.left == 0:
            self.promised = self.expected.copied()
            self.last_step = self.step
            self.disk.after_power_loss(self.after, self.chance)

    def fresh(self, many):
        contents = [b"Subject: %d\r\n\r\n%s\r\n" % (next(self.numbers), b"x" * 40) for _ in range(many)]
        self.sent.update(contents)
        return contents

    def do(self, step):
        self.step = step
        with suppress(NoSuchMailbox, StoreError):
            getattr(self, step[0])(*step[1:])
        self.step = ("", "", "")

    # ----- steps

    def deliver(self, name, many):
        contents = self.fresh(many)
        assert result_of(self.store.deliver([Delivery(ALICE, b"", Memory(content), name) for content in contents])) == [None] * many
        box = self.open(name)
        self._note(name, zip(box.uids[-many:], contents, strict=True))
        box.close()

    def append(self, name, many):
        box = self.open(name)
        contents = self.fresh(many)
        self._note(name, zip(result_of(box.append([NewMessage(Memory(content)) for content in contents])).target, contents, strict=True))
        box.close()

    def expunge(self, name, many):
        box = self.open(name)
        for uid in result_of(box.expunge(box.uids[-many:])):
            del self.expected.messages[name][uid]
        box.close()

    def flag(self, name, many):
        box = self.open(name)
        result_of(box.store(box.uids[:many], FlagChange.ADD, ["\\Seen"]))
        box.close()

    def copy(self, name, other):
        box, target = self.open(name), self.open(other)
        copied = result_of(box.copy(box.uids[-2:], other))
        self._note(other, [(new, self.expected.messages[name][old]) for old, new in zip(copied.source, copied.target, strict=True)])
        box.close()
        target.close()

    def move(self, name, other):
        if name == other:
            return
        box, target = self.open(name), self.open(other)
        moved = result_of(box.move(box.uids[-2:], other))
        self._note(other, [(new, self.expected.messages[name].pop(old)) for old, new in zip(moved.source, moved.target, strict=True)])
        box.close()
        target.close()

    def rename(self, name, other):
        if name != "INBOX" and other != "INBOX":
            result_of(self.mailboxes.rename(name, other))
            for part in (self.expected.messages, self.expected.history):
                part[other] = part.pop(name, {})

    def delete(self, name, _):
        if name != "INBOX":
            result_of(self.mailboxes.delete(name))
            for part in (self.expected.messages, self.expected.history):
                part.pop(name, None)

    def checkpoint(self, *_):
        self.store._redo.checkpoint()

    def turn(self, *_):
        with self.store._redo._batch:
            self.store._redo._turn()

    def open(self, name):
        return result_of(self.mailboxes.open(name))

    def _note(self, name, pairs):
        for uid, content in pairs:
            self.expected.messages.setdefault(name, {})[uid] = content
            self.expected.history.setdefault(name, {})[uid] = content

    # ----- afterwards

    def judge(self):
        if self.promised is None:
            self.promised, self.last_step = self.expected.copied(), ("", "", "")
            self.disk.after_power_loss(self.after, self.chance)
        self.store.close()
        again = self._store(self.after, "second")
        mailboxes = result_of(again.mailboxes(ALICE))
        found = {name: self._content(mailboxes, name) for name in BOXES}
        for name, messages in self.promised.messages.items():
            self._judge_mailbox(name, messages, found)
        for name in BOXES:
            self._judge_uids(again, mailboxes, name, found[name])
        again.close()

    def _content(self, mailboxes, name):
        try:
            box = result_of(mailboxes.open(name))
        except NoSuchMailbox:
            return None
        found = dict(result_of(box.load(box.uids)))
        box.close()
        return found

    def _judge_mailbox(self, name, messages, found):
        kind, source, target = self.last_step
        there = found[name]
        if kind == "rename" and name == source and not there and found[target] is not None:
            there = found[target]
        if there is None and kind == "delete" and name == source:
            return
        assert there is not None, f"{name} is lost"
        may_be_gone = set(messages) if kind in ("expunge", "move") and name == source else set()
        missing = {uid for uid in messages if there.get(uid) != messages[uid]} - {uid for uid in may_be_gone if uid not in there}
        assert not missing, f"lost in {name}: {missing}"

    def _judge_uids(self, again, mailboxes, name, there):
        if there is None:
            return
        assert set(there.values()) <= self.sent, "half a message, or one that nobody has sent"
        if self.last_step[0] in ("rename", "delete"):
            return
        history = self.promised.history.get(name, {})
        strange = {uid: there[uid] for uid in history.keys() & there.keys() if there[uid] != history[uid]}
        assert not strange, f"a UID of another message in {name}"
        times = Counter(there.values())
        was = Counter(history.values())
        twice = {content for content in times if times[content] > was[content] + 1}
        assert not twice, f"twice in {name}"
        assert result_of(again.deliver([Delivery(ALICE, b"", Memory(b"a: b\r\n\r\n"), name)])) == [None]
        box = result_of(mailboxes.open(name))
        assert box.uids[-1] > max(history, default=0), "a UID was given again"
        box.close()


@given(plan=st.lists(steps, min_size=1, max_size=12), doom=st.integers(1, 250), seed=st.integers(0, 1 << 30), syncfs=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_promise_is_broken_by_a_power_loss(plan, doom, seed, syncfs, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        world = World(tmp_path_factory.mktemp("world"), patch, doom, Random(seed), syncfs)
        try:
            for step in plan:
                world.do(step)
            patch.undo()
            world.judge()
        finally:
            world.disk.close()


def test_a_log_that_is_not_synced_breaks_promises(tmp_path_factory):
    """The judge can say no."""
    verdicts = []
    for seed in range(30):
        with pytest.MonkeyPatch.context() as patch:
            world = World(tmp_path_factory.mktemp("world"), patch, 10_000, Random(seed), True)
            patch.setattr(disk.os, "fdatasync", lambda descriptor: None)
            try:
                world.do(("deliver", "INBOX", 3))
                world.promised, world.last_step = world.expected.copied(), ("", "", "")
                world.disk.after_power_loss(world.after, world.chance)
                patch.undo()
                world.judge()
            except AssertionError:
                verdicts.append(seed)
            finally:
                world.disk.close()
    assert verdicts
