"""How searches behave as a mailbox grows: `python -m benchmarks.searching [exponents, such as 3 4 5 6] [--folder DIR]`.

For each question: how long it takes, and the longest time for which the reactor could do nothing else meanwhile. The
mailboxes are those of `benchmarks.million`. The first question about a header, and about a text, has to read all messages.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet import reactor as the_reactor
from twisted.internet.defer import Deferred

from benchmarks.million import WHO, filled
from twistmail import disk, tasks
from twistmail.servers.imap.client import Client
from twistmail.servers.imap.search import searched
from twistmail.servers.imap.view import View
from twistmail.store.mailstore import MailStore
from twistmail.wire.imap.grammar import COMMANDS
from twistmail.wire.imap.tokens import Cursor

QUESTIONS = (
    "RETURN (COUNT) SEEN",
    "ALL",
    "RETURN (ALL) NOT SEEN",
    "RETURN (COUNT) LARGER 100 SMALLER 100000",
    "RETURN (COUNT) SINCE 1-Jan-2023 BEFORE 1-Jan-2024",
    "RETURN (COUNT) " + " ".join(f"NOT UID {number}" for number in range(1, 241)),
    "RETURN (COUNT) " + " ".join(f"OR LARGER {number} UNSEEN" for number in range(1, 151)),
    "RETURN (COUNT) SUBJECT invoice",
    "RETURN (COUNT) SUBJECT many",
    "RETURN (COUNT) HEADER Message-ID nosuch",
    "RETURN (COUNT) " + "OR HEADER Message-ID nosuch " * 200 + "SEEN",
    "RETURN (COUNT) BODY unicorn",
    "RETURN (COUNT) BODY text",
)
reactor: Any = the_reactor


class Pulse:
    """The longest time between two turns of the reactor."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = time.perf_counter()
        self._beat()

    def _beat(self) -> None:
        now = time.perf_counter()
        self.longest, self._last = max(self.longest, now - self._last), now
        reactor.callLater(0, self._beat)

    def restart(self) -> None:
        self.longest, self._last = 0.0, time.perf_counter()


async def measured(root: Path) -> None:
    threads, committer = tasks.Threads(reactor, "bench", 4), disk.Committer(reactor)
    store = MailStore(root, reactor, committer, threads)
    service: Any = SimpleNamespace(clock=reactor, epoch=time.time, threads=threads)
    client = Client(service, "bench", "127.0.0.1")
    client.view = View(await (await store.mailboxes(WHO)).open("INBOX"), read_only=True, news=lambda: None)
    pulse = Pulse()
    for question in QUESTIONS:
        event: Any = COMMANDS[b"SEARCH"].parse(Cursor(b" " + question.encode("ascii")), b"a")
        pulse.restart()
        start = time.perf_counter()
        octets = await _size(searched(client, b"a", event.key, event.returns, uid=False))
        took = time.perf_counter() - start
        await tasks.sleep(reactor, 0)
        sys.stdout.write(f"{took * 1000:10.1f} ms, at most {pulse.longest * 1000:6.1f} at a time, {octets:8} octets: {question[:60]}\n")
        sys.stdout.flush()
    client.leave_mailbox()
    store.close()
    committer.stop()
    threads.stop()


async def _size(lines: AsyncIterator[Any]) -> int:
    """The octets of an answer, of which each piece is sent in a turn of its own."""
    octets = 0
    async for line in lines:
        octets += len(line.octets())
        await tasks.sleep(reactor, 0)
    return octets


def run(root: Path) -> None:
    def begin() -> None:
        done: Deferred[None] = Deferred.fromCoroutine(measured(root))
        done.addErrback(lambda failure: sys.stdout.write(failure.getTraceback()))
        done.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exponents", nargs="*", type=int, default=[3, 4, 5, 6])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.only:
        run(asked.only)
        return
    for exponent in asked.exponents:
        with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
            filled(Path(folder), 10**exponent)
            sys.stdout.write(f"10^{exponent} messages\n")
            sys.stdout.flush()
            subprocess.run([sys.executable, "-m", "benchmarks.searching", "--only", folder], check=True)


if __name__ == "__main__":
    main()
