"""How quickly content comes: whoever lets it trickle would keep a place, and what is held for him, for hours."""

from __future__ import annotations

WINDOW = 60.0  # seconds over which the rate is averaged


class Pace:
    """Of one content. Times are seconds of any one clock, *received* counts all octets of the connection so far."""

    __slots__ = ("_began", "_received")

    def __init__(self, now: float, received: int) -> None:
        self._began = now
        self._received = received

    def is_too_slow(self, now: float, received: int, minimum: int) -> bool:
        """Whether less than *minimum* octets a second have come, over the last full window."""
        if now - self._began < WINDOW:
            return False
        came = received - self._received
        self._began, self._received = now, received
        return came < minimum * WINDOW
