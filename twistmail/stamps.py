"""Whether files are what they were when they were read last: by their times, as far as these can be believed.

A file system stamps changes in steps. What is changed twice within a step shows the same time twice, so a time is believed when it was
past already when the look began; until then the files are read again. For the mailboxes' directories (`store.maildir`), the database of
accounts and files that people edit (`watched`). Blocking, but for the moment of a `stat` for each file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from twistmail.mail.values import frozen

T = TypeVar("T")

#: File systems stamp times in steps of up to 10 ms; a change within a step of another one may show no new time.
TIME_STEP_NS = 20_000_000


def is_past(changed: int, looked: int) -> bool:
    """Whether a look at *looked* has seen the last change that a time *changed* of a file or directory stands for. Nanoseconds."""
    return changed + TIME_STEP_NS < looked


@frozen
class Stamp:
    """What tells that a file is another one, or has other contents: its number, its size, and when it was written, in nanoseconds.

    Not the time of its inode (ctime): SQLite, as root, gives its log to the owner of the database each time that somebody opens it.
    """

    number: int
    size: int
    written: int


def stamp_of(path: Path) -> Stamp | None:
    """None where there is none, or none for us."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return Stamp(status.st_ino, status.st_size, status.st_mtime_ns)


class Remembered(Generic[T]):
    """What *read*() made of the *files* when it was asked last, `first` before. Several threads may ask. *now*: as the file system stamps
    files, nanoseconds.
    """

    def __init__(self, files: Sequence[Path], read: Callable[[], T], first: T, now: Callable[[], int] = time.time_ns) -> None:
        self._files = files
        self._read = read
        self._now = now
        self._kept: tuple[tuple[Stamp | None, ...] | None, T] = None, first  # one value: whoever reads beside us brings his own stamps

    @property
    def value(self) -> T:
        return self._kept[1]

    def is_current(self) -> bool:
        """Whether reading would bring the same again. A stat for each file and no more."""
        return self._kept[0] == self._stamps()

    def read(self) -> T:
        """Read it now. What *read* raises leaves what there was, which is not current any more."""
        looked, stamps = self._now(), self._stamps()
        try:
            value = self._read()
        except BaseException:
            self._kept = None, self.value
            raise
        is_sure = all(is_past(stamp.written, looked) for stamp in stamps if stamp)
        self._kept = stamps if is_sure else None, value
        return value

    def _stamps(self) -> tuple[Stamp | None, ...]:
        return tuple(map(stamp_of, self._files))
