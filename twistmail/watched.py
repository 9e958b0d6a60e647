"""A text file that people edit while we run: read again when it has changed, kept as it was where it is broken.

Used by the account and alias files. Whether a file has changed is one `stat` a
look-up; reading it happens in a thread, and whoever asks meanwhile is answered
from the old table. A broken file never takes the place of a good one: what is
wrong with it is logged, once, with line numbers.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

from twisted.logger import Logger

from twistmail import tasks
from twistmail.interfaces import Unavailable
from twistmail.mail.maplines import logical
from twistmail.mail.values import frozen
from twistmail.stamps import Stamp, stamp_of

T = TypeVar("T")
K = TypeVar("K")
L = TypeVar("L")
log = Logger()

MOST_OCTETS = 64 * 1024 * 1024
#: Problems of one file that are told.
MOST_PROBLEMS = 20


class Broken(ValueError):
    """A file with mistakes: `problems` are pairs of line number (from 1) and text."""

    def __init__(self, problems: Sequence[tuple[int, str]]) -> None:
        super().__init__("; ".join(f"line {line}: {text}" for line, text in problems[:MOST_PROBLEMS]))
        self.problems = tuple(problems[:MOST_PROBLEMS])


@frozen
class Partly(Generic[T]):
    """What could be read of a file whose mistakes spoil no more than their own lines: (line, text) each.

    `is_hollow`: there is nothing in it, which may be the first half of saving it, or a full disk; where it said something
    before, that stays in use.
    """

    value: T
    problems: tuple[tuple[int, str], ...]
    is_hollow: bool = False


class WatchedFile(Generic[T]):
    """The file at *path* as `parse(text)` reads it. *parse* raises Broken, runs in *threads*, and touches nothing shared.

    It may return `Partly` instead: the problems are told, and the rest is in use.

    The first reading happens at once, in the caller, because it belongs to the start; with *patient* it is done in a thread
    too, and whoever asks meanwhile waits for it: for files that may be large.
    """

    def __init__(
        self, path: Path, parse: Callable[[str], T | Partly[T]], threads: Any, *, patient: bool = False, most: int = MOST_OCTETS
    ) -> None:
        self.path = path
        self._most = most
        self._parse = parse
        self._threads = threads
        self._patient = patient
        self._turn = tasks.Limit(1)  # at the first reading, where it is patient
        self._stamp: Stamp | None = None
        self._value: T | None = None
        self._broken: Broken | None = None  # what was wrong with it at the last reading
        self._told: tuple[tuple[int, str], ...] = ()  # what the log has said of it
        self._reading = False

    @property
    def value(self) -> T:
        """What the file last said when it was in order. Unavailable where it never was."""
        if self._value is None:
            raise Unavailable(f"{self.path} has not been read")
        return self._value

    @property
    def is_read(self) -> bool:
        """Whether there is a `value`."""
        return self._value is not None

    def problems(self, most: int | None = None) -> tuple[tuple[int, str], ...]:
        """What is wrong with the file now: (line, text), line 0 where it cannot be read at all. Blocking; changes nothing.

        A file of more than *most* octets is only opened.
        """
        try:
            with self._opened() as file:
                if most is not None and os.fstat(file.fileno()).st_size > most:
                    return ()
        except OSError as error:
            return _problems(error)
        loaded = self._load()
        return () if not isinstance(loaded, OSError | ValueError | Partly) else _problems(loaded)

    async def examined(self) -> tuple[tuple[int, str], ...]:
        """`problems`, found in a thread."""
        return await self._threads.run(self.problems)  # type: ignore[no-any-return]

    async def freshen(self) -> None:
        """Read the file again if it is another than the one that was read. Unavailable where nothing was ever read."""
        stamp = stamp_of(self.path)
        if self._reading or (stamp == self._stamp and self._value is not None):
            return
        if self._value is None:
            if self._broken is not None and stamp == self._stamp:  # it would be no better
                raise Unavailable(f"{self.path}: {self._broken}")
            await self._read_first(stamp)
            return
        self._reading = True
        try:
            self._settle(stamp, await self._threads.run(self._load))
        finally:
            self._reading = False

    async def _read_first(self, stamp: Stamp | None) -> None:
        if not self._patient:
            self._settle(stamp, self._load())
            return
        async with self._turn:
            if self._value is None:
                self._settle(stamp, await self._threads.run(self._load))

    def _load(self) -> T | Partly[T] | OSError | ValueError:
        try:
            with self._opened() as file:
                octets = file.read(self._most + 1)
            if len(octets) > self._most:
                return Broken([(1, f"the file is larger than {self._most // 1024 // 1024} MiB")])
            return self._parse(octets.decode())
        except UnicodeDecodeError as error:
            return Broken([(octets.count(b"\n", 0, error.start) + 1, "this is not UTF-8")])
        except (OSError, ValueError) as error:
            return error

    def _opened(self) -> BinaryIO:
        """The file; OSError where it is no file: nobody waits for what comes out of a pipe, or reads a device to its end."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "this is no regular file", str(self.path))
        return open(descriptor, "rb")

    def _settle(self, stamp: Stamp | None, loaded: T | Partly[T] | OSError | ValueError) -> None:
        news = stamp != self._stamp
        self._stamp = stamp
        if isinstance(loaded, Partly) and loaded.is_hollow and self._value:
            loaded = Broken([*loaded.problems[: MOST_PROBLEMS - 1], (0, "there is nothing in it any more")])
        self._broken = loaded if isinstance(loaded, Broken) else None
        if isinstance(loaded, Partly):
            self._value = loaded.value
            self._tell(loaded.problems, " (the other lines are in use)")
            return
        if not isinstance(loaded, OSError | ValueError):
            self._value = loaded
            self._told = ()
            return
        if news or self._told != _problems(loaded):
            self._told = _problems(loaded)
            self._tell(_problems(loaded), "" if self._value is None else " (what was read before stays in use)")
        if self._value is None:
            raise Unavailable(f"{self.path}: {loaded}") from loaded

    def _tell(self, problems: Sequence[tuple[int, str]], rest: str) -> None:
        for line, text in problems[:MOST_PROBLEMS]:
            log.error("{path}{line}: {text}{rest}", path=str(self.path), line=f":{line}" if line else "", text=text, rest=rest)


