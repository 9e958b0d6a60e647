"""The mailboxes of one account (IMailboxes): which are in memory, and what happens to the tree."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from zope.interface import implementer

from twistmail import tasks
from twistmail.mail.annotations import SPECIAL_USE
from twistmail.mail.mailbox import Folder, MailboxStatus, NoSuchMailbox, Quota, StoreError, TreeEvent
from twistmail.mail.news import TreeNews, Watcher
from twistmail.store import glance, names
from twistmail.store.annotations import Annotations
from twistmail.store.descriptions import Descriptions
from twistmail.store.folders import FolderTree
from twistmail.store.fulltext import FullText
from twistmail.store.index import Index
from twistmail.store.lookout import Lookout
from twistmail.store.mailbox import Mailbox
from twistmail.store.maildir import Arrival, Maildir, NotAMaildir
from twistmail.store.names import INBOX, SEPARATOR
from twistmail.store.textsearch import TextIndex
from twistmail.store.workshop import Workshop
from twistmail.store_interfaces import IMailboxes

#: Seconds in which a full account is not counted again: strangers may send it mail as fast as they like.
RECOUNTED_AFTER = 10.0


@implementer(IMailboxes)
class Mailboxes:
    """One object per account, shared by all its sessions. *idle* is told of a mailbox that nobody has open any more."""

    def __init__(self, account: str, tree: FolderTree, workshop: Workshop, idle: Callable[[Mailboxes, Mailbox], None]) -> None:
        self.account = account
        self.tree = tree
        self.index = Index(tree.root)
        self.descriptions = Descriptions(self.index)
        self.texts = TextIndex(FullText(tree.root), workshop)
        self.jobs = 0  # deliveries under way
        self.news = TreeNews()
        self._lookout = Lookout(tree, workshop, lambda name: self.news.tell(TreeEvent.STIRRED, name))
        self._annotations = Annotations(tree.root)
        self._annotating = tasks.Limit(1)
        self._workshop = workshop
        self._idle = idle
        self._mailboxes: dict[str, Mailbox] = {}
        self._usage = Usage()
        self._recounted = 0.0  # when, because there seemed to be no room

    @property
    def root(self) -> Path:
        return self.tree.root

    @property
    def in_memory(self) -> tuple[Mailbox, ...]:
        return tuple(self._mailboxes.values())

    async def prepare(self) -> None:
        """Make what a new account needs. Raises OSError."""
        if not self.tree.ready:
            await self._workshop.threads.run(self.tree.prepare)

    def delivered(self, folder: str, arrival: Arrival) -> None:
        """A delivery has put a message into *folder*: tell those who look at it."""
        self.count(arrival.size, 1)
        mailbox = self._mailboxes.get(folder)
        if mailbox is not None:
            mailbox.arrived((arrival,))
        else:
            self.news.tell(TreeEvent.ARRIVED, folder)

    def watch(self, watcher: Watcher) -> None:
        if not self.news:
            tasks.start(self._lookout.begin(), f"watching the mailboxes of {self.account}")
        self.news.watch(watcher)

    def unwatch(self, watcher: Watcher) -> None:
        self.news.unwatch(watcher)
        if not self.news:
            self._lookout.end()

    # ----- the tree

    async def folders(self) -> tuple[Folder, ...]:
        return await self._workshop.threads.run(self.tree.folders)

    async def create(self, name: str, uses: Sequence[str] = ()) -> None:
        name = names.normal(name.removesuffix(SEPARATOR))
        if name == INBOX:
            raise StoreError("INBOX is always there", "ALREADYEXISTS")
        await self._workshop.threads.run(self.tree.create, name, uses)
        self._lookout.add(name)
        self.news.tell(TreeEvent.CREATED, name)

    async def set_uses(self, name: str, uses: Sequence[str]) -> None:
        await self._workshop.threads.run(self.tree.set_uses, _existing(name), uses)
        self.news.tell(TreeEvent.ANNOTATED, _existing(name), entries=(SPECIAL_USE,))

    async def delete(self, name: str) -> None:
        name = _existing(name)
        await self._workshop.threads.run(self.tree.delete, name)
        self._vanished(name)  # before the index forgets it: who is late keeps to himself what he has read of it
        await self._workshop.threads.run(self._forget, names.directory_of(name))
        await self.texts.ask(self.texts.index.forget, names.directory_of(name))
        self._usage.forget()
        async with self._annotating:
            await self._workshop.threads.run(self._annotations.forget, name)
        self._lookout.drop(name)
        self.news.tell(TreeEvent.DELETED, name)

    def _forget(self, directory: str) -> None:
        try:
            self.index.forget(directory)
        except sqlite3.Error as error:  # the next mailbox there has another UIDVALIDITY
            self.index.trouble.begins(error)

    async def rename(self, old: str, new: str) -> None:
        old, new = _existing(old), names.normal(new.removesuffix(SEPARATOR))
        if new == INBOX:
            raise StoreError("INBOX is always there", "ALREADYEXISTS")
        if old == INBOX:
            await self._empty_inbox_into(new)
            return
        for name in (old, *(name for name in self._mailboxes if name.startswith(old + SEPARATOR))):
            if mailbox := self._mailboxes.get(name):
                # modification sequences go with the mailbox; flags that a crash between directory and index must not lose
                await mailbox.make_known()
        try:
            moves = await self._workshop.threads.run(self._rename, old, new)
        except BaseException:
            await self._go_on()
            raise
        for source, target in moves:
            self._vanished(source)
            self._vanished(target)
        await self.texts.ask(self.texts.index.rename, _directories(moves))
        async with self._annotating:
            await self._workshop.threads.run(self._annotations.renamed, moves)
        for source, target in moves:
            self._lookout.drop(source)
            self._lookout.add(target)
        self.news.tell_renamed(old, new, moves)

    async def _go_on(self) -> None:
        """Mailboxes that were about to be let go of are used still: the index must not believe that nothing follows."""
        for mailbox in self.in_memory:
            await mailbox.save()

    def _rename(self, old: str, new: str) -> list[tuple[str, str]]:
        moves = self.tree.rename(old, new)
        self.index.rename(_directories(moves))
        return moves

    async def _empty_inbox_into(self, new: str) -> None:
        """RFC 3501 §6.3.5: the messages of INBOX move, INBOX and what is below it stay."""
        await self.create(new)
        inbox = await self.open(INBOX)
        try:
            await inbox.move(list(inbox.uids), new)
        finally:
            inbox.close()

    def _vanished(self, name: str) -> None:
        mailbox = self._mailboxes.pop(name, None)
        if mailbox is not None:
            mailbox.vanish()

    async def subscribe(self, name: str, subscribed: bool) -> None:
        await self._workshop.threads.run(self.tree.subscribe, names.normal(name), subscribed=subscribed)
        self.news.tell(TreeEvent.SUBSCRIBED, names.normal(name))

    async def subscriptions(self) -> tuple[str, ...]:
        return await self._workshop.threads.run(self.tree.subscriptions)

    # ----- annotations

    async def annotations(self, name: str) -> dict[str, bytes]:
        async with self._annotating:
            return await self._workshop.threads.run(self._annotations.of, await self._annotated(name))

    async def annotations_of(self, wanted: Sequence[str]) -> dict[str, dict[str, bytes]]:
        async with self._annotating:
            found = await self._workshop.threads.run(self._annotations.all)
        return {name: found[name] for name in wanted if name in found}

    async def annotate(self, name: str, values: Mapping[str, bytes | None]) -> None:
        async with self._annotating:
            name = await self._annotated(name)
            await self._workshop.threads.run(self._annotations.change, name, values)
        if name:
            mailbox = await self.open(name)
            try:
                await mailbox.note_change()
            finally:
                mailbox.close()
        self.news.tell(TreeEvent.ANNOTATED, name, entries=values)

    async def _annotated(self, name: str) -> str:
        """*name* as it is spelled. NoSuchMailbox."""
        if not name:
            return name
        name = _existing(name)
        if not await self._workshop.threads.run(self.tree.exists, name):
            raise NoSuchMailbox(name)
        return name

    # ----- how much there is

    async def quota(self) -> Quota:
        octets, messages = await self._usage.told(self._workshop.threads, self._counted)
        return Quota(octets, messages, *await self._workshop.quota_of(self.account))

    async def room_for(self, octets: int, messages: int) -> bool:
        """Whether so much more is allowed. Before it is refused, all is counted again, but not for each of many refusals."""
        limits = await self._workshop.quota_of(self.account)
        if limits == (None, None):
            return True
        if (await self.quota()).allows(octets, messages):
            return True
        now = self._workshop.now()
        if abs(now - self._recounted) >= RECOUNTED_AFTER:
            self._recounted = now
            self._usage.forget()
        return (await self.quota()).allows(octets, messages)

    def count(self, octets: int, messages: int) -> None:
        """So much has come, or (negative) gone."""
        self._usage.add(octets, messages)

    def _counted(self) -> tuple[int, int]:
        octets = messages = 0
        try:
            existing = self.tree.names()
        except FileNotFoundError:  # an account that nobody has written to yet
            return 0, 0
        for name in existing:
            maildir = self.tree.maildir(name)
            with suppress(NotAMaildir):
                for path in maildir.listing():
                    octets += _octets(maildir, path)
                    messages += 1
        return octets, messages

    # ----- mailboxes

    async def statuses(self, wanted: Sequence[str], *, deleted: bool = False) -> dict[str, MailboxStatus]:
        closed = [name for name in wanted if name not in self._mailboxes]
        work = self._workshop
        found = await work.threads.run(glance.statuses, self.root, self.index, closed, (work.boot, work.now()), deleted=deleted)
        for name in wanted:
            if name not in found:
                with suppress(NoSuchMailbox, OSError):
                    found[name] = await self.status(name, deleted=deleted)
        return found

    async def status(self, name: str, *, deleted: bool = False) -> MailboxStatus:
        mailbox = await self.open(name)
        try:
            return mailbox.status(deleted=deleted)
        finally:
            mailbox.close()

    async def open(self, name: str) -> Mailbox:
        name = _existing(name)
        while True:
            mailbox = self._mailboxes.get(name)
            if mailbox is None:
                mailbox = self._mailboxes[name] = Mailbox(name, self.tree.maildir(name), self._workshop, self)
            mailbox.users += 1
            try:
                await self._wake(mailbox)
            except BaseException:
                mailbox.close()
                raise
            if not mailbox.gone and self._mailboxes.get(name) is mailbox:
                return mailbox
            mailbox.users -= 1
            self._discard(mailbox)

    async def _wake(self, mailbox: Mailbox) -> None:
        if mailbox.awake:
            await mailbox.refresh()
            return
        async with mailbox.waking:
            if not mailbox.awake:
                await mailbox.wake()

    def _discard(self, mailbox: Mailbox) -> None:
        if self._mailboxes.get(mailbox.name) is mailbox:
            del self._mailboxes[mailbox.name]

    def released(self, mailbox: Mailbox) -> None:
        if mailbox.awake and not mailbox.gone:  # though a look may have failed: what only it knows must not be lost
            self._idle(self, mailbox)
        else:
            self._discard(mailbox)

    async def drop(self, mailbox: Mailbox) -> None:
        """Let go of a mailbox that nobody uses, unless somebody does by now. What cannot be written down stays, until it was used again."""
        if not await mailbox.save(leaving=True):
            return
        if not mailbox.users and not mailbox.is_busy:
            self._discard(mailbox)
            if not self.jobs:
                mailbox.maildir.close()
        else:
            await mailbox.save()

    def cool(self) -> bool:
        """Close all files, unless they are in use; the next use opens them again."""
        if self.jobs or self._mailboxes:
            return False
        self.index.close()
        self.texts.index.close()
        self.tree.close()
        return True

    def close(self) -> None:
        """Write down what is only in memory, and let go. Blocking."""
        for mailbox in self._mailboxes.values():
            mailbox.settle_now()
            mailbox.save_now()
        self._mailboxes.clear()
        self.index.close()
        self.texts.close()
        self.tree.close()


class Usage:
    """Octets and messages of an account: counted when first asked for, then kept up. What others do to mailboxes that nobody has open
    is not seen; so it is counted again before anything is refused.
    """

    def __init__(self) -> None:
        self._known: tuple[int, int] | None = None
        self._counting = tasks.Limit(1)

    async def told(self, threads: Any, counted: Callable[[], tuple[int, int]]) -> tuple[int, int]:
        async with self._counting:
            if self._known is None:
                self._known = await threads.run(counted)
            return self._known

    def add(self, octets: int, messages: int) -> None:
        if self._known is not None:
            self._known = max(0, self._known[0] + octets), max(0, self._known[1] + messages)

    def forget(self) -> None:
        self._known = None


def _existing(name: str) -> str:
    """*name* as it would be called if it existed; what cannot be a name does not exist."""
    try:
        return names.normal(name)
    except StoreError:
        raise NoSuchMailbox(name) from None


def _directories(moves: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Pairs of names, as pairs of directories."""
    return [(names.directory_of(source), names.directory_of(target)) for source, target in moves]


def _octets(maildir: Maildir, path: bytes) -> int:
    known = names.crlf_size(names.base_of(path))
    if known is not None:
        return known
    try:
        return (maildir.path / path.decode("utf-8", "surrogateescape")).stat().st_size
    except OSError:
        return 0
