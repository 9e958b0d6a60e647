"""Content whose header block was rewritten by a policy stage; the body is read from where it lies."""

from __future__ import annotations

from collections.abc import Iterator

from twistmail.mail.content import Content


class Edited:
    """`header` (with its empty line, CRLF) instead of the first `replaced` octets of `original`. See `content.Content`."""

    __slots__ = ("_header", "_original", "_replaced")

    def __init__(self, header: bytes, original: Content, replaced: int) -> None:
        self._header = header
        self._original = original
        self._replaced = replaced

    @property
    def size(self) -> int:
        return self._original.size - self._replaced + len(self._header)

    def chunks(self) -> Iterator[bytes]:
        yield self._header
        skip = self._replaced
        for chunk in self._original.chunks():
            if skip >= len(chunk):
                skip -= len(chunk)
                continue
            yield chunk[skip:] if skip else chunk
            skip = 0

    def beginning(self, limit: int) -> bytes:
        if limit <= len(self._header):
            return self._header[:limit]
        body = self._original.beginning(self._replaced + limit - len(self._header))
        return self._header + body[self._replaced :]
