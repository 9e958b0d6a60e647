"""The store of mbox files (IMailStore): INBOX of an account is one file, perhaps in /var/mail; see `tree` for the others."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from twistmail import tasks
from twistmail.formats.locks import MailboxBusy
from twistmail.mail.account import account_directory
from twistmail.mail.mailbox import Delivery, NewMessage, StoreError
from twistmail.mail.names import USES
from twistmail.mbox.boxfile import Unit
from twistmail.mbox.ledger import Ledger
from twistmail.mbox.mailbox import Mailbox
from twistmail.mbox.mailboxes import Mailboxes, QuotaOf
from twistmail.mbox.messages import Deposit, NotAnMbox
from twistmail.mbox.tree import Tree
from twistmail.mbox.turns import Turns
from twistmail.mbox.view import Workshop
from twistmail.store_interfaces import IMailStore

log = Logger()

INBOX_PATH = "mbox/%d/%n/INBOX"
FOLDERS_PATH = "mbox/%d/%n/folders"


#: Accounts whose annotations are read in one go.
LOOKED_AT_ONCE = 50


async def _unlimited(_: str) -> tuple[int | None, int | None]:
    return None, None


@implementer(IMailStore)
class MboxStore:
    """*inbox* and *folders* are the templates of an account's INBOX and of the folder of its other mailboxes, below *root* or absolute.

    *reactor* None: nothing can wait, so locks are waited for in the thread, and flags are written at once.
    """

    def __init__(
        self,
        root: Path,
        reactor: Any,
        threads: Any,
        *,
        inbox: str = INBOX_PATH,
        folders: str = FOLDERS_PATH,
        standard: Sequence[str] = tuple(USES),
        now: Callable[[], float] = time.time,
        quota_of: QuotaOf = _unlimited,
        fsync: bool = True,
    ) -> None:
        async def pause(seconds: float) -> None:
            await tasks.sleep(reactor, seconds)

        waits: Callable[[float], Awaitable[None]] | None = None if reactor is None else pause
        self._turns = Turns(threads, waits)
        self._workshop = Workshop(threads, self._turns, now, waits)
        self._root, self._inbox, self._folders = root, inbox, folders
        self._standard = tuple(standard)
        self._quota_of = quota_of
        self._fsync = fsync
        self._accounts: dict[str, Mailboxes] = {}

    def _account(self, account: str) -> Mailboxes:
        """ValueError where *account* can be nobody's name."""
        home = self._accounts.get(account)
        if home is None:
            folders = self._root / account_directory(self._folders, account)
            inbox = self._root / account_directory(self._inbox, account)
            tree = Tree(folders, inbox, self._standard, Ledger(folders, durable=self._fsync))
            home = self._accounts[account] = Mailboxes(account, tree, self._workshop, self._quota_of, fsync=self._fsync)
        return home

    async def mailboxes(self, account: str) -> Mailboxes:
        home = self._account(account)
        await home.prepare()
        return home

    async def peek(self, account: str) -> Mailboxes | None:
        with suppress(ValueError):
            home = self._account(account)
            return home if await self._workshop.threads.run(home.tree.is_there) else None
        return None

    async def annotated(self, accounts: Sequence[str], entry: str) -> dict[str, dict[str, bytes]]:
        found: dict[str, dict[str, bytes]] = {}
        for first in range(0, len(accounts), LOOKED_AT_ONCE):
            found |= await self._workshop.threads.run(self._annotated, accounts[first : first + LOOKED_AT_ONCE], entry)
        return found

    def _annotated(self, accounts: Sequence[str], entry: str) -> dict[str, dict[str, bytes]]:
        found = {}
        for account in accounts:
            with suppress(ValueError):
                ledger = Ledger(self._root / account_directory(self._folders, account), durable=self._fsync)
                if ledger.path.is_file() and (some := ledger.annotated(entry)):
                    found[account] = some
                ledger.close()
        return found

    # ----- delivery

    async def deliver(self, deliveries: Sequence[Delivery]) -> list[BaseException | None]:
        errors: list[BaseException | None] = [None] * len(deliveries)
        accounts: dict[str, list[int]] = {}
        for place, delivery in enumerate(deliveries):
            accounts.setdefault(delivery.account, []).append(place)
        results = await tasks.gather(*(self._deliver(name, [deliveries[place] for place in some]) for name, some in accounts.items()))
        for some, found in zip(accounts.values(), results, strict=True):
            for place, error in zip(some, found, strict=True):
                errors[place] = error
        return errors

    async def _deliver(self, account: str, deliveries: Sequence[Delivery]) -> list[BaseException | None]:
        """All copies for one account; those for one mailbox go into its file together."""
        try:
            home = await self.mailboxes(account)
            room = await self._rooms(home, deliveries)
        except (OSError, StoreError, ValueError) as error:
            return [error] * len(deliveries)
        now, units = self._workshop.now(), []
        for delivery in deliveries:
            units.append(Unit([NewMessage(Deposit(delivery.prefix, delivery.content), ("\\Seen",) if delivery.seen else (), now)]))
        folders: dict[str, list[Unit]] = {}
        for delivery, unit, has_room in zip(deliveries, units, room, strict=True):
            if has_room:
                folders.setdefault(delivery.folder, []).append(unit)
            else:
                unit.error = OSError(errno.EDQUOT, "the mailbox is full")
        names = await tasks.gather(*(self._put(home, folder, some) for folder, some in folders.items()))
        _land(deliveries, units, dict(zip(folders, names, strict=True)))
        return [_said(unit.error) for unit in units]

    async def _rooms(self, home: Mailboxes, deliveries: Sequence[Delivery]) -> list[bool]:
        """For each whether there is room, those before it counted."""
        if await self._quota_of(home.account) == (None, None):
            return [True] * len(deliveries)
        quota, octets, messages, rooms = await home.quota(), 0, 0, []
        for delivery in deliveries:
            size = len(delivery.prefix) + delivery.content.size
            rooms.append(quota.allows(octets + size, messages + 1))
            if rooms[-1]:
                octets, messages = octets + size, messages + 1
        return rooms

    async def _put(self, home: Mailboxes, folder: str, units: Sequence[Unit]) -> str:
        """The name of the mailbox that they have come into, as far as they could."""
        try:
            mailbox = await home.place_for(folder)
        except (OSError, StoreError) as error:
            for unit in units:
                unit.error = error
            return ""
        try:
            await mailbox.deposit(units)
            return mailbox.name
        finally:
            mailbox.close()

    # ----- the house

    async def poll(self) -> None:
        """Merge what others have done; who is at work on a file just now is not waited for."""
        self._turns.let_go(self._turns.seconds())
        watched = [mailbox for home in self._accounts.values() for mailbox in home.in_memory if mailbox.users and mailbox.awake]
        if watched:
            changed = await self._workshop.threads.run(lambda: [mailbox for mailbox in watched if mailbox.has_changed()])
            await tasks.gather(*map(_refreshed, changed))

    async def tidy(self) -> None:
        """Nothing is kept here beyond its time."""

    async def remove_account(self, account: str) -> None:
        home = self._account(account)
        del self._accounts[account]
        for mailbox in home.in_memory:
            mailbox.vanish()
        await self._workshop.threads.run(_remove, home)

    async def rename_account(self, old: str, new: str) -> None:
        home, other = self._account(old), self._account(new)
        if await self._workshop.threads.run(_has_mail, other):
            raise FileExistsError(errno.EEXIST, "there is mail already", str(other.tree.inbox))
        for one in (home, other):
            del self._accounts[one.account]
            for mailbox in one.in_memory:
                mailbox.vanish()
        await self._workshop.threads.run(_move, home, other)

    def close(self) -> None:
        for home in self._accounts.values():
            home.close()
        self._accounts.clear()
        self._turns.close()


