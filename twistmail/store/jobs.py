"""What the store asks of the committer: jobs (`disk.Job`) that bring message files to their names and UIDs.

All UIDs are assigned here, in the committer's one thread, and the callers hear
of them in that order: so arrivals always ascend. After a job is done its
`arrivals` say what there is now. A job that failed after it had published is
taken back with `retract`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from twistmail import heap
from twistmail.disk import Unsynced
from twistmail.drafts import Drafted
from twistmail.mail import lines
from twistmail.mail.content import CHUNK, Content, Memory
from twistmail.mail.mailbox import StoreError
from twistmail.store import names
from twistmail.store.folders import FolderTree
from twistmail.store.maildir import LOOKS, Arrival, Draft, Maildir, Original
from twistmail.store.names import INBOX
from twistmail.store.pigeonholes import book
from twistmail.store.redorecords import Stored
from twistmail.store.uidlist import LARGEST_UID
from twistmail.store.unsynced import Grounds


@dataclass(slots=True)
class Piece:
    """One copy on its way. `folder` becomes INBOX where the folder cannot be made."""

    tree: FolderTree
    folder: str
    prefix: bytes
    content: Content
    seen: bool = False
    maildir: Maildir | None = None
    draft: Draft | None = None
    arrival: Arrival | None = None
    error: OSError | None = None

    @property
    def letters(self) -> bytes | None:
        """Its flags as `Maildir.publish` wants them."""
        return SEEN if self.seen else None


#: The flags of what is read already.
SEEN = b"S"
#: Larger messages are cheaper to sync than to write twice.
LARGEST_LOGGED = 256 * 1024
#: From so many copies on that are equal to the octet, the content is written once, and has a name in each mailbox.
SHARED_FROM = 20
#: The mailboxes whose UID lists are locked, and what was in the way of the others.
Locked = Mapping[Maildir, OSError | None]
_Writing = Callable[[Maildir, Iterable[bytes | Drafted]], Draft]


class DeliveryJob:
    """Several copies into several mailboxes; trouble with one does not stop the others (its `error` says what it was)."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = pieces
        self.count = len(pieces)
        sizes = [len(piece.prefix) + piece.content.size for piece in pieces]
        self.size = sum(sizes)
        self._grounds = Grounds()
        self._equal = _equal(pieces) if self.count >= SHARED_FROM else {}
        is_logged = pieces and not self._equal and max(sizes) <= LARGEST_LOGGED and all(piece.tree.redo for piece in pieces)
        self.redo = pieces[0].tree.redo if is_logged else None

    def write(self) -> Iterable[Unsynced]:
        drafts = [draft.descriptor for draft in self._written(Maildir.write) if draft.descriptor >= 0]
        return [*drafts, *self._new_mailboxes()]

    def stage(self) -> Iterable[Path]:
        self._written(Maildir.stage)
        return self._new_mailboxes()

    def _new_mailboxes(self) -> list[Path]:
        """What was made for mailboxes that were missing, by us or by one before us who did not come to sync it."""
        self._grounds = Grounds({piece.tree.unsynced for piece in self.pieces})
        return self._grounds.paths

    def _written(self, write: _Writing) -> list[Draft]:
        written = []
        firsts: dict[int, Piece] = {}
        for place, piece in enumerate(self.pieces):
            group = self._equal.get(place, place)
            try:
                written.append(_second_name(piece, firsts.get(group)) or _write(piece, write))
            except OSError as error:
                piece.error = error
            else:
                firsts.setdefault(group, piece)
        return written

    def maildirs(self) -> Iterable[Maildir]:
        return self._by_maildir().keys()

    def assign(self, locked: Locked) -> list[Stored]:
        records: list[Stored] = []
        for maildir, pieces in self._by_maildir().items():
            try:
                records += _assigned(maildir, *_drafts(pieces), locked)
            except OSError as error:
                self._condemn(pieces, error)
        return records

    def publish(self) -> Iterable[int]:
        self._grounds.synced()
        folders: set[int] = set()
        for maildir, pieces in self._by_maildir().items():
            try:
                arrivals = maildir.publish(*_drafts(pieces))
                folders |= maildir.published_descriptors(arrivals)
            except OSError as error:
                self._condemn(pieces, error)
            else:
                for piece, arrival in zip(pieces, arrivals, strict=True):
                    piece.arrival = arrival
        return folders

    def _condemn(self, pieces: Sequence[Piece], error: OSError) -> None:
        for piece in pieces:
            piece.error = error

    def close(self) -> None:
        for piece in self.pieces:
            if piece.draft and piece.maildir:
                piece.maildir.discard(piece.draft)

    def retract(self) -> None:
        for piece in self.pieces:
            if piece.arrival and piece.maildir:
                piece.maildir.known = None
                piece.maildir.take_back([(piece.arrival.path,)])

    def _by_maildir(self) -> dict[Maildir, list[Piece]]:
        groups: dict[Maildir, list[Piece]] = {}
        for piece in self.pieces:
            if piece.maildir and piece.draft and not piece.error:
                groups.setdefault(piece.maildir, []).append(piece)
        return groups


