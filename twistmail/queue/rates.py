"""So many in so long, exactly: never more than the number of a rate in any span of its length. No clock of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence


class Rates:
    """Several rates, all of which are kept: (number, seconds)."""

    def __init__(self, rates: Sequence[tuple[int, float]] = ()) -> None:
        self._logs = [(seconds, deque[float](maxlen=number)) for number, seconds in rates]

    def next(self, now: float) -> float:
        """From when on one more may go; *now* at the earliest."""
        for seconds, log in self._logs:
            if len(log) == log.maxlen and (free := log[0] + seconds) > now:
                now = free
        return now

    def take(self, at: float) -> None:
        """One goes at *at*; instants never descend."""
        for _, log in self._logs:
            log.append(at)

    def reserve(self, now: float) -> float:
        """The turn of one more, which is taken: when it may go."""
        last = max((log[-1] for _, log in self._logs if log), default=now)
        at = self.next(max(now, last))
        self.take(at)
        return at

    def is_idle(self, now: float) -> bool:
        """Whether nothing that went before counts any more."""
        return all(not log or log[-1] + seconds <= now for seconds, log in self._logs)
