"""When an item is tried, when its sender is told that it is late, and when it is over: the schedule, and what the sender wants.

The waits are those of `mail.schedule`. A sender may have it held first (RFC 4865:
all times count from the end of the hold), and may set a deadline (RFC 2852 §4): at
it the message is returned, or he is told that it has passed. Pure; POSIX seconds.
"""

from __future__ import annotations

from twistmail.mail.envelope import Notify
from twistmail.mail.item import Item
from twistmail.mail.schedule import Schedule, next_attempt, warning_due

#: Where the schedule would pass a deadline, one more attempt is made so many seconds before it.
LAST_CALL = 60.0


def give_up_at(item: Item, schedule: Schedule, paused: float = 0.0) -> float:
    """From when on nothing is tried any more. *paused*: seconds of its life so far that do not count."""
    end, deadline = item.since + paused + schedule.give_up_after, item.wishes.deadline
    return min(end, deadline.at) if deadline is not None and deadline.returns else end


def has_run_out(item: Item, now: float) -> bool:
    """Whether the sender wants his message back by now."""
    deadline = item.wishes.deadline
    return deadline is not None and deadline.returns and now >= deadline.at


def next_due(item: Item, tried: int, now: float, schedule: Schedule, stretch: float = 1.0, paused: float = 0.0) -> float | None:
    """When to try targets of *item* again that have failed for the *tried*-th time just now; or to return it, at its deadline.

    None: no more. The wait is *stretch* times as long as planned (chance, at least 1), but makes no attempt later than was
    promised. *paused* as for `give_up_at`.
    """
    since = item.since + paused
    due, end = next_attempt(since, tried, now, schedule), since + schedule.give_up_after
    if due is not None:
        due = min(now + (due - now) * stretch, end)
    deadline = item.wishes.deadline
    if deadline is None or not deadline.returns or deadline.at > end:
        return due
    last_call = deadline.at - LAST_CALL
    if due is not None and due <= last_call:
        return due
    return None if now >= deadline.at else last_call if now < last_call else deadline.at


def warn_at(item: Item, schedule: Schedule) -> float | None:
    """When its sender is told that *item* is late; None: never, or he has been told, or does not want to be."""
    return None if item.warned or not _may_warn(item) else warning_due(item.since, schedule)


def overdue_at(item: Item) -> float | None:
    """When its sender is told that *item* is later than he wanted; None as for `warn_at`."""
    deadline = item.wishes.deadline
    if deadline is None or deadline.returns or item.overdue_told or not _may_warn(item):
        return None
    return deadline.at


def _may_warn(item: Item) -> bool:
    """RFC 3461 §5.2.5; RFC 2852 adds nothing for those who do not want it."""
    return item.sender is not None and any(errand.wants(Notify.DELAY) for errand in item.pending)
