"""Lines that would end a message in a file of many: `>` is put before them, and taken away when they are read. Pure.

A line of any number of `>` and then the marker gets one more (mboxrd), so
undoing it gives the same octets again. Works on LF line ends, in chunks whose
borders may fall anywhere, in linear time and without keeping long lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

#: A run of more `>` than that is not kept whole: one more or less is the same wherever in the run it stands.
_KEPT = 64


class Quoting:
    """Quotes lines that begin with *marker*. *only_one*: undo one `>` only where there is just one (mboxo)."""

    def __init__(self, marker: bytes, *, only_one: bool = False) -> None:
        self._marker = marker
        self._quote = re.compile(rb"^(>*)(?=" + re.escape(marker) + rb")", re.MULTILINE)
        self._unquote = re.compile(rb"^>(" + (b"" if only_one else b">*") + re.escape(marker) + rb")", re.MULTILINE)

    def quoted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        return self._changed(chunks, self._quote, rb">\1")

    def unquoted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        return self._changed(chunks, self._unquote, rb"\1")

    def _changed(self, chunks: Iterable[bytes], pattern: re.Pattern[bytes], replacement: bytes) -> Iterator[bytes]:
        carry = b""
        at_line_start = True
        for chunk in chunks:
            rest = b""
            if not at_line_start:  # the end of a line that began earlier
                end = chunk.find(b"\n") + 1 or len(chunk)
                rest, chunk = chunk[:end], chunk[end:]
                at_line_start = rest.endswith(b"\n")
            chunk = carry + chunk
            decided = self._decided(chunk)
            carry = chunk[decided:]
            whole = chunk[:decided]
            if self._marker in whole:
                whole = pattern.sub(replacement, whole)
            if not carry and whole:
                at_line_start = whole.endswith(b"\n")
            if rest or whole:
                yield rest + whole
        if carry:
            yield carry

    def _decided(self, chunk: bytes) -> int:
        """How much of *chunk* can be judged: its last line waits while it may still become a marker."""
        start = chunk.rfind(b"\n") + 1
        beginning = chunk[start:].lstrip(b">")
        if start == len(chunk) or not self._marker.startswith(beginning) or beginning == self._marker:
            return len(chunk)
        return max(start, len(chunk) - len(self._marker) - _KEPT)
