"""How octets travel over a slow line: when each piece of what was said arrives. Pure; `pipes` keeps the clock."""

from __future__ import annotations

from collections import deque
from math import inf

from twistmail.mail.values import frozen

#: Seconds of a slow line's rate that arrive together.
DRIP = 0.1


@frozen
class Pace:
    """`delay` seconds on the way, `rate` octets a second."""

    delay: float = 0.0
    rate: float = inf


AT_ONCE = Pace()
#: ux: one kB/s and two seconds, in each direction. A dialogue of ten questions takes forty seconds where none is asked ahead.
CRAWL = Pace(2.0, 1000.0)


class Traffic:
    """What is under way in one direction. Octets arrive in their order, whatever the pace was when they were said."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[float, bytes]] = deque()  # (when it arrives, what)
        self._free = -inf  # when the last of it has arrived
        self.size = 0  # octets under way

    def add(self, data: bytes, now: float, pace: Pace) -> None:
        """*data* is said at *now* (seconds)."""
        start = max(now + pace.delay, self._free)
        if pace.rate == inf:
            self._append(start, data)
            return
        step = max(1, int(pace.rate * DRIP))
        for begin in range(0, len(data), step):
            piece = data[begin : begin + step]
            start += len(piece) / pace.rate
            self._append(start, piece)

    def _append(self, due: float, piece: bytes) -> None:
        self._pieces.append((due, piece))
        self._free = due
        self.size += len(piece)

    def arrived(self, now: float) -> bytes:
        """All that has arrived by *now*, and is given out only once."""
        found = []
        while self._pieces and self._pieces[0][0] <= now:
            found.append(self._pieces.popleft()[1])
        data = b"".join(found)
        self.size -= len(data)
        return data

    @property
    def next(self) -> float | None:
        """When the next piece arrives; None: nothing is under way."""
        return self._pieces[0][0] if self._pieces else None
