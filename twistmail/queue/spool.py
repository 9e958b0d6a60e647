"""The spool: queued mail as pairs of files. Implements IQueue.

One message is `ID.content` (never changes) and `ID.envelope` (a log: the item as
it was accepted, then a line per event, see `queue/records.py`). Which files exist
says where the message is in its life:

    ready/C   ready/E   meaning                            at start
    -         -         (tmp only) being received          tmp is emptied
    yes       -         being published, or being removed  removed
    yes       yes       promised                           scheduled
    -         yes       cannot happen                      moved to corrupt/, alarm

so content appears before its envelope and goes after it. Whatever cannot be
read goes to `corrupt/` too, and nothing there is ever deleted by us.

Two choices. The folder is flat: a hundred thousand names are nothing to a hashed
directory, and a batch then costs one directory sync, not one per shard. The
envelope is appended to, not replaced: one sync instead of two, no rename, and its
first block is on disk already, so an outcome can still be written down when the
disk is full, which is what keeps a full disk from sending mail twice.

All disk work is a Job for the committer, which makes it durable in bulk, or runs
in a thread. Knows nothing about time, retries or delivery.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from twistmail.disk import FileContent
from twistmail.interfaces import IQueue
from twistmail.mail.bounds import Bounds
from twistmail.mail.content import Content
from twistmail.mail.item import Item
from twistmail.mail.outcome import Event
from twistmail.options import COUNT, SIZE, SIZE_OR_SHARE, TEXT, Option, Reload, Section, Share, choice, words_of
from twistmail.queue import records
from twistmail.queue.folders import Folders
from twistmail.queue.ground import MEMORY, NETWORK
from twistmail.queue.scan import scan

log = Logger()

OPTIONS = Section(
    "queue", "Mail that waits.",
    Option("use", TEXT, "spool", "Which queue: spool (files), memory (for tests), or one from a plugin.", Reload.RESTART),
    Option("path", TEXT, "queue", "The folder of the queue; relative to data_dir.", Reload.RESTART),
    Option("max_messages", COUNT, "100000", "With so many waiting, new mail is told to come back later (452).", Reload.RESTART),
    Option("max_bytes", SIZE_OR_SHARE, "20%", "The same for the sum of their sizes: so many octets, or a part of the file system.",
           Reload.RESTART),
    Option("reserve", SIZE, "256M", "So much of the file system stays free: with less, mail that would have to wait is told to come later "
           "(452). What is kept is for reports and for notes of what was delivered.", Reload.RESTART),
    Option("pickup", TEXT, "pickup", "The folder in which the sendmail command leaves mail while the server does not run; relative to "
           "data_dir, which only the server may enter: docs/pickup.md has one for all users. Empty: there is none.", Reload.RESTART),
    Option("allow", words_of(MEMORY, NETWORK), "", "Where the queue may lie although mail can be lost there: memory (tmpfs; for tests), "
           "network (NFS and the like).", Reload.RESTART, example="memory"),
    Option("socket", TEXT, "", "A UNIX socket at which the users of this machine see their mail that waits, and have it tried again "
           "(mailq, sendmail -q); empty: only operators do.", Reload.RESTART, example="/run/twistmail/queue.sock"),
    Option("users_see", choice("own", "all", "no"), "own", "What that shows to who is no operator: what he has sent himself, everything, "
           "or nothing."),
    Option("users_flush", choice("own", "all", "no"), "own", "The same for what he may have tried again."),
)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@implementer(IQueue)
class Spool:
    """`committer`: disk.Committer of the file system of *root*. `threads`: tasks.Threads, for the scan at start.

    `bounds`: how much may wait. `reserve`: octets of the file system that stay free (None: none).
    """

    def __init__(self, root: Path, committer: Any, threads: Any, bounds: Bounds | None = None, *, reserve: int | None = None) -> None:
        self.folders = Folders(root)
        self.committer = committer
        self.threads = threads
        self.bounds = bounds or Bounds()
        self.reserve = reserve or 0
        self.bytes = 0
        self._items: dict[str, Item] = {}
        self._promised = 0  # additions under way
        self._lengths: dict[str, int] = {}  # of envelopes; only jobs touch it after `recover`

    async def recover(self) -> tuple[Item, ...]:
        found = await self.threads.run(scan, self.folders)
        for item, length in sorted(found, key=lambda pair: (pair[0].arrived, pair[0].id)):
            self._items[item.id] = item
            self._lengths[item.id] = length
            self.bytes += item.size
        return self.items()

    async def add(self, item: Item, content: Content) -> None:
        if item.id in self._items:
            raise FileExistsError(errno.EEXIST, "the queue has an item of this name", item.id)
        if (full := self.room_for(item.size, report=item.sender is None)) is not None:
            raise full
        self._promised += 1
        self.bytes += item.size
        try:
            await self.committer.commit(_Add(self.folders, self._lengths, item, content))
            self._items[item.id] = item
        except OSError:
            await self._forget(item.id)
            raise
        finally:
            self._promised -= 1
            if item.id not in self._items:
                self.bytes -= item.size

    def room_for(self, size: int, *, report: bool = False) -> OSError | None:
        why = self.bounds.refusal(len(self._items) + self._promised, self.bytes, size, report=report)
        if not why and self.reserve and not report:
            disk = os.fstatvfs(self.folders.descriptor)
            if (free := disk.f_bavail * disk.f_frsize) < self.reserve + size:
                why = f"{free} octets are free where the queue lies, of which {self.reserve} are kept"
        return OSError(errno.ENOSPC, why) if why else None

    async def _forget(self, identifier: str) -> None:
        """An addition that failed may have been published all the same (its directory could not be synced)."""
        try:
            await self.committer.commit(_Remove(self.folders, self._lengths, identifier))
        except (OSError, KeyError):
            pass  # the caller already raises what went wrong; at worst the message comes back at the next start

    async def record(self, identifier: str, event: Event) -> Item:
        return await self._append(identifier, records.event_written(event), lambda item: item.after(event))

    async def hold(self, identifier: str, held: bool, why: str = "") -> Item:
        return await self._append(identifier, records.hold_written(held, why), lambda item: item.on_hold(held, why))

    async def _append(self, identifier: str, line: bytes, change: Any) -> Item:
        """Several may run for one item: the committer keeps their order, so the file and the value agree."""
        if identifier not in self._items:
            raise KeyError(identifier)
        await self.committer.commit(_Append(self.folders, self._lengths, identifier, line))
        item: Item = change(self._items[identifier])
        self._items[identifier] = item
        return item

    async def remove(self, identifier: str) -> None:
        item = self._items[identifier]
        await self.committer.commit(_Remove(self.folders, self._lengths, identifier))
        if self._items.pop(identifier, None) is not None:
            self.bytes -= item.size

    def items(self) -> tuple[Item, ...]:
        return tuple(self._items.values())

    def content(self, identifier: str) -> FileContent:
        item = self._items[identifier]
        return FileContent(Path(self.folders.content(identifier)), 0, item.size - len(item.prefix))

    def stop(self) -> None:
        """Close what is open; after the committer has stopped."""
        os.close(self.folders.descriptor)


def bounds(max_messages: int, max_bytes: int | Share | None, root: Path) -> Bounds:
    """Those that the settings mean for a spool in *root*, which may still have to be made. OSError."""
    if not isinstance(max_bytes, Share):
        return Bounds(max_messages, max_bytes)
    disk = os.statvfs(next(folder for folder in (root, *root.parents) if folder.exists()))
    return Bounds(max_messages, max_bytes.of(disk.f_blocks * disk.f_frsize))


# ----- jobs: all methods run in the committer's thread ---------------------------


class _Add:
    """Content and envelope, written under temporary names, published in this order."""

    def __init__(self, folders: Folders, lengths: dict[str, int], item: Item, content: Content) -> None:
        self.folders, self.lengths, self.item, self.content = folders, lengths, item, content
        self.size = item.size
        self.open: list[int] = []
        self.left = list(folders.temporary(item.id))  # temporary names that are still in use

    def write(self) -> Iterable[int]:
        content, envelope = self.left
        if not self._linked(content):
            self._write(content, self.content.chunks(), self.item.size - len(self.item.prefix))
        record = records.written(self.item)
        self._write(envelope, (record,), len(record))
        self.lengths[self.item.id] = len(record)
        return self.open

    def _linked(self, name: str) -> bool:
        """A whole file (a draft, which never changes any more) on this file system gets a second name instead of a copy."""
        source = self.content
        if not isinstance(source, FileContent) or source.start or source.path.stat().st_size != source.size:
            return False
        try:
            os.link(source.path, name, follow_symlinks=False)
        except OSError:
            return False
        self.open.append(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
        return True

    def _write(self, name: str, chunks: Iterable[bytes], size: int) -> None:
        descriptor = os.open(name, _NEW, 0o600)
        self.open.append(descriptor)
        total = 0
        for chunk in chunks:
            _write_all(descriptor, chunk)
            total += len(chunk)
        if total != size:
            raise OSError(errno.EIO, f"{total} octets came where {size} were promised", name)

    def publish(self) -> Iterable[int]:
        os.rename(self.left[0], self.folders.content(self.item.id))
        os.rename(self.left[1], self.folders.envelope(self.item.id))
        self.left.clear()
        return (self.folders.descriptor,)

    def close(self) -> None:
        for descriptor in self.open:
            os.close(descriptor)
        for name in self.left:
            _unlink(name)


class _Append:
    """One more record at the end of an envelope. What a failed write left behind is written over by the next one."""

    def __init__(self, folders: Folders, lengths: dict[str, int], identifier: str, line: bytes) -> None:
        self.folders, self.lengths, self.identifier, self.line = folders, lengths, identifier, line
        self.size = len(line)
        self.descriptor = -1

    def write(self) -> Iterable[int]:
        if self.identifier not in self.lengths:
            raise KeyError(self.identifier)
        self.descriptor = os.open(self.folders.envelope(self.identifier), os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        end = self.lengths[self.identifier]
        if os.pwrite(self.descriptor, self.line, end) != len(self.line):
            raise OSError(errno.ENOSPC, "the record was written in part only", self.identifier)
        self.lengths[self.identifier] = end + len(self.line)
        return (self.descriptor,)

    def publish(self) -> Iterable[int]:
        return ()

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


class _Remove:
    """The envelope goes first: from then on the content is a leftover."""

    size = 0

    def __init__(self, folders: Folders, lengths: dict[str, int], identifier: str) -> None:
        self.folders, self.lengths, self.identifier = folders, lengths, identifier

    def write(self) -> Iterable[int]:
        return ()

    def publish(self) -> Iterable[int]:
        _unlink(self.folders.envelope(self.identifier))
        _unlink(self.folders.content(self.identifier))
        self.lengths.pop(self.identifier, None)
        return (self.folders.descriptor,)

    def close(self) -> None:
        pass


def _unlink(name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
