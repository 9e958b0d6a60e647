"""A stored message in which other header blocks stand, as `surrogate.replacements` has them: read from anywhere, and never as a whole."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from twistmail.mail.content import CHUNK, Stored
from twistmail.mail.surrogate import Replacement


class Replaced:
    """*original* with *changes*, which ascend and do not touch each other. See `content.Stored`."""

    __slots__ = ("_begins", "_original", "_segments", "size")

    def __init__(self, original: Stored, changes: Sequence[Replacement]) -> None:
        self._original = original
        self._segments: list[tuple[int, int, bytes | None]] = []  # (where in the original, octets, what stands there instead)
        at = 0
        for start, end, header in changes:
            self._segments += (at, start - at, None), (start, len(header), header)
            at = end
        self._segments.append((at, original.size - at, None))
        self._begins: list[int] = []  # of the segments
        self.size = 0
        for _, length, _ in self._segments:
            self._begins.append(self.size)
            self.size += length

    def span(self, start: int, length: int) -> bytes:
        end, pieces = min(start + length, self.size), []
        number = bisect_right(self._begins, start) - 1
        while start < end:
            place, octets, header = self._segments[number]
            offset = start - self._begins[number]
            wanted = min(end - start, octets - offset)
            if wanted > 0:
                pieces.append(self._original.span(place + offset, wanted) if header is None else header[offset : offset + wanted])
                start += wanted
            number += 1
        return b"".join(pieces)

    def chunks(self) -> Iterator[bytes]:
        for at in range(0, self.size, CHUNK):
            yield self.span(at, CHUNK)

    def beginning(self, limit: int) -> bytes:
        return self.span(0, limit)
