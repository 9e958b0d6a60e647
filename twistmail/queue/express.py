"""The log of express mail: what goes out by its first attempt, a moment after it came, never gets files of its own.

A message is durable by one write and one fdatasync, which it shares with whoever
comes at the same time; that it has gone is one more record. What must wait (an
attempt has failed, an operator holds it, two seconds have passed) is moved to
the spool's files, and from then on the log does not matter for it.

    A  the item and its content      it is promised
    N  what happened to it           as in an envelope file
    G  it has gone, or has files     nothing before it counts

Two segments (`segments`): new records go to the current one; the other is started
over when nothing in it is live. So a G in the current one always outlives its A.

After a crash `restore` makes files of what is still promised. A record is written
(a killed process loses none) before the step that it permits; what goes at the same
moment, because one read has told of it, is one write (`fastlane`). That mail has gone
is on the disk `fastlane.NOTED_WITHIN` later, or with the next message: so a power loss
sends again, at most, what has gone out in that time.

`commit` and what it calls run in the committer's thread, all else in any. Blocking,
stdlib only.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from twistmail.mail.item import Item
from twistmail.mail.outcome import Event
from twistmail.queue import records
from twistmail.queue.folders import Folders
from twistmail.segments import FRAME, HEADER_SIZE, Header, SegmentFile, parse_segment

MAGIC = b"twistmail queue\n"
FILES = ("express.0", "express.1")
SEGMENT_SIZE = 8 * 1024 * 1024
#: Items above this size (octets) have files from the beginning: that is cheaper than writing them twice.
LARGEST = 128 * 1024
#: Octets of a segment that are kept for saying what became of what is in it.
NOTES = 2 * 1024 * 1024
#: With more files than this, one sync of everything is quicker than one of each.
_MANY = 8


class Letter(Protocol):
    """A job whose `disk.Job` methods make files; `bodies` are its records, `identifier` its item (empty: none of its own)."""

    identifier: str
    bodies: Sequence[bytes]
    logged: bool


def added(item: Item, content: bytes) -> bytes:
    """The body of a record."""
    return b"A" + item.id.encode() + b" " + records.written(item) + content


class Express:
    """The log in folder *root*. `open` it first; it takes nothing before it is `prepared`."""

    def __init__(self, root: Path, size: int | None = None) -> None:
        self._size = size or SEGMENT_SIZE
        self._segments = [SegmentFile(root / name, MAGIC) for name in FILES]
        self._current, self._other = self._segments
        self._live: dict[str, SegmentFile] = {}
        self._count = dict.fromkeys(self._segments, 0)  # of those that live in it
        self._dirty: set[SegmentFile] = set()
        self._generation = 0
        self._lock = threading.Lock()  # records are appended, or the current segment changes
        self._ready = self._broken = False

    # ----- beginning and ending

    def open(self) -> bool:
        """Take the log; False where another process has it. OSError."""
        for segment in self._segments:
            segment.open()
        try:
            fcntl.flock(self._segments[0].descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            return False
        return True

    def close(self) -> None:
        self._ready = False
        for segment in self._segments:
            segment.close()

    def restore(self, folders: Folders) -> int:
        """Make files of what a crash has left in the log, and start it over; how many messages. OSError: the log is as it was."""
        promised, self._generation, is_used = _read(segment.read_bodies() for segment in self._segments)
        count = _make_files(folders, promised)
        if is_used:
            for segment in self._segments:
                self._start_over(segment)
        return count

    def prepare(self) -> None:
        """Make the segments as long as they are to be. OSError: there is no room, and mail goes the other way."""
        status = os.fstatvfs(self._segments[0].descriptor)
        if status.f_bavail * status.f_frsize < 10 * self._size:
            raise OSError("too little room on the disk for a log")
        for segment in self._segments:
            segment.prepare(self._size)
            self._start_over(segment)
        self._ready = True

    def _start_over(self, segment: SegmentFile) -> None:
        self._generation += 1
        segment.begin(self._generation)

    # ----- in the committer's thread

    def commit(self, jobs: Sequence[Letter]) -> list[BaseException | None] | None:
        """As `disk.RedoLog` has it."""
        bodies = [body for job in jobs for body in job.bodies]
        size = sum(map(len, bodies)) + len(bodies) * FRAME
        self._tidy()
        with self._lock:
            if not self._has_room(size):
                return None
            self._current.append_bodies(bodies)
            self._dirty.add(self._current)
            mine = [job.identifier for job in jobs if job.identifier]
            self._live.update(dict.fromkeys(mine, self._current))
            self._count[self._current] += len(mine)
            dirty, self._dirty = self._dirty, set()
        try:
            for segment in dirty:
                segment.sync()
        except OSError as error:
            return self._failed(jobs, error)
        for job in jobs:
            job.logged = True
        return [None] * len(jobs)

    def _has_room(self, size: int) -> bool:
        if not self._ready or self._broken or HEADER_SIZE + size + NOTES > self._size:
            return False
        if not self._current.has_room(size + NOTES):
            if not self._other.is_empty:
                return False
            self._current, self._other = self._other, self._current
        return True

    def _failed(self, jobs: Sequence[Letter], error: OSError) -> list[BaseException | None]:
        """Nobody knows what is on the disk: none of them is promised, and nothing more comes in before the log is empty."""
        self._broken = True
        mine = [job.identifier for job in jobs if job.identifier]
        if mine:
            self.gone(*mine)
            self._let_live_no_longer(mine)
        return [error] * len(jobs)

    def _tidy(self) -> None:
        """Start over what nobody needs: the other segment first, because what became of its items may stand in the current one."""
        if not self._ready:
            return
        with suppress(OSError):  # then all stays as it is, and mail goes the other way
            if not self._other.is_empty and not self._count[self._other]:
                self._start_over(self._other)
            if self._other.is_empty and not self._count[self._current] and (self._broken or self._is_half_full):
                with self._lock:
                    self._current, self._other = self._other, self._current
                self._start_over(self._other)
                self._broken = False

    @property
    def _is_half_full(self) -> bool:
        return not self._current.has_room(self._size // 2)

    # ----- in any thread

    def take_dirty(self) -> list[int]:
        """Descriptors of what is written and not on the disk, for somebody who syncs them."""
        with self._lock:
            dirty, self._dirty = self._dirty, set()
        return [segment.descriptor for segment in dirty]

    @property
    def is_dirty(self) -> bool:
        """Whether something is written that may not be on the disk yet."""
        return bool(self._dirty)

    def in_the_way(self) -> list[str]:
        """Identifiers of items that should get files now, so that the log goes on."""
        if not self._broken and (self._other.is_empty or not self._is_half_full):
            return []
        with self._lock:
            return [identifier for identifier, segment in self._live.items() if self._broken or segment is self._other]

    def note(self, identifier: str, event: Event) -> bool:
        """Write down what happened to a live item; False where there is no room. OSError."""
        body = b"N" + identifier.encode() + b" " + records.event_written(event)
        return self._append((body,), spare=NOTES // 2)  # the rest is for saying that things have gone

    def gone(self, *identifiers: str) -> None:
        """These items do not count any more. What cannot be written is said again by the files, or by a second delivery."""
        try:
            if not self._append([b"G" + identifier.encode() for identifier in identifiers]):
                return  # their segments must not look as if they were empty
        except OSError:
            return
        self._let_live_no_longer(identifiers)

    def _let_live_no_longer(self, identifiers: Iterable[str]) -> None:
        with self._lock:
            for identifier in identifiers:
                if (segment := self._live.pop(identifier, None)) is not None:
                    self._count[segment] -= 1

    def _append(self, bodies: Sequence[bytes], spare: int = 0) -> bool:
        with self._lock:
            if spare and not self._current.has_room(sum(map(len, bodies)) + len(bodies) * FRAME + spare):
                return False
            if not self._current.append_bodies(bodies):
                return False
            self._dirty.add(self._current)
        return True

    def empty(self) -> None:
        """Start both over, at the end of the process, when nothing is live: then the next start has nothing to read. OSError."""
        if self._ready and not self._live:
            for segment in self._segments:
                if not segment.is_empty:
                    self._start_over(segment)


def begin(folders: Folders) -> Express | None:
    """The log beside *folders*, opened, after what a crash has left in it was given files; None where another process has it. OSError."""
    express = Express(folders.root)
    if not express.open():
        return None
    express.restore(folders)
    return express


@dataclass(slots=True)
class Logged:
    """What the log has of an item: the lines of its envelope, and its content."""

    envelope: bytes
    content: bytes


def pending(root: Path) -> dict[str, Logged]:
    """{identifier: Logged} of what is promised by the log in *root* and may have no files; looked at without changing it."""
    return _read(parse_segment(data, MAGIC) for data in _files(root).values())[0]


def unreadable(root: Path) -> list[str]:
    """The names of files that are called like the log, have something in them, and are none of this version."""
    return [name for name, data in _files(root).items() if data.strip(b"\0") and parse_segment(data, MAGIC) is None]


def _files(root: Path) -> dict[str, bytes]:
    return {name: (root / name).read_bytes() for name in FILES if (root / name).is_file()}


def _read(segments: Iterable[tuple[Header, Iterable[bytes]] | None]) -> tuple[dict[str, Logged], int, bool]:
    """What is promised, the highest generation, and whether there is any record."""
    found = sorted((content for content in segments if content), key=lambda content: content[0].generation)
    promised: dict[str, Logged] = {}
    is_used = False
    for _, bodies in found:
        for body in bodies:
            is_used = True
            _take(promised, body)
    return promised, max((header.generation for header, _ in found), default=0), is_used


def _take(promised: dict[str, Logged], body: bytes) -> None:
    identifier, _, rest = body[1:].partition(b" ")
    name = identifier.decode()
    match body[:1]:
        case b"A":
            line, _, content = rest.partition(b"\n")
            promised[name] = Logged(line + b"\n", content)
        case b"N" if name in promised:
            promised[name].envelope += rest
        case b"G":
            promised.pop(name, None)


def _make_files(folders: Folders, promised: dict[str, Logged]) -> int:
    """Files for those that have none, durably; how many."""
    missing = {identifier: logged for identifier, logged in promised.items() if not os.path.exists(folders.envelope(identifier))}
    for identifier, logged in missing.items():
        for name, data in zip(folders.temporary(identifier), (logged.content, logged.envelope), strict=True):
            with open(name, "wb", opener=_private) as file:
                file.write(data)
                file.flush()
                if len(missing) <= _MANY:
                    os.fsync(file.fileno())
    if len(missing) > _MANY:
        os.sync()
    for identifier in missing:
        content, envelope = folders.temporary(identifier)
        os.rename(content, folders.content(identifier))
        os.rename(envelope, folders.envelope(identifier))
    os.fsync(folders.descriptor)
    return len(missing)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
