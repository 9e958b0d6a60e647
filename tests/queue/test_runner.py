"""R37 to R40 on a fake clock: attempts, warnings, reports, and what happens between any two steps."""

from __future__ import annotations

import email
import itertools
import random
from dataclasses import replace

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.helpers import result_of
from twistmail import tasks
from twistmail.disk import InlineCommitter
from twistmail.facts import Facts, Queued, Removed
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Deadline, Kind, Notify, Target, Wishes
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import GaveUp, Outcome, Postponed, Reported, Result, SenderWarned
from twistmail.mail.schedule import DAY, HOUR, MINUTE, Schedule
from twistmail.mail.status import Status
from twistmail.mailflow import Dispatch, Trip
from twistmail.memory.courier import TAKEN, MemoryCourier
from twistmail.memory.queue import MemoryQueue
from twistmail.queue.clerk import KEPT
from twistmail.queue.place import Bounds
from twistmail.queue.reports import OPTIONS, House
from twistmail.queue.runner import Circumstances, Runner
from twistmail.queue.spool import Spool

T0 = 1_800_000_000.0
ANN = Address("ann", "here.example")
BOB, EVE = Address("bob", "far.test"), Address("eve", "far.test")
POSTMASTER = Address("postmaster", "here.example")
LATER, NEVER = Status(451, "4.4.1", "Not now"), Status(550, "5.1.1", "No such user")
BODY = Memory(b"Subject: hello\r\nMessage-ID: <1@here.example>\r\n\r\nhow are you\r\n")


def target(address: Address) -> Target:
    kind = Kind.MAILBOX if address.domain == "here.example" else Kind.REMOTE
    return Target(kind, address, address, str(address) if kind is Kind.MAILBOX else "")


def make_item(*to: Address, identifier: str = "i1", sender: Address | None = ANN) -> Item:
    return Item(identifier, sender, tuple(Errand(target(address)) for address in to or (BOB,)), T0, BODY.size)


