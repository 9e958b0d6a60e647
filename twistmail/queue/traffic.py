"""Jobs on their way into lines and out of them: which trips an item needs, under whose rate, and what each place learns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from twisted.logger import Logger

from twistmail.mail.envelope import Target
from twistmail.mail.item import Item
from twistmail.mail.outcome import Outcome
from twistmail.mail.pace import Pace
from twistmail.queue.case import Case
from twistmail.queue.line import Job
from twistmail.queue.place import feedback
from twistmail.queue.places import Places
from twistmail.queue.rates import Rates
from twistmail.queue.rules import Rules

log = Logger()

#: Rates of so many senders are kept before those are forgotten that do not count any more.
MANY_SENDERS = 1000


class Traffic:
    """Between the items and the *places*. `clock`: IReactorTime."""

    def __init__(self, places: Places, clock: Any) -> None:
        self.places = places
        self._clock = clock
        self._senders: dict[str, Rates] = {}

    def line_up(self, item: Item, case: Case, rules: Rules, kept: Collection[Target]) -> None:
        """A job for each trip of those that are due and not *kept*, in the line of its place."""
        now = self._clock.seconds()
        due: dict[Pace, list[Target]] = {}
        for target in case.idle(item):
            if case.due_at(item, target) <= now and not (kept and target in kept):
                due.setdefault(rules.pace(target), []).append(target)
        forced, case.forced = case.forced, False
        case.called_for.clear()
        for pace, targets in due.items():
            for trip in rules.dispatch.trips(item, targets):
                job = Job(item.id, trip, item.account or str(item.sender or ""), item.wishes.priority, forced)
                if forced or (at := self._turn_of(job, case, rules, now)) <= now:
                    self._join(job, pace, case, now)
                else:
                    case.put_off(trip.targets, at)

    def _join(self, job: Job, pace: Pace, case: Case, now: float) -> None:
        case.put_off(job.trip.targets, now)
        case.reserved.difference_update(job.trip.targets)
        case.lined_since = case.lined_since or now
        case.jobs.add(job)
        self.places.join(job, job.trip.place, pace, now)

    def _turn_of(self, job: Job, case: Case, rules: Rules, now: float) -> float:
        """When its sender's rate lets *job* go; told once, its turn is its own."""
        if not rules.sender_rates or not job.trip.place or not job.sender or case.reserved.issuperset(job.trip.targets):
            return now
        if len(self._senders) > MANY_SENDERS:
            self._senders = {sender: rates for sender, rates in self._senders.items() if not rates.is_idle(now)}
        case.reserved.update(job.trip.targets)
        return self._senders.setdefault(job.sender, Rates(rules.sender_rates)).reserve(now)

    def withdraw(self, case: Case) -> None:
        """None of its jobs waits in a line any more."""
        for job in case.lined:
            self.places.leave(job)
            case.jobs.discard(job)
        case.lined_since = None

    def force(self, case: Case) -> None:
        """What waits in lines goes now, whatever stands against it; what runs goes once more, should it fail."""
        now = self._clock.seconds()
        for job in case.jobs:
            if job.waits:
                self.places.force(job, now)
            else:
                job.again = True

    def ended(self, job: Job, case: Case, outcomes: Sequence[Outcome], *, strict: bool) -> None:
        """Tell its place what came of *job*."""
        case.jobs.discard(job)
        if not case.lined:
            case.lined_since = None
        place, now = job.place, self._clock.seconds()
        before = place.failures if place is not None else 0
        taught, status = feedback(outcomes, strict=strict)
        self.places.ended(job, taught, status, now)
        if place is not None and place.failures > before:
            log.info(
                "queue: {place} rests for {seconds:g} s, and {count} more wait with it: {why}",
                place=place.name,
                seconds=place.rests_until - now,
                count=len(place.line),
                why=str(status),
            )

    def forget_rates(self) -> None:
        """Other rates hold from now on."""
        self._senders.clear()
