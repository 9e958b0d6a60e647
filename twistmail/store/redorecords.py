"""How the redo log is spelled: a segment's header, and the records behind it. Pure.

    header    magic, version, doubtful, generation, CRC-32; then zeros up to HEADER_SIZE
    record    CRC-32 of the rest, length of the body, generation, sequence, body

A segment is written over again and again, so what follows its last record is
left from earlier: a record counts only if it carries the generation of the
header, the next sequence number and the right checksum. The first one that does
not is the end.

`Stored` says that a message has been given a UID and what is in it; `Removed`
that a message of an earlier record is not wanted any more. Integers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from zlib import crc32

MAGIC = b"twistmail redo\r\n"
VERSION = 1
#: Records begin on a page of their own.
HEADER_SIZE = 4096

_HEADER = struct.Struct("<16sHHQ")
_CHECK = struct.Struct("<I")
_FRAME = struct.Struct("<IQQ")  # behind the checksum
_STORED = struct.Struct("<BIIdHHHI")
_REMOVED = struct.Struct("<BHH")
_IS_STORED, _IS_REMOVED = 1, 2
_UNFLAGGED = 0xFFFF  # as the length of the letters: the file is in new/

#: What a record needs beyond the content, at most: names are at most 4096 and 255 octets long.
MOST_OVERHEAD = 5 * 1024


@dataclass(frozen=True, slots=True)
class Header:
    """*doubtful*: a sync of what the records speak of has failed, so not even what can be read back is safe on disk."""

    generation: int
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """A message file. *folder*: its mailbox, as `os.fsencode`d path; *letters*: its flags in cur/, None in new/; *date*: POSIX seconds."""

    folder: bytes
    uidvalidity: int
    uid: int
    base: bytes
    letters: bytes | None
    date: float
    content: bytes


@dataclass(frozen=True, slots=True)
class Removed:
    """What was `Stored` under this name has been expunged, or was never promised."""

    folder: bytes
    base: bytes


Record = Stored | Removed


def format_header(header: Header) -> bytes:
    data = _HEADER.pack(MAGIC, VERSION, header.doubtful, header.generation)
    return data + _CHECK.pack(crc32(data))


def parse_header(data: bytes) -> Header | None:
    """None where *data* does not begin with a whole header of this version."""
    if len(data) < _HEADER.size + _CHECK.size:
        return None
    magic, version, doubtful, generation = _HEADER.unpack_from(data)
    (check,) = _CHECK.unpack_from(data, _HEADER.size)
    if (magic, version) != (MAGIC, VERSION) or check != crc32(data[: _HEADER.size]):
        return None
    return Header(generation, bool(doubtful))


def format_records(records: Iterable[Record], generation: int, sequence: int) -> bytes:
    """*records* as they are written, the first of them with the number *sequence*."""
    pieces: list[bytes] = []
    for number, record in enumerate(records, sequence):
        body = _body(record)
        frame = _FRAME.pack(len(body), generation, number)
        pieces += (_CHECK.pack(crc32(body, crc32(frame))), frame, body)
    return b"".join(pieces)


def _body(record: Record) -> bytes:
    if isinstance(record, Removed):
        return _REMOVED.pack(_IS_REMOVED, len(record.folder), len(record.base)) + record.folder + record.base
    letters = record.letters
    marks = (len(record.folder), len(record.base), _UNFLAGGED if letters is None else len(letters), len(record.content))
    fields = _STORED.pack(_IS_STORED, record.uidvalidity, record.uid, record.date, *marks)
    return b"".join((fields, record.folder, record.base, letters or b"", record.content))


def parse_records(data: bytes, generation: int) -> Iterator[Record]:
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
        record = _parse_body(data[end - length : end])
        if record is None:
            return
        yield record
        place, sequence = end, sequence + 1


def _parse_body(body: bytes) -> Record | None:
    """None for a kind that this version does not know."""
    if body[:1] == bytes([_IS_REMOVED]):
        _, folder, base = _REMOVED.unpack_from(body)
        start = _REMOVED.size
        return Removed(body[start : start + folder], body[start + folder : start + folder + base])
    if body[:1] != bytes([_IS_STORED]):
        return None
    _, uidvalidity, uid, date, folder, base, letters, _ = _STORED.unpack_from(body)
    ends = [_STORED.size]
    for length in (folder, base, 0 if letters == _UNFLAGGED else letters):
        ends.append(ends[-1] + length)
    flags = None if letters == _UNFLAGGED else body[ends[2] : ends[3]]
    return Stored(body[ends[0] : ends[1]], uidvalidity, uid, body[ends[1] : ends[2]], flags, date, body[ends[3] :])