def _drafts(pieces: Sequence[Piece]) -> tuple[list[Draft], list[bytes | None]]:
    """What *pieces* have become in tmp/, and their flags."""
    return [piece.draft for piece in pieces if piece.draft], [piece.letters for piece in pieces if piece.draft]


def _equal(pieces: Sequence[Piece]) -> dict[int, int]:
    """The places of the pieces that are copies of many, each with the place of the first of those."""
    groups: dict[tuple[bytes, int], list[int]] = {}
    for place, piece in enumerate(pieces):
        groups.setdefault((piece.prefix, id(piece.content)), []).append(place)
    return {place: group[0] for group in groups.values() if len(group) >= SHARED_FROM for place in group}


def _second_name(piece: Piece, first: Piece | None) -> Draft | None:
    """*piece* as another name of the file that was written for *first*; None where there is none, or no such name can be."""
    if first is None or first.maildir is None or first.draft is None:
        return None
    piece.maildir = _destination(piece)
    piece.draft = piece.maildir.second(first.maildir, first.draft)
    return piece.draft


def _write(piece: Piece, write: _Writing) -> Draft:
    for last_try in (False, True):
        piece.maildir = _destination(piece)
        try:
            piece.draft = write(piece.maildir, _stored(piece.prefix, piece.content))
            return piece.draft
        except FileNotFoundError:  # somebody has removed the directory under us
            if last_try:
                raise
            piece.maildir.forget()
            piece.tree.forget()
    raise AssertionError("two tries end in a return or in an exception")


def _destination(piece: Piece) -> Maildir:
    """The maildir of the piece, made when missing."""
    maildir = piece.tree.maildir(piece.folder)
    if maildir.exists:
        return maildir
    piece.tree.begin()
    if piece.folder != INBOX:
        try:
            piece.tree.make(piece.folder)
        except (OSError, StoreError):
            piece.folder = INBOX
    return piece.tree.maildir(piece.folder)


def _assigned(maildir: Maildir, drafts: Sequence[Draft], letters: Sequence[bytes | None], locked: Locked) -> Iterator[Stored]:
    """Give *drafts* their UIDs; what the redo log has to know. Raises OSError."""
    if (error := locked[maildir]) is not None:
        raise error
    maildir.assign(drafts)
    folder, uidvalidity = maildir.logged_as, maildir.uids.uidvalidity
    return (
        Stored(folder, uidvalidity, draft.uid, draft.base, flags, draft.date, draft.content)
        for draft, flags in zip(drafts, letters, strict=True)
    )


def _stored(prefix: bytes, content: Content) -> Iterable[bytes | Drafted]:
    """The chunks of a file, LF line ends."""
    if isinstance(content, Drafted):
        return lines.to_lf(prefix), content
    if isinstance(content, Memory):
        return (lines.to_lf(prefix + content.data),)
    return lines.stream_to_lf(chain((prefix,), content.chunks()))


@dataclass(slots=True)
class Entry:
    """A message for `AppendJob`: content, flag letters, and its date (POSIX seconds, None: now)."""

    content: Content
    letters: bytes
    date: float | None


class AppendJob:
    """Messages into the cur/ of one mailbox, all or none. What else was made in *tree* and may not be durable becomes so first."""

    def __init__(self, tree: FolderTree, maildir: Maildir, entries: Sequence[Entry]) -> None:
        self.tree = tree
        self.maildir = maildir
        self.entries = entries
        self.count = len(entries)
        sizes = [entry.content.size for entry in entries]
        self.size = sum(sizes)
        self.redo = maildir.redo if entries and max(sizes) <= LARGEST_LOGGED else None
        self.arrivals: list[Arrival] = []
        self._drafts: list[Draft] = []
        self._grounds = Grounds()

    def write(self) -> Iterable[Unsynced]:
        for entry in self.entries:
            self._drafts.append(self.maildir.write(_stored(b"", entry.content), entry.date))
        return [*(draft.descriptor for draft in self._drafts), *self._new_mailboxes()]

    def stage(self) -> Iterable[Path]:
        for entry in self.entries:
            self._drafts.append(self.maildir.stage(_stored(b"", entry.content), entry.date))
        return self._new_mailboxes()

    def _new_mailboxes(self) -> list[Path]:
        self._grounds = Grounds({self.tree.unsynced})
        return self._grounds.paths

    def maildirs(self) -> Iterable[Maildir]:
        return (self.maildir,)

    def assign(self, locked: Locked) -> list[Stored]:
        return list(_assigned(self.maildir, self._drafts, [entry.letters for entry in self.entries], locked))

    def publish(self) -> Iterable[int]:
        self._grounds.synced()
        self.arrivals = self.maildir.publish(self._drafts, [entry.letters for entry in self.entries])
        return self.maildir.published_descriptors(self.arrivals)

    def close(self) -> None:
        for draft in self._drafts:
            self.maildir.discard(draft)

    def retract(self) -> None:
        self.maildir.take_back([(arrival.path,) for arrival in self.arrivals])


