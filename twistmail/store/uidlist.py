"""`dovecot-uidlist`, version 3: which UID each message file has (spec D6).

    3 V<uidvalidity> N<next uid at the last rewrite> G<guid>
    <uid> [<extensions> ]:<base name>

Lines are only ever appended; a line without a file is an expunged message. A
rewrite is a new file under the old name, and keeps what others have noted there.
Who assigns UIDs holds `locked()`, against our own processes and against Dovecot,
which also reads what others have appended, so that one UID is never given twice.
A list that is lost or that cannot be right gives way to a new one
with a larger UIDVALIDITY: nobody guesses.

Blocking; used by the committer's thread and by scans.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import threading
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from twistmail.mail.values import frozen
from twistmail.store.uidlock import UidLock

FILE = "dovecot-uidlist"
#: Octets of a list that are split in one go.
PIECE = 256 * 1024
LARGEST_UID = 0xFFFFFFFF
#: Of a longer list only the first line and about so many octets at its end are read to learn the next UID; `read` checks all of it.
TAIL = 256 * 1024
#: Octets that `peek` reads of its beginning and of its end: more than any line has.
PEEK = 4096
_HEADER = re.compile(rb"3 (?:[^\n]* )?V(\d{1,10}) (?:[^\n]* )?N(\d{1,10})(?: [^\n]*)?")
_GUID = re.compile(rb" G([0-9a-f]{32})(?: |$)")
_OTHERS = re.compile(rb" ([^VNG \n][^ \n]*)")


class DamagedList(ValueError):
    """The list cannot be trusted any more."""


@frozen
class Header:
    """The first line. `nextuid` is a lower bound: lines that follow may be above it. `others`: fields that mean nothing to us."""

    uidvalidity: int
    nextuid: int
    guid: bytes
    others: tuple[bytes, ...] = ()


def parse_header(line: bytes) -> Header:
    """Raises DamagedList."""
    match, guid = _HEADER.fullmatch(line), _GUID.search(line)
    if not match:
        raise DamagedList("no version 3 header")
    header = Header(int(match[1]), int(match[2]), guid[1] if guid else b"", tuple(_OTHERS.findall(line)))
    if not 0 < header.uidvalidity <= LARGEST_UID or not 0 < header.nextuid <= LARGEST_UID:
        raise DamagedList("UIDVALIDITY or next UID out of range")
    return header


def format_header(header: Header) -> bytes:
    return b" ".join((b"3 V%d N%d G%s" % (header.uidvalidity, header.nextuid, header.guid), *header.others)) + b"\n"


def parse_lines(data: bytes, above: int = 0, at: int = 0) -> tuple[array[int], list[bytes]]:
    """UIDs and base names of the complete lines in *data*, from *at* on. Raises DamagedList unless they ascend from *above*."""
    uids, bases = array("L"), list[bytes]()
    for line in _lines(data, at):
        left, colon, base = line.partition(b" :")
        number = left.partition(b" ")[0]
        if not colon or not number.isdigit() or len(number) > 10 or not base:
            raise DamagedList("a line without UID or name")
        if not above < (uid := int(number)) <= LARGEST_UID:
            raise DamagedList("UIDs do not ascend")
        uids.append(above := uid)
        bases.append(base.partition(b":2,")[0])
    return uids, bases


def _lines(data: bytes, at: int) -> Iterator[bytes]:
    """The complete lines in *data*, split piece by piece: a million at once would keep the interpreter for long."""
    while (end := data.rfind(b"\n", at, at + PIECE)) >= 0 or (end := data.find(b"\n", at)) >= 0:
        yield from data[at:end].split(b"\n")
        at = end + 1


def format_lines(uids: Sequence[int], bases: Sequence[bytes]) -> bytes:
    return b"".join([b"%d :%s\n" % pair for pair in zip(uids, bases, strict=True)])


def peek(folder: str) -> tuple[Header, int]:
    """The first line of the list in *folder*, and the next UID by its last one, as they are at this moment. OSError, DamagedList."""
    descriptor = os.open(f"{folder}/{FILE}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        data = os.pread(descriptor, PEEK, 0)
        size = os.fstat(descriptor).st_size
        header = parse_header(data.partition(b"\n")[0])
        if size > PEEK:
            data = os.pread(descriptor, PEEK, size - PEEK)
    finally:
        os.close(descriptor)
    lines = data[: data.rfind(b"\n")].rsplit(b"\n", 1)
    last = lines[1].partition(b" ")[0] if len(lines) == 2 else b"0"
    if not last.isdigit() or len(last) > 10:
        raise DamagedList("a line without UID")
    return header, max(header.nextuid, int(last) + 1)


def pop3_ids(folder: Path) -> dict[int, bytes]:
    """{uid: what POP3 clients know it by} of those in the list in *folder* for which Dovecot, or a move to it, has noted that."""
    try:
        data = (folder / FILE).read_bytes()
    except FileNotFoundError:
        return {}
    found = {}
    for line in _lines(data, 0) if b" P" in data else ():
        if b" P" in line:
            uid, *noted = line.partition(b" :")[0].split(b" ")
            given = next((field[1:] for field in noted if field.startswith(b"P")), b"")
            if given and uid.isdigit() and len(uid) <= 10:
                found[int(uid)] = given
    return found


class UidList:
    """The list of one mailbox, open for appending. `uidvalidity` and `nextuid` are true while `locked()`."""

    def __init__(self, folder: Path, new_uidvalidity: Callable[[int], int], random: Callable[[int], bytes]) -> None:
        self.path = folder / FILE
        self.uidvalidity = 0
        self.nextuid = 1
        self._guid = b""
        self._others: tuple[bytes, ...] = ()
        self._lock = UidLock(self.path)
        self._new_uidvalidity = new_uidvalidity
        self._random = random
        self._descriptor = -1
        self._inode = 0
        self._size = 0
        self._guard = threading.RLock()
        self._is_locked = False
        self._gathered: list[bytes] | None = None

    def make(self, uidvalidity: int) -> None:
        """The list of a mailbox that has none. It is not synced. Another thread or process may make it first."""
        with self._guard:
            if self.path.exists():  # somebody has it open already: what we know is what it says
                return
            self._lock.acquire()
            try:
                self._begin(uidvalidity, create=True, durable=False)
            finally:
                self._lock.release()
                if self._descriptor >= 0:
                    fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While nobody else, in this process or another, assigns UIDs; what others have written is known. OSError: not to be had."""
        with self._guard:
            if self._is_locked:  # by a caller of our caller
                yield
                return
            try:
                self._lock_file()
                self._catch_up()
                self._is_locked = True
                yield
            finally:
                self._is_locked = False
                self._lock.release()
                if self._descriptor >= 0:
                    fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def append(self, bases: Sequence[bytes]) -> range:
        """Give *bases* the next UIDs; a later sync of `descriptor` makes it durable. Hold the lock."""
        first = self.nextuid
        if first + len(bases) > LARGEST_UID:
            raise OSError("the mailbox has no UIDs left")
        uids = range(first, first + len(bases))
        data = format_lines(uids, bases)
        if self._gathered is not None:
            self._gathered.append(data)
        else:
            self._write(data)
        self.nextuid = uids.stop
        return uids

    def gather(self) -> None:
        """From now on `append` only notes its lines, until `write_gathered`. Hold the lock from here to there."""
        self._gathered = []

    def write_gathered(self) -> None:
        """Write the lines of all calls of `append` since `gather` at once. OSError: none of them is written."""
        gathered, self._gathered = self._gathered, None
        if gathered:
            self._write(b"".join(gathered))

    def _write(self, data: bytes) -> None:
        try:
            if os.write(self._descriptor, data) != len(data):
                raise OSError("a line of the UID list was not written whole")
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(data)

    def read(self) -> tuple[array[int], list[bytes]]:
        """All lines. Hold the lock."""
        data = os.pread(self._descriptor, self._size, 0)
        try:
            return parse_lines(data, at=data.index(b"\n") + 1)
        except ValueError:
            self._start_again()
            return array("L"), []

    def rewrite(self, uids: Sequence[int], bases: Sequence[bytes]) -> None:
        """Replace the list by these lines, durably; all else that it says stays. Hold the lock."""
        noted = self._noted()
        lines = [noted.get(uid) or b"%d :%s\n" % (uid, base) for uid, base in zip(uids, bases, strict=True)]
        self._replace(format_header(Header(self.uidvalidity, self.nextuid, self._guid, self._others)) + b"".join(lines))

    def _noted(self) -> dict[int, bytes]:
        """The lines in which Dovecot has noted more than UID and name (sizes, POP3 ids)."""
        lines = os.pread(self._descriptor, self._size, 0).split(b"\n")[1:-1]
        return {int(line[: line.index(b" ")]): line + b"\n" for line in lines if not line.partition(b" ")[2].startswith(b":")}

    @property
    def guid(self) -> str:
        """What Dovecot, too, knows the mailbox by, whatever it is called: 32 hex digits. True while `locked()`."""
        return self._guid.decode("ascii")

    @property
    def descriptor(self) -> int:
        return self._descriptor

    @property
    def stamp(self) -> tuple[int, int]:
        """(inode, octets read): changes whenever somebody else has written the list."""
        return self._inode, self._size

    def close(self) -> None:
        with self._guard:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def _lock_file(self) -> None:
        """Lock the file that has the name now; a rewrite may just have replaced it."""
        while True:
            if self._descriptor < 0:
                self._open()
            if self._descriptor < 0:
                continue
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            self._lock.acquire()
            try:
                if os.stat(self.path).st_ino == self._inode:
                    return
            except FileNotFoundError:
                pass
            self._lock.release()
            self.close()

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._descriptor = os.open(self.path, flags)
        except FileNotFoundError:
            self.close()
            self._lock.acquire()
            try:
                self._start_again(create=True)
            finally:
                self._lock.release()
        else:
            self._inode, self._size = os.fstat(self._descriptor).st_ino, 0

    def _catch_up(self) -> None:
        size = os.fstat(self._descriptor).st_size
        if size and size == self._size:
            return
        try:
            self._read_from(self._size if size > self._size else 0, size)
        except DamagedList:
            self._start_again()

    def _read_from(self, start: int, size: int) -> None:
        data = self._ends(size) if start == 0 and size > 2 * TAIL else os.pread(self._descriptor, size - start, start)
        whole = data.rfind(b"\n") + 1
        torn = len(data) - whole
        if start == 0:
            self._read_whole(data[:whole])
        else:
            uids, _ = parse_lines(data[:whole], self.nextuid - 1)
            self.nextuid = uids[-1] + 1 if uids else self.nextuid
        self._size = size - torn
        if self._size < size:  # a line that was torn by a crash or a full disk was never promised
            os.ftruncate(self._descriptor, self._size)

    def _ends(self, size: int) -> bytes:
        """The first line and the last ones of a long list: a million lines take a second."""
        first, newline, _ = os.pread(self._descriptor, 4096, 0).partition(b"\n")
        tail = os.pread(self._descriptor, TAIL, size - TAIL)
        return first + newline + tail[tail.find(b"\n") + 1 :]

    def _read_whole(self, data: bytes) -> None:
        first, _, lines = data.partition(b"\n")
        header = parse_header(first)
        uids, _ = parse_lines(lines)
        nextuid = max(header.nextuid, uids[-1] + 1 if uids else 1)
        if header.uidvalidity == self.uidvalidity and nextuid < self.nextuid:
            raise DamagedList("an older list has come back")
        self.uidvalidity, self.nextuid, self._guid, self._others = header.uidvalidity, nextuid, header.guid, header.others
        if not self._guid:  # Dovecot 1 wrote none: until the list is written anew, it follows from what the list is
            self._guid = hashlib.md5(b"%d %b" % (self.uidvalidity, os.fsencode(self.path)), usedforsecurity=False).hexdigest().encode()

    def _start_again(self, *, create: bool = False) -> None:
        """A new, empty list with a UIDVALIDITY above every earlier one."""
        self._begin(self._new_uidvalidity(self.uidvalidity), create=create)

    def _begin(self, uidvalidity: int, *, create: bool, durable: bool = True) -> None:
        self.uidvalidity = uidvalidity
        self.nextuid = 1
        self._guid, self._others = self._random(16).hex().encode(), ()
        self._replace(format_header(Header(self.uidvalidity, 1, self._guid)), create=create, durable=durable)

    def _replace(self, data: bytes, *, create: bool = False, durable: bool = True) -> None:
        """By a new file, so that a crash leaves the old or the new one. *create*: leave alone what another process has just made."""
        temporary = self.path.with_name(f"{FILE}.tmp{os.getpid()}")
        descriptor = os.open(temporary, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            if durable:
                os.fsync(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if create:
                os.link(temporary, self.path)
                os.unlink(temporary)
            else:
                os.rename(temporary, self.path)
        except FileExistsError:
            os.close(descriptor)
            os.unlink(temporary)
            self.close()  # `locked` opens the other one
            return
        except OSError:
            os.close(descriptor)
            raise
        self.close()
        # ours before anything can go wrong: a lock on it that nobody knows of would keep everybody out
        self._descriptor, self._inode, self._size = descriptor, os.fstat(descriptor).st_ino, len(data)
        if durable:
            sync_directory(self.path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in directory *path* durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
