"""Messages made durable per second, with and without the redo log: `python benchmarks/commit.py [seconds] [size] [folder] [rounds]`.

So many messages wait at any time (1, 8, 50): when one is done the next one comes. No reactor, no protocol: the
committer's thread alone. The ways take turns; the figures are medians of *rounds*.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twistmail import disk, tasks
from twistmail.mail.content import Memory
from twistmail.store import redolog
from twistmail.store.folders import FolderTree, Surroundings
from twistmail.store.jobs import DeliveryJob, Piece
from twistmail.store.names import INBOX, UniqueNames

WAITING = (1, 8, 50)


class Here:
    """A reactor whose thread is the committer's."""

    def callFromThread(self, function: Callable[..., None], *arguments: Any) -> None:
        function(*arguments)

    def callLater(self, _: float, function: Callable[..., None], *arguments: Any) -> None:
        function(*arguments)


def rate(folder: Path, waiting: int, seconds: float, content: Memory, *, logged: bool) -> float:
    committer = disk.Committer(Here())
    committer.takes_logs = logged
    redo = redolog.begin(folder, committer)
    around = Surroundings(time.time, os.urandom, UniqueNames("bench", os.getpid(), time.time, os.urandom).fresh, redo=redo)
    tree = FolderTree(folder / "mail", (), around)
    done = threading.Semaphore(0)
    count, end = 0, 0.0

    async def deliver() -> None:
        nonlocal count
        while time.monotonic() < end:
            await committer.commit(DeliveryJob([Piece(tree, INBOX, b"", content)]))
            count += 1
        done.release()

    def load(how_long: float) -> None:
        nonlocal end
        end = time.monotonic() + how_long
        for _ in range(waiting):
            tasks.start(deliver(), "bench")
        for _ in range(waiting):
            done.acquire()

    load(0.3)  # the log is made meanwhile
    count, began = 0, time.monotonic()
    load(seconds)
    took = time.monotonic() - began
    tree.close()
    if redo:
        redo.close()
    committer.stop()
    return count / took


def main() -> None:
    words = [*sys.argv[1:], "", "", "", ""]
    seconds, size, rounds = float(words[0] or 1), int(words[1] or 4096), int(words[3] or 5)
    content = Memory((b"a line of text that is long enough to look like one\r\n" * (size // 53 + 1))[:size])
    for waiting in WAITING:
        found: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(rounds):
            for logged, rates in found.items():
                with tempfile.TemporaryDirectory(dir=words[2] or None) as folder:
                    rates.append(rate(Path(folder), waiting, seconds, content, logged=logged))
        plain, logged = (statistics.median(found[which]) for which in (False, True))
        sys.stdout.write(f"{waiting:3} waiting: {plain:7.0f}/s without, {logged:7.0f}/s with the log, {logged / plain:.2f}x\n")


if __name__ == "__main__":
    main()
