"""Content of messages in other programs' files: small ones are read into memory, big ones are read piece by piece whenever asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from twistmail.mail import lines
from twistmail.mail.content import CHUNK, Content, Memory

#: Up to so many octets a message is kept in memory; of a bigger one a header of at most so many is looked at.
SMALL = 1024 * 1024


class Streamed:
    """A message of which only the beginning is in memory. See `mail.content.Content`. *rest* gives chunks with CRLF line ends."""

    __slots__ = ("_rest", "_start", "size")

    def __init__(self, start: bytes, rest: Callable[[], Iterator[bytes]]) -> None:
        self._start = start
        self._rest = rest
        self.size = len(start) + sum(map(len, rest()))

    def chunks(self) -> Iterator[bytes]:
        if self._start:
            yield self._start
        yield from self._rest()

    def beginning(self, limit: int) -> bytes:
        start = b""
        for chunk in self.chunks():
            start += chunk
            if len(start) >= limit:
                break
        return start[:limit]


def content_of(path: Path) -> tuple[Content, os.stat_result]:
    """The message that is the file *path*, and what the system says of that file. No symbolic link is followed. OSError.

    A big one stays open as long as its content is kept, so it can be read by whoever may not open it.
    """
    file = os.fdopen(_opened(path), "rb", buffering=0)
    status = os.fstat(file.fileno())
    if status.st_size > SMALL:
        return Streamed(b"", lambda: lines.stream_to_crlf(pieces(file))), status
    with file:
        return Memory(lines.to_crlf(file.read(SMALL) or b"")), status


def pieces(file: IO[bytes]) -> Iterator[bytes]:
    """Half chunks: CRLF may double the octets."""
    at = 0
    while piece := os.pread(file.fileno(), CHUNK // 2, at):
        at += len(piece)
        yield piece


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)


def write_lf(descriptor: int, content: Content) -> int:
    """Write *content* with LF line ends; the octets written."""
    return sum(write_all(descriptor, chunk) for chunk in lines.stream_to_lf(content.chunks()))


def write_all(descriptor: int, octets: bytes) -> int:
    written = os.write(descriptor, octets)
    while written < len(octets):
        written += os.write(descriptor, octets[written:])
    return written
