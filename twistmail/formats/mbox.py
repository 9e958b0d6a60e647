"""mbox and MMDF: all messages in one file (RFC 4155; `mboxrd` quoting).

An mbox has a From line before each message and an empty line after it; an MMDF
file has lines of four Ctrl-A around it, and our From line too, for the date.
Flags are fields of the header (`status`). What is written is read back to the
octet, but that a message gets a line end where it has none at its end. Memory
is bounded whatever the file holds. Both locks (`locks`) are held meanwhile.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from twistmail.formats import postmark, scanning, status
from twistmail.formats.contract import Format, Found, NotThisFormat, Skipped, Writer
from twistmail.formats.locks import TIMEOUT, Held, locked
from twistmail.formats.quoting import Quoting
from twistmail.formats.scanning import Extent, ReadAt
from twistmail.formats.streamed import SMALL, Streamed, write_all
from twistmail.mail import headers, lines
from twistmail.mail.content import CHUNK, Content, Memory
from twistmail.mail.mailbox import NewMessage
from twistmail.mail.values import frozen

SUFFIX = ".mbox"

_HEADER_END = re.compile(rb"(?:\A|\n)\r?\n")
_TOUCH_EVERY = 500
_BEGINNING = 64 * 1024
_DEEPEST = 16


@frozen
class Kind:
    """How one such file is spelled."""

    name: str
    extents: Callable[[ReadAt, int], Iterator[Extent]]
    quoting: Quoting
    marker: bytes
    before: bytes
    after: bytes


MBOX = Kind("mbox", scanning.mbox, Quoting(scanning.FROM), scanning.FROM, b"", b"\n")
#: As written by those who quote "From " only, and not ">From ".
MBOXO = Kind("mboxo", scanning.mbox, Quoting(scanning.FROM, only_one=True), scanning.FROM, b"", b"\n")
MMDF = Kind("mmdf", scanning.mmdf, Quoting(scanning.SEPARATOR), scanning.SEPARATOR, scanning.SEPARATOR, b"\n" + scanning.SEPARATOR)


# ----- reading


@contextmanager
def reading(kind: Kind, path: Path, *, local_time: bool = False, timeout: float = TIMEOUT) -> Iterator[Iterator[Found | Skipped]]:
    """The messages of the file *path*. *local_time*: the times of From lines are ours, not UTC."""
    with locked(path, exclusive=False, timeout=timeout) as held:
        zoneless = time.mktime if local_time else None
        yield _messages(kind, held, zoneless)


def _messages(kind: Kind, held: Held, zoneless: Callable[..., float] | None) -> Iterator[Found | Skipped]:
    def read_at(length: int, offset: int) -> bytes:
        return os.pread(held.descriptor, length, offset)

    size = os.fstat(held.descriptor).st_size
    for count, extent in enumerate(kind.extents(read_at, size)):
        place = f"{held.path}:{extent.line}"
        if not extent.start:
            if extent.end == size:
                raise NotThisFormat(f"{held.path} does not begin as {kind.name} files do, and has no message")
            yield Skipped(place, "text before the first message")
        elif extent.start == extent.end:
            yield Skipped(place, "empty")
        elif message := _message(kind.quoting, read_at, extent, zoneless):
            yield Found(place, message)
        if count % _TOUCH_EVERY == _TOUCH_EVERY - 1:
            held.touch()


def _message(quoting: Quoting, read_at: ReadAt, extent: Extent, zoneless: Callable[..., float] | None) -> NewMessage | None:
    """None for what is no message but a server's notes."""
    beginning = read_at(min(SMALL, extent.end - extent.start), extent.start)
    is_whole = extent.start + len(beginning) == extent.end
    cut = _header_end(beginning) or (len(beginning) if is_whole else beginning.rfind(b"\n") + 1)
    header = b"".join(quoting.unquoted([lines.to_lf(beginning[:cut])]))
    if status.is_bookkeeping(header):
        return None
    header, flags = status.taken_off(header)
    header = lines.to_crlf(header)

    def rest() -> Iterator[bytes]:
        return lines.stream_to_crlf(quoting.unquoted(_pieces(read_at, extent.start + cut, extent.end)))

    content: Content = Memory(header + b"".join(rest())) if is_whole else Streamed(header, rest)
    return NewMessage(content, flags, _date(extent.postmark, header, zoneless))


def _header_end(octets: bytes) -> int:
    match = _HEADER_END.search(octets)
    return match.end() if match else 0


