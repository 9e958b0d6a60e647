"""A classroom inside the test's own process, for tests that run on Twisted (pytest-twisted, trial): nothing blocks, all is at hand.

`town.service("blue")` is the server itself, `town.clock.jump(60)` its time, `town.ring` all that happens.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from twistmail.lab import watching
from twistmail.lab.offices import OFFICES
from twistmail.lab.ring import Event
from twistmail.lab.town import Town


@asynccontextmanager
async def town(reactor: Any, folder: Path, offices: int = 3) -> AsyncIterator[Town]:
    """A running town with the first one, two or three offices, below *folder*, on ports that are free. Raises lab.town.Trouble."""
    running = Town(folder, reactor, offices=OFFICES[:offices], any_ports=True)
    try:
        await running.start()
        yield running
    finally:
        await running.stop()


async def wait_for(town: Town, kind: str, *, after: int = 0, seconds: float = 10.0, **what: Any) -> Event:
    """The first event of that *kind* (or of several, "mail store") behind event number *after* as *what* says (`watching.fits`).

    AssertionError where none comes within *seconds* of real time.
    """
    wanted = {"kind": kind} | {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in what.items()}
    events = await watching.wait(town.ring, town.reactor, wanted, after, seconds)
    if not events:
        told = [f"{event.office} {event.kind} {dict(event.what)}" for event in town.ring.since(after) if event.kind != "line"][-15:]
        raise AssertionError(f"no {kind} {what} within {seconds:g} seconds; what has happened:\n" + "\n".join(told))
    return events[0]
