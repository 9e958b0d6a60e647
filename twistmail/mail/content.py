"""The bytes of a message between the wire and the disk: always with CRLF line ends.

`Content` is what couriers, stores and queues take, `Stored` is what mailboxes
give; `Memory` holds small messages. Content that lives in a file is `disk.FileContent`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

CHUNK = 64 * 1024


class Content(Protocol):
    """A message (header and body, CRLF line ends) that can be read more than once."""

    @property
    def size(self) -> int:
        """Octets, as RFC 1870 counts them."""

    def chunks(self) -> Iterator[bytes]:
        """The octets in order, in pieces of at most 64 KiB or the whole. Blocking where they lie in a file."""

    def beginning(self, limit: int) -> bytes:
        """The first *limit* octets (fewer where there are no more). Blocking where they lie in a file."""


class Stored(Content, Protocol):
    """A message in a mailbox, which can be read from anywhere."""

    def span(self, start: int, length: int) -> bytes:
        """The octets from *start* on: *length*, or as many as there are. Blocking where they lie in a file."""


class Memory:
    """Content that is small enough to be kept in memory."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    @property
    def size(self) -> int:
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        yield self.data

    def beginning(self, limit: int) -> bytes:
        return self.data[:limit]

    def span(self, start: int, length: int) -> bytes:
        return self.data[start : start + length]
