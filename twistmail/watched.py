"""A text file that people edit while we run: read again when it has changed, kept as it was where it is broken.

Used by the account and alias files. Whether a file has changed is one `stat` a
look-up; reading it happens in a thread, and whoever asks meanwhile is answered
from the old table. A broken file never takes the place of a good one: what is
wrong with it is logged, once, with line numbers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from twisted.logger import Logger

from twistmail.interfaces import Unavailable

T = TypeVar("T")
log = Logger()

MOST_OCTETS = 64 * 1024 * 1024
#: Problems of one file that are told.
MOST_PROBLEMS = 20


class Broken(ValueError):
    """A file with mistakes: `problems` are pairs of line number (from 1) and text."""

    def __init__(self, problems: Sequence[tuple[int, str]]) -> None:
        super().__init__("; ".join(f"line {line}: {text}" for line, text in problems[:MOST_PROBLEMS]))
        self.problems = tuple(problems[:MOST_PROBLEMS])


class WatchedFile(Generic[T]):
    """The file at *path* as `parse(text)` reads it. *parse* raises Broken, runs in *threads*, and touches nothing shared."""

    def __init__(self, path: Path, parse: Callable[[str], T], threads: Any) -> None:
        self.path = path
        self._parse = parse
        self._threads = threads
        self._stamp: tuple[int, int, int] | None = None
        self._value: T | None = None
        self._reading = False

    @property
    def value(self) -> T:
        """What the file last said when it was in order. Unavailable where it never was."""
        if self._value is None:
            raise Unavailable(f"{self.path} has not been read")
        return self._value

    async def freshen(self) -> None:
        """Read the file again if it is another than the one that was read. Unavailable where nothing was ever read.

        The first reading happens at once, in the caller: it belongs to the start.
        """
        stamp = _stamp_of(self.path)
        if self._reading or (stamp == self._stamp and self._value is not None):
            return
        if self._value is None:
            self._settle(stamp, self._load())
            return
        self._reading = True
        try:
            self._settle(stamp, await self._threads.run(self._load))
        finally:
            self._reading = False

    def _load(self) -> T | OSError | ValueError:
        try:
            with self.path.open("rb") as file:
                octets = file.read(MOST_OCTETS + 1)
            if len(octets) > MOST_OCTETS:
                return Broken([(1, f"the file is larger than {MOST_OCTETS // 1024 // 1024} MiB")])
            return self._parse(octets.decode())
        except UnicodeDecodeError as error:
            return Broken([(octets.count(b"\n", 0, error.start) + 1, "this is not UTF-8")])
        except (OSError, ValueError) as error:
            return error

    def _settle(self, stamp: tuple[int, int, int] | None, loaded: T | OSError | ValueError) -> None:
        news = stamp != self._stamp
        self._stamp = stamp
        if not isinstance(loaded, OSError | ValueError):
            self._value = loaded
            return
        problems = loaded.problems if isinstance(loaded, Broken) else ((0, getattr(loaded, "strerror", None) or str(loaded)),)
        kept = "" if self._value is None else " (what was read before stays in use)"
        if news or self._value is None:
            for line, text in problems:
                log.error("{path}{line}: {text}{kept}", path=str(self.path), line=f":{line}" if line else "", text=text, kept=kept)
        if self._value is None:
            raise Unavailable(f"{self.path}: {loaded}") from loaded


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