def _pieces(read_at: ReadAt, start: int, end: int) -> Iterator[bytes]:
    """Half chunks: CRLF may double the octets."""
    while start < end and (piece := read_at(min(CHUNK // 2, end - start), start)):
        start += len(piece)
        yield piece


def _date(line: bytes, header: bytes, zoneless: Callable[..., float] | None) -> float | None:
    """When it arrived: by the From line, else by the topmost Received field, else by its Date."""
    found = (postmark.time_of(line, zoneless) if zoneless else postmark.time_of(line)) if line else None
    if found is None and (received := headers.first(header, b"Received")):
        found = postmark.date_of(received.rpartition(b";")[2])
    if found is None and (date := headers.first(header, b"Date")):
        found = postmark.date_of(date)
    return found


# ----- writing


@contextmanager
def writing(kind: Kind, path: Path, *, timeout: float = TIMEOUT, now: Callable[[], float] = time.time) -> Iterator[Writer]:
    """Messages are added to the file *path*; it is made, and is durable when the block ends."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(path, create=True, timeout=timeout) as held:
        yield _Writer(kind, held, now)
        os.fsync(held.descriptor)


class _Writer:
    def __init__(self, kind: Kind, held: Held, now: Callable[[], float]) -> None:
        self._kind, self._held, self._now = kind, held, now
        self._count = 0

    def add(self, message: NewMessage) -> None:
        append(self._kind, self._held.descriptor, message, self._now())
        self._count += 1
        if self._count % _TOUCH_EVERY == 0:
            self._held.touch()


def append(kind: Kind, descriptor: int, message: NewMessage, now: float) -> None:
    """Add *message* to the end of an mbox that is locked and open for reading and writing. OSError leaves it as it was."""
    end = os.lseek(descriptor, 0, os.SEEK_END)
    try:
        write_all(descriptor, _missing_end(descriptor, end) + kind.before + _opening(message, now))
        for chunk in kind.quoting.quoted(_ended(lines.stream_to_lf(message.content.chunks()))):
            write_all(descriptor, chunk)
        write_all(descriptor, kind.after)
    except BaseException:
        os.ftruncate(descriptor, end)
        raise


def _opening(message: NewMessage, now: float) -> bytes:
    date = now if message.internaldate is None else message.internaldate
    return postmark.line(_sender(message.content), date) + status.fields(message.flags)


def _sender(content: Content) -> bytes:
    header, _ = headers.split(lines.to_crlf(content.beginning(_BEGINNING)))  # what a helper has open may have LF line ends
    return (headers.first(header, b"Return-Path") or b"").strip(b"<> \t")


def _ended(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """*chunks* (LF), and a line end where they have none at the end."""
    last = b"\n"
    for chunk in chunks:
        last = chunk[-1:] or last
        yield chunk
    if last != b"\n":
        yield b"\n"


def _missing_end(descriptor: int, end: int) -> bytes:
    """What an mbox lacks that somebody has not ended with an empty line."""
    last = os.pread(descriptor, 3, max(0, end - 3))
    if not last or last.endswith((b"\n\n", b"\n\r\n", b"\x01\n")):
        return b""
    return b"\n" if last.endswith(b"\n") else b"\n\n"


# ----- trees of such files


def folders(kind: Kind, path: Path) -> list[tuple[str, Path]]:
    """A file is one mailbox; in a directory every file of this kind is one: `A/B`, `A/B.mbox` and Thunderbird's `A.sbd/B` are A/B."""
    if not path.is_dir():
        return [("INBOX", path)] if _is_one(kind, path) else []
    found = []
    for directory, below, files in os.walk(path):
        here = Path(directory)
        levels = [level.removesuffix(".sbd") for level in here.relative_to(path).parts]
        below[:] = [] if len(levels) >= _DEEPEST else sorted(name for name in below if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and not (here / name).is_symlink() and _is_one(kind, here / name):
                found.append(("/".join([*levels, name.removesuffix(SUFFIX)]), here / name))
    return found


def _is_one(kind: Kind, path: Path) -> bool:
    if not path.is_file():
        return False
    if path.stat().st_size == 0:
        return path.suffix in (SUFFIX, "")
    with path.open("rb") as file:
        return file.read(_BEGINNING).lstrip(b"\r\n").startswith(kind.marker)


def path_of(root: Path, folder: str) -> Path:
    return root.joinpath(*(visible(level) for level in (folder + SUFFIX).split("/")))


def visible(level: str) -> str:
    """A level of a folder's name as a file name that is not hidden."""
    return "_" + level[1:] if level.startswith(".") else level


def format_of(kind: Kind, *, local_time: bool = False) -> Format:
    def read(path: Path) -> AbstractContextManager[Iterator[Found | Skipped]]:
        return reading(kind, path, local_time=local_time)

    return Format(kind.name, lambda path: folders(kind, path), read, lambda path: writing(kind, path), path_of)
