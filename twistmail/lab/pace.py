"""How often somebody may do something, so that one who cannot stop does no harm to the others. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

#: Owners that are remembered.
MOST_KNOWN = 1000


class Pace:
    """At most *most* times in *within* seconds, for each owner. *seconds*: what time it is."""

    def __init__(self, most: int, within: float, seconds: Callable[[], float]) -> None:
        self.most = most
        self.within = within
        self._seconds = seconds
        self._times: dict[str, deque[float]] = {}

    def wait(self, owner: str) -> float:
        """0: *owner* may, and it counts. Else the seconds until he may again."""
        now = self._seconds()
        times = self._times.pop(owner, None) or deque()
        self._times[owner] = times  # what has not been here longest goes first
        while len(self._times) > MOST_KNOWN:
            del self._times[next(iter(self._times))]
        while times and times[0] <= now - self.within:
            times.popleft()
        if len(times) >= self.most:
            return times[0] + self.within - now
        times.append(now)
        return 0.0
