"""One place where mail goes, as the queue knows it: who waits for it, how many may go at a time, and from when on.

The number of those at a time adapts: it begins low, grows with every success and
is halved by a server that says it is too busy, or falls silent (R41). A place
that nobody can get through to rests, longer each time, and then one of those that
wait finds out for all of them whether it is back (RFC 5321 §4.5.4.1). What is
known of a place is in memory only: after a restart it is found out again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import tzinfo
from enum import Enum
from typing import Any

from twistmail.mail.outcome import Outcome, Result
from twistmail.mail.pace import Pace
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.queue.line import Job, Line
from twistmail.queue.rates import Rates

FOREVER = float("inf")
#: How long (seconds) a place rests at first, and at most; in between it is twice as long each time.
FIRST_REST, LONGEST_REST = 60.0, 900.0
#: Where the DNS says nothing, most likely all places are the same and all are back at once: they are looked at soon.
DNS_SILENT, DNS_REST = "4.4.3", 5.0
#: Troubles of this server, about which the place is not to blame.
OUR_OWN = frozenset({"4.2.2", "4.3.0", "4.3.1"})
#: RFC 5321 §3.8 and RFC 3463: the server shuts the door, or says nothing any more. Many of us may be the reason.
BUSY_CODE, BROKEN_OFF = 421, "4.4.2"


@frozen
class Bounds:
    """How many jobs at a time: for other places in all, for one of them at first and at most, and for what stays here.

    And for how long (seconds) a place rests, at first and at most.
    """

    total: int = 100
    first: int = 5
    most: int = 20
    local: int = 200
    first_rest: float = FIRST_REST
    longest_rest: float = LONGEST_REST

    def most_for(self, pace: Pace) -> int:
        """One place gets no more than half of all (limits.md: share 50 %)."""
        return max(1, min(self.most if pace.most is None else pace.most, self.total // 2 or 1))


class Feedback(Enum):
    """What a trip has taught of its place."""

    NOTHING = "nothing"
    FINE = "fine"  # somebody there has dealt with our mail
    BUSY = "busy"  # we are too many
    AWAY = "away"  # nobody let us in


def feedback(outcomes: Sequence[Outcome], *, strict: bool = False) -> tuple[Feedback, Status | None]:
    """What *outcomes* teach, and the status that did. *strict*: the message wanted more of the place than others do.

    An Outcome without `host` comes from nobody there.
    """
    for outcome in outcomes:
        if outcome.result is Result.DEFERRED:
            status = outcome.status
            if status.code == BUSY_CODE or (outcome.host and status.enhanced == BROKEN_OFF):
                return Feedback.BUSY, status
            if not outcome.host and not strict and status.enhanced not in OUR_OWN:
                return Feedback.AWAY, status
    return (Feedback.FINE if any(outcome.host for outcome in outcomes) else Feedback.NOTHING), None


class Place:
    """`name` as couriers call it; `key` tells it from others of that name (`pace.name`). `trouble`: why it rests, as said last."""

    def __init__(self, key: str, name: str, pace: Pace, bounds: Bounds) -> None:
        self.key = key
        self.name = name
        self.pace, self._bounds = pace, bounds
        self._first, self._most = _limits(pace, bounds)
        self.line = Line()
        self.running = 0
        self.failures = 0
        self.rests_until = 0.0
        self.trouble: Status | None = None
        self.exposed: Job | None = None  # its head, where that may go as soon as there is room
        self._rates = Rates(pace.rates)
        self._started = 0  # jobs so far
        self._learned_at = 0  # of jobs up to this number we have heard all that matters
        self._fine_at = 0  # the number of jobs that had started when one went well
        self.limit = self._first
        self._remembered_until = 0.0

    def adopt(self, pace: Pace, bounds: Bounds) -> None:
        """Go by these rules from now on."""
        if pace.rates != self.pace.rates:
            self._rates = Rates(pace.rates)
        self.pace, self._bounds = pace, bounds
        self._first, self._most = _limits(pace, bounds)
        self.limit = min(self.limit, self._most)

    # ----- may somebody go?

    @property
    def at_a_time(self) -> int:
        return 1 if self.failures else int(self.limit)

    def opens_at(self, now: float, zone: tzinfo | None, *, forced: bool) -> float:
        """From when on the next may go: *now* at the earliest, FOREVER while all that may go at a time are on their way."""
        if self.running >= self.at_a_time:
            return FOREVER
        at = max(now, self.rests_until) if self.failures else now
        if not forced and self.pace.hours.spans:
            at = self.pace.hours.opens_at(at, zone)
        return self._rates.next(at)

    def start(self, job: Job, now: float) -> None:
        """*job*, which waits here, goes now."""
        self.line.leave(job)
        self.running += 1
        self._started += 1
        job.number = self._started
        self._rates.take(now)

    # ----- what came of it

    def ended(self, job: Job, taught: Feedback, status: Status | None, now: float) -> None:
        """*job* has ended, which started here."""
        self.running -= 1
        match taught:
            case Feedback.FINE:
                self._went_well()
            case Feedback.BUSY if job.number > self._learned_at:
                self._shrink(status, now)
            case Feedback.AWAY if job.number > self._learned_at:
                if job.number <= self._fine_at:
                    self._shrink(status, now)  # others have got through meanwhile
                else:
                    self._rest(status, now)

    def _went_well(self) -> None:
        self._fine_at = self._started
        if self.failures:
            self.failures, self.trouble = 0, None
            self.limit = self._first
        elif self.limit < self._most and len(self.line):
            self.limit = min(self._most, self.limit + 1 / self.limit)

    def _shrink(self, status: Status | None, now: float) -> None:
        """Half as many; where it is one already, none for a while. What started before is no news any more."""
        if self.limit < 2 or self.failures:
            self._rest(status, now)
            return
        self._learned_at = self._started
        self._remembered_until = now + LONGEST_REST
        self.limit = max(1.0, self.limit / 2)

    def _rest(self, status: Status | None, now: float) -> None:
        self._learned_at = self._started
        self.failures += 1
        self.trouble = status
        rest = min(self._bounds.first_rest * 2.0 ** min(self.failures - 1, 10), self._bounds.longest_rest)
        self.rests_until = now + (DNS_REST if status is not None and status.enhanced == DNS_SILENT else rest)
        self._remembered_until = self.rests_until + LONGEST_REST

    def wake(self) -> None:
        """Somebody wants to know now whether it is back."""
        self.rests_until = 0.0

    def view(self, now: float) -> dict[str, Any]:
        """What an operator sees of it, as JSON; `rests_s`: 0 where it does not rest."""
        rests = max(0.0, self.rests_until - now) if self.failures else 0.0
        return {
            "place": self.name,
            "rule": self.pace.name,
            "waiting": len(self.line),
            "running": self.running,
            "at_a_time": self.at_a_time,
            "rests_s": math.ceil(rests),
            "why": str(self.trouble or ""),
        }

    def is_plain(self, now: float) -> bool:
        """Whether nothing is known of it, and nobody is under way."""
        return not (self.running or len(self.line) or self.failures) and self._remembered_until <= now and self._rates.is_idle(now)

    def is_forgettable(self, now: float) -> bool:
        """Whether what is known of it is of no use any more."""
        return not (self.running or len(self.line)) and self._remembered_until <= now and self._rates.is_idle(now)


def _limits(pace: Pace, bounds: Bounds) -> tuple[float, float]:
    """How many at a time at first, and at most."""
    most = bounds.most_for(pace)
    return float(min(bounds.first, most)), float(most)
