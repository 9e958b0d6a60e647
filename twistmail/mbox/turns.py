"""Work on a locked mailbox file, in a thread, without a thread that waits for the lock.

Somebody else's lock is asked for again and again; between two attempts the
thread is free. A file that was replaced stays locked for a while after: a program
that had opened it before, and waits for our lock, must not add mail to what has
no name any more.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from twistmail.formats.locks import TIMEOUT, Held, MailboxBusy, locked

T = TypeVar("T")

FIRST_PAUSE = 0.02
LONGEST_PAUSE = 0.25
#: Seconds for which a replaced file stays locked, and how many of them.
KEPT = 30.0
MOST_KEPT = 200


class Turns:
    """*threads*: tasks.Threads; *pause*(seconds) waits, None where nothing can: then the thread does. *seconds*: a clock."""

    def __init__(
        self, threads: Any, pause: Callable[[float], Awaitable[None]] | None, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._threads = threads
        self._pause = pause
        self.seconds = seconds
        self._replaced: deque[tuple[float, int]] = deque()

    async def run(
        self, path: Path, function: Callable[[Held], T], *, exclusive: bool, create: bool = False, patience: float = TIMEOUT
    ) -> T:
        """What *function* makes of the locked file. MailboxBusy after *patience* seconds; OSError of opening."""
        if self._pause is None:
            return await self._threads.run(self.now, path, function, exclusive, create, patience)
        deadline, pause = self.seconds() + patience, FIRST_PAUSE
        while True:
            try:
                return await self._threads.run(self.now, path, function, exclusive, create, 0.0)
            except MailboxBusy:
                if self.seconds() >= deadline:
                    raise
            await self._pause(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def now(self, path: Path, function: Callable[[Held], T], exclusive: bool, create: bool, timeout: float) -> T:
        """As `run`, in this thread."""
        with locked(path, exclusive=exclusive, create=create, timeout=timeout) as held:
            result = function(held)
            if exclusive and os.fstat(held.descriptor).st_nlink == 0:
                self._replaced.append((self.seconds() + KEPT, os.dup(held.descriptor)))
        self.let_go(self.seconds())
        return result

    def let_go(self, until: float) -> None:
        """Close replaced files whose time has come by *until*."""
        while self._replaced and (self._replaced[0][0] <= until or len(self._replaced) > MOST_KEPT):
            try:
                _, descriptor = self._replaced.popleft()
            except IndexError:  # another thread was quicker
                return
            os.close(descriptor)

    def close(self) -> None:
        self.let_go(float("inf"))
