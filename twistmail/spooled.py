"""A big message on disk that can be looked at as if it were bytes, a window of a mebibyte at a time.

What takes messages apart (`mail.parts`, `mail.structure`, `mail.summary`) only
searches, counts and slices. So a message of 100 MB is described with a mebibyte
of memory: its CRLF form is written to a file without a name, which is gone when
it is closed. Blocking; in threads.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WINDOW = 1024 * 1024
#: Messages that are larger are not taken into memory to be described.
BIG = 4 * 1024 * 1024


class OnDisk:
    """The octets of an open file: as much of what `bytes` can as is needed. Offsets are not negative."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._start = 0  # of the window
        self._window = b""

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, wanted: slice) -> bytes:
        start, stop, step = wanted.indices(self._size)
        if step != 1:
            raise ValueError("only whole slices can be had")
        if self._start <= start and stop <= self._start + len(self._window):
            return self._window[start - self._start : stop - self._start]
        return _read(self._descriptor, start, max(0, stop - start))

    def startswith(self, what: bytes, start: int = 0) -> bool:
        return self[start : start + len(what)] == what

    def find(self, what: bytes, start: int = 0, end: int | None = None) -> int:
        """Where *what* begins between *start* and *end*, or -1."""
        end = self._size if end is None else min(end, self._size)
        while start + len(what) <= end:
            window, offset = self._at(start, len(what))
            found = window.find(what, start - offset, end - offset)
            if found >= 0:
                return offset + found
            start = offset + len(window) - len(what) + 1
        return -1

    def count(self, what: bytes, start: int = 0, end: int | None = None) -> int:
        """How often the one octet *what* stands between *start* and *end*."""
        end = self._size if end is None else min(end, self._size)
        total = 0
        while start < end:
            window, offset = self._at(start, 1)
            total += window.count(what, start - offset, end - offset)
            start = offset + len(window)
        return total

    def windows(self) -> Iterator[bytes]:
        """All octets in order, in pieces."""
        for start in range(0, self._size, WINDOW):
            yield self[start : start + WINDOW]

    def _at(self, start: int, size: int) -> tuple[bytes, int]:
        """A window that has at least *size* octets from *start* on, and where it begins."""
        if not (self._start <= start and start + size <= self._start + len(self._window)):
            self._start, self._window = start, _read(self._descriptor, start, max(size, WINDOW))
        return self._window, self._start


def _read(descriptor: int, start: int, size: int) -> bytes:
    pieces = []
    while size > 0 and (piece := os.pread(descriptor, size, start)):
        pieces.append(piece)
        start, size = start + len(piece), size - len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


@contextmanager
def spooled(chunks: Iterable[bytes], folder: Path) -> Iterator[Any]:
    """*chunks* as OnDisk, in a file without a name in *folder*. OSError where there is no room."""
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                view = view[file.write(view) or 0 :]
        yield OnDisk(file.fileno())
