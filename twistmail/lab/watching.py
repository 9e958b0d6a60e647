"""Waiting for what happens: events of the ring that are as somebody wants them, those of now or the first that comes.

For programs that test mail software: they wait for a fact, not for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twistmail import tasks
from twistmail.lab.ring import Event, Ring

#: Those that are told at a time.
MOST = 500


def fits(event: Event, wanted: Mapping[str, str]) -> bool:
    """Whether *event* is as *wanted*: {"kind": "mail store", "office": "blue", "state": "accepted", ...}.

    `kind`: one of several words. `office`, `about`, `connection` as the event has them. Every other name is one of
    `event.what`: equal as a string, or among the values of a list.
    """
    return all(_has(event, name, value) for name, value in wanted.items())


def _has(event: Event, name: str, value: str) -> bool:
    if name == "kind":
        return event.kind in value.replace(",", " ").split()
    if name in ("office", "about", "connection"):
        return bool(getattr(event, name) == value)
    said = event.what.get(name)
    return value in map(_spelled, said) if isinstance(said, list | tuple) else said is not None and _spelled(said) == value


def _spelled(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def found(ring: Ring, wanted: Mapping[str, str], after: int) -> tuple[Event, ...]:
    """Those behind number *after*, the oldest first, at most MOST."""
    return tuple(event for event in ring.since(after) if fits(event, wanted))[:MOST]


async def wait(
    ring: Ring, clock: Any, wanted: Mapping[str, str], after: int, seconds: float, leaving: list[Callable[[], None]] | None = None
) -> tuple[Event, ...]:
    """As `found`, but where there are none the first that comes within *seconds* of *clock* (IReactorTime); () where none does.

    What is put into *leaving* ends the waiting at once.
    """
    events = found(ring, wanted, after)
    if events or seconds <= 0:
        return events
    coming: tasks.Deferred[tuple[Event, ...]] = tasks.Deferred()

    def heard(event: Event) -> None:
        if fits(event, wanted) and not coming.called:
            coming.callback((event,))

    def end() -> None:
        if not coming.called:
            coming.callback(())

    stop = ring.listen(heard)
    late = clock.callLater(seconds, end)
    if leaving is not None:
        leaving.append(end)
    try:
        return await coming
    finally:
        stop()
        if late.active():
            late.cancel()
