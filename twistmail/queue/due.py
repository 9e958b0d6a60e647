"""Who is due when: a heap of times, one per key, each of which may change or go at any moment."""

from __future__ import annotations

import heapq


class Due:
    """At most one time per key. A changed time leaves its old heap entry behind, which is skipped when it comes up."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._at)

    def __contains__(self, key: str) -> bool:
        return key in self._at

    def set(self, key: str, at: float) -> None:
        if self._at.get(key) != at:
            self._at[key] = at
            heapq.heappush(self._heap, (at, key))
            if len(self._heap) > 2 * len(self._at) + 64:
                self._heap = [(at, key) for key, at in self._at.items()]
                heapq.heapify(self._heap)

    def drop(self, key: str) -> None:
        """No time for *key* any more; nothing happens where there was none."""
        self._at.pop(key, None)

    def next(self) -> float | None:
        """The earliest time of all."""
        while self._heap:
            at, key = self._heap[0]
            if self._at.get(key) == at:
                return at
            heapq.heappop(self._heap)
        return None

    def pop(self, now: float) -> str | None:
        """The key that has been due longest, no longer due; None where none is due at *now*."""
        at = self.next()
        if at is None or at > now:
            return None
        key = heapq.heappop(self._heap)[1]
        del self._at[key]
        return key
