"""Who is due when: one time per key, each of which may change or go at any moment; of those that are due the most urgent first."""

from __future__ import annotations

import heapq

#: So many seconds earlier does one step of priority count, among what is due. So the lowest of RFC 6710 (-9) waits at
#: most eighteen minutes longer than the highest (9), and nobody starves.
HEAD_START = 60.0


class Due:
    """At most one time per key. A changed time leaves its old heap entries behind, which are skipped when they come up."""

    def __init__(self) -> None:
        self._at: dict[str, tuple[float, int]] = {}
        self._heap: list[tuple[float, str, int]] = []  # by time
        self._ready: list[tuple[float, str, float, int]] = []  # those whose time has come, by rank

    def __len__(self) -> int:
        return len(self._at)

    def __contains__(self, key: str) -> bool:
        return key in self._at

    def set(self, key: str, at: float, priority: int = 0) -> None:
        """*key* is due at *at*; *priority*: higher goes first among those that are due."""
        if self._at.get(key) != (at, priority):
            self._at[key] = (at, priority)
            heapq.heappush(self._heap, (at, key, priority))
            if len(self._heap) + len(self._ready) > 2 * len(self._at) + 64:
                self._heap = [(at, key, priority) for key, (at, priority) in self._at.items()]
                heapq.heapify(self._heap)
                self._ready = []

    def drop(self, key: str) -> None:
        """No time for *key* any more; nothing happens where there was none."""
        self._at.pop(key, None)

    def next(self) -> float | None:
        """The earliest time of all; where some were due at the last `pop`, the time of one of them."""
        while self._ready:
            _, key, at, priority = self._ready[0]
            if self._at.get(key) == (at, priority):
                return at
            heapq.heappop(self._ready)
        while self._heap:
            at, key, priority = self._heap[0]
            if self._at.get(key) == (at, priority):
                return at
            heapq.heappop(self._heap)
        return None

    def pop(self, now: float) -> str | None:
        """The key that is most urgent of those due at *now*, due no longer; None where none is."""
        while self._heap and self._heap[0][0] <= now:
            at, key, priority = heapq.heappop(self._heap)
            if self._at.get(key) == (at, priority):
                heapq.heappush(self._ready, (at - priority * HEAD_START, key, at, priority))
        while self._ready:
            _, key, at, priority = heapq.heappop(self._ready)
            if self._at.get(key) == (at, priority):
                del self._at[key]
                return key
        return None
