"""The queue's clock: looks at each item when it is time, sends its targets on their way, and settles what comes of it.

    due -> a job for each trip, in the line of its place -> dispatch.carry -> later | give up -> report -> remove

So one slow place delays nobody else, and what waits for a place that rests costs
nothing. Who goes next is told by `places`, what is written down by `clerk`; an
attempt is the business of `mailflow.Dispatch`, durability of the queue. Here is
one of the two places that catch everything: a bug in one message is logged and
that message tried again later, and the others never notice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from twisted.logger import Logger

from twistmail import tasks
from twistmail.facts import Facts
from twistmail.interfaces import IQueue, Unavailable
from twistmail.mail.content import Content
from twistmail.mail.item import Item
from twistmail.mail.outcome import Outcome, Postponed, Rerouted, Result
from twistmail.mail.schedule import Schedule
from twistmail.queue.case import ANY, Case
from twistmail.queue.clerk import TROUBLE, Clerk, is_of, troubles
from twistmail.queue.due import Due
from twistmail.queue.ends import given_up
from twistmail.queue.line import Job
from twistmail.queue.outlook import Outlook, of_item
from twistmail.queue.place import Bounds
from twistmail.queue.places import Places
from twistmail.queue.register import Register
from twistmail.queue.reports import House, Reports
from twistmail.queue.rules import Attempts, Rules
from twistmail.queue.traffic import Traffic

log = Logger()

DONE, DELETED = "done", "deleted by an operator"
#: So many items are looked at before the reactor gets its turn.
MOST_LOOKS = 200
#: So many jobs at a time, those included that have ended and are being written down: what a crash may send twice.
MOST_UNDER_WAY = 500
#: Failures of one item are reported together when all its trips have ended, or so many seconds after the first.
REPORT_WITHIN = 60.0


@dataclass(slots=True)
class Circumstances:
    """What the runner works with besides queue and rules. `random` gives floats from 0 to 1. `zone`: see `Places`."""

    clock: Any
    random: Callable[[], float]
    facts: Facts
    bounds: Bounds = field(default_factory=Bounds)
    zone: tzinfo | None = None


class Runner:
    """Keeps the queue moving. `adopt` gives it other rules."""

    def __init__(self, queue: IQueue, dispatch: Attempts, schedule: Schedule, house: House, circumstances: Circumstances) -> None:
        self.queue = queue
        self._clock = circumstances.clock
        self.places = Places(circumstances.bounds, circumstances.zone)
        self._traffic = Traffic(self.places, self._clock)
        self._register = Register(queue, circumstances.facts, self._clock)
        reports = Reports(queue, house, self._clock, circumstances.random)
        self.clerk = Clerk(self._register, Rules(dispatch, schedule, reports), self._clock, circumstances.random, self._look)
        self._looks = Due()
        self._cases: dict[str, Case] = {}
        self._under_way = 0
        self._timer: Any = None
        self._rings_at = 0.0
        self._turning = False
        self._more = False
        self._stopping = True
        self._idle: tasks.Deferred[None] | None = None

    # ----- life

    async def start(self) -> None:
        """Recover what an earlier process left, and start attempting. Once."""
        now = self._clock.seconds()
        for item in await self.queue.recover():
            self._register.items[item.id] = item
            self._plan_look(item, now)
        self.rules.dispatch.recovered(self._register.items)
        self._stopping = False
        self._turn()

    async def stop(self, grace: float = 30.0) -> None:
        """Start nothing more; returns when what runs has ended, or after *grace* seconds."""
        self._stopping = True
        self._disarm()
        if self._under_way:
            self._idle = tasks.Deferred()
            try:
                await tasks.with_timeout(self._clock, grace, tasks.awaiting(self._idle), "stopping the queue")
            except tasks.TimedOut:
                log.warn("queue: {count} attempts still run and are left behind", count=self._under_way)

    async def submit(self, item: Item, content: Content) -> None:
        """Take *item* over: durable when this returns, and due now. Raises OSError where it cannot be made durable."""
        await self.queue.add(item, content)
        self._register.took(item)
        self._look(item.id)

    @property
    def rules(self) -> Rules:
        return self.clerk.rules

    def adopt(self, rules: Rules, bounds: Bounds) -> None:
        """From now on everything goes by *rules* and within *bounds*; what waits in lines is planned anew."""
        if rules.sender_rates != self.rules.sender_rates:
            self._traffic.forget_rates()
        self.clerk.rules = rules
        self.places.adopt(bounds, self._clock.seconds())
        for identifier, case in list(self._cases.items()):
            if case.lined:
                case.forced = case.forced or any(job.forced for job in case.lined)
                self._traffic.withdraw(case)
                self._look_at(identifier, self._clock.seconds())
        self._turn()

    # ----- the operator

    def item(self, identifier: str) -> Item | None:
        """The item as it is now; None where the queue has none of that name."""
        return self._register.items.get(identifier)

    def is_under_way(self, identifier: str) -> bool:
        """Whether an attempt runs."""
        return (case := self._cases.get(identifier)) is not None and case.runs

    def flush(self, identifiers: Iterable[str] | None = None, *, kept: bool = False) -> int:
        """Make these items (None: all) due now, but for those on hold, ours or the sender's; how many there are.

        Whatever the hour, the line or the place: they are tried once. *kept*: also what waits to be called for.
        """
        now, items = self._clock.seconds(), self._register.items
        chosen = map(items.get, list(items) if identifiers is None else identifiers)
        wanted = [item for item in chosen if item is not None and not item.held and (item.wishes.hold_until or 0.0) <= now]
        for item in wanted:
            if kept:
                self._case(item.id).called_for.add(ANY)
            self._hurry(item.id, now)
        self._turn()
        return len(wanted)

    def collect(self, domain: str, *, below: bool = False) -> int:
        """The server of *domain* (A-labels, lower case) calls for its mail (RFC 1985): try it now; how many items there are.

        *below*: and that of all domains below it.
        """
        found = []
        for item in self._register.items.values():
            theirs = {e.target.address.domain for e in item.pending if is_of(e, domain, below=below)}
            if theirs and not item.held:
                self._case(item.id).called_for.update(theirs)
                found.append(item.id)
        return self.flush(found)

    def go(self, *, offline: bool) -> None:
        """The line is down: mail for others stays, without a question to anybody, but for what is flushed. Or it is up again."""
        if self.places.offline and not offline:
            self.places.wake(self._clock.seconds())
        self.places.go(offline=offline, now=self._clock.seconds())
        self._turn()

    async def hold(self, identifier: str, why: str = "") -> Item:
        """No more attempts until `release`; *why*: in the operator's words. KeyError where there is no such item."""
        await self.queue.hold(identifier, True, why)
        item = self._register.items[identifier] = self._register.items[identifier].on_hold(True, why)
        if (case := self._cases.get(identifier)) is not None:
            self._traffic.withdraw(case)
        self._looks.drop(identifier)
        self._turn()
        return item

    async def release(self, identifier: str) -> Item:
        """End a hold; the item is due now. KeyError where there is no such item."""
        await self.queue.hold(identifier, False)
        item = self._register.items[identifier] = self._register.items[identifier].on_hold(False)
        now = self._clock.seconds()
        if (item.wishes.hold_until or 0.0) <= now:
            self._hurry(identifier, now)
        else:
            self._plan_look(item, now)
        self._turn()
        return item

    async def delete(self, identifier: str) -> bool:
        """Remove an item; nobody is told but the facts. False: an attempt runs, and it goes when that has ended. KeyError.

        OSError where it cannot be written down now; it goes as soon as that is possible. The same is true of `bounce`.
        """
        if identifier not in self._register.items:
            raise KeyError(identifier)
        self._case(identifier).doomed = True
        if (trouble := await self._attend(identifier)) is not None:
            raise trouble
        return identifier not in self._register.items

    async def bounce(self, identifier: str, why: str = "") -> bool:
        """Give up now: what still waits has failed, and the sender is told, with the operator's words *why*.

        False: an attempt runs, and it is given up when that has ended. KeyError.
        """
        if identifier not in self._register.items:
            raise KeyError(identifier)
        self._case(identifier).over = given_up(why)
        if (trouble := await self._attend(identifier)) is not None:
            raise trouble
        return identifier not in self._register.items or not self._register.items[identifier].pending

    async def reroute(self, identifier: str, via: str) -> Item:
        """Send what still waits by way of *via* (empty: as all others), now. KeyError where there is no such item."""
        if identifier not in self._register.items:
            raise KeyError(identifier)
        item = await self._register.record(identifier, Rerouted(via))
        self._traffic.withdraw(self._case(identifier))
        if not item.held:
            self._hurry(identifier, self._clock.seconds())
        self._turn()
        return item

    def outlook(self, identifier: str) -> Outlook:
        """When an item is tried next, and what it waits for. KeyError where there is no such item."""
        return self.outlook_of(self._register.items[identifier])

    def outlook_of(self, item: Item) -> Outlook:
        """The same for an item of ours."""
        return of_item(item, self._cases.get(item.id), self.places, self._clock.seconds())

    # ----- one turn: look at what is due, start what may go

    def _turn(self) -> None:
        """As long as there is something to do at this moment, but no longer than is good for the reactor."""
        if self._turning:
            self._more = True
            return
        self._turning, self._more, looks = True, True, 0
        while self._more and not self._stopping:
            self._more, now = False, self._clock.seconds()
            self.places.woken(now)
            while looks < MOST_LOOKS and (identifier := self._looks.pop(now)) is not None:
                looks += 1
                self._look(identifier)
            while not self._stopping and self._under_way < MOST_UNDER_WAY and (job := self.places.next(now)) is not None:
                self._under_way += 1
                tasks.go(self._run(job), f"queue item {job.identifier}")
        self._turning = False
        self._arm()

    def _arm(self) -> None:
        look, wake = self._looks.next(), self.places.wake_at()
        at = wake if look is None or (wake is not None and wake < look) else look
        if self._timer is not None:
            if at is not None and self._rings_at <= at:
                return  # a turn for nothing costs less than setting the timer for every message
            self._disarm()
        if at is not None and not self._stopping:
            self._rings_at = at
            self._timer = self._clock.callLater(max(0.0, at - self._clock.seconds()), self._rang)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rang(self) -> None:
        self._timer = None
        self._turn()

    # ----- one item

    def _case(self, identifier: str) -> Case:
        if (case := self._cases.get(identifier)) is None:
            case = self._cases[identifier] = Case()
        return case

    def _look_at(self, identifier: str, at: float) -> None:
        self._looks.set(identifier, at)

    def _look(self, identifier: str) -> None:
        """See what is to be done about an item, now."""
        if (case := self._case(identifier)).attended:
            case.again = True
        else:
            tasks.go(self._attend(identifier), f"queue item {identifier}")

    def _hurry(self, identifier: str, now: float) -> None:
        """All that waits of an item is due now, whatever stands against it."""
        item, case = self._register.items[identifier], self._case(identifier)
        self._traffic.force(case)
        if case.idle(item):
            case.forced = True
            self._look_at(identifier, now)

    async def _attend(self, identifier: str) -> OSError | None:
        """Do what is to be done about an item, whatever comes of it; one at a time. What the disk said to that."""
        trouble, case = None, self._case(identifier)
        if case.attended:
            case.again = True
            return None
        case.attended = case.again = True
        while case.again and identifier in self._register.items:
            case.again = False
            try:
                await self._see_to(identifier, case)
            except OSError as error:
                log.error("queue: {id} is tried again later: {error}", id=identifier, error=error)
                self._later(identifier, case, doubtful=True)
                trouble = error
            except Unavailable as error:  # where a report goes cannot be told now
                log.warn("queue: {id} waits: {error}", id=identifier, error=str(error))
                self._later(identifier, case)
            except Exception:
                log.failure("queue: {id} ran into trouble and is tried again later", id=identifier)
                self._later(identifier, case)
        case.attended = False
        if identifier not in self._register.items:
            self._cases.pop(identifier, None)  # who waits for others gains nothing by its end
        else:
            if case.is_plain:
                del self._cases[identifier]
            self._turn()
        return trouble

    def _later(self, identifier: str, case: Case, *, doubtful: bool = False) -> None:
        """Nothing could be written down, or there is a bug: wait as after a first failure, in memory only."""
        case.doubtful = case.doubtful or doubtful
        self._look_at(identifier, self._clock.seconds() + self.rules.schedule.waits[0])

    async def _see_to(self, identifier: str, case: Case) -> None:
        item = self._register.items[identifier]
        if case.doomed:
            self._traffic.withdraw(case)
            if not case.runs:
                await self._remove(identifier, DELETED)
            return
        if not item.is_settled:
            item = await self._move_on(identifier, item, case)
        if not case.jobs and item.is_settled:
            await self._remove(identifier, DONE)
        elif not case.again:
            self._plan_look(item, self._clock.seconds())

    async def _move_on(self, identifier: str, item: Item, case: Case) -> Item:
        """See that all of *item* is on its way that may be, and that its sender hears of it what he has to."""
        if not item.held and self.clerk.may_be_late(item):
            item = await self.clerk.warn(item, case)
        if case.doubtful:
            # Delivering what cannot be marked as delivered sends it again and again: first see that the disk takes records.
            item = await self._write_down(identifier, item, case)
        waits = bool(item.pending)
        if waits and not case.runs and (status := self.clerk.is_over(item, case)) is not None:
            said = troubles(case)
            self._traffic.withdraw(case)  # nobody may start on what is given up
            item = await self.clerk.give_up(item, status, said)
            waits = bool(item.pending)
        if not waits:
            case.over = None
        elif not item.held:
            item = await self._line_up(identifier, item, case)
        return await self.clerk.report(item) if self._may_report(item, case) else item

    async def _line_up(self, identifier: str, item: Item, case: Case) -> Item:
        """What waits of *item*, but for what is kept, stands in lines from now on."""
        if self.clerk.kept(item, case):
            await self.clerk.keep(item, case)
            item = self._register.items[identifier]
        if not item.held:  # still
            self._traffic.line_up(item, case, self.rules, self.clerk.kept(item, case))
        return item

    def _may_report(self, item: Item, case: Case) -> bool:
        """Whether it is time to tell the sender of what there is to tell."""
        if not item.is_owed:
            case.report_by = None
            return False
        now = self._clock.seconds()
        if case.jobs and (case.report_by is None or now < case.report_by):
            case.report_by = case.report_by or now + REPORT_WITHIN
            return False
        case.report_by = None
        return True

    def _plan_look(self, item: Item, now: float) -> None:
        case = self._cases.get(item.id) or Case()
        case.settle_down(item)
        owed = not case.jobs and (item.is_settled or item.is_owed)
        at = now if owed else None if item.held else self.clerk.next_look(item, case, now)
        if at is None:
            self._looks.drop(item.id)
        else:
            self._look_at(item.id, at)

    async def _remove(self, identifier: str, why: str) -> None:
        await self._register.remove(identifier, why)
        self._looks.drop(identifier)

    # ----- its jobs

    async def _run(self, job: Job) -> None:
        """Let *job* go, whatever comes of it; then settle that, and see who goes next."""
        identifier, case = job.identifier, self._cases[job.identifier]
        outcomes = await self._carry(job, case)
        item = self._register.items[identifier]
        self._traffic.ended(job, case, outcomes, strict=item.wishes.require_tls)
        if item.pending:  # at once: what has just failed must not look as if it were due
            try:
                await self.clerk.postpone(item, case, job.trip.targets, at_once=job.again)
            except OSError as error:
                self._unwritten(job, case, error)
        if self.places.waiting:
            self._turn()  # who goes next does not wait until this one is written down
        await self._attend(identifier)
        self._under_way -= 1
        if self._idle is not None and not self._under_way:
            idle, self._idle = self._idle, None
            idle.callback(None)
        if self._under_way == MOST_UNDER_WAY - 1:
            self._turn()

    async def _write_down(self, identifier: str, item: Item, case: Case) -> Item:
        """What happened while nothing could be written; at least that the disk takes records again. Raises OSError."""
        if not case.unwritten:
            item = await self._register.record(identifier, Postponed(item.due))
        while case.unwritten:
            item = await self._register.record(identifier, case.unwritten[0])
            del case.unwritten[0]
        case.doubtful = False
        return item

    async def _carry(self, job: Job, case: Case) -> tuple[Outcome, ...]:
        """The outcomes, recorded. A bug counts as a failed attempt, so that it is tried again as planned, and ends as planned."""
        identifier, item = job.identifier, self._register.items[job.identifier]

        troubles: list[OSError] = []

        async def record(outcome: Any) -> Item:
            """Of what the disk does not take nothing may be forgotten: it would be sent again."""
            try:
                return await self._register.record(identifier, outcome)
            except OSError as error:
                troubles.append(error)
                case.unwritten.append(outcome)
                return self._register.items[identifier]

        try:
            outcomes = tuple(await self.rules.dispatch.carry(job.trip, item, self.queue.content(identifier), record))
            if not troubles:
                return outcomes
            self._unwritten(job, case, troubles[0])
        except OSError as error:
            self._unwritten(job, case, error)
        except Exception:
            log.failure("queue: attempting {id} failed", id=identifier)
            await self._confess(job, case)
        return ()

    async def _confess(self, job: Job, case: Case) -> None:
        """Write down that an attempt failed by our own fault."""
        pending = {errand.target for errand in self._register.items[job.identifier].pending}
        try:
            for target in job.trip.targets:
                if target in pending:
                    await self._register.record(job.identifier, Outcome(target, Result.DEFERRED, TROUBLE))
        except OSError as error:
            self._unwritten(job, case, error)

    def _unwritten(self, job: Job, case: Case, error: OSError) -> None:
        """What came of *job* could not be recorded."""
        log.error("queue: {id} is tried again later: {error}", id=job.identifier, error=error)
        case.doubtful = True
        case.put_off(job.trip.targets, self._clock.seconds() + self.rules.schedule.waits[0])
