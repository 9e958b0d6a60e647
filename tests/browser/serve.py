"""A classroom in a process of its own, for browsers: prints where it is as one line of JSON, and ends when its stdin does."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.protocol import Protocol
from twisted.internet.stdio import StandardIO

from twistmail import tasks
from twistmail.lab import site
from twistmail.lab.town import Town


class UntilStdinEnds(Protocol):
    def connectionLost(self, reason: object = None) -> None:
        if reactor.running:
            tasks.start(close(), "the end")


async def begin() -> None:
    try:
        await town.start()
    except BaseException:
        reactor.stop()
        raise
    port = reactor.listenTCP(0, site.make(town), interface="127.0.0.1")
    ports = {f"{office}_{service}": number for (office, service), number in town.ports.items()}
    print(json.dumps({"url": f"http://127.0.0.1:{port.getHost().port}", "ports": ports, "about": town.lines()}), flush=True)  # noqa: T201


async def close() -> None:
    await town.stop()
    reactor.stop()


folder = Path(tempfile.mkdtemp(prefix="twistmail-browser-"))
try:
    town = Town(folder, reactor, any_ports=True)
    StandardIO(UntilStdinEnds())
    reactor.callWhenRunning(lambda: tasks.start(begin(), "the classroom"))
    reactor.run()
finally:
    shutil.rmtree(folder, ignore_errors=True)
