"""When to try again, when to warn the sender, when to give up. Pure; the queue runner keeps the clock and adds jitter."""

from __future__ import annotations

from dataclasses import dataclass

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """All in seconds. `waits` are the waits between one attempt and the next; the last one repeats.

    RFC 5321 §4.5.4.1 asks for two attempts in the first hour, one every two or three hours afterwards, and four to
    five days before giving up. `warn_after` None: senders are never warned. `jitter`: the part of a wait by which chance may
    make it longer, so that what failed together does not come back together.
    """

    waits: tuple[float, ...] = (5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR)
    give_up_after: float = 5 * DAY
    warn_after: float | None = 4 * HOUR
    jitter: float = 0.1

    def __post_init__(self) -> None:
        if not self.waits or min(self.waits) <= 0:
            raise ValueError("a schedule needs at least one wait, and none may be zero")


def next_attempt(queued_at: float, attempts: int, now: float, schedule: Schedule) -> float | None:
    """When to try again, or None when it is time to give up.

    All times are POSIX seconds. `attempts` counts the tries already made, so it is at least 1. Jitter is the caller's
    business, which keeps this function exact under test.

    Raises ValueError if `attempts` is 0: an untried item is due now.
    """
    if attempts < 1:
        raise ValueError("next_attempt needs at least one attempt made")
    due = now + schedule.waits[min(attempts, len(schedule.waits)) - 1]
    return due if due - queued_at <= schedule.give_up_after else None


def warning_due(queued_at: float, schedule: Schedule) -> float | None:
    """When the sender of a message that still waits is told so (POSIX seconds); None: never."""
    return None if schedule.warn_after is None else queued_at + schedule.warn_after
