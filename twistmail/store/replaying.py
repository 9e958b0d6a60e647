"""From the records of the redo log back to maildirs and UID lists: at start, and where a sync has failed.

Every message that a record speaks of is there afterwards, whole, under its UID,
unless it was removed. What is there already stays as it is, whatever it is
called by now, so doing it again changes nothing. Nothing is deleted here.

A list of UIDs that was not synced may have lost its last lines, end within one,
or hold zeros where they were: all of these lines are in the log. One that is
damaged in any other way is left to `uidlist`, which starts it again.

Blocking; the caller syncs what was changed (a list is durable at once).
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from twisted.logger import Logger

from twistmail.mail.values import frozen
from twistmail.store import names
from twistmail.store.redorecords import Record, Removed, Stored
from twistmail.store.uidlist import FILE, LARGEST_UID, DamagedList, Header, format_header, parse_header, sync_directory
from twistmail.store.uidlock import UidLock

log = Logger()

_LINE = re.compile(rb"([1-9]\d{0,9})(?: [^ \n\0][^ \n\0]*)* :([^\n\0]+)")


@dataclass(slots=True)
class Mailbox:
    """What the log says about one mailbox: its messages in the order of their records, and which of them were removed."""

    stored: list[Stored] = field(default_factory=list)
    removed: set[bytes] = field(default_factory=set)


@frozen
class Repaired:
    """Base names of files that were written, and UIDs of lines that were put into the list."""

    files: list[bytes]
    lines: list[int]


def by_mailbox(records: Iterable[Record]) -> dict[bytes, Mailbox]:
    found: dict[bytes, Mailbox] = {}
    for record in records:
        mailbox = found.setdefault(record.folder, Mailbox())
        if isinstance(record, Removed):
            mailbox.removed.add(record.base)
        else:
            mailbox.stored.append(record)
    return found


def replay(path: Path, mailbox: Mailbox, *, doubtful: bool = False) -> Repaired:
    """Complete the maildir at *path*. *doubtful*: write also what reads right. OSError; NotADirectoryError: it is no maildir any more."""
    if not (path / "cur").is_dir():
        raise NotADirectoryError(f"{path} is no maildir")
    for name in ("tmp", "new"):
        (path / name).mkdir(mode=0o700, exist_ok=True)
    lines, dropped = _complete_list(path, mailbox.stored) if mailbox.stored else ([], set())
    files = restore_files(path, mailbox.stored, mailbox.removed | dropped, doubtful=doubtful)
    return Repaired(files, lines)


# ----- files ----------------------------------------------------------------


def restore_files(path: Path, stored: Sequence[Stored], unwanted: Set[bytes], *, doubtful: bool) -> list[bytes]:
    """Write the files that are missing, unless *unwanted*, and those that are not whole; the base names of what was written."""
    written = []
    places = _Places(path)
    for record in stored:
        place = places.find(record)
        if place is None and record.base in unwanted:
            continue
        if place is None or doubtful or _read(path, place) != record.content:
            _write(path, place or _place_of(record), record)
            written.append(record.base)
    return written


def _place_of(record: Stored) -> bytes:
    return b"new/" + record.base if record.letters is None else b"cur/" + record.base + names.INFO + record.letters


class _Places:
    """Where files are now. The directories are read only if one is not where its record says."""

    def __init__(self, path: Path) -> None:
        self._path = os.fsencode(path)
        self._listed: dict[bytes, bytes] | None = None

    def find(self, record: Stored) -> bytes | None:
        first = _place_of(record)
        if os.path.lexists(os.path.join(self._path, first)):
            return first
        if self._listed is None:
            self._listed = {
                name.partition(names.INFO)[0]: folder + b"/" + name
                for folder in (b"new", b"cur")
                for name in os.listdir(os.path.join(self._path, folder))
            }
        return self._listed.get(record.base)


def _read(path: Path, place: bytes) -> bytes | None:
    try:
        descriptor = os.open(os.path.join(os.fsencode(path), place), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def _write(path: Path, place: bytes, record: Stored) -> None:
    """By a new file over the old name. Its name in tmp/ is the one that it had there at first."""
    folder = os.fsencode(path)
    temporary = os.path.join(folder, b"tmp", record.base.partition(b",S=")[0])
    with suppress(FileNotFoundError):
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(record.content)
        file.flush()
        os.utime(file.fileno(), (record.date, record.date))
    os.rename(temporary, os.path.join(folder, place))


# ----- lists ----------------------------------------------------------------


def _complete_list(path: Path, stored: Sequence[Stored]) -> tuple[list[int], set[bytes]]:
    """Put missing lines into the list. Which UIDs these were; and the base names of messages that somebody has expunged since:
    a list that was rewritten has dropped their lines.
    """
    lock = UidLock(path / FILE)
    try:
        descriptor = os.open(path / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return [], set()  # somebody has removed it: everything will be adopted, under a new UIDVALIDITY
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        lock.acquire()
        with os.fdopen(os.dup(descriptor), "rb") as file:
            data = file.read()
        return _merged(path, data, stored)
    except DamagedList as error:
        log.warn("redo log: {path}: {error}; it will be started again", path=str(path / FILE), error=error)
        return [], set()
    finally:
        lock.release()
        os.close(descriptor)


def _merged(path: Path, data: bytes, stored: Sequence[Stored]) -> tuple[list[int], set[bytes]]:
    header, lines = _readable(data, stored)
    ours = [record for record in stored if record.uidvalidity == header.uidvalidity]
    listed = {line.partition(b" :")[2].partition(names.INFO)[0] for line in lines.values()}
    absent = [record for record in ours if record.uid not in lines and record.base not in listed]
    missing = {record.uid: b"%d :%s" % (record.uid, record.base) for record in absent if record.uid >= header.nextuid}
    if missing or b"\0" in data or not data.endswith(b"\n"):
        _replace(path, header, lines | missing)
    return sorted(missing), {record.base for record in absent if record.uid < header.nextuid}


def _readable(data: bytes, stored: Sequence[Stored]) -> tuple[Header, dict[int, bytes]]:
    """Header and lines ({UID: line}) of a list, without what a crash has torn. Raises DamagedList."""
    first, newline, rest = data.partition(b"\n")
    if not newline and not data.strip(b"\0"):  # all of it is gone: that can only be if nothing but our lines was ever in it
        return Header(max(record.uidvalidity for record in stored), 1, os.urandom(16).hex().encode()), {}
    header = parse_header(first)
    lines: dict[int, bytes] = {}
    above = 0
    for line in rest.split(b"\n")[:-1]:
        match = _LINE.fullmatch(line)
        if match and above < int(match[1]) <= LARGEST_UID:
            above = int(match[1])
            lines[above] = line
        elif b"\0" not in line:
            raise DamagedList("a line that cannot be understood")
    return header, lines


def _replace(path: Path, header: Header, lines: Mapping[int, bytes]) -> None:
    """The list anew, durably."""
    temporary = path / f"{FILE}.tmp{os.getpid()}"
    with temporary.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(format_header(header) + b"".join([lines[uid] + b"\n" for uid in sorted(lines)]))
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path / FILE)
    sync_directory(path)
