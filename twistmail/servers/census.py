"""Who is here: the counting of sessions, for services that let in so many of a kind."""

from __future__ import annotations

from collections import Counter


class Census:
    """Who is here: counts of connections by any key (an address, a user, both). One for all sessions; survives a reload."""

    def __init__(self) -> None:
        self._present: Counter[tuple[str, ...]] = Counter()

    def enter(self, *limits: tuple[tuple[str, ...], int]) -> bool:
        """Count one more for every (key, most) of *limits*; False, and nothing counted, where one of them is full."""
        if any(self._present[key] >= most for key, most in limits):
            return False
        self._present.update(key for key, _ in limits)
        return True

    def leave(self, *keys: tuple[str, ...]) -> None:
        """Undo an `enter` that succeeded."""
        for key in keys:
            self._present[key] -= 1
            if self._present[key] <= 0:
                del self._present[key]

    def count(self, *key: str) -> int:
        return self._present[key]
