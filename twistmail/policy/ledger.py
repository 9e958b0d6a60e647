"""What each user has sent lately, counted for as long as a rate looks back. It outlives reloads, not restarts.

Time is divided into slots, so a window is at most `SLOTS` + 1 pairs of numbers,
and what is counted is never less than what was sent in the time looked back on.
"""

from __future__ import annotations

from collections import OrderedDict, deque

#: Into so many pieces the time that a rate looks back on is divided.
SLOTS = 60
#: Windows that are remembered, the latest used: two kinds for two rates of 25,000 users, some 50 MB when all are full.
MOST_WINDOWS = 100_000

Rate = tuple[int, float]  # so many, within so many seconds


class _Window:
    __slots__ = ("_counts", "_slot", "seconds", "total")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.total = 0
        self._slot = seconds / SLOTS
        self._counts: deque[tuple[int, int]] = deque()  # (number of the slot, how many in it)

    def forget_before(self, now: float) -> None:
        while self._counts and self._end(self._counts[0][0]) <= now:
            self.total -= self._counts.popleft()[1]

    def add(self, count: int, now: float) -> None:
        slot = int(now // self._slot)
        self.total += count
        if self._counts and self._counts[-1][0] >= slot:  # or the clock was put back
            slot, count = self._counts[-1][0], count + self._counts.pop()[1]
        self._counts.append((slot, count))

    def room_at(self, room: int) -> float:
        """When *room* of what is counted now will be forgotten."""
        for slot, count in self._counts:
            room -= count
            if room <= 0:
                return self._end(slot)
        raise ValueError("there was never so much")

    def _end(self, slot: int) -> float:
        """When *slot* is counted no more."""
        return (slot + 1) * self._slot + self.seconds


class Ledger:
    """Counts by *who* and *what* ("messages", "recipients"). Times are POSIX seconds."""

    def __init__(self) -> None:
        self._windows: OrderedDict[tuple[str, str, float], _Window] = OrderedDict()

    def add(self, who: str, what: str, rates: tuple[Rate, ...], count: int, now: float) -> None:
        """*count* more, to be looked back on by *rates*."""
        for _, seconds in rates:
            window = self._windows.setdefault((who, what, seconds), _Window(seconds))
            window.forget_before(now)
            window.add(count, now)
            self._windows.move_to_end((who, what, seconds))
        while len(self._windows) > MOST_WINDOWS:
            self._windows.popitem(last=False)

    def exceeded(self, who: str, what: str, rates: tuple[Rate, ...], count: int, now: float) -> tuple[Rate, float] | None:
        """The rate that *count* more would exceed, and when it will be no more; of several the one that lasts longest."""
        found: list[tuple[float, Rate]] = []
        for most, seconds in rates:
            window = self._windows.get((who, what, seconds)) or _Window(seconds)
            window.forget_before(now)
            excess = window.total + count - most
            if excess > 0:  # where *count* alone is too much, the rest of it can come when the first part is forgotten
                found.append((window.room_at(excess) if excess <= window.total else now + seconds, (most, seconds)))
        if not found:
            return None
        until, rate = max(found)
        return rate, until


class Spectator(Ledger):
    """Sees what *ledger* has counted, and counts nothing: for questions that nobody shall pay for."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._windows = ledger._windows

    def add(self, who: str, what: str, rates: tuple[Rate, ...], count: int, now: float) -> None:
        """Not counted."""
