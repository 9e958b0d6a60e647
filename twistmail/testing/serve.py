"""python -m twistmail.testing.serve: a classroom for a test in another process, until its standard input ends.

Its first line of output is JSON: {"url": "http://127.0.0.1:PORT"}.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from twisted.internet.protocol import Protocol
from twisted.internet.stdio import StandardIO
from twisted.logger import FilteringLogObserver, LogLevel, LogLevelFilterPredicate, globalLogBeginner, textFileLogObserver

from twistmail import tasks
from twistmail.lab.offices import OFFICES
from twistmail.lab.site import make
from twistmail.lab.town import Town, Trouble

HERE = "127.0.0.1"


class LifeLine(Protocol):
    """Ends the process when whoever has begun it is gone."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def connectionLost(self, reason: Any = None) -> None:
        if self._reactor.running:
            self._reactor.stop()


def main(arguments: list[str] | None = None) -> int:
    """Serve; the exit status."""
    parser = argparse.ArgumentParser(prog="twistmail.testing.serve")
    parser.add_argument("--offices", type=int, choices=range(1, len(OFFICES) + 1), default=len(OFFICES))
    parser.add_argument("--keep", type=Path, metavar="DIR")
    asked = parser.parse_args(arguments)
    with ExitStack() as stack:
        folder = asked.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="twistmail-test-")))
        return _serve(folder, asked.offices)


def _serve(folder: Path, offices: int) -> int:
    from twisted.internet import reactor as real

    reactor: Any = real
    observer = FilteringLogObserver(textFileLogObserver(sys.stderr), [LogLevelFilterPredicate(LogLevel.error)])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False, discardBuffer=True)
    town = Town(folder, reactor, offices=OFFICES[:offices], any_ports=True)
    status = 0

    async def begin() -> None:
        nonlocal status
        try:
            await town.start()
            port: Any = reactor.listenTCP(0, make(town), interface=HERE)
        except (Trouble, OSError) as trouble:
            print(trouble, file=sys.stderr)  # noqa: T201
            status = 1
            reactor.stop()
            return
        print(json.dumps({"url": f"http://{HERE}:{port.getHost().port}"}), flush=True)  # noqa: T201

    def started() -> None:
        StandardIO(LifeLine(reactor))
        tasks.start(begin(), "starting the classroom")

    reactor.callWhenRunning(started)
    reactor.addSystemEventTrigger("before", "shutdown", lambda: tasks.shielded(town.stop()))
    reactor.run()
    return status


if __name__ == "__main__":
    sys.exit(main())
