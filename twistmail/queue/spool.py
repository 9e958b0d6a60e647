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
from contextlib import AbstractContextManager, nullcontext
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
from twistmail.options import COUNT, SIZE_OR_SHARE, TEXT, Option, Reload, Section, Share, choice, size_or, words_of
from twistmail.queue import records
from twistmail.queue.express import begin
from twistmail.queue.fastlane import FastLane
from twistmail.queue.folders import Folders
from twistmail.queue.ground import MEMORY, NETWORK
from twistmail.queue.jobs import Add, Append, Remove
from twistmail.queue.scan import scan

log = Logger()

#: Seconds for which it is believed how much of the disk is free.
BELIEVED = 0.05

OPTIONS = Section(
    "queue", "Mail that waits.",
    Option("use", TEXT, "spool", "Which queue: spool (files), memory (for tests), or one from a plugin.", Reload.RESTART),
    Option("path", TEXT, "queue", "The folder of the queue; relative to data_dir.", Reload.RESTART),
    Option("max_messages", COUNT, "100000", "With so many waiting, new mail is told to come back later (452).", Reload.RESTART),
    Option("max_bytes", SIZE_OR_SHARE, "20%", "The same for the sum of their sizes: so many octets, or a part of the file system.",
           Reload.RESTART),
    Option("reserve", size_or("none"), "256M", "So much of the file system stays free: with less, mail that would have to wait is told to "
           "come later (452). What is kept is for reports and for notes of what was delivered.", Reload.RESTART),
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


@implementer(IQueue)
class Spool:
    """`committer`: disk.Committer of the file system of *root*. `threads`: tasks.Threads, for the scan at start.

    `bounds`: how much may wait. `reserve`: octets of the file system that stay free (None: none). `clock`: IReactorTime; with
    one, and a committer that takes logs, what is soon gone is kept in a log (`express`).
    """

    def __init__(
        self, root: Path, committer: Any, threads: Any, bounds: Bounds | None = None, *, reserve: int | None = None, clock: Any = None
    ) -> None:
        self.folders = Folders(root)
        self.committer = committer
        self.threads = threads
        self.bounds = bounds or Bounds()
        self.reserve = reserve or 0
        self.bytes = 0
        self._clock = clock
        self._seen = (0, 0, 0.0)  # how much was free, what the queue had then, and until when that is believed
        self._items: dict[str, Item] = {}
        self._promised = 0  # additions under way
        self._lengths: dict[str, int] = {}  # of envelopes; only jobs touch it after `recover`
        is_fast = clock is not None and committer.takes_logs
        self._fast = FastLane(self.folders, self._items, self._lengths, committer, threads, clock) if is_fast else None

    async def recover(self) -> tuple[Item, ...]:
        express = await self.threads.run(begin, self.folders)
        if self._fast and express:
            self._fast.open(express)
        elif express:
            express.close()
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
            if self._fast is None or not await self._fast.add(item, content):
                await self.make_files(item, content)
            self._items[item.id] = item
        except OSError:
            await self._forget(item.id)
            raise
        finally:
            self._promised -= 1
            if item.id not in self._items:
                self.bytes -= item.size

    async def make_files(self, item: Item, content: Content) -> None:
        """The pair of files of *item*, durable. Raises OSError."""
        await self.committer.commit(Add(self.folders, self._lengths, item, content))

    def room_for(self, size: int, *, report: bool = False) -> OSError | None:
        why = self.bounds.refusal(len(self._items) + self._promised, self.bytes, size, report=report)
        if not why and self.reserve and not report and (free := self._free()) < self.reserve + size:
            why = f"{free} octets are free where the queue lies, of which {self.reserve} are kept"
        return OSError(errno.ENOSPC, why) if why else None

    def _free(self) -> int:
        """Octets of the file system. The system is asked twenty times a second at most: each message wants to know it twice."""
        now = 0.0 if self._clock is None else self._clock.seconds()
        free, had, until = self._seen
        if now >= until:
            disk = os.fstatvfs(self.folders.descriptor)
            free, had = disk.f_bavail * disk.f_frsize, self.bytes
            self._seen = free, had, 0.0 if self._clock is None else now + BELIEVED
        return free - max(0, self.bytes - had)

    async def _forget(self, identifier: str) -> None:
        """An addition that failed may have been published all the same (its directory could not be synced)."""
        try:
            await self.committer.commit(Remove(self.folders, self._lengths, identifier))
        except (OSError, KeyError):
            pass  # the caller already raises what went wrong; at worst the message comes back at the next start

    async def record(self, identifier: str, event: Event) -> Item:
        if self._fast and (item := await self._noted(self._fast, identifier, event)) is not None:
            self._items[identifier] = item
            return item
        return await self._append(identifier, records.event_written(event), lambda item: item.after(event))

    async def _noted(self, fast: FastLane, identifier: str, event: Event) -> Item | None:
        """The item after *event*, where the log has taken that; also where it could be given no files, as on a full disk."""
        if (item := fast.noted(identifier, event)) is None:
            try:
                await fast.move(identifier)
            except OSError:
                if (item := fast.noted(identifier, event)) is None:
                    raise
        return item

    async def hold(self, identifier: str, held: bool, why: str = "") -> Item:
        return await self._append(identifier, records.hold_written(held, why), lambda item: item.on_hold(held, why))

    async def _append(self, identifier: str, line: bytes, change: Any) -> Item:
        """Several may run for one item: the committer keeps their order, so the file and the value agree."""
        if identifier not in self._items:
            raise KeyError(identifier)
        if self._fast:
            await self._fast.move(identifier)
        await self.committer.commit(Append(self.folders, self._lengths, identifier, line))
        item: Item = change(self._items[identifier])
        self._items[identifier] = item
        return item

    async def remove(self, identifier: str) -> None:
        item = self._items[identifier]
        if self._fast and (self._fast.forget(identifier) or await self._forgotten(self._fast, identifier)):
            del self._items[identifier]
            self.bytes -= item.size
            return
        await self.committer.commit(Remove(self.folders, self._lengths, identifier))
        if self._items.pop(identifier, None) is not None:
            self.bytes -= item.size

    def together(self) -> AbstractContextManager[None]:
        """Several items that are removed meanwhile cost one write, at the end; only for what waits for nothing (`FastLane.together`)."""
        return self._fast.together() if self._fast else nullcontext()

    async def _forgotten(self, fast: FastLane, identifier: str) -> bool:
        """Whether it is in the log no longer, and has no files; for it may be just getting some, and on a full disk it gets none."""
        try:
            await fast.move(identifier)
        except OSError:
            if not fast.forget(identifier):
                raise
            return True
        return False

    def items(self) -> tuple[Item, ...]:
        return tuple(self._items.values())

    def content(self, identifier: str) -> Content:
        item = self._items[identifier]
        if self._fast and (content := self._fast.content(identifier)) is not None:
            return content
        return FileContent(Path(self.folders.content(identifier)), 0, item.size - len(item.prefix))

    async def rest(self) -> None:
        """Everything has its files, so that it is seen while no server runs. Before the committer stops; nothing is raised."""
        if self._fast:
            await self._fast.rest()

    def stop(self) -> None:
        """Close what is open; after the committer has stopped."""
        if self._fast:
            self._fast.close()
        os.close(self.folders.descriptor)


def bounds(max_messages: int, max_bytes: int | Share | None, root: Path) -> Bounds:
    """Those that the settings mean for a spool in *root*, which may still have to be made. OSError."""
    if not isinstance(max_bytes, Share):
        return Bounds(max_messages, max_bytes)
    disk = os.statvfs(next(folder for folder in (root, *root.parents) if folder.exists()))
    return Bounds(max_messages, max_bytes.of(disk.f_blocks * disk.f_frsize))
