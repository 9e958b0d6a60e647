"""The whole mail store (IMailStore) in memory: nothing is durable, everything else is as promised. One mailbox is in `mailbox`."""

from __future__ import annotations

import errno
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence

from zope.interface import implementer

from twistmail.mail.annotations import SPECIAL_USE, changed, octets
from twistmail.mail.mailbox import Delivery, Flag, Folder, MailboxStatus, NoSuchMailbox, Quota, StoreError, TreeEvent
from twistmail.mail.names import INBOX, SEPARATOR, USES, checked_uses, existing, normal, parents
from twistmail.mail.news import TreeNews, Watcher
from twistmail.memory.mailbox import Mailbox, take_over
from twistmail.store_interfaces import IMailboxes, IMailStore

_ACCOUNT = re.compile(r"[^./\0][^/\0]*")
#: An account's most octets and most messages.
QuotaOf = Callable[[str], Awaitable[tuple[int | None, int | None]]]


async def _unlimited(_: str) -> tuple[int | None, int | None]:
    return None, None


@implementer(IMailboxes)
class Mailboxes:
    def __init__(self, account: str, standard: Sequence[str], now: Callable[[], float], quota_of: QuotaOf) -> None:
        self.now = now
        self.news = TreeNews()
        self.account = account
        self._quota_of = quota_of
        self._annotations: dict[str, dict[str, bytes]] = {}
        self._uidvalidity = int(now())
        self._mailboxes: dict[str, Mailbox] = {}
        self._uses: dict[str, tuple[str, ...]] = {name: (USES[name],) for name in standard if name in USES}
        self._subscribed = {INBOX, *standard}
        for name in (INBOX, *standard):
            self._make(name)

    def watch(self, watcher: Watcher) -> None:
        self.news.watch(watcher)

    def unwatch(self, watcher: Watcher) -> None:
        self.news.unwatch(watcher)

    def _make(self, name: str) -> Mailbox:
        self._uidvalidity += 1
        return self._mailboxes.setdefault(name, Mailbox(name, self._uidvalidity, self))

    def _make_with_levels(self, name: str) -> None:
        for level in (*parents(name), name):
            if level not in self._mailboxes:
                self._make(level)

    def existing(self, name: str) -> Mailbox:
        """The mailbox of that name. Raises NoSuchMailbox."""
        try:
            return self._mailboxes[existing(name)]
        except KeyError:
            raise NoSuchMailbox(name) from None

    async def folders(self) -> tuple[Folder, ...]:
        levels = {level for name in self._mailboxes for level in parents(name)}
        every = sorted(levels | set(self._mailboxes), key=lambda name: (name != INBOX, name))
        return tuple(
            Folder(name, name in self._subscribed, name in self._mailboxes, name in levels, self._uses.get(name, ()))
            for name in every
        )

    async def create(self, name: str, uses: Sequence[str] = ()) -> None:
        name = normal(name.removesuffix(SEPARATOR))
        if name in self._mailboxes:
            raise StoreError(f"There is a mailbox {name} already", "ALREADYEXISTS")
        asked = checked_uses(uses, self._uses.values())
        self._make_with_levels(name)
        if asked:
            self._uses[name] = asked
        self.news.tell(TreeEvent.CREATED, name)

    async def set_uses(self, name: str, uses: Sequence[str]) -> None:
        name = self.existing(name).name
        others = {other: some for other, some in self._uses.items() if other != name}
        asked = checked_uses(uses, others.values())
        self._uses = others | {name: asked} if asked else others
        self.news.tell(TreeEvent.ANNOTATED, name, entries=(SPECIAL_USE,))

    async def delete(self, name: str) -> None:
        name = existing(name)
        if name == INBOX:
            raise StoreError("INBOX cannot be deleted", "CANNOT")
        if name not in self._mailboxes and any(other.startswith(name + "/") for other in self._mailboxes):
            raise StoreError(f"{name} is only a level above other mailboxes", "HASCHILDREN")
        mailbox = self.existing(name)
        del self._mailboxes[mailbox.name]
        self._uses.pop(mailbox.name, None)
        self._annotations.pop(mailbox.name, None)
        mailbox.vanish()
        self.news.tell(TreeEvent.DELETED, name)

    async def rename(self, old: str, new: str) -> None:
        old, new = existing(old), normal(new.removesuffix("/"))
        if new == INBOX:
            raise StoreError("INBOX is always there", "ALREADYEXISTS")
        if old == INBOX:
            await self.create(new)
            inbox = self._mailboxes[INBOX]
            await inbox.move(list(inbox.uids), new)
            return
        moves = self._moves(old, new)
        for source, target in moves:
            mailbox = self._mailboxes.pop(source)
            mailbox.vanish()
            moved = self._mailboxes[target] = Mailbox(target, mailbox.uidvalidity, self)
            take_over(moved, mailbox)
            if source in self._uses:
                self._uses[target] = self._uses.pop(source)
            if source in self._annotations:
                self._annotations[target] = self._annotations.pop(source)
        self.news.tell_renamed(old, new, moves)

    def _moves(self, old: str, new: str) -> list[tuple[str, str]]:
        moves = [(name, new + name[len(old) :]) for name in self._mailboxes if name == old or name.startswith(old + "/")]
        if not moves:
            raise NoSuchMailbox(old)
        if new == old or new.startswith(old + "/"):
            raise StoreError("A mailbox cannot be moved into itself", "CANNOT")
        for _, target in moves:
            if normal(target) in self._mailboxes:
                raise StoreError(f"There is a mailbox {target} already", "ALREADYEXISTS")
        for level in parents(new):
            if level not in self._mailboxes:
                self._make(level)
        return moves

    async def subscribe(self, name: str, subscribed: bool) -> None:
        (self._subscribed.add if subscribed else self._subscribed.discard)(normal(name))
        self.news.tell(TreeEvent.SUBSCRIBED, normal(name))

    async def subscriptions(self) -> tuple[str, ...]:
        return tuple(sorted(self._subscribed))

    async def status(self, name: str, *, deleted: bool = False) -> MailboxStatus:
        return self.existing(name).status()

    async def statuses(self, names: Sequence[str], *, deleted: bool = False) -> dict[str, MailboxStatus]:
        return {name: self._mailboxes[name].status() for name in names if name in self._mailboxes}

    async def open(self, name: str) -> Mailbox:
        return self.existing(name)

    async def annotations(self, name: str) -> dict[str, bytes]:
        return dict(self._annotations.get(self.existing(name).name if name else "", {}))

    async def annotations_of(self, names: Sequence[str]) -> dict[str, dict[str, bytes]]:
        return {name: dict(found) for name in names if (found := self._annotations.get(name))}

    async def annotate(self, name: str, values: Mapping[str, bytes | None]) -> None:
        name = self.existing(name).name if name else ""
        others = [found for other, found in self._annotations.items() if other != name]
        self._annotations[name] = changed(self._annotations.get(name, {}), values, sum(map(octets, others)))
        if name:
            self.existing(name).highest_modseq += 1
        self.news.tell(TreeEvent.ANNOTATED, name, entries=values)

    def annotated(self, entry: str) -> dict[str, bytes]:
        """{mailbox name: value} of those that have *entry*."""
        return {name: found[entry] for name, found in self._annotations.items() if name and entry in found}

    async def quota(self) -> Quota:
        octets = sum(mailbox.status().size for mailbox in self._mailboxes.values())
        messages = sum(mailbox.status().messages for mailbox in self._mailboxes.values())
        return Quota(octets, messages, *await self._quota_of(self.account))

    async def room_for(self, octets: int, messages: int) -> bool:
        """Whether so much more is allowed."""
        if await self._quota_of(self.account) == (None, None):
            return True
        return (await self.quota()).allows(octets, messages)

    def place_for(self, folder: str) -> Mailbox:
        """Where a delivery for *folder* goes: it is made when missing; INBOX where there can be none of that name."""
        try:
            name = normal(folder)
        except StoreError:
            return self._mailboxes[INBOX]
        if name not in self._mailboxes:
            self._make_with_levels(name)
        return self._mailboxes[name]

    def vanish(self) -> None:
        for mailbox in self._mailboxes.values():
            mailbox.vanish()


