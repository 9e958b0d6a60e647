"""What an item waits for, in words: for those who look at the queue. Changes nothing."""

from __future__ import annotations

from twistmail.mail.item import Item
from twistmail.mail.values import frozen
from twistmail.queue.case import Case
from twistmail.queue.line import Job
from twistmail.queue.place import FOREVER
from twistmail.queue.places import Places


@frozen
class Outlook:
    """`at`: when the item is tried next (POSIX seconds); None where that hangs on something else than time.

    `why`: what it waits for, in words; empty: for its time. `place`: where it goes then; empty where that is not known yet.
    """

    at: float | None
    why: str = ""
    place: str = ""


def of_item(item: Item, case: Case | None, places: Places, now: float) -> Outlook:
    """The nearest thing that happens to *item*."""
    if item.held:
        return Outlook(None, "held")
    if case is None:
        return Outlook(item.next_try)
    if running := next((job for job in case.jobs if not job.waits), None):
        return Outlook(now, "it is being tried", running.trip.place)
    due = min((case.due_at(item, target) for target in case.idle(item)), default=FOREVER)
    ahead = [of_job(job, places, now) for job in case.lined]
    nearest = min(ahead, key=lambda outlook: FOREVER if outlook.at is None else outlook.at, default=None)
    if nearest is not None and (nearest.at is None or nearest.at <= due):
        return nearest
    return Outlook(None if due == FOREVER else due)


def of_job(job: Job, places: Places, now: float) -> Outlook:
    """When *job*, which waits in a line, may go at the earliest."""
    place = job.place
    if place is None:
        return Outlook(now, "waits for its turn")
    if places.offline and not job.forced:
        return Outlook(None, "the line is down; twistmail online ends that", place.name)
    at = place.opens_at(now, places.zone, forced=job.forced)
    if place.failures and place.rests_until > now:
        return Outlook(place.rests_until, f"nobody gets through to {place.name}: {place.trouble}", place.name)
    if at == FOREVER or at <= now:
        return Outlook(now, "waits for its turn", place.name)
    if not job.forced and not place.pace.hours.is_open(now, places.zone):
        return Outlook(at, f"waits for {place.pace.hours}", place.name)
    return Outlook(at, f"so many have gone to {place.name} already", place.name)
