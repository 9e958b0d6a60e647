"""The file of one mailbox: looked through, added to, rewritten. Blocking; every method but `__init__` wants the lock held.

What others have done to the file is seen whenever it is locked. New mail goes to
its end, and is cut off again where it cannot be made durable. Everything else is
a new file, which takes the old one's place when it is on disk and has been found
to hold what it should; owner and mode are those of the old one. So a crash at any
moment leaves the old file or the new one, and nothing but a temporary file besides.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from twisted.logger import Logger

from twistmail.formats import postmark, scanning
from twistmail.formats.locks import Held
from twistmail.formats.mbox import MBOX, append
from twistmail.formats.scanning import ReadAt
from twistmail.mail.content import Stored
from twistmail.mail.mailbox import NewMessage, StoreError
from twistmail.mbox import messages
from twistmail.mbox.ledger import Ledger
from twistmail.mbox.listing import Listing, Row, Stamp, known_again, row_of
from twistmail.mbox.messages import NotAnMbox, Seen

log = Logger()

_TOUCH_EVERY = 500
_PROBED = 1024
_BLOCK = 1024 * 1024


@dataclass
class Unit:
    """Messages that are added all or none. Afterwards: `uids`, where they are known, or the `error` that has stopped them."""

    messages: Sequence[NewMessage]
    uids: tuple[int, ...] = ()
    error: OSError | StoreError | None = None
    done: bool = False


class BoxFile:
    """*path*: the file of mailbox *name*; *now*: POSIX seconds. `listing` is what was seen last, None before the first look."""

    def __init__(self, path: Path, name: str, ledger: Ledger, now: Callable[[], float], *, fsync: bool = True) -> None:
        self.path = path
        self.name = name
        self.ledger = ledger
        self.listing: Listing | None = None
        self._now = now
        self._fsync = fsync

    # ----- looking

    def look(self, held: Held) -> Listing:
        """What is in the file now. NotAnMbox, OSError."""
        known = self.listing = self.ledger.latest(self.name, self.listing, self._now())
        stamp = Stamp.of(os.fstat(held.descriptor))
        if stamp != known.stamp:
            read_at = reader(held.descriptor)
            found = self._tail(known, read_at, stamp, held)
            if found is None:
                found = self._whole(known, read_at, stamp, held)
            found = found.of_file(stamp, _probe(read_at, stamp.size))
            self.listing = self.ledger.write(self.name, known, found)
        assert self.listing is not None
        return self.listing

    def _whole(self, known: Listing, read_at: ReadAt, stamp: Stamp, held: Held) -> Listing:
        try:
            return known_again(known, self._scanned(read_at, stamp.size, held), self._now())
        except NotAnMbox:
            raise NotAnMbox(self.path, stamp) from None

    def _tail(self, known: Listing, read_at: ReadAt, stamp: Stamp, held: Held) -> Listing | None:
        """What is known, and what has come behind it; None where the file has changed in another way."""
        before = known.stamp
        if not before.size or stamp.inode != before.inode or stamp.size <= before.size:
            return None
        if read_at(1, before.size - 1) != b"\n" or _probe(read_at, before.size) != known.probe:
            return None
        try:
            new = list(self._scanned(read_at, stamp.size, held, before.size))
        except NotAnMbox:
            return None
        now = self._now()
        return known.grown([row_of(seen, uid, now) for uid, seen in enumerate(new, known.uidnext)])

    def _scanned(self, read_at: ReadAt, size: int, held: Held, base: int = 0) -> Iterator[Seen]:
        for count, seen in enumerate(messages.scan(read_at, size, self.path, base), 1):
            if count % _TOUCH_EVERY == 0:
                held.touch()
            yield seen

    # ----- reading

    def loaded(self, held: Held, uids: Sequence[int]) -> list[tuple[int, bytes]]:
        """(UID, its octets) of those of *uids* that there are."""
        listing, read_at = self.look(held), reader(held.descriptor)
        rows = [listing.row(place) for place in listing.places(uids)]
        return [(row.uid, messages.whole(read_at, row.start, row.end)) for row in rows]

    def contents(self, held: Held, uids: Sequence[int], folder: Path) -> list[tuple[int, Stored]]:
        """(UID, Stored); big ones are copied into *folder*, without a name."""
        listing, read_at = self.look(held), reader(held.descriptor)
        rows = [listing.row(place) for place in listing.places(uids)]
        contents = messages.contents(read_at, [(row.start, row.end, row.size) for row in rows], folder)
        return list(zip([row.uid for row in rows], contents, strict=True))

    # ----- adding

    def add(self, held: Held, units: Sequence[Unit], *, look: bool) -> None:
        """Put *units* at the end of the file, in order, durable. *look*: their UIDs are wanted. OSError: none of them is there."""
        start = os.fstat(held.descriptor).st_size
        if not _is_mbox(reader(held.descriptor), start):
            raise NotAnMbox(self.path)
        before = self.look(held).uidnext if look else 0
        try:
            for unit in units:
                self._add(held.descriptor, unit)
            if self._fsync:
                os.fsync(held.descriptor)
                if not start:
                    _sync_folder(self.path.parent)
        except BaseException:
            os.ftruncate(held.descriptor, start)
            raise
        if look:
            self._tell_uids(held, units, before)

    def _tell_uids(self, held: Held, units: Sequence[Unit], before: int) -> None:
        """The mail is there, whatever happens now: its UIDs follow from its place."""
        try:
            fresh = iter([uid for uid in self.look(held).uids if uid >= before])
        except OSError as error:
            log.warn("what has come into {path} will be seen later: {error}", path=str(self.path), error=error)
            return
        for unit in units:
            unit.uids = tuple(islice(fresh, len(unit.messages))) if unit.error is None else ()

    def _add(self, descriptor: int, unit: Unit) -> None:
        end = os.fstat(descriptor).st_size
        try:
            for message in unit.messages:
                append(MBOX, descriptor, message, self._now())
        except OSError as error:
            os.ftruncate(descriptor, end)
            unit.error = error

    # ----- rewriting

    def rewrite(self, held: Held, gone: Sequence[int], flags: Mapping[int, Sequence[str]], keywords: Sequence[str]) -> list[int]:
        """A new file without the messages *gone*, in which others (by UID) have these *flags*; the UIDs that are gone now.

        Keywords that are none of *keywords* stay with their message.
        """
        listing, read_at = self.look(held), reader(held.descriptor)
        removed = listing.places(gone)
        left_out = {listing.uids[place] for place in removed}
        edits = [(row.offset, row.stop, b"") for row in map(listing.row, removed)]
        for place in listing.places([uid for uid in flags if uid not in left_out]):
            row = listing.row(place)
            words = [*flags[row.uid], *_strange(row.flags, keywords)]
            if set(words) != set(row.flags.split()):
                end, header = messages.with_flags(read_at, row.start, row.end, words)
                edits.append((row.start, end, header))
        if edits:
            rest = [listing.row(place) for place in range(len(listing)) if listing.uids[place] not in left_out]
            self._replace(held, sorted(edits), sorted(rest, key=lambda row: row.offset))
        return sorted(left_out)

    def _replace(self, held: Held, edits: Sequence[tuple[int, int, bytes]], rest: Sequence[Row]) -> None:
        """The file with *edits* (start, end, what stands there instead) takes its own place, if *rest* is what it then holds."""
        temporary = self.path.with_name(f".{self.path.name}.new")
        with suppress(FileNotFoundError):
            temporary.unlink()  # left behind in a crash
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _copy_edited(held, descriptor, edits)
            _keep_owner(held.descriptor, descriptor)
            size = os.fstat(descriptor).st_size
            found = list(self._scanned(reader(descriptor), size, held)) if rest else []
            if [seen.key for seen in found] != [row.key for row in rest]:
                raise OSError(errno.EIO, "rewriting it would have changed other messages; it was left as it is", str(self.path))
            if self._fsync:
                os.fsync(descriptor)
            os.rename(temporary, self.path)
            if self._fsync:
                _sync_folder(self.path.parent)
            self._note(Stamp.of(os.fstat(descriptor)), _probe(reader(descriptor), size), found, rest)
        except BaseException:
            with suppress(FileNotFoundError):
                temporary.unlink()
            raise
        finally:
            os.close(descriptor)

    def _note(self, stamp: Stamp, probe: bytes, found: Sequence[Seen], rest: Sequence[Row]) -> None:
        """*rest* lies as *found* in the new file."""
        assert self.listing is not None
        rows = sorted(row_of(seen, row.uid, row.saved) for seen, row in zip(found, rest, strict=True))
        listing = self.listing.holding(rows, self.listing.uidnext).of_file(stamp, probe)
        self.listing = self.ledger.write(self.name, self.listing, listing)


def reader(descriptor: int) -> ReadAt:
    return lambda length, offset: os.pread(descriptor, length, offset)


def _strange(flags: str, keywords: Sequence[str]) -> list[str]:
    """The keywords among *flags* that a mailbox with *keywords* does not know, because it has too many."""
    known = {word.lower() for word in keywords}
    return [word for word in flags.split() if not word.startswith("\\") and word.lower() not in known]


def _probe(read_at: ReadAt, size: int) -> bytes:
    """A digest of the beginning and the end of the octets [:size]."""
    ends = read_at(min(_PROBED, size), 0) + read_at(min(_PROBED, size), max(0, size - _PROBED))
    return hashlib.blake2b(ends, digest_size=16).digest()


def _is_mbox(read_at: ReadAt, size: int) -> bool:
    """Whether mail may be added here: there is nothing yet, or a From line."""
    beginning = read_at(postmark.LONGEST, 0).lstrip()
    line = beginning.partition(b"\n")[0]
    if line.startswith(scanning.FROM) and (postmark.is_certain(line) or postmark.is_likely(line)):
        return True
    extent = next(scanning.mbox(read_at, size), None)
    return extent is None or bool(extent.postmark) or extent.end < size


def _copy_edited(held: Held, target: int, edits: Sequence[tuple[int, int, bytes]]) -> None:
    at = 0
    for count, (start, end, instead) in enumerate(edits):
        _copy(held.descriptor, target, at, start)
        _write(target, instead)
        at = end
        if count % _TOUCH_EVERY == 0:
            held.touch()
    _copy(held.descriptor, target, at, os.fstat(held.descriptor).st_size)


def _copy(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        octets = os.pread(source, min(_BLOCK, end - start), start)
        if not octets:
            raise OSError(errno.EIO, "a mailbox became shorter while it was locked")
        _write(target, octets)
        start += len(octets)


def _write(descriptor: int, octets: bytes) -> None:
    while octets:
        octets = octets[os.write(descriptor, octets) :]


def _keep_owner(old: int, new: int) -> None:
    """Owner, group and mode of the old file. OSError where that is not allowed: then nothing is rewritten."""
    before, after = os.fstat(old), os.fstat(new)
    if (before.st_uid, before.st_gid) != (after.st_uid, after.st_gid):
        os.fchown(new, before.st_uid, before.st_gid)
    os.fchmod(new, before.st_mode & 0o7777)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