async def _refreshed(mailbox: Mailbox) -> None:
    try:
        await mailbox.refresh(patience=0.0)
    except MailboxBusy:
        pass  # the next time
    except (OSError, StoreError) as error:
        log.warn("looking at {path}: {error}", path=str(mailbox.file.path), error=error)


def _said(error: OSError | StoreError | None) -> BaseException | None:
    """What a delivery is told: a file that is no mbox is a trouble with the disk."""
    if isinstance(error, NotAnMbox):
        log.error("{path} is no mbox; mail for it waits", path=str(error.path))
        return OSError(errno.EBADMSG, "is no mbox", str(error.path))
    return error


def _land(deliveries: Sequence[Delivery], units: Sequence[Unit], names: Mapping[str, str]) -> None:
    """Tell whoever wants to know where *deliveries* lie now. *names*: of the mailboxes that their folders turned out to be."""
    for delivery, unit in zip(deliveries, units, strict=True):
        if delivery.landed and unit.error is None and unit.uids:
            delivery.landed(names[delivery.folder], unit.uids[0], "")


def _has_mail(home: Mailboxes) -> bool:
    return home.tree.inbox.exists() or home.root.exists()


def _move(home: Mailboxes, other: Mailboxes) -> None:
    """INBOX may lie in the directory of the others, or elsewhere. Where it cannot be moved, nothing is."""
    home.close()
    other.close()
    moves = [(home.root, other.root), (home.tree.inbox, other.tree.inbox)]
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            if source.exists():
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.rename(source, target)
                done.append((source, target))
    except OSError:
        for source, target in reversed(done):
            os.rename(target, source)
        raise


def _remove(home: Mailboxes) -> None:
    home.close()
    with suppress(FileNotFoundError):
        home.tree.inbox.unlink()
    shutil.rmtree(home.root, ignore_errors=True)