class World:
    """A runner with its surroundings: `answers` is what happens to an address."""

    def __init__(self, answers=None, queue=None, clock=None, first_report=1):
        self.clock = clock or Clock()
        if clock is None:
            self.clock.advance(T0)
        self.couriers = {Kind.REMOTE: MemoryCourier(answers), Kind.MAILBOX: MemoryCourier(answers, local=True)}
        self.queue = queue or MemoryQueue()
        self.facts = Facts()
        self.told = []
        self.facts.listen(self.told.append)
        self.unknown: set[Address] = set()
        house = House("mx.here.example", POSTMASTER, self.follow, (f"r{n}" for n in itertools.count(first_report)), tasks.Inline())
        self.runner = Runner(self.queue, Dispatch(self.couriers), Schedule(), house,
                             Circumstances(self.clock, lambda: 0.0, self.facts))
        result_of(self.runner.start())

    def rule(self, **rules):
        """Let these rules hold from now on."""
        self.runner.adopt(replace(self.runner.rules, **rules), self.runner.places.bounds)

    def bound(self, **bounds):
        self.runner.adopt(self.runner.rules, Bounds(**bounds))

    async def follow(self, address):
        return () if address in self.unknown else (target(address),)

    def submit(self, item=None):
        result_of(self.runner.submit(item or make_item(), BODY))
        return self

    def advance(self, seconds, step=MINUTE):
        for _ in range(int(seconds // step)):
            self.clock.advance(step)

    @property
    def attempts(self):
        """Ages (seconds) at which something was carried to BOB."""
        return [fact.at - T0 for fact in self.told if isinstance(fact.what, Outcome) and fact.what.target.address == BOB]

    @property
    def mailboxes(self):
        """What local mailboxes got: (address, message)."""
        return [(str(to[0].address), email.message_from_bytes(content)) for _, to, content in self.couriers[Kind.MAILBOX].carried]

    def events(self, identifier):
        return [fact.what for fact in self.told if fact.about == identifier]


# ----- attempts (R38)


def test_what_can_be_delivered_is_delivered_at_once_and_leaves_the_queue():
    world = World().submit()
    assert world.attempts == [0]
    assert world.queue.items() == ()
    assert [type(event) for event in world.events("i1")] == [Queued, Outcome, Removed]
    assert world.clock.getDelayedCalls() == []


def test_attempts_wait_longer_and_longer_and_end_after_five_days():
    world = World({BOB: LATER}).submit()
    world.advance(6 * DAY)
    waits = [round((after - before) / MINUTE) for before, after in itertools.pairwise(world.attempts)]
    assert waits[:7] == [5, 15, 30, 60, 120, 240, 240]
    assert set(waits[6:]) == {240}
    assert 4.7 * DAY < world.attempts[-1] <= 5 * DAY
    assert world.queue.items() == ()


def test_jitter_makes_waits_longer_never_shorter():
    world = World({BOB: LATER})
    world.runner.clerk._random = random.Random(1).random
    world.submit()
    world.advance(DAY)
    waits = [after - before for before, after in itertools.pairwise(world.attempts)]
    for wait, planned in zip(waits, Schedule().waits, strict=False):
        assert planned <= wait <= planned * 1.1 + MINUTE


def test_jitter_makes_no_attempt_after_the_time_in_which_we_keep_trying():
    world = World({BOB: LATER})
    world.rule(schedule=Schedule(waits=(DAY,), give_up_after=5 * DAY, warn_after=None))
    chance = iter((0.0, 0.0, 0.0, 0.0))
    world.runner.clerk._random = lambda: next(chance, 1.0)
    world.submit()
    world.advance(6 * DAY)
    assert len(world.attempts) == 6
    assert world.attempts[-1] <= 5 * DAY
    assert world.queue.items() == ()


def test_the_sender_is_warned_once_after_four_hours_and_told_at_the_end():
    world = World({BOB: LATER}).submit()
    world.advance(4 * HOUR - MINUTE)
    assert world.mailboxes == []
    world.advance(MINUTE)
    assert [(to, message["Subject"]) for to, message in world.mailboxes] == [("ann@here.example", "Your message is late")]
    world.advance(6 * DAY)
    assert [message["Subject"] for _, message in world.mailboxes] == ["Your message is late", "Your message could not be delivered"]
    assert [type(e) for e in world.events("i1")].count(SenderWarned) == 1
    failure = world.mailboxes[1][1].get_payload()[1].get_payload()[1]
    assert (failure["Action"], failure["Status"]) == ("failed", "4.4.1")


def test_nobody_is_warned_about_a_message_without_a_sender():
    world = World({BOB: LATER}).submit(make_item(sender=None))
    world.advance(DAY)
    assert world.mailboxes == []


def test_the_schedule_survives_a_restart(tmp_path):
    spool = Spool(tmp_path / "queue", InlineCommitter(), tasks.Inline())
    world = World({BOB: LATER}, spool).submit()
    world.advance(25 * MINUTE)
    assert [round(at / MINUTE) for at in world.attempts] == [0, 5, 20]
    result_of(world.runner.stop())
    again = World({BOB: LATER}, Spool(tmp_path / "queue", InlineCommitter(), tasks.Inline()), world.clock)
    again.advance(30 * MINUTE)
    assert [round(at / MINUTE) for at in again.attempts] == [50]


def test_only_those_who_wait_are_tried_again():
    world = World({BOB: [LATER, TAKEN]}).submit(make_item(EVE, BOB))
    world.advance(6 * MINUTE)
    assert [[t.address for t in to] for _, to, _ in world.couriers[Kind.REMOTE].carried] == [[EVE, BOB], [BOB]]
    assert world.queue.items() == ()


# ----- reports (R39, R40)


def test_a_failure_is_reported_to_the_envelope_sender():
    world = World({BOB: NEVER}).submit(make_item(EVE, BOB))
    ((to, message),) = world.mailboxes
    assert to == "ann@here.example"
    assert message.get_content_type() == "multipart/report"
    blocks = message.get_payload()[1].get_payload()
    assert [block["Final-Recipient"] for block in blocks[1:]] == ["rfc822; bob@far.test"]
    (report, _, _), = world.couriers[Kind.MAILBOX].carried
    assert report.sender is None
    assert world.queue.items() == ()


def test_the_report_is_durable_before_the_failure_counts_as_reported():
    world = World({BOB: NEVER, ANN: LATER}).submit()
    order = [(fact.about, type(fact.what)) for fact in world.told]
    assert order.index(("r1", Queued)) < order.index(("i1", Reported)) < order.index(("i1", Removed))
    assert [item.id for item in world.queue.items()] == ["r1"]


def test_what_fails_is_reported_at_once_while_others_still_wait():
    world = World({BOB: NEVER, EVE: [LATER, LATER, NEVER]}).submit(make_item(EVE, BOB))
    assert len(world.mailboxes) == 1
    world.advance(21 * MINUTE)
    failed = [message.get_payload()[1].get_payload()[1]["Final-Recipient"] for _, message in world.mailboxes]
    assert failed == ["rfc822; bob@far.test", "rfc822; eve@far.test"]


@pytest.mark.parametrize("unreachable", [
    pytest.param(lambda world: world.unknown.add(ANN), id="no-such-sender-here"),
    pytest.param(lambda world: world.couriers[Kind.MAILBOX].answers.update({ANN: NEVER}), id="sender-s-box-refuses"),
])
def test_a_report_that_cannot_be_delivered_goes_to_the_postmaster_and_no_further(unreachable):
    world = World({BOB: NEVER})
    unreachable(world)
    world.submit()
    to, message = world.mailboxes[-1]
    assert to == "postmaster@here.example"
    assert "Double bounce" in message["Subject"]
    assert world.queue.items() == ()


def test_a_double_bounce_has_the_report_attached():
    world = World({BOB: NEVER, ANN: NEVER}).submit()
    _, message = world.mailboxes[-1]
    attached = message.get_payload()[2].get_payload()[0]
    assert attached["Subject"] == "Your message could not be delivered"


def test_when_the_postmaster_cannot_be_reached_it_ends_in_the_log():
    world = World({BOB: NEVER, ANN: NEVER, POSTMASTER: NEVER}).submit()
    assert world.queue.items() == ()
    assert len(world.mailboxes) == 2
    why = "it was for the postmaster himself"
    assert [e for e in world.events("r2") if isinstance(e, Reported)] == [Reported("", (POSTMASTER,), why=why)]


def test_when_tables_are_silent_the_report_is_made_later():
    world = World({BOB: NEVER})

    async def silent(address):
        raise Unavailable

    world.runner.rules.reports._house = replace(world.runner.rules.reports._house, follow=silent)
    world.submit()
    assert world.mailboxes == []
    assert len(world.queue.items()) == 1
    world.runner.rules.reports._house = replace(world.runner.rules.reports._house, follow=world.follow)
    world.advance(6 * MINUTE)
    assert len(world.mailboxes) == 1
    assert len(world.attempts) == 1
    assert world.queue.items() == ()


# ----- crashes between any two steps (spec D4)


class Died(BaseException):
    pass


class Mortal:
    """A queue whose process dies at its n-th call."""

    def __init__(self, queue, calls):
        self.queue, self.calls = queue, calls

    def __getattr__(self, name):
        method = getattr(self.queue, name)
        if name not in ("add", "record", "remove"):
            return method

        async def counted(*arguments):
            self.calls -= 1
            if self.calls < 0:
                self.on_death()
                raise Died
            return await method(*arguments)

        return counted


@pytest.mark.parametrize("calls", range(12))
def test_a_kill_between_any_two_steps_loses_nothing_and_reports_at_most_twice(tmp_path, calls, monkeypatch):
    monkeypatch.setattr(tasks.log, "failure", lambda *a, **k: None)
    answers = {BOB: NEVER, EVE: TAKEN}
    first = World(answers, Mortal(Spool(tmp_path / "queue", InlineCommitter(), tasks.Inline()), calls))
    first.queue.on_death = lambda: setattr(first.runner, "_stopping", True)  # a dead process starts nothing more
    try:
        first.submit(make_item(EVE, BOB))
    except Died:
        promised = False
    else:
        promised = True
    second = World(answers, Spool(tmp_path / "queue", InlineCommitter(), tasks.Inline()), first.clock, first_report=100)
    carried = first.couriers[Kind.REMOTE].carried + second.couriers[Kind.REMOTE].carried
    reports = first.mailboxes + second.mailboxes
    assert second.queue.items() == ()
    if promised:
        assert 1 <= sum(any(t.address == EVE for t in to) for _, to, _ in carried) <= 2
        assert 1 <= len(reports) <= 2
    else:
        assert carried == reports == []


# ----- trouble


class Broken(MemoryQueue):
    broken = False

    async def record(self, identifier, event):
        if self.broken:
            raise OSError(28, "No space left on device")
        return await super().record(identifier, event)

    async def remove(self, identifier):
        if self.broken:
            raise OSError(5, "Input/output error")
        await super().remove(identifier)


@pytest.mark.parametrize(("to", "times"), [
    pytest.param((BOB,), 1, id="what-is-done-is-remembered"),
    pytest.param((BOB, EVE), 1, id="what-could-not-be-noted-is-noted-later"),
])
def test_a_broken_disk_does_not_send_a_message_again_and_again(to, times):
    world = World(queue=Broken())
    world.queue.broken = True
    world.submit(make_item(*to))
    world.advance(DAY)
    assert len(world.couriers[Kind.REMOTE].carried) == 1
    world.queue.broken = False
    world.advance(HOUR)
    assert len(world.couriers[Kind.REMOTE].carried) == times
    assert world.queue.items() == ()


class Buggy:
    """A dispatch that has a bug which shows with one item."""

    def __init__(self, dispatch, bad):
        self.dispatch, self.bad, self.trips = dispatch, bad, dispatch.trips

    async def carry(self, trip, item, content, record):
        if item.id == self.bad:
            raise ZeroDivisionError
        return await self.dispatch.carry(trip, item, content, record)


def test_a_bug_in_one_message_does_not_stop_the_others():
    world = World()
    dispatch = world.runner.rules.dispatch
    world.rule(dispatch=Buggy(dispatch, "bad"))
    world.submit(make_item(identifier="bad"))
    world.submit(make_item(identifier="good"))
    assert [item.id for item in world.queue.items()] == ["bad"]
    world.rule(dispatch=dispatch)
    world.advance(6 * MINUTE)
    assert world.queue.items() == ()


def test_a_message_that_always_meets_a_bug_is_returned_in_the_end(monkeypatch):
    monkeypatch.setattr("twistmail.queue.runner.log.failure", lambda *arguments, **keywords: None)
    world = World()
    world.rule(dispatch=Buggy(world.runner.rules.dispatch, "i1"))
    world.submit()
    world.advance(6 * DAY, step=HOUR)
    assert world.queue.items() == ()
    assert [message["Subject"] for _, message in world.mailboxes] == ["Your message is late", "Your message could not be delivered"]


def test_what_the_queue_does_not_take_is_not_taken():
    world = World()
    world.queue.full = True
    with pytest.raises(OSError):
        world.submit()
    assert world.told == []
    assert world.clock.getDelayedCalls() == []


# ----- the operator


def test_flush_tries_everything_now():
    answers = {BOB: LATER}
    world = World(answers)
    for number in range(3):
        world.submit(make_item(identifier=f"i{number}"))
    world.couriers[Kind.REMOTE].answers[BOB] = TAKEN
    assert world.runner.flush(["i1", "nobody"]) == 1
    assert [item.id for item in world.queue.items()] == ["i0", "i2"]
    assert world.runner.flush() == 2
    assert world.queue.items() == ()


def test_a_held_message_waits_until_it_is_released():
    world = World({BOB: [LATER, TAKEN]}).submit()
    result_of(world.runner.hold("i1"))
    assert world.runner.flush() == 0
    world.advance(DAY)
    assert len(world.attempts) == 1
    assert world.mailboxes == []
    result_of(world.runner.release("i1"))
    assert world.queue.items() == ()


def test_a_deleted_message_goes_without_a_word():
    world = World({BOB: LATER}).submit()
    assert result_of(world.runner.delete("i1")) is True
    assert world.queue.items() == ()
    assert world.events("i1")[-1] == Removed("deleted by an operator")
    assert world.mailboxes == []
    with pytest.raises(KeyError):
        result_of(world.runner.delete("i1"))
    world.advance(HOUR)
    assert len(world.attempts) == 1


class Slow:
    """Attempts that end when they are told to."""

    def __init__(self):
        self.running = {}

    def trips(self, item, targets):
        return [Trip(None, "", tuple(targets))]

    async def carry(self, trip, item, content, record):
        self.running[item.id] = Deferred()
        status = await self.running[item.id]
        outcomes = [Outcome(target, Result.RELAYED if status is TAKEN else Result.DEFERRED, status) for target in trip.targets]
        for outcome in outcomes:
            await record(outcome)
        return outcomes


@pytest.fixture
def slow():
    world = World()
    world.rule(dispatch=Slow())
    return world


def test_so_many_items_at_a_time_and_no_more(slow):
    slow.bound(local=2)
    for number in range(5):
        slow.submit(make_item(identifier=f"i{number}"))
    attempts = slow.runner.rules.dispatch.running
    assert list(attempts) == ["i0", "i1"]
    attempts["i1"].callback(TAKEN)
    assert list(attempts) == ["i0", "i1", "i2"]
    for name in ("i0", "i2", "i3", "i4"):
        attempts[name].callback(TAKEN)
    assert slow.queue.items() == ()


@pytest.mark.parametrize(("order", "left"), [
    pytest.param(lambda runner: result_of(runner.delete("i1")), [], id="delete"),
    pytest.param(lambda runner: runner.flush(), ["i1"], id="flush"),
    pytest.param(lambda runner: result_of(runner.hold("i1")), ["i1"], id="hold"),
])
def test_orders_during_an_attempt_are_obeyed_after_it(slow, order, left):
    slow.submit()
    order(slow.runner)
    first = slow.runner.rules.dispatch.running["i1"]
    first.callback(LATER)
    assert [item.id for item in slow.queue.items()] == left
    again = slow.runner.rules.dispatch.running["i1"] is not first
    assert again == (order.__code__.co_names[0] == "flush")
    slow.advance(HOUR)
    held = left and slow.queue.items()[0].held
    assert not held or slow.runner.rules.dispatch.running["i1"] is first


def test_stopping_waits_for_what_runs(slow):
    slow.submit()
    stopped = tasks.shielded(slow.runner.stop(30.0))
    assert not stopped.called
    slow.runner.rules.dispatch.running["i1"].callback(LATER)
    assert stopped.called
    assert slow.clock.getDelayedCalls() == []


def test_stopping_does_not_wait_for_ever(slow):
    slow.submit()
    stopped = tasks.shielded(slow.runner.stop(30.0))
    slow.clock.advance(31)
    assert stopped.called


def test_a_new_schedule_counts_from_the_next_attempt_on():
    world = World({BOB: LATER}).submit()
    world.rule(schedule=Schedule(waits=(2 * MINUTE,), give_up_after=15 * MINUTE, warn_after=None))
    world.advance(20 * MINUTE)
    assert [round(at / MINUTE) for at in world.attempts] == [0, 5, 7, 9, 11, 13, 15]
    assert any(isinstance(event, GaveUp) for event in world.events("i1"))
    assert not any(isinstance(event, Postponed) and event.until > T0 + 16 * MINUTE for event in world.events("i1"))


# ----- what the sender asked for (RFC 3461, RFC 2852, RFC 4865)

CAT = Address("cat", "here.example")


def wanting(item: Item, *notify: Notify, **wishes) -> Item:
    """*item* with NOTIFY for everybody, and other wishes."""
    errands = tuple(replace(errand, notify=frozenset(notify)) for errand in item.errands)
    return replace(item, errands=errands, wishes=Wishes(**wishes))


def actions(world, to="ann@here.example"):
    """Every report's actions, in the order of the reports."""
    return [[block["Action"] for block in message.get_payload()[1].get_payload()[1:]] for who, message in world.mailboxes if who == to]


@pytest.mark.parametrize(("notify", "answer", "told"), [
    pytest.param((), TAKEN, [], id="as-usual-success"),
    pytest.param((), NEVER, [["failed"]], id="as-usual-failure"),
    pytest.param((), LATER, [["delayed"], ["failed"]], id="as-usual-delay"),
    pytest.param((Notify.NEVER,), TAKEN, [], id="never-success"),
    pytest.param((Notify.NEVER,), NEVER, [], id="never-failure"),
    pytest.param((Notify.NEVER,), LATER, [], id="never-delay"),
    pytest.param((Notify.SUCCESS,), TAKEN, [["relayed"]], id="success-success"),
    pytest.param((Notify.SUCCESS,), NEVER, [], id="success-failure"),
    pytest.param((Notify.SUCCESS,), LATER, [], id="success-delay"),
    pytest.param((Notify.FAILURE,), LATER, [["failed"]], id="failure-delay"),
    pytest.param((Notify.DELAY,), LATER, [["delayed"]], id="delay-delay"),
    pytest.param((Notify.SUCCESS, Notify.FAILURE, Notify.DELAY), LATER, [["delayed"], ["failed"]], id="all-delay"),
])
def test_the_sender_is_told_what_he_asked_for(notify, answer, told):
    world = World({BOB: answer}).submit(wanting(make_item(), *notify))
    world.advance(6 * DAY, step=HOUR)
    assert actions(world) == told
    assert world.queue.items() == ()


def test_those_that_went_well_are_in_one_report_and_those_that_did_not_in_another():
    world = World({BOB: NEVER}).submit(wanting(make_item(EVE, BOB, CAT), Notify.SUCCESS, Notify.FAILURE))
    assert sorted(actions(world)) == [["failed"], ["relayed", "delivered"]]
    assert sorted(message["Subject"] for _, message in world.mailboxes if "report" in message.get_content_type()) == [
        "Your message could not be delivered", "Your message was passed on"]


def test_where_the_next_server_reports_itself_we_do_not():
    world = World()

    class PassingOn(Slow):
        async def carry(self, trip, item, content, record):
            await record(outcome := Outcome(trip.targets[0], Result.RELAYED, TAKEN, "mx", passed_on=True))
            return (outcome,)

    world.rule(dispatch=PassingOn())
    world.submit(wanting(make_item(), Notify.SUCCESS))
    assert world.mailboxes == []
    assert world.queue.items() == ()


def test_nobody_is_told_of_success_where_there_is_no_sender():
    world = World().submit(wanting(make_item(sender=None), Notify.SUCCESS))
    assert world.mailboxes == []
    assert world.queue.items() == ()


def test_a_success_that_nobody_can_be_told_of_is_no_matter_for_the_postmaster():
    world = World()
    world.unknown.add(ANN)
    world.submit(wanting(make_item(), Notify.SUCCESS))
    assert world.mailboxes == []
    assert world.queue.items() == ()


def test_what_was_delivered_before_it_was_queued_is_reported_from_there():
    item = wanting(make_item(CAT), Notify.SUCCESS)
    done = item.after(Outcome(item.errands[0].target, Result.DELIVERED, TAKEN))
    world = World().submit(done)
    assert actions(world) == [["delivered"]]
    assert world.queue.items() == ()


@pytest.mark.parametrize("calls", range(10))
def test_a_success_is_told_of_at_most_twice_whatever_dies(tmp_path, calls, monkeypatch):
    monkeypatch.setattr(tasks.log, "failure", lambda *a, **k: None)
    first = World({}, Mortal(Spool(tmp_path / "queue", InlineCommitter(), tasks.Inline()), calls))
    first.queue.on_death = lambda: setattr(first.runner, "_stopping", True)
    try:
        first.submit(wanting(make_item(EVE, BOB), Notify.SUCCESS))
    except Died:
        promised = False
    else:
        promised = True
    second = World({}, Spool(tmp_path / "queue", InlineCommitter(), tasks.Inline()), first.clock, first_report=100)
    assert second.queue.items() == ()
    assert bool(promised) <= len(first.mailboxes + second.mailboxes) <= 2 * promised


def test_a_report_is_as_protected_and_as_urgent_as_its_message():
    world = World({BOB: NEVER, ANN: LATER}).submit(wanting(make_item(), require_tls=True, priority=5, ret="FULL", envid="x"))
    (report,) = world.queue.items()
    assert report.wishes == Wishes(require_tls=True, priority=5)
    assert "how are you" not in b"".join(world.queue.content(report.id).chunks()).decode()


def test_a_whole_original_comes_back_where_it_is_wanted_and_small_enough():
    for longest, whole in ((50_000, True), (20, False)):
        world = World({BOB: NEVER})
        settings = OPTIONS.defaults(max_original=longest)
        world.runner.rules.reports._house = replace(world.runner.rules.reports._house, settings=settings)
        world.submit(wanting(make_item(), ret="FULL"))
        assert ("how are you" in world.mailboxes[0][1].as_string()) == whole


def test_what_the_sender_wants_held_is_not_tried_before():
    world = World().submit(wanting(make_item(), hold_until=T0 + DAY))
    assert world.runner.flush() == 0
    world.advance(DAY - MINUTE)
    assert world.attempts == []
    world.advance(2 * MINUTE)
    assert world.attempts == [DAY]


def test_a_hold_of_the_sender_outlives_that_of_the_operator():
    world = World().submit(wanting(make_item(), hold_until=T0 + DAY))
    result_of(world.runner.hold("i1"))
    world.advance(HOUR)
    result_of(world.runner.release("i1"))
    assert world.attempts == []
    world.advance(DAY)
    assert world.attempts == [DAY]


def test_a_message_with_a_deadline_is_tried_before_it_and_returned_at_it():
    world = World({BOB: LATER}).submit(wanting(make_item(), deadline=Deadline(T0 + HOUR, returns=True)))
    world.advance(2 * HOUR)
    assert [round(at / MINUTE) for at in world.attempts] == [0, 5, 20, 50, 59, 60]
    ((_, message),) = world.mailboxes
    block = message.get_payload()[1].get_payload()[1]
    assert (block["Action"], block["Status"]) == ("failed", "5.4.7")
    assert "451 4.4.1 Not now" in block["Diagnostic-Code"].replace("\n", "")
    assert len(world.couriers[Kind.REMOTE].carried) == 5
    assert world.queue.items() == ()


def test_a_deadline_that_returns_nothing_is_told_of_once():
    world = World({BOB: LATER}).submit(wanting(make_item(), deadline=Deadline(T0 + HOUR, returns=False)))
    world.advance(2 * HOUR)
    assert actions(world) == [["delayed"]]
    world.advance(6 * DAY, step=HOUR)
    assert actions(world) == [["delayed"], ["delayed"], ["failed"]]
    assert [e.overdue for e in world.events("i1") if isinstance(e, SenderWarned)] == [True, False]


def test_the_urgent_ones_go_first_when_many_wait(slow):
    slow.bound(local=1)
    slow.submit(make_item(identifier="first"))
    for number, priority in enumerate((0, -5, 9, 0)):
        slow.submit(wanting(make_item(identifier=f"i{number}"), priority=priority))
    while slow.queue.items():
        running = list(slow.runner.rules.dispatch.running)[-1]
        slow.runner.rules.dispatch.running[running].callback(TAKEN)
    assert list(slow.runner.rules.dispatch.running) == ["first", "i2", "i0", "i3", "i1"]


# ----- mail that is called for (RFC 1985)


@pytest.fixture
def keeping():
    world = World()
    world.rule(keeps=lambda domain: domain in ("far.test", "sub.far.test"))
    return world


def test_kept_mail_is_not_tried_until_it_is_called_for(keeping):
    keeping.submit()
    keeping.advance(DAY)
    assert keeping.couriers[Kind.REMOTE].carried == []
    (item,) = keeping.queue.items()
    assert (item.errands[0].status, item.due) == (KEPT, T0 + 5 * DAY)
    assert keeping.runner.flush() == 1
    assert keeping.couriers[Kind.REMOTE].carried == []
    assert keeping.runner.collect("far.test") == 1
    assert keeping.queue.items() == ()


def test_what_could_not_be_handed_over_is_kept_again(keeping):
    keeping.couriers[Kind.REMOTE].answers[BOB] = [LATER, TAKEN]
    keeping.submit()
    assert keeping.runner.collect("far.test") == 1
    keeping.advance(DAY)
    assert len(keeping.couriers[Kind.REMOTE].carried) == 1
    assert keeping.runner.collect("far.test") == 1
    assert keeping.queue.items() == ()


def test_only_the_mail_of_who_calls_is_handed_over(keeping):
    other = Address("dan", "other.test")
    below = Address("dan", "sub.far.test")
    keeping.submit(make_item(BOB, below, other))
    assert [target.address for _, to, _ in keeping.couriers[Kind.REMOTE].carried for target in to] == [other]
    assert keeping.runner.collect("far.test") == 1
    assert keeping.runner.collect("elsewhere.test") == 0
    assert [errand.target.address for item in keeping.queue.items() for errand in item.pending] == [below]
    assert keeping.runner.collect("far.test", below=True) == 1
    assert keeping.queue.items() == ()


def test_kept_mail_is_returned_when_nobody_calls(keeping):
    keeping.submit()
    keeping.advance(6 * DAY, step=HOUR)
    assert actions(keeping) == [["delayed"], ["failed"]]
    assert keeping.queue.items() == ()


def test_an_operator_may_send_kept_mail(keeping):
    keeping.submit()
    assert keeping.runner.flush(["i1"], kept=True) == 1
    assert keeping.queue.items() == ()
