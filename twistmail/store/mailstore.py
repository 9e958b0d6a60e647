"""The shared maildir store (IMailStore): all accounts below one directory.

Deliveries become one job for the committer; their news reaches the mailboxes
that are in memory before `deliver` returns. What nobody uses is let go of after
a while: mailboxes from memory, descriptors of accounts.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from twistmail import tasks
from twistmail.giving import Owner
from twistmail.mail import mime
from twistmail.mail.mailbox import Delivery, StoreError
from twistmail.options import COUNT_OR_UNLIMITED, SIZE, SWITCH, TEXT, WORDS, Kind, Option, Reload, Section, choice, duration_or
from twistmail.store import names, redolog
from twistmail.store.annotations import Annotations
from twistmail.store.folders import FolderTree, Surroundings
from twistmail.store.hints import Hints
from twistmail.store.homes import accounts_in
from twistmail.store.jobs import DeliveryJob, Piece
from twistmail.store.mailbox import Mailbox
from twistmail.store.mailboxes import Mailboxes
from twistmail.store.maildir import make_directory
from twistmail.store.names import INBOX, UniqueNames
from twistmail.store.uidlist import sync_directory
from twistmail.store.upkeep import NO_RULES, Due, Rules, tidied
from twistmail.store.workshop import Limits, Workshop
from twistmail.store_interfaces import IMailStore

log = Logger()



def _read_percents(text: str) -> tuple[int, ...]:
    marks = WORDS.read(text)
    for word in marks:
        if not word.removesuffix("%").isdigit() or not 0 < int(word.removesuffix("%")) <= 100:
            raise ValueError(f"{word} is no part of a mailbox\nwrite 80 95")
    return tuple(int(word.removesuffix("%")) for word in marks)


PERCENTS = Kind("numbers from 1 to 100", _read_percents, lambda marks: " ".join(map(str, marks)))

OPTIONS = Section(
    "store",
    "Where mail lies, and how.",
    Option("use", TEXT, "maildir", "Which store: maildir, memory (kept until the server stops), or one from a plugin.", Reload.RESTART),
    Option("format", choice("maildir", "mbox"), "maildir", "How the mail of an account lies that has no format of its own ([user:NAME]).",
           Reload.RESTART),
    Option("path", TEXT, "mail/%d/%n", "The maildir of an account: %u user@domain, %n user, %d domain.", Reload.RESTART),
    Option("layout", choice("maildir++"), "maildir++", "How folders lie below it.", Reload.RESTART),
    Option("mbox_inbox", TEXT, "mbox/%d/%n/INBOX", "The INBOX of an account with format mbox: one file, such as /var/mail/%n.",
           Reload.RESTART),
    Option("mbox_folders", TEXT, "mbox/%d/%n/folders", "Its other folders (NAME.mbox), and what we note about them.", Reload.RESTART),
    Option("folders", WORDS, "Sent Drafts Junk Trash Archive", "Folders that a new account gets, subscribed.", Reload.RESTART),
    Option("syncfs", SWITCH, "yes", "Sync many files with one call, which also writes what other programs have not; no: one by one.",
           Reload.RESTART),
    Option("keep_expunged", duration_or("no"), "no", "How long mail and folders that users delete can be had back: 30d.", Reload.RESTART),
    Option("trash_after", duration_or("never"), "never", "When mail goes that lies in the folder for deleted mail (\\Trash): 30d.",
           Reload.RESTART),
    Option("junk_after", duration_or("never"), "never", "The same for the folder for junk (\\Junk).", Reload.RESTART),
    Option("quota", SIZE, "unlimited", "How much an account may hold that has no quota of its own.", Reload.RESTART),
    Option("quota_messages", COUNT_OR_UNLIMITED, "unlimited", "How many messages an account may hold.", Reload.RESTART),
    Option("quota_warnings", PERCENTS, "80 95", "How full a mailbox is, in percent, when its owner is told; empty: never."),
    Option("fulltext", SWITCH, "yes", "Keep an index of the texts of mailboxes whose texts are searched: 0.7 MB for each MB of mail.",
           Reload.RESTART),
    Option("fsync", SWITCH, "yes", "Whether mail is safe on disk before it is acknowledged; no is for tests only.", Reload.RESTART),
)

#: Mailboxes kept in memory although nobody has them open, and accounts with open descriptors.
MOST_IDLE_MAILBOXES = 64
MOST_WARM_ACCOUNTS = 64
#: Copies that are made ready for the committer before others have their turn.
CONSIGNED_AT_ONCE = 100
#: Accounts whose annotations are read in one go.
LOOKED_AT_ONCE = 200
#: Messages that go together when their time has come.
EXPIRED_AT_ONCE = 200
#: Threads that read messages to search their texts: less than half of those that there are for files.
MOST_READERS = 3


@implementer(IMailStore)
class MailStore:
    """See the module note. *path* is the template of an account's maildir below *root*.

    *reactor* is kept for parts that need a clock; *now* (POSIX seconds) is compared with what the kernel stamps on files.
    *epoch*: what time it is for the mail itself, for how long it has lain here; None: *now*.
    """

    def __init__(
        self,
        root: Path,
        reactor: Any,
        committer: Any,
        threads: Any,
        *,
        path: str = "mail/%d/%n",
        folders: Sequence[str] = tuple(OPTIONS.defaults().folders),
        hostname: str = "",
        rules: Rules = NO_RULES,
        now: Callable[[], float] = time.time,
        epoch: Callable[[], float] | None = None,
        random: Callable[[int], bytes] = os.urandom,
        describe: Callable[[bytes], mime.Description] = mime.describe,
        quota_of: Callable[[str], Awaitable[Limits]] | None = None,
        owner_of: Callable[[str], Awaitable[Owner | None]] | None = None,
        fulltext: bool = True,
        boot: str | None = None,
    ) -> None:
        fresh = UniqueNames(hostname or socket.gethostname(), os.getpid(), epoch or now, random)
        self._root = root
        self._path = path
        self._folders = tuple(folders)
        self._redo = redolog.begin(root, committer)
        self._around = Surroundings(now, random, fresh.fresh, keeps=bool(rules.keep_expunged), redo=self._redo, syncfs=committer.syncfs)
        self._rules = rules
        self._epoch = epoch or now
        self._owner_of = owner_of
        self._closed = False
        self._hints = Hints(reactor)
        boot = _boot() if boot is None else boot
        self._workshop = Workshop(
            threads, committer, now, describe, self._hints, boot, self._pause, quota_of or _unlimited, tasks.Limit(MOST_READERS), fulltext
        )
        self._accounts: dict[str, Mailboxes] = {}
        self._warm: OrderedDict[Mailboxes, None] = OrderedDict()
        self._idle: OrderedDict[Mailbox, Mailboxes] = OrderedDict()
        self.reactor = reactor

    async def deliver(self, deliveries: Sequence[Delivery]) -> list[BaseException | None]:
        errors: list[BaseException | None] = [None] * len(deliveries)
        consigned: list[tuple[int, Mailboxes, Piece]] = []
        taken: dict[Mailboxes, tuple[int, int]] = {}  # octets and messages of this call
        for place, delivery in enumerate(deliveries):
            if place % CONSIGNED_AT_ONCE == CONSIGNED_AT_ONCE - 1:
                await self._pause(0)
            try:
                home = await self._home(delivery.account)
                octets, messages = taken.get(home, (0, 0))
                more = octets + len(delivery.prefix) + delivery.content.size, messages + 1
                if not await home.room_for(*more):
                    raise OSError(errno.EDQUOT, "the mailbox is full")
            except (ValueError, OSError) as error:
                errors[place] = error
                continue
            taken[home] = more
            consigned.append((place, home, Piece(home.tree, _folder(delivery.folder), delivery.prefix, delivery.content, delivery.seen)))
        job = DeliveryJob([piece for _, _, piece in consigned])
        failure = await self._commit(job, [home for _, home, _ in consigned])
        for place, home, piece in consigned:
            errors[place] = piece.error or failure
            if piece.arrival and not failure:
                home.delivered(piece.folder, piece.arrival)
                if landed := deliveries[place].landed:
                    landed(piece.folder, piece.arrival.uid, os.fsdecode(piece.arrival.path))
        return errors

    async def _commit(self, job: DeliveryJob, homes: Sequence[Mailboxes]) -> OSError | None:
        """What has stopped the whole job, or None. The files of *homes* stay open meanwhile."""
        for home in homes:
            home.jobs += 1
        try:
            await self._workshop.committer.commit(job)
        except OSError as error:
            await self._workshop.retract(job)
            return error
        finally:
            for home in homes:
                home.jobs -= 1
                self._used(home)
        return None

    async def mailboxes(self, account: str) -> Mailboxes:
        home = await self._home(account)
        await home.prepare()
        return home

    async def peek(self, account: str) -> Mailboxes | None:
        with suppress(ValueError):
            home = await self._home(account)
            return home if home.tree.ready or await self._workshop.threads.run(home.tree.is_there) else None
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
                if some := Annotations(self._root / names.account_directory(self._path, account)).having(entry):
                    found[account] = some
        return found

    async def remove_account(self, account: str) -> None:
        home = self._account(account)
        del self._accounts[account], self._warm[home]
        for mailbox in home.in_memory:
            mailbox.vanish()
        await self._workshop.threads.run(_remove, home)

    async def rename_account(self, old: str, new: str) -> None:
        target = self._root / names.account_directory(self._path, new)
        home = self._account(old)
        if await self._workshop.threads.run(target.exists):
            raise FileExistsError(errno.EEXIST, "there is mail already", str(target))
        for one in (home, self._accounts.get(new)):
            if one is not None:
                del self._accounts[one.account]
                self._warm.pop(one, None)
                for mailbox in one.in_memory:
                    mailbox.vanish()
        await self._workshop.threads.run(_move, home, target)

    async def poll(self) -> None:
        """Notice what others have done to the mailboxes that somebody watches, as far as no hint has told. About once a second."""
        await self._hints.poll()

    async def tidy(self) -> None:
        run = self._workshop.threads.run
        for account in await run(accounts_in, self._root, self._path):
            if self._closed:
                return
            tree = FolderTree(self._root / names.account_directory(self._path, account), (), self._around)
            try:
                for found in await run(tidied, tree, self._rules, self._epoch()):
                    await self._expire(account, found)
            except (OSError, StoreError) as error:
                log.warn("tidying up the mail of {account}: {error}", account=account, error=error)

    async def _expire(self, account: str, found: Due) -> None:
        """Expunge what is due, a few messages at a time, so that those who have the folder open hear of it."""
        mailbox = await (await self.mailboxes(account)).open(found.folder)
        try:
            if mailbox.uidvalidity == found.uidvalidity:
                for first in range(0, len(found.uids), EXPIRED_AT_ONCE):
                    if not self._closed:
                        await mailbox.expunge(found.uids[first : first + EXPIRED_AT_ONCE])
        finally:
            mailbox.close()

    async def _pause(self, seconds: float) -> None:
        if self.reactor is not None:
            await tasks.sleep(self.reactor, seconds)

    def close(self) -> None:
        self._closed = True
        self._hints.close()
        for home in self._accounts.values():
            home.close()
        self._accounts.clear()
        self._warm.clear()
        self._idle.clear()
        if self._redo:
            self._redo.close()

    # ----- letting go

    async def _home(self, account: str) -> Mailboxes:
        """As `_account`, whose files will belong to whom they must. OSError where that cannot be told."""
        if self._owner_of is None or account in self._accounts:
            return self._account(account)
        return self._account(account, await self._owner_of(account))

    def _account(self, account: str, owner: Owner | None = None) -> Mailboxes:
        """The one object of an account. There are as many as accounts in use; only the latest keep files open."""
        home = self._accounts.get(account)
        if home is None:
            root = self._root / names.account_directory(self._path, account)
            # the redo log does not know of owners, and would bring files back without them
            around = replace(self._around, owner=owner, redo=None) if owner else self._around
            tree = FolderTree(root, self._folders, around)
            home = self._accounts[account] = Mailboxes(account, tree, self._workshop, self._idled)
        self._used(home)
        return home

    def _used(self, home: Mailboxes) -> None:
        """*home* may keep its files open, the one that was used before all others no more. One that is busy will be `_used` again
        when it is not: else a look for one that is not would take the longer, the more people stay in IDLE.
        """
        self._warm[home] = None
        self._warm.move_to_end(home)
        while len(self._warm) > MOST_WARM_ACCOUNTS:
            oldest, _ = self._warm.popitem(last=False)
            oldest.cool()

    def _idled(self, home: Mailboxes, mailbox: Mailbox) -> None:
        self._idle[mailbox] = home
        self._idle.move_to_end(mailbox)
        if len(self._idle) > MOST_IDLE_MAILBOXES:
            oldest, its_home = self._idle.popitem(last=False)
            if not oldest.users:
                tasks.start(self._drop(its_home, oldest), f"letting go of {oldest.name}")

    async def _drop(self, home: Mailboxes, mailbox: Mailbox) -> None:
        await home.drop(mailbox)
        self._used(home)


async def _unlimited(_: str) -> Limits:
    return None, None


def _boot() -> str:
    """Which start of the machine this is; empty where it does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
    except OSError:
        return ""


def _folder(name: str) -> str:
    """The folder that a delivery asks for; INBOX where there can be none of that name."""
    try:
        return names.normal(name)
    except StoreError:
        return INBOX


def _move(home: Mailboxes, target: Path) -> None:
    with home.tree.undisturbed():
        home.close()
        if home.root.is_dir():
            changed = {*make_directory(target.parent), home.root.parent, target.parent}
            os.rename(home.root, target)
            for folder in changed:
                sync_directory(folder)


def _remove(home: Mailboxes) -> None:
    with home.tree.undisturbed():
        home.close()
        shutil.rmtree(home.root, ignore_errors=True)
