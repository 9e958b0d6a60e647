"""A large table of aliases: `python -m benchmarks.aliases [NUMBER]`.

How long it takes to load and to load again, how long the reactor's thread has to wait meanwhile (the longest gap between two ticks
of a millisecond), what it costs in memory, and how long a question takes. Three kinds of table; a thread reads, as in the server.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import LoopingCall

from twistmail import tasks
from twistmail.aliases.file import AliasFile
from twistmail.aliases.meaning import Meaning
from twistmail.aliases.permits import Permits
from twistmail.aliases.virtual import POSTFIX, SENDMAIL
from twistmail.aliases.virtualfile import House, VirtualFile
from twistmail.mail.address import Address
from twistmail.watched import WatchedFiles

DOMAIN = "blue.example"
TICK = 0.001


def aliases(number: int, tag: str) -> str:
    return "".join(f"user{one}.{tag}: fred{one}, group{one}@away{one % 50}.example\n" for one in range(number))


def virtual(number: int, tag: str) -> str:
    return "".join(f"user{one}.{tag}@{DOMAIN} fred{one}@away{one % 50}.example\n" for one in range(number))


def kinds(files: WatchedFiles) -> dict[str, tuple[Callable[[int, str], str], Callable[[Path], Any]]]:
    """Name -> what writes such a table, and what reads it."""
    house = House(DOMAIN, {DOMAIN}, lambda address: (address,))
    return {
        "aliases(5)": (aliases, lambda path: AliasFile(path, files, {DOMAIN}, Meaning(Permits(), files))),
        "virtual(5)": (virtual, lambda path: VirtualFile(path, POSTFIX, files, house)),
        "virtusertable": (virtual, lambda path: VirtualFile(path, SENDMAIL, files, house)),
    }


class Gap:
    """The longest time between two ticks, while it is entered."""

    def __enter__(self) -> Gap:
        self.longest, self._last = 0.0, time.perf_counter()
        self._ticking = LoopingCall(self._tick)
        self._ticking.start(TICK)
        return self

    def _tick(self) -> None:
        now = time.perf_counter()
        self.longest, self._last = max(self.longest, now - self._last), now

    def __exit__(self, *exc: object) -> None:
        self._tick()
        self._ticking.stop()


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def measure(name: str, number: int, folder: Path, threads: tasks.Threads) -> None:
    write, source_of = kinds(WatchedFiles(threads))[name]
    path = folder / "table"
    path.write_text(write(number, "a"))
    source, before = source_of(path), resident()
    began = time.perf_counter()
    await source.lookup(Address("user5.a", DOMAIN))
    loaded, memory = time.perf_counter() - began, resident() - before
    path.write_text(write(number, "b"))
    with Gap() as gap:
        began = time.perf_counter()
        assert await source.lookup(Address("user5.b", DOMAIN))
        again = time.perf_counter() - began
    began = time.perf_counter()
    for one in range(1000):
        await source.lookup(Address(f"user{one}.b", DOMAIN))
    known = (time.perf_counter() - began) / 1000
    began = time.perf_counter()
    for one in range(1000):
        await source.lookup(Address(f"nobody{one}", DOMAIN))
    unknown = (time.perf_counter() - began) / 1000
    sys.stdout.write(f"{name:14} {loaded:7.2f} {again:7.2f} {gap.longest * 1e3:8.1f} {memory / 2**20:6.1f} ")
    sys.stdout.write(f"{known * 1e6:8.1f} {unknown * 1e6:8.1f}\n")


async def run(number: int) -> None:
    sys.stdout.write(f"{number} aliases     load s reload s  gap ms    MiB  known us  unknown us\n")
    threads = tasks.Threads(reactor, "files", 2)
    with tempfile.TemporaryDirectory() as folder:
        for name in kinds(WatchedFiles(threads)):
            await measure(name, number, Path(folder), threads)
    threads.stop()
    reactor.stop()  # type: ignore[attr-defined]


if __name__ == "__main__":
    reactor.callWhenRunning(lambda: tasks.start(run(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000), "the benchmark"))  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]
