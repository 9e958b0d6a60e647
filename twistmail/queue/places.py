"""All places, and which job goes next: fair to senders across places, within the bounds of each place and of all together.

A place whose head may go as soon as there is room is *exposed*: it stands in one
heap with all others, by the number that the sender of its head has there (see
`line`). Everything else costs nothing: a place that rests, that is out of its
hours or over its rate has one time at which it is looked at again, however many
wait for it. What stays here (place "") is under no rule but a number at a time.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import tzinfo
from itertools import count

from twistmail.mail.pace import Pace
from twistmail.mail.status import Status
from twistmail.queue.due import Due
from twistmail.queue.line import HEAD_START, Job, Line, Numbers
from twistmail.queue.place import FOREVER, Bounds, Feedback, Place

#: Every so many new places, those are forgotten of which nothing need be known.
SWEEP_EVERY = 1000


class Places:
    """`zone`: in which the hours are meant; None: this machine's."""

    def __init__(self, bounds: Bounds, zone: tzinfo | None = None) -> None:
        self.bounds = bounds
        self.running = 0  # towards other places
        self.waiting = 0  # in all lines
        self.zone = zone
        self._offline = False
        self._places: dict[str, Place] = {}
        self._ready: list[tuple[int, int, int, Place, Job]] = []  # (rank, order, number, place, its head)
        self._order = count()
        self._numbers = Numbers()
        self._wakes = Due()
        self._made = 0
        self._here = Line()
        self._here_running = 0

    # ----- joining and leaving

    def join(self, job: Job, name: str, pace: Pace, now: float) -> None:
        """*job* waits for the place called *name* from now on."""
        self.waiting += 1
        if not name:
            self._here.join(job)
            return
        place = job.place = self._place(name, pace, now)
        place.line.join(job)
        if job.forced:
            place.wake()
        self._expose(place, now)

    def _place(self, name: str, pace: Pace, now: float) -> Place:
        key = f"{name} {pace.name}" if pace.name else name
        place = self._places.get(key)
        if place is None:
            self._made += 1
            if self._made % SWEEP_EVERY == 0:
                self._sweep(now)
            place = self._places[key] = Place(key, name, pace, self.bounds)
        elif place.pace != pace:
            place.adopt(pace, self.bounds)
        return place

    def _sweep(self, now: float) -> None:
        for place in [place for place in self._places.values() if place.is_forgettable(now)]:
            self._forget(place)

    def _forget(self, place: Place) -> None:
        del self._places[place.key]
        self._wakes.drop(place.key)

    def leave(self, job: Job) -> None:
        """*job*, which waits, is not wanted any more."""
        self.waiting -= 1
        (self._here if job.place is None else job.place.line).leave(job)

    def force(self, job: Job, now: float) -> None:
        """*job*, which waits, shall go now, whatever the hour; and its place is tried, were it at rest."""
        if job.place is not None:
            job.place.line.force(job)
            job.place.wake()
            self._expose(job.place, now)

    # ----- the operator

    @property
    def offline(self) -> bool:
        """Whether the line is down: only what is forced goes to other places."""
        return self._offline

    def go(self, *, offline: bool, now: float) -> None:
        self._offline = offline
        self._expose_all(now)

    def wake(self, now: float) -> None:
        """Try the places that rest, as soon as somebody waits for them."""
        for place in self._places.values():
            place.wake()
        self._expose_all(now)

    def adopt(self, bounds: Bounds, now: float) -> None:
        """Go by these bounds from now on."""
        self.bounds = bounds
        for place in self._places.values():
            place.adopt(place.pace, bounds)
        self._expose_all(now)

    def _expose_all(self, now: float) -> None:
        for place in self._places.values():
            self._expose(place, now)

    def __iter__(self) -> Iterator[Place]:
        """All other places of which something is known."""
        return iter(tuple(self._places.values()))

    def opens_at(self, place: Place, now: float, *, forced: bool = False) -> float:
        """From when on what waits for *place* may go; FOREVER where that hangs on something else than time."""
        return FOREVER if self._offline and not forced else place.opens_at(now, self.zone, forced=forced)

    # ----- who goes next

    def next(self, now: float) -> Job | None:
        """Start the next job that may go; None where none may."""
        if self._here_running < self.bounds.local and (job := self._here.head()) is not None:
            self._here.leave(job)
            self._here_running += 1
            self.waiting -= 1
            return job
        while self._ready and self.running < self.bounds.total:
            _, _, number, place, job = heapq.heappop(self._ready)
            if place.exposed is not job:
                continue
            place.exposed = None
            if self._may_go(place, job, now):
                self._numbers.reached(number)
                place.start(job, now)
                self.running += 1
                self.waiting -= 1
                if len(place.line):
                    self._expose(place, now)
                return job
            self._expose(place, now)
        return None

    def _may_go(self, place: Place, job: Job, now: float) -> bool:
        return job.waits and self.opens_at(place, now, forced=job.forced) <= now

    def _expose(self, place: Place, now: float) -> None:
        """See who is the head of *place*, and whether it may go, or when."""
        job = place.line.head(forced_only=self._offline)
        at = FOREVER if job is None else place.opens_at(now, self.zone, forced=job.forced)
        if job is None or at > now:
            place.exposed = None
            if at < FOREVER:
                self._wakes.set(place.key, at)
        elif place.exposed is not job:
            place.exposed = job
            number = self._numbers.next(job.sender)
            heapq.heappush(self._ready, (number - HEAD_START * job.priority, next(self._order), number, place, job))

    def ended(self, job: Job, taught: Feedback, status: Status | None, now: float) -> None:
        """*job*, which `next` has started, has ended."""
        place = job.place
        if place is None:
            self._here_running -= 1
            return
        self.running -= 1
        place.ended(job, taught, status, now)
        if len(place.line):
            self._expose(place, now)
        elif place.is_plain(now):
            self._forget(place)

    def wake_at(self) -> float | None:
        """When somebody may go whom only time holds back now."""
        return self._wakes.next()

    def woken(self, now: float) -> None:
        """Look at the places whose time has come."""
        while (key := self._wakes.pop(now)) is not None:
            if (place := self._places.get(key)) is not None:
                self._expose(place, now)
