"""One segment of the redo log: a file of fixed size, full of zeros at first, that is written over from the beginning again and again.

Zeros are really written: what is only allocated has to be marked as written at
the next sync, which costs as much as a new file. So an append is a write into
blocks that are there, and its fdatasync writes these blocks and nothing else.

Blocking. Who may append and when it begins again is `redolog`'s business.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from twistmail.store.maildir import Maildir
from twistmail.store.redorecords import HEADER_SIZE, Header, Record, format_header, format_records, parse_header, parse_records
from twistmail.store.uidlist import sync_directory

_ZEROS = bytes(1024 * 1024)


class Segment:
    """`live`: the base names of the messages in it whose files are not known to be durable without it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.capacity = 0
        self.end = HEADER_SIZE
        self.header = Header(0)
        self.live: dict[Maildir, set[bytes]] = {}
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
        sync_directory(self.path.parent)
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
        self.live = {}

    def doubt(self) -> None:
        """Remember that the files it speaks of could not be synced. Whoever reads it after a crash of this process knows."""
        self._write_header(Header(self.header.generation, doubtful=True))

    def _write_header(self, header: Header) -> None:
        os.pwrite(self._descriptor, format_header(header), 0)
        self.header = header

    def has_room(self, size: int) -> bool:
        return self.end + size <= self.capacity

    def append(self, records: Sequence[Record]) -> bool:
        """Write *records* behind the others, unsynced; False where they do not fit. OSError: nothing was appended."""
        data = format_records(records, self.header.generation, self._written)
        if not self.has_room(len(data)):
            return False
        if os.pwrite(self._descriptor, data, self.end) != len(data):
            raise OSError("the redo log was written in part only")
        self.end += len(data)
        self._written += len(records)
        return True

    def sync(self) -> None:
        os.fdatasync(self._descriptor)

    def enliven(self, maildir: Maildir, base: bytes) -> None:
        self.live.setdefault(maildir, set()).add(base)

    def holds(self, maildir: Maildir, bases: Iterable[bytes]) -> bool:
        """Whether one of *bases* is live."""
        return not self.live.get(maildir, frozenset()).isdisjoint(bases)

    def read(self) -> tuple[Header, list[Record]] | None:
        """What is in the file; None where it is no segment of this version."""
        data = os.pread(self._descriptor, HEADER_SIZE, 0)
        header = parse_header(data)
        if header is None:
            return None
        size = os.fstat(self._descriptor).st_size
        return header, list(parse_records(os.pread(self._descriptor, size - HEADER_SIZE, HEADER_SIZE), header.generation))