@implementer(IMailStore)
class MailStore:
    """*now* is a function that tells POSIX seconds; *folders* are those that a new account gets."""

    def __init__(self, now: Callable[[], float], folders: Sequence[str] = tuple(USES), quota_of: QuotaOf = _unlimited) -> None:
        self._now = now
        self._folders = tuple(folders)
        self._quota_of = quota_of
        self._accounts: dict[str, Mailboxes] = {}

    async def poll(self) -> None:
        """Nobody else can reach this memory."""

    async def deliver(self, deliveries: Sequence[Delivery]) -> list[BaseException | None]:
        return [await self._deliver(delivery) for delivery in deliveries]

    async def _deliver(self, delivery: Delivery) -> ValueError | OSError | None:
        if not _ACCOUNT.fullmatch(delivery.account):
            return ValueError(f"{delivery.account!r} cannot name an account")
        home, message = self._account(delivery.account), delivery.prefix + b"".join(delivery.content.chunks())
        if not (await home.quota()).allows(len(message), 1):
            return OSError(errno.EDQUOT, "the mailbox is full")
        mailbox = home.place_for(delivery.folder)
        (uid,) = mailbox.add([(message, Flag.SEEN if delivery.seen else 0, self._now())])
        if delivery.landed:
            delivery.landed(mailbox.name, uid, "")
        return None

    async def mailboxes(self, account: str) -> Mailboxes:
        return self._account(account)

    async def peek(self, account: str) -> Mailboxes | None:
        return self._accounts.get(account)

    async def annotated(self, accounts: Sequence[str], entry: str) -> dict[str, dict[str, bytes]]:
        found = {name: home.annotated(entry) for name in accounts if (home := self._accounts.get(name))}
        return {name: some for name, some in found.items() if some}

    async def tidy(self) -> None:
        """Nothing is kept here beyond its time."""

    async def remove_account(self, account: str) -> None:
        home = self._accounts.pop(account, None)
        if home is not None:
            home.vanish()

    async def rename_account(self, old: str, new: str) -> None:
        if new in self._accounts:
            raise FileExistsError(errno.EEXIST, "there is mail already", new)
        home = self._accounts.pop(old, None)
        if home is not None:
            home.vanish()
            home.account = new
            self._accounts[new] = home

    def close(self) -> None:
        """There is nothing to write down."""

    def _account(self, account: str) -> Mailboxes:
        return self._accounts.get(account) or self._accounts.setdefault(account, self._made(account))

    def _made(self, account: str) -> Mailboxes:
        return Mailboxes(account, self._folders, self._now, self._quota_of)
