"""A message in an mbox as its owner sees it: without the fields that only say how it lies in the mailbox. Blocking where it reads.

Status, X-Status and X-Keywords are flags; X-UID, X-IMAP and X-IMAPbase are other
servers' notes; mutt adds Content-Length and Lines whenever it rewrites a file.
X-Twistmail-Added is ours: so many octets at the end are not the message's, which
had no line end. None of them is served, and none is taken over from new mail: who sends mail must
not set its flags, and a message has the same octets, the same size and the same
EMAILID before and after a rewrite by any program. The same holds for its key,
by which it is known again: a digest of its From line, its header and its size.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from twistmail.formats import postmark, scanning, status
from twistmail.formats.mbox import MBOX
from twistmail.formats.scanning import ReadAt
from twistmail.mail import lines
from twistmail.mail.content import CHUNK, Content, Memory, Stored
from twistmail.mail.mailbox import StoreError
from twistmail.mail.values import frozen

#: The header of a message ends within so many octets.
LARGEST_HEADER = 1024 * 1024
#: Messages up to this size are served from memory, larger ones from a copy without a name.
SMALL = 256 * 1024
#: As are those that would make it more than so many octets together.
MOST_IN_MEMORY = 4 * 1024 * 1024

_FIRST_READ = 16 * 1024
_IN_KEY = 4096
_HEADER_END = re.compile(rb"(?:\A|\n)\r?\n")
#: A line that begins with a blank is never taken for the continuation of Status, which stands before all that we write.
_BOOKKEEPING = re.compile(
    rb"^(?:(?:X-)?Status:[^\n]*"
    rb"|(?:X-Keywords|X-UID|X-IMAP|X-IMAPbase|X-Twistmail-Added|Content-Length|Lines):[^\n]*(?:\n[ \t][^\n]*)*)(?:\n|\Z)",
    re.IGNORECASE | re.MULTILINE,
)
_ADDED = re.compile(rb"^X-Twistmail-Added: ([123])$", re.MULTILINE)


class NotAnMbox(StoreError):
    """What lies where a mailbox should be is something else. It is left as it is."""

    def __init__(self, path: Path, stamp: tuple[int, ...] = ()) -> None:
        super().__init__("This mailbox lies in a file that is no mbox; please tell the administrator", "CORRUPTION")
        self.path = path
        self.stamp = stamp


class Seen(NamedTuple):
    """A message that a scan has found. Offsets in the file: of its From line, its first octet, its end, and where the next one may begin.

    `size` in octets with CRLF line ends, `date` in POSIX seconds (0.0: not told), `flags` as words with blanks between.
    """

    offset: int
    start: int
    end: int
    stop: int
    size: int
    date: float
    key: int
    flags: str


def scan(read_at: ReadAt, size: int, path: Path, base: int = 0) -> Iterator[Seen]:
    """All messages in the octets [base:size] of an mbox, in order; NotAnMbox where it begins as none and holds none."""

    def behind_base(length: int, offset: int) -> bytes:
        return read_at(length, base + offset)

    waiting: Seen | None = None
    for extent in scanning.mbox(behind_base, size - base):
        if not extent.postmark:
            if base or extent.end == size:
                raise NotAnMbox(path)
            continue  # somebody's text before the first message: it stays where it is
        offset = base + extent.start - len(extent.postmark)
        if waiting:
            yield waiting._replace(stop=offset)
        waiting = _seen(read_at, offset, extent.postmark, base + extent.end)
    if waiting:
        yield waiting._replace(stop=size)


def _seen(read_at: ReadAt, offset: int, line: bytes, end: int) -> Seen | None:
    """None for what is no message but a server's notes."""
    start = offset + len(line)
    head = head_of(read_at, start, end)
    if head.is_notes:
        return None
    size = len(lines.to_crlf(head.header)) + lines.size_with_crlf(MBOX.quoting.unquoted(_pieces(read_at, head.end, end)))
    size = max(0, size - head.added)
    digest = hashlib.blake2b(b"%b\n%b\n%d" % (line.rstrip(b"\r\n"), head.header[:_IN_KEY], size), digest_size=8)
    key = int.from_bytes(digest.digest(), "little", signed=True)
    return Seen(offset, start, end, end, size, postmark.time_of(line) or 0.0, key, " ".join(head.flags))


# ----- headers


@frozen
class Head:
    """The header of a message, LF line ends, without bookkeeping; what that said; and the offset of its `end` in the file."""

    header: bytes
    flags: tuple[str, ...]
    added: int  # octets at the end of the message
    end: int
    is_notes: bool


