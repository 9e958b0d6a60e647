"""A big message looked at as if it were bytes, of which never more than a window is in memory.

What takes messages apart (`parts`, `structure`, `summary`, `texts`) only
searches, counts and slices. So a message of 100 MB is described, and looked
through, with a mebibyte of memory: it is given a Paged instead of bytes, which
reads the stored message from where the window must be.

Nearly all of that goes forward and looks back a little. A window that is left
is read anew where it is needed again, which happens so rarely that the work
stays linear.
"""

from __future__ import annotations

from typing import Any

from twistmail.mail.content import Stored

WINDOW = 1024 * 1024
#: A message of more octets is not taken into memory as a whole.
BIG = 4 * 1024 * 1024


def looked_at(content: Stored) -> Any:
    """What is taken apart or looked through: all octets of *content*, or a Paged that answers as they would. Blocking."""
    return b"".join(content.chunks()) if content.size <= BIG else Paged(content)


class Paged:
    """The octets of *content*: as much of what `bytes` can as is needed. Offsets are not negative. Blocking."""

    __slots__ = ("_content", "_size", "_start", "_window")

    def __init__(self, content: Stored) -> None:
        self._content = content
        self._size = content.size
        self._start = 0  # of the window
        self._window = b""

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, wanted: slice) -> bytes:
        start, stop, step = wanted.indices(self._size)
        if step != 1:
            raise ValueError("only whole slices can be had")
        if stop - start > WINDOW:
            return self._read(start, stop)
        window, offset = self._at(start, stop - start)
        return window[start - offset : max(stop, start) - offset]

    def startswith(self, what: bytes, start: int = 0) -> bool:
        return start <= self._size and self[start : start + len(what)] == what

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

    def rfind(self, what: bytes, start: int, end: int) -> int:
        """Where *what* begins last between *start* and *end*, which are near, or -1."""
        found = self[start:end].rfind(what)
        return start + found if found >= 0 else -1

    def count(self, what: bytes, start: int = 0, end: int | None = None) -> int:
        """How often the one octet *what* stands between *start* and *end*."""
        end = self._size if end is None else min(end, self._size)
        total = 0
        while start < end:
            window, offset = self._at(start, 1)
            total += window.count(what, start - offset, end - offset)
            start = offset + len(window)
        return total

    def _at(self, start: int, size: int) -> tuple[bytes, int]:
        """A window that has *size* octets from *start* on, as far as there are so many, and where it begins."""
        if not (self._start <= start and start + size <= self._start + len(self._window)):
            self._start, self._window = start, self._read(start, min(start + max(size, WINDOW), self._size))
        return self._window, self._start

    def _read(self, start: int, end: int) -> bytes:
        return self._content.span(start, end - start) if start < end else b""
