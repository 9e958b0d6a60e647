"""Reading message files: `StoredContent` is what `IMailbox.read` hands out. Blocking; finds a file that was renamed meanwhile."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from twistmail.mail import lines
from twistmail.mail.content import CHUNK
from twistmail.mail.paged import BIG, Paged
from twistmail.store import names
from twistmail.store.maildir import Maildir


class Whereabouts:
    """Where the file of one message may lie: the *paths* that are likely, then the directories are searched."""

    __slots__ = ("maildir", "paths")

    def __init__(self, maildir: Maildir, *paths: bytes) -> None:
        self.maildir = maildir
        self.paths = paths

    def open(self) -> int:
        """A descriptor. Raises FileNotFoundError where the message has gone."""
        for path in self.paths:
            try:
                return self.maildir.open_file(path)
            except FileNotFoundError:
                continue
        found = self.maildir.find(names.base_of(self.paths[0]))
        if found is None:
            raise FileNotFoundError("the message has gone")
        return self.maildir.open_file(found)


#: How far apart the places of a big message are that are remembered while it is read in pieces.
STEP = 128 * 1024


class StoredContent:
    """A message in a maildir, with CRLF line ends. See `mail.content.Stored`."""

    __slots__ = ("_marks", "_where", "size")

    def __init__(self, where: Whereabouts, size: int) -> None:
        self._where = where
        self.size = size
        self._marks = [(0, 0)]  # (offset with CRLF, offset in the file), ascending

    def at(self, where: Whereabouts) -> StoredContent:
        """The same content, whose file may have another name now."""
        self._where = where
        return self

    def chunks(self) -> Iterator[bytes]:
        """Exactly `size` octets, even where the file has another size than its name says: whoever reads has announced `size`."""
        left = self.size
        with os.fdopen(self._where.open(), "rb", buffering=0) as file:
            for chunk in lines.stream_to_crlf(_pieces(file.fileno())):
                if left <= 0:
                    return
                yield chunk[:left]
                left -= len(chunk)
        while left > 0:
            yield b" " * min(left, CHUNK)
            left -= CHUNK

    def span(self, start: int, length: int) -> bytes:
        """What lies before is passed over from the nearest place that is remembered. As with `chunks`, *size* is kept."""
        end = min(start + length, self.size)
        pieces: list[bytes] = []
        descriptor = self._where.open()
        try:
            at, offset = self._marks[bisect_right(self._marks, (start, self.size)) - 1]
            os.lseek(descriptor, offset, os.SEEK_SET)
            for raw in _pieces(descriptor):
                while raw.endswith(b"\r") and (more := os.read(descriptor, 1)):
                    raw += more
                if at >= end:
                    break
                if at >= self._marks[-1][0] + STEP:
                    self._marks.append((at, offset))
                piece = lines.to_crlf(raw)
                pieces.append(piece[max(start - at, 0) : max(end - at, 0)])
                at += len(piece)
                offset += len(raw)
        finally:
            os.close(descriptor)
        return b"".join(pieces).ljust(end - start, b" ")

    def beginning(self, limit: int) -> bytes:
        start = b""
        for chunk in self.chunks():
            start += chunk
            if len(start) >= limit:
                break
        return start[:limit]

    def whole(self) -> bytes:
        """All of it at once, for small messages. FileNotFoundError where it has gone."""
        descriptor = self._where.open()
        try:
            if self.size < CHUNK * 4:  # in one go, where nobody has made it longer
                whole = os.read(descriptor, self.size + 1)
                if len(whole) <= self.size:
                    return lines.to_crlf(whole)
                os.lseek(descriptor, 0, os.SEEK_SET)
            return b"".join(lines.stream_to_crlf(_pieces(descriptor)))  # the octets of a big one are joined beside other threads
        finally:
            os.close(descriptor)

    def looked_at(self) -> Any:
        """What is taken apart or looked through: `whole`, or a Paged that answers as it would. FileNotFoundError where it has gone."""
        return self.whole() if self.size <= BIG else Paged(self)


def load_all(messages: Sequence[tuple[int, StoredContent]]) -> list[tuple[int, bytes]]:
    """Whole messages by UID; those that have gone are left out."""
    loaded = []
    for uid, content in messages:
        with suppress(FileNotFoundError):
            loaded.append((uid, content.whole()))
    return loaded


def _pieces(descriptor: int) -> Iterator[bytes]:
    """Half a chunk at a time: CRLF may double the octets, and a chunk has at most 64 KiB."""
    while piece := os.read(descriptor, CHUNK // 2):
        yield piece
