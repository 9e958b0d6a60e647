"""Reading a UID list that may be damaged: every line that can be read, and all that is wrong with the others.

`uidlist` reads to serve and gives up at the first doubt; this one reads to tell
(`verify`) and to save what can be saved (`repair`). It changes nothing. Blocking.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from twistmail.mail.values import frozen
from twistmail.store.uidlist import LARGEST_UID
from twistmail.store.uidlock import UidLock

_LINE = re.compile(rb"(\d{1,10})(?: [^:\n]*)?:([^\n]+)")
_VERSION_3 = re.compile(rb"3(?: .*)?")


@frozen
class Trouble:
    """`severity`: "error", "warning" or "note"."""

    severity: str
    kind: str
    what: str


@dataclass(slots=True)
class ListReading:
    """`uids` and `bases`: the lines that can be read, in their order. `uidvalidity` and `nextuid` 0: not told. `guid` may be empty."""

    uidvalidity: int = 0
    nextuid: int = 0
    guid: bytes = b""
    uids: list[int] = field(default_factory=list)
    bases: list[bytes] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    is_missing: bool = False
    is_unreadable: bool = False

    def tell(self, severity: str, kind: str, what: str) -> None:
        self.troubles.append(Trouble(severity, kind, what))


def read_list(path: Path, *, locked: bool = False) -> ListReading:
    """The list at *path*. *locked*: while nobody appends to it."""
    reading = ListReading()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        reading.is_missing = True
        reading.tell("warning", "list-missing", "there is no UID list")
        return reading
    except OSError as error:
        reading.is_unreadable = True
        reading.tell("error", "list-unreadable", f"cannot be opened: {error.strerror}")
        return reading
    with os.fdopen(descriptor, "rb") as file:
        if locked:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        try:
            data = file.read()
        except OSError as error:
            reading.is_unreadable = True
            reading.tell("error", "list-unreadable", f"cannot be read: {error.strerror}")
            return reading
    return parse_list(data, reading)


def parse_list(data: bytes, reading: ListReading | None = None) -> ListReading:
    """As `read_list`, of *data*. Pure; never raises."""
    reading = reading or ListReading()
    *whole, torn = data.split(b"\n")
    if torn and whole:
        reading.tell("note", "list-torn", "the last line has no end: its message was never acknowledged")
    _header(reading, whole[0] if whole else b"")
    _lines(reading, whole[1:])
    return reading


def _header(reading: ListReading, line: bytes) -> None:
    if not _VERSION_3.fullmatch(line):
        reading.tell("error", "list-unreadable", "does not begin as a UID list of version 3")
        reading.is_unreadable = True
    for word in line.split(b" ")[1:]:
        letter, value = word[:1], word[1:]
        if letter == b"G":
            reading.guid = value if re.fullmatch(rb"[0-9a-f]{32}", value) else b""
        elif letter in (b"V", b"N") and value.isdigit() and len(value) <= 10 and int(value) <= LARGEST_UID:
            if letter == b"V":
                reading.uidvalidity = int(value)
            else:
                reading.nextuid = int(value)
    if not reading.uidvalidity:
        reading.tell("error", "uidvalidity", "UIDVALIDITY is missing, 0 or too large")
    elif not reading.nextuid:
        reading.tell("error", "uidnext", "the next UID is missing, 0 or too large")


def _lines(reading: ListReading, lines: list[bytes]) -> None:
    by_uid: dict[int, int] = {}
    by_base: dict[bytes, int] = {}
    last = 0
    for number, line in enumerate(lines, 2):
        match = _LINE.fullmatch(line)
        uid = int(match[1]) if match else 0
        if not match or not 0 < uid <= LARGEST_UID:
            reading.tell("error", "list-line", f"line {number} holds no UID and name")
            continue
        base = match[2].partition(b":2,")[0]
        if uid in by_uid:
            reading.tell("error", "uid-twice", f"line {number}: UID {uid} stands in line {by_uid[uid]} already")
        elif uid < last:
            reading.tell("error", "not-ascending", f"line {number}: UID {uid} comes after {last}")
        if base in by_base:
            name = base.decode("utf-8", "backslashreplace")
            reading.tell("error", "base-twice", f"line {number}: {name} stands in line {by_base[base]} already")
        by_uid.setdefault(uid, number)
        by_base.setdefault(base, number)
        last = max(last, uid)
        reading.uids.append(uid)
        reading.bases.append(base)


@contextmanager
def still(path: Path, *, changing: bool) -> Iterator[None]:
    """While nobody of us gives UIDs by the list at *path*, if there is one. *changing*: nor Dovecot; for those who will replace it.

    Raises OSError where somebody keeps it locked.
    """
    descriptor = _locked(path, fcntl.LOCK_EX if changing else fcntl.LOCK_SH)
    dovecot = UidLock(path)
    try:
        if changing:
            dovecot.acquire()
        yield
    finally:
        dovecot.release()
        if descriptor >= 0:
            os.close(descriptor)


def _locked(path: Path, kind: int) -> int:
    """A locked descriptor of the file that has the name now; -1 where there is none."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return -1
        fcntl.flock(descriptor, kind)
        try:
            if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)