def head_of(read_at: ReadAt, start: int, end: int) -> Head:
    beginning = read_at(min(_FIRST_READ, end - start), start)
    match = _HEADER_END.search(beginning)
    if match is None and start + len(beginning) < end:
        beginning = read_at(min(LARGEST_HEADER, end - start), start)
        match = _HEADER_END.search(beginning)
    if match:
        cut = match.end()
    else:
        cut = len(beginning) if start + len(beginning) == end else beginning.rfind(b"\n") + 1
    header = b"".join(MBOX.quoting.unquoted([lines.to_lf(beginning[:cut])]))
    added = _ADDED.search(header)
    return Head(cleaned(header), status.taken_off(header)[1], int(added[1]) if added else 0, start + cut, status.is_bookkeeping(header))


def cleaned(header: bytes) -> bytes:
    """*header* (LF line ends) without what is about the mailbox; doing it again changes nothing."""
    return _BOOKKEEPING.sub(b"", header)


def with_flags(read_at: ReadAt, start: int, end: int, flags: Sequence[str]) -> tuple[int, bytes]:
    """Where the header of a message in the file ends, and the header, quoted, that tells *flags* instead."""
    head = head_of(read_at, start, end)
    return head.end, status.fields(flags) + _note(head.added) + b"".join(MBOX.quoting.quoted([head.header]))


def _note(added: int) -> bytes:
    return b"X-Twistmail-Added: %d\n" % added if added else b""


# ----- contents


@frozen
class Deposit:
    """New mail on its way into a file: *prefix* before *content*, without bookkeeping of its sender's."""

    prefix: bytes
    content: Content

    @property
    def size(self) -> int:
        return len(self.prefix) + self.content.size

    def chunks(self) -> Iterator[bytes]:
        ending = self._missing_end()
        yield _note(len(ending))
        chunks = self.content.chunks()
        beginning, end = self.prefix, None
        for chunk in chunks:
            beginning += chunk
            end = _HEADER_END.search(beginning)
            if end or len(beginning) >= LARGEST_HEADER:
                break
        cut = end.end() if end else len(beginning)
        yield cleaned(lines.to_lf(beginning[:cut])) + beginning[cut:]
        yield from chunks
        yield ending

    def _missing_end(self) -> bytes:
        """A line end where there is none; a CR without LF stays what it is."""
        last = self.prefix[-2:]
        for chunk in self.content.chunks():
            last = (last + chunk)[-2:]
        if last.endswith(b"\n"):
            return b""
        return b" \r\n" if last.endswith(b"\r") else b"\r\n"

    def beginning(self, limit: int) -> bytes:
        return (self.prefix + self.content.beginning(limit))[:limit]


class Copy:
    """A message as it was when it was read, in a file without a name. See `mail.content.Stored`."""

    __slots__ = ("_file", "_start", "size")

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        self._file, self._start, self.size = file, start, size

    def chunks(self) -> Iterator[bytes]:
        for at in range(0, self.size, CHUNK):
            yield self.span(at, CHUNK)

    def beginning(self, limit: int) -> bytes:
        return self.span(0, limit)

    def span(self, start: int, length: int) -> bytes:
        """At most *length* octets from *start* on."""
        return os.pread(self._file.fileno(), max(0, min(length, self.size - start)), self._start + start)


def whole(read_at: ReadAt, start: int, end: int) -> bytes:
    """The octets of a message, CRLF line ends."""
    return b"".join(_served(read_at, start, end))


def contents(read_at: ReadAt, places: Iterable[tuple[int, int, int]], folder: Path) -> Iterator[Stored]:
    """The messages at *places* (start, end, size); they stay what they are, whatever happens to the file. *folder*: room for copies."""
    file: IO[bytes] | None = None
    together = 0
    for start, end, size in places:
        together += size
        if size <= SMALL and together <= MOST_IN_MEMORY:
            yield Memory(whole(read_at, start, end))
            continue
        file = file or tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 (it closes with the last content)
        at = file.seek(0, os.SEEK_END)
        for chunk in _served(read_at, start, end):
            _write(file, chunk)
        yield Copy(file, at, file.tell() - at)


def _write(file: IO[bytes], octets: bytes) -> None:
    while octets:
        octets = octets[file.write(octets) :]


def _served(read_at: ReadAt, start: int, end: int) -> Iterator[bytes]:
    head = head_of(read_at, start, end)

    def octets() -> Iterator[bytes]:
        yield lines.to_crlf(head.header)
        yield from lines.stream_to_crlf(MBOX.quoting.unquoted(_pieces(read_at, head.end, end)))

    return _without_last(octets(), head.added) if head.added else octets()


def _without_last(chunks: Iterable[bytes], count: int) -> Iterator[bytes]:
    kept = b""
    for chunk in chunks:
        kept += chunk
        yield kept[:-count]
        kept = kept[-count:]


def _pieces(read_at: ReadAt, start: int, end: int) -> Iterator[bytes]:
    """Half chunks: CRLF may double the octets."""
    while start < end and (piece := read_at(min(CHUNK // 2, end - start), start)):
        start += len(piece)
        yield piece
