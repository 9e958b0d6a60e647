"""A town that really runs, inside a test: real sockets on loopback, real files, the reactor that pytest-twisted turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from twistmail import tasks
from twistmail.lab.lan import Lan
from twistmail.lab.ring import Event
from twistmail.lab.town import Town

MOST_SECONDS = 20.0


def run(coroutine: Any) -> Any:
    """What *coroutine* returns, or raises. In fixtures; tests are coroutines themselves (`pytest_twisted.ensureDeferred`)."""
    return pytest_twisted.blockon(tasks.shielded(coroutine))


class Guest:
    """Somebody outside who talks to the town with programs that block (smtplib ...), in a thread."""

    def __init__(self) -> None:
        self.threads = tasks.Threads(reactor, "guest", 4)

    async def do(self, function: Callable[..., Any], *args: Any) -> Any:
        return await self.threads.run(function, *args)


@contextmanager
def living(folder: Path, lan: Lan | None = None) -> Iterator[tuple[Town, Guest]]:
    """A town on ports of its own, and a guest; both gone at the end."""
    town, guest = Town(folder, reactor, any_ports=True, lan=lan), Guest()
    try:
        run(town.start())
        yield town, guest
    finally:
        run(town.stop())
        guest.threads.stop()


async def wait_for(town: Town, kind: str, office: str = "", /, after: int = 0, about: str = "", **what: Any) -> Event:
    """The first event of that kind, office and content behind event number *after*; those that have been count."""

    def is_it(event: Event) -> bool:
        fits = event.kind == kind and office in ("", event.office) and about in ("", event.about)
        return fits and all(event.what.get(key) == value for key, value in what.items())

    for event in town.ring.since(after):
        if is_it(event):
            return event
    coming: Deferred[Event] = Deferred()
    stop = town.ring.listen(lambda event: None if coming.called or not is_it(event) else coming.callback(event))
    try:
        return await tasks.with_timeout(reactor, MOST_SECONDS, tasks.awaiting(coming), f"{kind} {what} at {office or 'any office'}")
    finally:
        stop()
