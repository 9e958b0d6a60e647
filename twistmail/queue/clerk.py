"""What is written about an item between its attempts: when it is due again, that it is late, that it is over, who was told.

Every step is recorded before the next one is taken (spec D4), so the process may
die between any two of them. When a step is taken is the runner's business; one
item is attended to by one coroutine at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import GaveUp, Outcome, Postponed, Result, SenderWarned
from twistmail.mail.schedule import warning_due
from twistmail.mail.status import Status
from twistmail.queue import timing
from twistmail.queue.case import ANY, Case
from twistmail.queue.ends import with_last_answer
from twistmail.queue.place import FOREVER
from twistmail.queue.register import Register
from twistmail.queue.rules import Rules, never
from twistmail.queue.timing import LAST_CALL

EXPIRED = Status(451, "4.4.7", "The message could not be delivered in the time that we keep trying")
#: RFC 2852 §4: the sender wanted it back by now.
TOO_LATE = Status(554, "5.4.7", "The time that the sender has set for the delivery has passed")
KEPT = Status(450, "4.4.0", "Kept until the server of that domain asks for it")
NOTHING: frozenset[Target] = frozenset()
#: What a bug of ours is called when people see it.
TROUBLE = Status(451, "4.3.0", "Something went wrong on this server; it is tried again")


class Clerk:
    """Writes into *register*. `rules` may be assigned anew. `random`: floats from 0 to 1. `entered` hears the id of each report."""

    def __init__(
        self, register: Register, rules: Rules, clock: Any, random: Callable[[], float], entered: Callable[[str], None]
    ) -> None:
        self._entered = entered
        self.rules = rules
        self._register = register
        self._clock = clock
        self._random = random

    # ----- times

    def end_of(self, item: Item, now: float) -> float:
        """From when on nothing of *item* is tried any more, as far as it can be told now."""
        return timing.give_up_at(item, self.rules.schedule, self._paused(item, now))

    def _paused(self, item: Item, now: float) -> float:
        return self.rules.paused(item.since, now) if self.rules.paused is not never else 0.0

    def next_look(self, item: Item, case: Case, now: float) -> float | None:
        """When *item* is to be looked at again; None: when something happens to it."""
        times = self._dues(item, case)
        if self.kept(item, case) and (end := self.end_of(item, now)) > now:
            times.append(end)
        if case.lined:
            times.append(self._patience_ends(item, case, now))
        times += [at for at in (timing.warn_at(item, self.rules.schedule), timing.overdue_at(item)) if at is not None]
        if case.report_by is not None:
            times.append(case.report_by)
        nearest = min(times, default=FOREVER)
        return nearest if nearest < FOREVER else None

    def _dues(self, item: Item, case: Case) -> list[float]:
        """When those are due that are neither on their way nor kept."""
        waiting = case.idle(item)
        if kept := self.kept(item, case):
            waiting = [target for target in waiting if target not in kept]
        return [case.due_at(item, target) for target in waiting]

    def _patience_ends(self, item: Item, case: Case, now: float) -> float:
        """How long those that stand in lines may stand there; also what is too old when it joins gets a chance."""
        return max(self.end_of(item, now), (case.lined_since or now) + LAST_CALL)

    # ----- an attempt has failed

    async def postpone(self, item: Item, case: Case, targets: Iterable[Target], *, at_once: bool) -> None:
        """Those of *targets* that still wait are due again later, or never; *at_once*: now."""
        mine = set(targets)
        waiting = [errand for errand in item.pending if errand.target in mine]
        if not waiting:
            return
        now = self._clock.seconds()
        stretch = 1.0 + self.rules.schedule.jitter * self._random()
        tried = max(1, *(errand.attempts for errand in waiting))
        due = now if at_once else timing.next_due(item, tried, now, self.rules.schedule, stretch, self._paused(item, now))
        case.put_off((errand.target for errand in waiting), FOREVER if due is None else due)
        await self._put_off(item, case)

    async def _put_off(self, item: Item, case: Case) -> Item:
        """Write down when *item* is due next, for those who come after us."""
        now, dues = self._clock.seconds(), self._dues(item, case)
        if self.kept(item, case):
            dues.append(max(self.end_of(item, now), now))
        first = min(dues, default=FOREVER)
        return await self._register.record(item.id, Postponed(first)) if first < FOREVER else item

    # ----- the end

    def is_over(self, item: Item, case: Case) -> Status | None:
        """Why nothing of *item*, none of whose jobs runs, is tried any more; None: it is."""
        if case.over is not None or item.held:
            return case.over
        now = self._clock.seconds()
        if timing.has_run_out(item, now):
            return TOO_LATE
        return EXPIRED if self._has_expired(item, case, now) else None

    async def give_up(self, item: Item, status: Status, said: Mapping[Target, Status]) -> Item:
        """What still waits has failed, because of *status*. *said*: `troubles` of its jobs."""
        if status is not EXPIRED:
            return await self._return(item, status)
        item = await self.say_why(item, said)
        return await self._register.record(item.id, GaveUp(EXPIRED))

    def _has_expired(self, item: Item, case: Case, now: float) -> bool:
        if case.jobs:
            return now >= self._patience_ends(item, case, now)
        if min(self._dues(item, case), default=FOREVER) < FOREVER:
            return False
        return not self.kept(item, case) or now >= self.end_of(item, now)

    async def _return(self, item: Item, status: Status) -> Item:
        """It is over before its time."""
        for errand in item.pending:
            item = await self._register.record(item.id, Outcome(errand.target, Result.FAILED, with_last_answer(status, errand)))
        return item

    async def say_why(self, item: Item, said: Mapping[Target, Status]) -> Item:
        """What has not been tried because its place is at rest gets the answer that others had there (`troubles`)."""
        for errand in item.pending:
            if errand.status is None and (trouble := said.get(errand.target)) is not None:
                item = await self._register.record(item.id, Outcome(errand.target, Result.DEFERRED, trouble))
        return item

    # ----- mail that is called for (RFC 1985)

    def kept(self, item: Item, case: Case) -> frozenset[Target]:
        """What of *item* waits until it is called for."""
        keeps, called_for = self.rules.keeps, case.called_for
        if keeps is None or ANY in called_for:
            return NOTHING
        remote = [(target, target.address.domain) for target in case.idle(item) if target.kind is Kind.REMOTE]
        return frozenset(target for target, domain in remote if keeps(domain) and domain not in called_for)

    async def keep(self, item: Item, case: Case) -> Item:
        """Note of what is kept that it is, once."""
        fresh = [errand.target for errand in item.pending if errand.result is None]
        if fresh and (kept := self.kept(item, case).intersection(fresh)):
            for target in kept:
                item = await self._register.record(item.id, Outcome(target, Result.DEFERRED, KEPT))
            item = await self._put_off(item, case)
        return item

    # ----- telling the sender

    def may_be_late(self, item: Item) -> bool:
        """Whether there may be something to `warn` of; a question that costs little, for each message is asked about when it comes."""
        usual = warning_due(item.since, self.rules.schedule)
        return item.wishes.deadline is not None or (usual is not None and usual <= self._clock.seconds())

    async def warn(self, item: Item, case: Case) -> Item:
        """Once, whatever happens: a warning that cannot be made is no reason to bother anybody again."""
        now = self._clock.seconds()
        overdue, late = timing.overdue_at(item), timing.warn_at(item, self.rules.schedule)
        due = [is_overdue for at, is_overdue in ((overdue, True), (late, False)) if at is not None and at <= now]
        if due:
            item = await self.say_why(item, troubles(case))
            self._take(await self.rules.reports.warning(item, self.end_of(item, now)))
            for is_overdue in due:
                item = await self._register.record(item.id, SenderWarned(is_overdue))
        return item

    async def report(self, item: Item) -> Item:
        """Tell the sender what failed, and what went well where he wants that."""
        for owed, report_on in ((item.unreported, self.rules.reports.failures), (item.unconfirmed, self.rules.reports.successes)):
            if owed:
                event, report = await report_on(item)
                self._take(report)
                item = await self._register.record(item.id, event)
        return item

    def _take(self, report: Item | None) -> None:
        """A report has entered the queue, as any message does."""
        if report is not None:
            self._register.took(report)
            self._entered(report.id)


def troubles(case: Case) -> dict[Target, Status]:
    """What stands against those that wait in the lines of places that rest."""
    waiting = [(job, job.place.trouble) for job in case.lined if job.place is not None]
    return {target: trouble for job, trouble in waiting if trouble is not None for target in job.trip.targets}


def is_of(errand: Errand, domain: str, *, below: bool) -> bool:
    """Whether *errand* leads to *domain*, or below it."""
    theirs = errand.target.address.domain
    return errand.target.kind is Kind.REMOTE and (theirs == domain or (below and theirs.endswith("." + domain)))
