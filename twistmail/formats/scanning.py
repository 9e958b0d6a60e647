"""Where the messages of an mbox or MMDF file lie. Looks for the lines between them in blocks; keeps nothing but one block.

`read_at(length, offset)` is os.pread of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twistmail.formats import postmark
from twistmail.mail.values import frozen

ReadAt = Callable[[int, int], bytes]

FROM = b"From "
#: The line before and after every message of an MMDF file.
SEPARATOR = b"\x01\x01\x01\x01\n"
BLOCK = 1024 * 1024


@frozen
class Extent:
    """The octets [start:end] of a file are a message; `postmark` is its From line (empty: none), `line` where it begins."""

    line: int
    postmark: bytes
    start: int
    end: int


def mbox(read_at: ReadAt, size: int) -> Iterator[Extent]:
    """The messages of an mbox. What comes before the first one is an Extent without postmark, unless it is blank."""
    last: tuple[int, int, bytes] | None = None
    for offset, number, line in _postmarks(read_at, size):
        if last is None and not _is_blank(read_at, 0, offset):
            yield Extent(1, b"", 0, offset)
        if last is not None:
            yield _after(read_at, *last, offset)
        last = offset, number, line
    if last is not None:
        yield _after(read_at, *last, size)
    elif not _is_blank(read_at, 0, size):
        yield Extent(1, b"", 0, size)


def _after(read_at: ReadAt, offset: int, number: int, line: bytes, end: int) -> Extent:
    start = offset + len(line)
    return Extent(number, line, start, _without_empty_line(read_at, start, end))


def mmdf(read_at: ReadAt, size: int) -> Iterator[Extent]:
    """The messages of an MMDF file: whatever is not blank between two separators. Before the first one: without postmark, line 1."""
    start, number = 0, 1
    for offset, at in (*_line_starts(read_at, size, SEPARATOR), (size, 0)):
        if not _is_blank(read_at, start, offset):
            line = _line(read_at, start) if start and read_at(len(FROM), start) == FROM else b""
            yield Extent(number, line, start + len(line), _without_empty_line(read_at, start + len(line), offset))
        start, number = offset + len(SEPARATOR), at + 1


def _postmarks(read_at: ReadAt, size: int) -> Iterator[tuple[int, int, bytes]]:
    """(offset, number, line) of each line that begins a message."""
    for offset, number in _line_starts(read_at, size, FROM):
        line = _line(read_at, offset)
        if line and (postmark.is_certain(line) or (postmark.is_likely(line) and _follows_empty_line(read_at, offset))):
            yield offset, number, line


def _line_starts(read_at: ReadAt, size: int, marker: bytes) -> Iterator[tuple[int, int]]:
    """(offset, line number) of each line that begins with *marker*."""
    before, number = b"\n", 1
    for base in range(0, size, BLOCK):
        window = before + read_at(BLOCK + len(marker) - 1, base)  # window[n] is octet base + n - 1
        counted, found = 1, window.find(b"\n" + marker)
        while 0 <= found < BLOCK:
            number += window.count(b"\n", counted, found + 1)
            counted = found + 1
            yield base + found, number
            found = window.find(b"\n" + marker, found + 1)
        number += window.count(b"\n", counted, BLOCK + 1)
        before = window[BLOCK : BLOCK + 1]


def _line(read_at: ReadAt, offset: int) -> bytes:
    """The line that begins at *offset*, with its end; empty where it has none within reason."""
    octets = read_at(postmark.LONGEST, offset)
    return octets[: octets.find(b"\n") + 1]


def _follows_empty_line(read_at: ReadAt, offset: int) -> bool:
    before = read_at(min(3, offset), max(0, offset - 3))
    return before in (b"", b"\n", b"\r\n") or before.endswith((b"\n\n", b"\n\r\n"))


def _without_empty_line(read_at: ReadAt, start: int, end: int) -> int:
    """Where a message ends that reaches to *end*: the empty line before *end* is not part of it."""
    last = read_at(min(3, end - start), max(start, end - 3))
    if last.endswith(b"\n\r\n") or last == b"\r\n":
        return end - 2
    return end - 1 if last.endswith(b"\n\n") or last == b"\n" else end


def _is_blank(read_at: ReadAt, start: int, end: int) -> bool:
    """Whether nothing but line ends and blanks lies there; much of them is something."""
    return end - start <= BLOCK and not read_at(max(0, end - start), start).strip()