def _problems(trouble: OSError | ValueError | Partly[Any]) -> tuple[tuple[int, str], ...]:
    if isinstance(trouble, Broken | Partly):
        return trouble.problems
    return ((0, getattr(trouble, "strerror", None) or str(trouble)),)


class WatchedFiles:
    """Watched files that outlive a reload: one that is broken by then still has what it said before. For *patient* readers."""

    def __init__(self, threads: Any) -> None:
        self._threads = threads
        self._files: dict[tuple[Path, Callable[[str], Any]], WatchedFile[Any]] = {}

    def file(self, path: Path, parse: Callable[[str], T | Partly[T]], most: int = MOST_OCTETS) -> WatchedFile[T]:
        """The one WatchedFile of *path* that *parse* (a function of a module) reads, up to *most* octets."""
        return self._files.setdefault((path, parse), WatchedFile(path, parse, self._threads, patient=True, most=most))


def keyed(
    text: str, read: Callable[[int, str], tuple[K, L]], most: int, twice: Callable[[K, L], str], called: str = "addresses"
) -> dict[K, L]:
    """The rows of a table (`maplines.logical`) by their left sides. Broken, with all that is wrong with it.

    *read*(number, row) tells the left side and the line, or ValueError; *twice*(left side, the line that has it already) what is
    said of the second one. *most*: as many rows as there may be; *called*: what they are.
    """
    found: dict[K, L] = {}
    mistakes: list[tuple[int, str]] = []
    for number, row in logical(text):
        try:
            key, line = read(number, row)
            if (earlier := found.setdefault(key, line)) is not line:
                raise ValueError(twice(key, earlier))
        except ValueError as mistake:
            mistakes.append((number, str(mistake).replace("\n", "; ")))
        if len(found) > most:
            mistakes.append((number, f"there are more than {most} {called}"))
        if len(mistakes) >= MOST_PROBLEMS or len(found) > most:
            break
    if mistakes:
        raise Broken(mistakes)
    return found


def lines_of(text: str) -> Iterator[str]:
    """The lines of *text*, one after the other: a list of millions of short ones would take fifty times what the file has."""
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]