class CopyJob:
    """Second names for messages of one mailbox in another, all or none. No content is read. A source that is gone is an OSError."""

    size = 0

    def __init__(self, source: Maildir, tree: FolderTree, target: Maildir, originals: Sequence[Original]) -> None:
        self.source = source
        self.tree = tree  # of the target
        self.maildir = target
        self.originals = originals
        self.arrivals: list[Arrival] = []
        self._grounds = Grounds()

    def write(self) -> Iterable[Path]:
        """The content is durable already, or is made so: a copy shall not depend on what the redo log says about its original."""
        redo = self.source.redo
        if redo and redo.holds(self.source, [names.base_of(original.paths[0]) for original in self.originals]):
            redo.checkpoint()
        self._grounds = Grounds({self.tree.unsynced})
        return self._grounds.paths

    def publish(self) -> Iterable[int]:
        self._grounds.synced()
        self.arrivals = self.maildir.link(self.source, self.originals)
        return self.maildir.published_descriptors(self.arrivals)

    def close(self) -> None:
        """Nothing was opened."""

    def retract(self) -> None:
        self.maildir.take_back([(arrival.path,) for arrival in self.arrivals])


#: Of a message file: its size with CRLF line ends, and the time of its arrival.
Details = tuple[int, float]


class AdoptionJob:
    """UIDs for files that a scan has found and whose UIDs we do not know, the oldest first.

    The list may have them already (another process was faster, or we have not heard yet): UIDs above *above* are kept. One
    of *expunged* belonged to a message that was told to have gone: its file gets a new one. Any other one cannot be told
    any more, because UIDs ascend: then `overtaken` is True, and who has the mailbox open must open it again.
    """

    size = 0

    def __init__(self, maildir: Maildir, paths: Sequence[bytes], above: int, expunged: Set[int] = frozenset()) -> None:
        self.maildir = maildir
        self.paths = paths
        self.above = above
        self.expunged = expunged
        self.overtaken = False
        self.arrivals: list[Arrival] = []
        self.fresh = False  # whether there were files that nobody had given a UID

    def write(self) -> Iterable[int]:
        return ()

    def publish(self) -> Iterable[int]:
        with self.maildir.uids.locked():
            uids, bases = self.maildir.uids.read()
            listed = book(len(uids), ((base, uid) for uid, base in zip(uids, bases, strict=True) if uid not in self.expunged))
            paths = {names.base_of(path): path for path in self.paths}
            self.overtaken = any(listed.get(base, LARGEST_UID) <= self.above for base in paths)
            found = self._found(paths, {base for base, uid in listed.items() if uid > self.above})
            fresh = names.oldest_first([base for base in found if base not in listed])
            self.fresh = bool(fresh)
            self._unlist(set(fresh), uids, bases)
            listed.update(zip(fresh, self.maildir.uids.append(fresh) if fresh else (), strict=True))
        arrivals = (Arrival(listed[base], path, *details) for base, (path, details) in found.items() if listed[base] > self.above)
        self.arrivals = sorted(arrivals, key=lambda arrival: arrival.uid)
        heap.let_go(bases)
        listed.clear()
        return [self.maildir.uids.descriptor]

    def _unlist(self, fresh: Set[bytes], uids: Sequence[int], bases: Sequence[bytes]) -> None:
        """Drop the lines of expunged messages whose files get new UIDs: no name may be listed twice. Hold the lock."""
        if self.expunged and not fresh.isdisjoint(bases):
            kept = [(uid, base) for uid, base in zip(uids, bases, strict=True) if base not in fresh]
            self.maildir.uids.rewrite([uid for uid, _ in kept], [base for _, base in kept])

    def _found(self, paths: dict[bytes, bytes], published: Set[bytes]) -> dict[bytes, tuple[bytes, Details]]:
        """{base name: (path, details)} of those *paths*, and of *published*, files that got their UIDs after the scan, or that it
        missed: our UIDs must not overtake theirs. Since then any of them may have been renamed, and be so while we look again.
        """
        found: dict[bytes, tuple[bytes, Details]] = {}
        wanted = published | paths.keys()
        for _ in range(1 + LOOKS):
            for base, path in paths.items():
                if details := details_of(self.maildir, path):
                    found[base] = path, details
            tried, wanted = paths, wanted - found.keys()
            if not wanted:
                break
            paths = {base: path for path in self.maildir.listing() if (base := names.base_of(path)) in wanted and tried.get(base) != path}
        return found

    def close(self) -> None:
        """Nothing was opened."""

    def retract(self) -> None:
        """The files are not ours, and a UID given twice would be worse than one wasted."""


def details_of(maildir: Maildir, path: bytes) -> Details | None:
    """(size with CRLF line ends, time of arrival) of a message file; None where it is gone or is no plain file."""
    try:
        descriptor = maildir.open_file(path)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None
        size = names.crlf_size(names.base_of(path))
        if size is None:
            size = lines.size_with_crlf(iter(lambda: os.read(descriptor, CHUNK), b""))
        return size, status.st_mtime
    finally:
        os.close(descriptor)


__all__ = ["AdoptionJob", "AppendJob", "CopyJob", "DeliveryJob", "Entry", "Original", "Piece", "details_of"]
