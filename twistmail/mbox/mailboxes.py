"""The mailboxes of one account (IMailboxes): which are in memory, and what happens to the tree."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from zope.interface import implementer

from twistmail import tasks
from twistmail.formats.locks import Held
from twistmail.mail.annotations import SPECIAL_USE, changed
from twistmail.mail.mailbox import Folder, MailboxStatus, NoSuchMailbox, Quota, StoreError, TreeEvent
from twistmail.mail.names import INBOX, SEPARATOR, existing, parents
from twistmail.mail.news import TreeNews, Watcher
from twistmail.mbox.boxfile import BoxFile
from twistmail.mbox.listing import Stamp
from twistmail.mbox.mailbox import Mailbox
from twistmail.mbox.tree import Tree, checked
from twistmail.mbox.view import Workshop
from twistmail.store_interfaces import IMailboxes

#: An account's most octets and most messages.
QuotaOf = Callable[[str], Awaitable[tuple[int | None, int | None]]]


@implementer(IMailboxes)
class Mailboxes:
    """One object per account, shared by all its sessions."""

    def __init__(self, account: str, tree: Tree, workshop: Workshop, quota_of: QuotaOf, *, fsync: bool = True) -> None:
        self.account = account
        self.tree = tree
        self.news = TreeNews()
        self._workshop = workshop
        self._quota_of = quota_of
        self._fsync = fsync
        self._mailboxes: dict[str, Mailbox] = {}
        self._changing = tasks.Limit(1)  # the tree and what belongs to it
        self._ready = False

    @property
    def root(self) -> Path:
        return self.tree.root

    @property
    def in_memory(self) -> tuple[Mailbox, ...]:
        return tuple(self._mailboxes.values())

    async def prepare(self) -> None:
        """Make what a new account needs. Raises OSError."""
        if not self._ready:
            async with self._changing:
                await self._workshop.threads.run(self.tree.prepare)
                self._ready = True

    def watch(self, watcher: Watcher) -> None:
        self.news.watch(watcher)

    def unwatch(self, watcher: Watcher) -> None:
        self.news.unwatch(watcher)

    # ----- the tree

    async def folders(self) -> tuple[Folder, ...]:
        return await self._workshop.threads.run(self.tree.folders)

    async def create(self, name: str, uses: Sequence[str] = ()) -> None:
        name = checked(name.removesuffix(SEPARATOR))
        async with self._changing:
            await self._workshop.threads.run(self.tree.create, name, uses)
        self.news.tell(TreeEvent.CREATED, name)

    async def set_uses(self, name: str, uses: Sequence[str]) -> None:
        async with self._changing:
            await self._workshop.threads.run(self.tree.set_uses, existing(name), uses)
        self.news.tell(TreeEvent.ANNOTATED, existing(name), entries=(SPECIAL_USE,))

    async def delete(self, name: str) -> None:
        name = existing(name)
        if name == INBOX:
            raise StoreError("INBOX cannot be deleted", "CANNOT")
        async with self._changing:
            if not await self._workshop.threads.run(self.tree.exists, name):
                if any(name in parents(other) for other in await self._workshop.threads.run(self.tree.names)):
                    raise StoreError(f"{name} is only a level above other mailboxes", "HASCHILDREN")
                raise NoSuchMailbox(name)
            await self._locked(name, lambda held: self.tree.remove(name))
        self.news.tell(TreeEvent.DELETED, name)

    async def rename(self, old: str, new: str) -> None:
        old, new = existing(old), checked(new.removesuffix(SEPARATOR))
        if new == INBOX:
            raise StoreError("INBOX is always there", "ALREADYEXISTS")
        if old == INBOX:
            await self._empty_inbox_into(new)
            return
        async with self._changing:
            moves = await self._workshop.threads.run(self.tree.moves, old, new)
            for level in parents(new):
                await self._workshop.threads.run(self.tree.make, level)
            for source, target in moves:
                if mailbox := self._mailboxes.get(source):
                    await mailbox.settle()  # modification sequences go with the mailbox
                await self._locked(source, partial(_renamed, self.tree, source, target))
        self.news.tell_renamed(old, new, moves)

    async def _locked(self, name: str, function: Callable[[Held], None]) -> None:
        """*function* while nobody else works on mailbox *name*, which is not there afterwards."""
        try:
            await self._workshop.turns.run(self.tree.path(name), function, exclusive=True)
        except FileNotFoundError:
            raise NoSuchMailbox(name) from None
        mailbox = self._mailboxes.pop(name, None)
        if mailbox is not None:
            mailbox.vanish()

    async def _empty_inbox_into(self, new: str) -> None:
        """RFC 3501 §6.3.5: the messages of INBOX move, INBOX and what is below it stay."""
        await self.create(new)
        inbox = await self.open(INBOX)
        try:
            await inbox.move(list(inbox.uids), new)
        finally:
            inbox.close()

    async def subscribe(self, name: str, subscribed: bool) -> None:
        await self._workshop.threads.run(self.tree.ledger.subscribe, (checked(name),), subscribed=subscribed)
        self.news.tell(TreeEvent.SUBSCRIBED, checked(name))

    async def subscriptions(self) -> tuple[str, ...]:
        return await self._workshop.threads.run(self.tree.ledger.subscriptions)

    # ----- annotations

    async def annotations(self, name: str) -> dict[str, bytes]:
        return await self._workshop.threads.run(self.tree.ledger.annotations, await self._annotated(name))

    async def annotations_of(self, names: Sequence[str]) -> dict[str, dict[str, bytes]]:
        found = await self._workshop.threads.run(self.tree.ledger.all_annotations)
        return {name: found[name] for name in names if name in found}

    async def annotate(self, name: str, values: Mapping[str, bytes | None]) -> None:
        async with self._changing:
            name = await self._annotated(name)
            before = await self._workshop.threads.run(self.tree.ledger.annotations, name)
            beside = await self._workshop.threads.run(self.tree.ledger.annotations_beside, name)
            await self._workshop.threads.run(self.tree.ledger.annotate, name, changed(before, values, beside))
        if name:
            mailbox = await self.open(name)
            mailbox.note_change()
            mailbox.close()
        self.news.tell(TreeEvent.ANNOTATED, name, entries=values)

    async def _annotated(self, name: str) -> str:
        """*name* as it is spelled. NoSuchMailbox."""
        if not name:
            return name
        name = existing(name)
        if not await self._workshop.threads.run(self.tree.exists, name):
            raise NoSuchMailbox(name)
        return name

    # ----- how much there is

    async def quota(self) -> Quota:
        octets = messages = 0
        for name in await self._workshop.threads.run(self.tree.names):
            counted = await self._workshop.threads.run(self._counted, name)
            if counted is None:
                status = await self.status(name)
                counted = status.size, status.messages
            octets, messages = octets + counted[0], messages + counted[1]
        return Quota(octets, messages, *await self._quota_of(self.account))

    def _counted(self, name: str) -> tuple[int, int] | None:
        """What was counted when its file was last seen as it is now."""
        try:
            stamp = Stamp.of(os.stat(self.tree.path(name)))
        except FileNotFoundError:
            return 0, 0
        return self.tree.ledger.counted(name, stamp)

    async def room_for(self, octets: int, messages: int) -> bool:
        """Whether so much more is allowed."""
        if await self._quota_of(self.account) == (None, None):
            return True
        return (await self.quota()).allows(octets, messages)

    # ----- mailboxes

    async def statuses(self, names: Sequence[str], *, deleted: bool = False) -> dict[str, MailboxStatus]:
        found = {}
        for name in names:
            with suppress(NoSuchMailbox, OSError):
                found[name] = await self.status(name, deleted=deleted)
        return found

    async def status(self, name: str, *, deleted: bool = False) -> MailboxStatus:
        mailbox = await self.open(name)
        try:
            return mailbox.status()
        finally:
            mailbox.close()

    async def open(self, name: str) -> Mailbox:
        name = existing(name)
        mailbox = self.known(name)
        mailbox.users += 1
        try:
            await (mailbox.refresh() if mailbox.awake else mailbox.wake())
            if mailbox.gone:
                raise NoSuchMailbox(name)
        except BaseException:
            mailbox.close()
            raise
        return mailbox

    def known(self, name: str) -> Mailbox:
        """The one object of mailbox *name* (normal), whether or not there is such a mailbox."""
        mailbox = self._mailboxes.get(name)
        if mailbox is None or mailbox.gone:
            file = BoxFile(self.tree.path(name), name, self.tree.ledger, self._workshop.now, fsync=self._fsync)
            mailbox = self._mailboxes[name] = Mailbox(file, self._workshop, self)
        return mailbox

    async def place_for(self, folder: str) -> Mailbox:
        """Where a delivery for *folder* goes, one user more: it is made when missing; INBOX where there can be none of that name."""
        try:
            name = checked(folder)
        except StoreError:
            name = INBOX
        if not await self._workshop.threads.run(self.tree.exists, name):
            async with self._changing:
                await self._workshop.threads.run(self.tree.make, name)
        mailbox = self.known(name)
        mailbox.users += 1
        return mailbox

    def released(self, mailbox: Mailbox) -> None:
        """Nobody has it open any more."""
        tasks.start(self._let_go(mailbox), f"letting go of {mailbox.name}")

    async def _let_go(self, mailbox: Mailbox) -> None:
        is_settled = await mailbox.settle()
        if not mailbox.is_busy and (is_settled or mailbox.gone) and self._mailboxes.get(mailbox.name) is mailbox:
            del self._mailboxes[mailbox.name]
        if not self._mailboxes:
            await self._workshop.threads.run(self.tree.ledger.close)

    def close(self) -> None:
        """Write down what is only in memory. Blocking."""
        for mailbox in self.in_memory:
            mailbox.settle_now()
        self._mailboxes.clear()
        self.tree.ledger.close()


def _renamed(tree: Tree, source: str, target: str, held: Held) -> None:
    tree.rename(source, target)
