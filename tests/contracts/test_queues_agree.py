"""The same orders give the same items, whatever keeps them; and kills at any step of a spool leave all or nothing of an order."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule, run_state_machine_as_test

from tests.helpers import result_of
from twistmail.disk import FileContent, InlineCommitter
from twistmail.mail.address import Address
from twistmail.mail.bounds import Bounds
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Deadline, Kind, Notify, Target, Wishes
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Frozen, GaveUp, Outcome, Postponed, Reported, Rerouted, Result, SenderWarned
from twistmail.mail.status import Status
from twistmail.memory.queue import MemoryQueue
from twistmail.queue.spool import Spool
from twistmail.tasks import Inline

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
locals_ = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=6)
addresses = st.builds(Address, locals_, st.sampled_from(["far.test", "here.example", "xn--bcher-kva.test", "[192.0.2.1]"]))
targets = st.builds(Target, st.sampled_from(Kind), addresses, addresses, st.sampled_from(["", "ann@here.example"]),
                    st.sampled_from(["", "Später"]),
                    st.booleans(), st.sampled_from([b"", b"X: \xe4\r\n"]))  # fmt: skip
statuses = st.builds(Status, st.sampled_from([250, 451, 550]), st.sampled_from(["", "4.4.1", "5.1.1"]), texts)
moments = st.floats(0, 4e9)
wishes = st.builds(
    Wishes, envid=texts, priority=st.integers(-9, 9), hold_until=st.none() | moments, utf8=st.booleans(),
    deadline=st.none() | st.builds(Deadline, moments, st.booleans(), st.booleans()),
)  # fmt: skip
errands = st.builds(Errand, targets, notify=st.frozensets(st.sampled_from(Notify), max_size=2), orcpt=texts)
BODY = Memory(b"Subject: x\r\n\r\nhello\r\n")
STEPS = ("before", "written", "first name", "published", "removed in part")


class Killed(BaseException):
    """The process dies here."""


class Dying(InlineCommitter):
    """Dies at one step of the next job: *at* of STEPS."""

    at = ""

    async def commit(self, job):
        at, self.at = self.at, ""
        if not at:
            return await super().commit(job)
        if at == "before":
            raise Killed
        job.write()
        if at == "written":
            raise Killed
        if at == "first name":
            _dying_in("rename", job.publish)
        elif at == "removed in part":
            _dying_in("unlink", job.publish)
        else:
            job.publish()
        raise Killed


def _dying_in(call, publish):
    """The first *call* is the last that *publish* makes."""
    real = getattr(os, call)

    def once(*arguments, **keywords):
        real(*arguments, **keywords)
        raise Killed

    setattr(os, call, once)
    try:
        publish()
    finally:
        setattr(os, call, real)


class Queues(RuleBasedStateMachine):
    """A spool, and beside it the queue in memory, which is told what the spool was told."""

    items = Bundle("items")

    @initialize(messages=st.integers(1, 6), octets=st.none() | st.integers(20, 400))
    def open(self, messages, octets):
        self.root = Path(tempfile.mkdtemp(prefix="queues-"))
        self.bounds = Bounds(messages, octets)
        self.memory = MemoryQueue(self.bounds)
        self.count = 0
        self.start()

    def start(self):
        self.committer = Dying()
        self.spool = Spool(self.root / "queue", self.committer, Inline(), self.bounds)
        self.recovered = result_of(self.spool.recover())

    def teardown(self):
        if hasattr(self, "root"):
            shutil.rmtree(self.root)

    # ----- orders

    def make(self, to, sender, wished, prefix):
        self.count += 1
        return Item(f"i{self.count:04}", sender, tuple(to), float(self.count), BODY.size + len(prefix), prefix, wishes=wished)

    @rule(target=items, to=st.lists(errands, max_size=3), sender=st.none() | addresses, wished=wishes, prefix=st.binary(max_size=30))
    def add(self, to, sender, wished, prefix):
        item = self.make(to, sender, wished, prefix)
        full = self.memory.room_for(item.size, report=sender is None)
        assert (self.spool.room_for(item.size, report=sender is None) is None) == (full is None)
        answers = []
        for queue in (self.memory, self.spool):
            try:
                result_of(queue.add(item, BODY))
                answers.append(None)
            except OSError as error:
                answers.append(error.errno)
        assert answers == [full and full.errno] * 2
        return item.id

    @rule(identifier=items, data=st.data())
    def record(self, identifier, data):
        event = data.draw(self.events(identifier))
        self.both(lambda queue: queue.record(identifier, event))

    @rule(identifier=items, held=st.booleans(), why=texts)
    def hold(self, identifier, held, why):
        self.both(lambda queue: queue.hold(identifier, held, why))

    @rule(identifier=consumes(items))
    def remove(self, identifier):
        self.both(lambda queue: queue.remove(identifier))

    def both(self, order):
        """Give *order* to both; the same comes of it."""
        answers = []
        for queue in (self.memory, self.spool):
            try:
                answers.append(result_of(order(queue)))
            except KeyError:
                answers.append(KeyError)
        assert answers[0] == answers[1]

    def events(self, identifier):
        """Events that are about the item, and some that are about nobody in it."""
        item = next((item for item in self.memory.items() if item.id == identifier), None)
        mine = st.sampled_from([e.target for e in item.errands]) if item and item.errands else targets
        return st.one_of(
            st.builds(Outcome, mine | targets, st.sampled_from([one for one in Result if one is not Result.EXPANDED]), statuses,
                      texts, st.booleans(), texts),
            st.builds(Postponed, moments), st.builds(SenderWarned, st.booleans()), st.builds(GaveUp, statuses), st.builds(Rerouted, texts),
            st.builds(Frozen, texts),
            st.builds(Reported, texts, st.lists(mine.map(lambda target: target.address), max_size=2).map(tuple), st.booleans()),
        )  # fmt: skip

    # ----- what may happen to a process

    @rule()
    def restart(self):
        self.start()
        assert self.recovered == self.memory.items()

    @rule(to=st.lists(errands, max_size=2), at=st.sampled_from(STEPS[:4]))
    def killed_while_adding(self, to, at):
        """It is there as a whole, or not at all; it is there where it was published."""
        item = self.make(to, None, Wishes(), b"")
        if self.memory.room_for(item.size, report=True) is not None:
            return
        self.kill(at, lambda: self.spool.add(item, BODY))
        if at == "published":
            result_of(self.memory.add(item, BODY))

    @rule(identifier=items, at=st.sampled_from(["before", "written", "published"]), data=st.data(), torn=st.booleans())
    def killed_while_recording(self, identifier, at, data, torn):
        """A record that was written may come back; one that was torn does not."""
        if not any(item.id == identifier for item in self.memory.items()):
            return
        event = data.draw(self.events(identifier))
        envelope = self.root / f"queue/ready/{identifier}.envelope" if torn else None
        torn = self.kill(at, lambda: self.spool.record(identifier, event), torn=envelope)
        if at != "before" and not torn:
            result_of(self.memory.record(identifier, event))

    @rule(identifier=items, at=st.sampled_from(["before", "written", "removed in part", "published"]))
    def killed_while_removing(self, identifier, at):
        if not any(item.id == identifier for item in self.memory.items()):
            return
        self.kill(at, lambda: self.spool.remove(identifier))
        if at in ("removed in part", "published"):
            result_of(self.memory.remove(identifier))

    def kill(self, at, order, torn=None):
        """Kill the process in *order*, and start another one. *torn*: a file of which the last octets never came to the disk.

        Whether any was torn off: what is written over the rest of an earlier one may need no more room than that.
        """
        before = torn.stat().st_size if torn else 0
        self.committer.at = at
        try:
            result_of(order())
            raise AssertionError("it was not killed")
        except Killed:
            pass
        is_torn = bool(torn and torn.stat().st_size > before)
        if is_torn:
            os.truncate(torn, torn.stat().st_size - 1)
        self.start()
        return is_torn

    # ----- what is so at any time

    @invariant()
    def they_hold_the_same(self):
        if not hasattr(self, "spool"):
            return
        assert self.spool.items() == self.memory.items()
        assert self.spool.bytes == self.memory.bytes == sum(item.size for item in self.memory.items())
        for item in self.spool.items():
            content = self.spool.content(item.id)
            assert isinstance(content, FileContent)
            assert b"".join(content.chunks()) == BODY.data
        assert list((self.root / "queue/corrupt").iterdir()) == []


def test_the_same_orders_give_the_same_items_also_over_restarts_and_kills():
    """What fails is not made shorter by itself, that takes minutes: add Phase.shrink."""
    phases = [Phase.reuse, Phase.generate]
    quick = settings(max_examples=25, stateful_step_count=30, deadline=None, phases=phases, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Queues, settings=quick)
