"""Who goes next: a line that is fair to all senders, and quicker for the urgent.

Start-time fair queueing: every job that joins gets the next whole number after
the sender's last one, or after that of the job that went last, whichever is
higher; the lowest number goes first. So of a thousand messages of one sender and
one of another the one goes second, however long the thousand have waited.
A step of priority (RFC 6710) is worth `HEAD_START` places, and nobody starves.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import count
from typing import Any

#: So many places in the line is one step of priority worth.
HEAD_START = 100
#: Below so many senders there is no need to forget any.
FEW = 1024


@dataclass(slots=True, eq=False)
class Job:
    """One trip of one item, from the moment in which it joins a line. `forced`: an operator wants it gone now.

    `waits`: it stands in a line. `number`: the how-manieth it was to start at its place. `again`: it is wanted once more,
    at once, should it fail.
    """

    identifier: str
    trip: Any  # mailflow.Trip
    sender: str
    priority: int = 0
    forced: bool = False
    waits: bool = field(default=False, init=False)
    number: int = field(default=0, init=False)
    again: bool = field(default=False, init=False)
    place: Any = field(default=None, init=False)


class Numbers:
    """The next number of each sender. What senders are due that have not been seen for long is forgotten."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._reached = 0
        self._most = FEW

    def next(self, sender: str) -> int:
        number = max(self._last.get(sender, 0), self._reached) + 1
        self._last[sender] = number
        if len(self._last) > self._most:
            self._last = {one: last for one, last in self._last.items() if last > self._reached}
            self._most = max(FEW, 2 * len(self._last))
        return number

    def reached(self, number: int) -> None:
        """A job of this number goes."""
        self._reached = max(self._reached, number)


class Line:
    """Jobs that wait for the same place. Those that are forced stand in front."""

    def __init__(self) -> None:
        self._usual: list[tuple[int, int, int, Job]] = []  # (rank, order of arrival, number, job)
        self._forced: list[tuple[int, int, int, Job]] = []
        self._numbers = Numbers()
        self._arrivals = count()
        self.waiting = 0

    def __len__(self) -> int:
        return self.waiting

    def join(self, job: Job) -> None:
        job.waits = True
        self.waiting += 1
        self._put(job)

    def force(self, job: Job) -> None:
        """*job*, which waits here, is one of the forced from now on."""
        if not job.forced:
            job.forced = True
            self._put(job)

    def _put(self, job: Job) -> None:
        number = self._numbers.next(job.sender)
        entry = (number - HEAD_START * job.priority, next(self._arrivals), number, job)
        heapq.heappush(self._forced if job.forced else self._usual, entry)

    def head(self, *, forced_only: bool = False) -> Job | None:
        """Who goes next; it stays."""
        for heap in (self._forced,) if forced_only else (self._forced, self._usual):
            while heap:
                job = heap[0][3]
                if job.waits and (job.forced is (heap is self._forced)):
                    return job
                heapq.heappop(heap)  # has gone, or stands among the forced
        return None

    def leave(self, job: Job) -> None:
        """*job* goes, or is not wanted any more."""
        job.waits = False
        self.waiting -= 1
        heap = self._forced if job.forced else self._usual
        if heap and heap[0][3] is job:
            self._numbers.reached(heapq.heappop(heap)[2])
        elif not self.waiting:
            self._usual.clear()
            self._forced.clear()

    def jobs(self) -> list[Job]:
        """All that wait, in no order."""
        standing = [(entry[3], heap is self._forced) for heap in (self._forced, self._usual) for entry in heap]
        return [job for job, forced in standing if job.waits and job.forced is forced]
