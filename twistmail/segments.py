"""Segments of a log: files of fixed size, full of zeros at first, that are written over from the beginning again and again.

Zeros are really written: what is only allocated has to be marked as written at
the next sync, which costs as much as a new file. So an append is a write into
blocks that are there, and its fdatasync writes these blocks and nothing else.

    header    magic, version, doubtful, generation, CRC-32; then zeros up to HEADER_SIZE
    record    CRC-32 of the rest, length of the body, generation, sequence, body

What follows the last record is left from earlier: a record counts only if it carries
the generation of the header, the next sequence number and the right checksum. The
first one that does not is the end. Integers are little-endian.

Blocking. What a body says, who may append, and when a segment begins again is the
business of its log (`store.redolog`, `queue.express`).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from zlib import crc32

from twistmail.mail.values import frozen

VERSION = 1
#: Records begin on a page of their own.
HEADER_SIZE = 4096
#: What stands around a body.
FRAME = 24

_ZEROS = bytes(64 * 1024)
_HEADER = struct.Struct("<16sHHQ")
_CHECK = struct.Struct("<I")
_FRAME = struct.Struct("<IQQ")  # behind the checksum


@frozen
class Header:
    """*doubtful*: a sync of what the records speak of has failed, so not even what can be read back is safe on disk."""

    generation: int
    doubtful: bool = False


def format_header(header: Header, magic: bytes) -> bytes:
    data = _HEADER.pack(magic, VERSION, header.doubtful, header.generation)
    return data + _CHECK.pack(crc32(data))


def parse_header(data: bytes, magic: bytes) -> Header | None:
    """None where *data* does not begin with a whole header of this kind and version."""
    if len(data) < _HEADER.size + _CHECK.size:
        return None
    its_magic, version, doubtful, generation = _HEADER.unpack_from(data)
    (check,) = _CHECK.unpack_from(data, _HEADER.size)
    if (its_magic, version) != (magic, VERSION) or check != crc32(data[: _HEADER.size]):
        return None
    return Header(generation, bool(doubtful))


def format_bodies(bodies: Iterable[bytes], generation: int, sequence: int) -> bytes:
    """Records with these *bodies* as they are written, the first of them with the number *sequence*."""
    pieces: list[bytes] = []
    for number, body in enumerate(bodies, sequence):
        frame = _FRAME.pack(len(body), generation, number)
        pieces += (_CHECK.pack(crc32(body, crc32(frame))), frame, body)
    return b"".join(pieces)


def parse_bodies(data: bytes, generation: int) -> Iterator[bytes]:
    """The records of *generation* at the beginning of *data* (a segment without its header), up to the first that is not whole."""
    place, sequence = 0, 0
    shortest = _CHECK.size + _FRAME.size
    while place + shortest <= len(data):
        (check,) = _CHECK.unpack_from(data, place)
        length, its_generation, number = _FRAME.unpack_from(data, place + _CHECK.size)
        end = place + shortest + length
        if (its_generation, number) != (generation, sequence) or end > len(data):
            return
        if crc32(memoryview(data)[place + _CHECK.size : end]) != check:
            return
        yield data[end - length : end]
        place, sequence = end, sequence + 1


def parse_segment(data: bytes, magic: bytes) -> tuple[Header, Iterator[bytes]] | None:
    """What *data*, a whole segment, says; None where it is none of this kind and version."""
    header = parse_header(data[:HEADER_SIZE], magic)
    return None if header is None else (header, parse_bodies(data[HEADER_SIZE:], header.generation))


class SegmentFile:
    """One segment. *magic*: sixteen octets that tell whose it is."""

    def __init__(self, path: Path, magic: bytes) -> None:
        self.path = path
        self.capacity = 0
        self.end = HEADER_SIZE
        self.header = Header(0)
        self._magic = magic
        self._descriptor = -1
        self._written = 0

    @property
    def is_empty(self) -> bool:
        return self.end == HEADER_SIZE

    def open(self) -> None:
        """Make the file if there is none. Raises OSError."""
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    @property
    def descriptor(self) -> int:
        return self._descriptor

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def prepare(self, size: int) -> None:
        """Fill the file with zeros up to *size* octets, durably. Raises OSError: no room."""
        there = os.fstat(self._descriptor).st_size
        while there < size:
            there += os.pwrite(self._descriptor, _ZEROS[: size - there], there)
        os.fsync(self._descriptor)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self.capacity = there

    def give_back(self) -> None:
        """Leave the room on the disk to others. Only where nothing is in it."""
        with suppress(OSError):
            os.ftruncate(self._descriptor, 0)

    def begin(self, generation: int) -> None:
        """Start again: what was in it does not count any more, durably. OSError: perhaps not."""
        self._write_header(Header(generation))
        os.fdatasync(self._descriptor)
        self.end, self._written = HEADER_SIZE, 0

    def doubt(self) -> None:
        """Remember that the files it speaks of could not be synced. Whoever reads it after a crash of this process knows."""
        self._write_header(Header(self.header.generation, doubtful=True))

    def _write_header(self, header: Header) -> None:
        os.pwrite(self._descriptor, format_header(header, self._magic), 0)
        self.header = header

    def has_room(self, size: int) -> bool:
        return self.end + size <= self.capacity

    def append_bodies(self, bodies: Sequence[bytes]) -> bool:
        """Write records behind the others, unsynced; False where they do not fit. OSError: nothing was appended."""
        data = format_bodies(bodies, self.header.generation, self._written)
        if not self.has_room(len(data)):
            return False
        if os.pwrite(self._descriptor, data, self.end) != len(data):
            raise OSError("a log was written in part only")
        self.end += len(data)
        self._written += len(bodies)
        return True

    def sync(self) -> None:
        os.fdatasync(self._descriptor)

    def read_bodies(self) -> tuple[Header, Iterator[bytes]] | None:
        """What is in the file; None where it is no segment of this kind and version."""
        return parse_segment(os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0), self._magic)
