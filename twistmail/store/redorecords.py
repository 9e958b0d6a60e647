"""What the records of the redo log say (how they are framed: `segments`). Pure.

`Stored` says that a message has been given a UID and what is in it; `Removed`
that a message of an earlier record is not wanted any more. Integers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from twistmail import segments
from twistmail.mail.values import frozen
from twistmail.segments import Header

MAGIC = b"twistmail redo\r\n"

_STORED = struct.Struct("<BIIdHHHI")
_REMOVED = struct.Struct("<BHH")
_IS_STORED, _IS_REMOVED = 1, 2
_UNFLAGGED = 0xFFFF  # as the length of the letters: the file is in new/

#: What a record needs beyond the content, at most: names are at most 4096 and 255 octets long.
MOST_OVERHEAD = 5 * 1024


@frozen
class Stored:
    """A message file. *folder*: its mailbox, as `os.fsencode`d path; *letters*: its flags in cur/, None in new/; *date*: POSIX seconds."""

    folder: bytes
    uidvalidity: int
    uid: int
    base: bytes
    letters: bytes | None
    date: float
    content: bytes


@frozen
class Removed:
    """What was `Stored` under this name has been expunged, or was never promised."""

    folder: bytes
    base: bytes


Record = Stored | Removed


def format_header(header: Header) -> bytes:
    return segments.format_header(header, MAGIC)


def parse_header(data: bytes) -> Header | None:
    """None where *data* does not begin with a whole header of this version."""
    return segments.parse_header(data, MAGIC)


def format_records(records: Iterable[Record], generation: int, sequence: int) -> bytes:
    """*records* as they are written, the first of them with the number *sequence*."""
    return segments.format_bodies(bodies_of(records), generation, sequence)


def parse_records(data: bytes, generation: int) -> Iterator[Record]:
    """The records of *generation* at the beginning of *data* (a segment without its header), up to the first that is not whole."""
    return records_in(segments.parse_bodies(data, generation))


def bodies_of(records: Iterable[Record]) -> list[bytes]:
    return list(map(_body, records))


def records_in(bodies: Iterable[bytes]) -> Iterator[Record]:
    """Up to the first of a kind that this version does not know."""
    for body in bodies:
        record = _parse_body(body)
        if record is None:
            return
        yield record


def _body(record: Record) -> bytes:
    if isinstance(record, Removed):
        return _REMOVED.pack(_IS_REMOVED, len(record.folder), len(record.base)) + record.folder + record.base
    letters = record.letters
    marks = (len(record.folder), len(record.base), _UNFLAGGED if letters is None else len(letters), len(record.content))
    fields = _STORED.pack(_IS_STORED, record.uidvalidity, record.uid, record.date, *marks)
    return b"".join((fields, record.folder, record.base, letters or b"", record.content))


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
