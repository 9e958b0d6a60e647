"""The whole mail store (IMailStore) in memory: nothing is durable, everything else is as promised."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from zope.interface import implementer

from twistmail.interfaces import IMailbox, IMailboxes, IMailStore
from twistmail.mail import mime, words
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import (
    FIRST_KEYWORD_BIT,
    FLAG_NAMES,
    Change,
    Column,
    Copied,
    Delivery,
    Flag,
    FlagChange,
    Folder,
    MailboxStatus,
    NewMessage,
    NoSuchMailbox,
    StoreError,
)

INBOX = "INBOX"
MOST_KEYWORDS = 26
LONGEST_KEYWORD = 50
USES = {"Sent": "\\Sent", "Drafts": "\\Drafts", "Junk": "\\Junk", "Trash": "\\Trash", "Archive": "\\Archive"}
_FLAG_BITS = {name.lower(): int(flag) for name, flag in FLAG_NAMES.items()}
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ACCOUNT = re.compile(r"[^./\0][^/\0]*")
Watcher = Callable[[Change], None]


@dataclass(slots=True)
class Message:
    """One message of one mailbox."""

    uid: int
    content: bytes
    date: float
    modseq: int
    place: int = 0  # in the arrays


@implementer(IMailbox)
class Mailbox:
    def __init__(self, name: str, uidvalidity: int, home: Mailboxes) -> None:
        self.name = name
        self.uidvalidity = uidvalidity
        self.uidnext = 1
        self.highest_modseq = 1
        self.uids = array("L")
        self.bits = array("Q")
        self.keywords: list[str] = []
        self._home = home
        self._messages: dict[int, Message] = {}
        self._recent: set[int] = set()
        self._watchers: list[Watcher] = []

    # ----- looking

    def watch(self, watcher: Watcher) -> None:
        self._watchers.append(watcher)

    def unwatch(self, watcher: Watcher) -> None:
        self._watchers = [other for other in self._watchers if other != watcher]

    def close(self) -> None:
        """Nothing is held."""

    async def refresh(self) -> None:
        """Nobody else can change it."""

    def vanish(self) -> None:
        self._tell(Change(gone=True))

    def status(self) -> MailboxStatus:
        unseen = sum(not bits & Flag.SEEN for bits in self.bits)
        size = sum(len(message.content) for message in self._messages.values())
        return MailboxStatus(len(self.uids), len(self._recent), unseen, self.uidnext, self.uidvalidity, size, self.highest_modseq)

    async def claim_recent(self) -> tuple[int, ...]:
        claimed = tuple(sorted(self._recent))
        self._recent.clear()
        return claimed

    def _found(self, uids: Sequence[int]) -> list[Message]:
        return [self._messages[uid] for uid in sorted(set(uids)) if uid in self._messages]

    def _tell(self, change: Change) -> None:
        for watcher in tuple(self._watchers):
            watcher(change)

    # ----- reading

    async def rows(self, uids: Sequence[int], columns: Sequence[Column]) -> list[tuple[Any, ...]]:
        return [(message.uid, *(_value(message, column) for column in columns)) for message in self._found(uids)]

    async def read(self, uids: Sequence[int]) -> list[tuple[int, Memory]]:
        return [(message.uid, Memory(message.content)) for message in self._found(uids)]

    async def load(self, uids: Sequence[int]) -> list[tuple[int, bytes]]:
        return [(message.uid, message.content) for message in self._found(uids)]

    async def text_search(self, uids: Sequence[int], needle: str, headers: bool) -> set[int]:
        wanted = needle.casefold()
        return {message.uid for message in self._found(uids) if _holds(message.content, wanted, headers=headers)}

    # ----- flags

    async def store(
        self, uids: Sequence[int], change: FlagChange, flags: Sequence[str], by: Any = None, unchanged_since: int | None = None
    ) -> tuple[list[int], list[int]]:
        mask = self._mask(flags, learn=change is not FlagChange.REMOVE)
        changed, failed = [], []
        for message in self._found(uids):
            if unchanged_since is not None and message.modseq > unchanged_since:
                failed.append(message.uid)
            elif self._change(message, change, mask):
                changed.append(message.uid)
        if changed:
            self.highest_modseq += 1
            self._tell(Change(flagged=changed, by=by))
        return changed, failed

    def _change(self, message: Message, change: FlagChange, mask: int) -> bool:
        before = self.bits[message.place]
        after = {FlagChange.SET: mask, FlagChange.ADD: before | mask, FlagChange.REMOVE: before & ~mask}[change]
        if before == after:
            return False
        self.bits[message.place] = after
        message.modseq = self.highest_modseq + 1
        return True

    def _mask(self, flags: Sequence[str], *, learn: bool = False) -> int:
        if learn:
            self._learn([flag for flag in flags if flag.lower() not in _FLAG_BITS])
        numbers = {keyword.lower(): number for number, keyword in enumerate(self.keywords)}
        mask = 0
        for name in (flag.lower() for flag in flags):
            mask |= _FLAG_BITS.get(name) or (1 << (FIRST_KEYWORD_BIT + numbers[name]) if name in numbers else 0)
        return mask

    def _learn(self, wanted: Sequence[str]) -> None:
        known = {keyword.lower() for keyword in self.keywords}
        new = {keyword.lower(): keyword for keyword in reversed(wanted) if keyword.lower() not in known}
        if len(self.keywords) + len(new) > MOST_KEYWORDS or any(len(keyword) > LONGEST_KEYWORD for keyword in new):
            raise StoreError(f"A mailbox has at most {MOST_KEYWORDS} keywords of {LONGEST_KEYWORD} characters", "LIMIT")
        self.keywords += reversed(new.values())

    # ----- coming and going of messages

    def add(self, messages: Sequence[tuple[bytes, int, float]]) -> tuple[int, ...]:
        """Take messages (content, bits, date); their UIDs."""
        first = self.uidnext
        for content, bits, date in messages:
            self.highest_modseq += 1
            self._messages[self.uidnext] = Message(self.uidnext, content, date, self.highest_modseq, len(self.uids))
            self.uids.append(self.uidnext)
            self.bits.append(bits)
            self.uidnext += 1
        uids = tuple(range(first, self.uidnext))
        self._recent.update(uids)
        if uids:
            self._tell(Change(arrived=uids))
        return uids

    async def append(self, messages: Sequence[NewMessage]) -> Copied:
        now = self._home.now()
        self._learn([flag for message in messages for flag in message.flags if flag.lower() not in _FLAG_BITS])
        taken = [
            (b"".join(message.content.chunks()), self._mask(message.flags), now if message.internaldate is None else message.internaldate)
            for message in messages
        ]
        return Copied(self.uidvalidity, (), self.add(taken))

    async def copy(self, uids: Sequence[int], target: str, by: Any = None) -> Copied:
        other = self._home.existing(target)
        messages = self._found(uids)
        names = [self._names(self.bits[message.place]) for message in messages]
        other._learn([name for some in names for name in some if name.lower() not in _FLAG_BITS])
        copies = [(message.content, other._mask(some), message.date) for message, some in zip(messages, names, strict=True)]
        return Copied(other.uidvalidity, tuple(message.uid for message in messages), other.add(copies))

    def _names(self, bits: int) -> list[str]:
        keywords = [keyword for number, keyword in enumerate(self.keywords) if bits >> (FIRST_KEYWORD_BIT + number) & 1]
        return [name for name, flag in FLAG_NAMES.items() if bits & flag] + keywords

    async def move(self, uids: Sequence[int], target: str, by: Any = None) -> Copied:
        copied = await self.copy(uids, target, by)
        await self.expunge(copied.source, by)
        return copied

    async def expunge(self, uids: Sequence[int], by: Any = None) -> list[int]:
        gone = [message.uid for message in self._found(uids)]
        if not gone:
            return gone
        flags = dict(zip(self.uids, self.bits, strict=True))
        for uid in gone:
            del flags[uid], self._messages[uid]
        self._recent.difference_update(gone)
        self.uids, self.bits = array("L", flags), array("Q", flags.values())
        for place, message in enumerate(self._messages.values()):
            message.place = place
        self.highest_modseq += 1
        self._tell(Change(expunged=gone, by=by))
        return gone


def _value(message: Message, column: Column) -> Any:
    match column:
        case Column.SIZE:
            return len(message.content)
        case Column.INTERNALDATE:
            return message.date
        case _:
            return getattr(mime.describe(message.content), column.value)


def _holds(message: bytes, wanted: str, *, headers: bool) -> bool:
    if headers:
        header = message.partition(b"\r\n\r\n")[0]
        if wanted in words.decode_words(header.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")).casefold():
            return True
    return any(wanted in text.casefold() for text in mime.text_of(message))


@implementer(IMailboxes)
class Mailboxes:
    def __init__(self, standard: Sequence[str], now: Callable[[], float]) -> None:
        self.now = now
        self._uidvalidity = int(now())
        self._mailboxes: dict[str, Mailbox] = {}
        self._uses: dict[str, str] = {name: USES[name] for name in standard if name in USES}
        self._subscribed = {INBOX, *standard}
        for name in (INBOX, *standard):
            self._make(name)

    def _make(self, name: str) -> Mailbox:
        self._uidvalidity += 1
        return self._mailboxes.setdefault(name, Mailbox(name, self._uidvalidity, self))

    def existing(self, name: str) -> Mailbox:
        """The mailbox of that name. Raises NoSuchMailbox."""
        try:
            return self._mailboxes[_normal(name)]
        except (KeyError, StoreError):
            raise NoSuchMailbox(name) from None

    async def folders(self) -> tuple[Folder, ...]:
        levels = {level for name in self._mailboxes for level in _parents(name)}
        every = sorted(levels | set(self._mailboxes), key=lambda name: (name != INBOX, name))
        return tuple(
            Folder(
                name, name in self._subscribed, name in self._mailboxes, name in levels, (self._uses[name],) if name in self._uses else ()
            )
            for name in every
        )

    async def create(self, name: str) -> None:
        name = _normal(name.removesuffix("/"))
        if name in self._mailboxes:
            raise StoreError(f"There is a mailbox {name} already", "ALREADYEXISTS")
        for level in (*_parents(name), name):
            if level not in self._mailboxes:
                self._make(level)

    async def delete(self, name: str) -> None:
        if name.upper() == INBOX:
            raise StoreError("INBOX cannot be deleted", "CANNOT")
        if name not in self._mailboxes and any(other.startswith(name + "/") for other in self._mailboxes):
            raise StoreError(f"{name} is only a level above other mailboxes", "HASCHILDREN")
        mailbox = self.existing(name)
        del self._mailboxes[mailbox.name]
        self._uses.pop(mailbox.name, None)
        mailbox.vanish()

    async def rename(self, old: str, new: str) -> None:
        new = _normal(new.removesuffix("/"))
        if new == INBOX:
            raise StoreError("INBOX is always there", "ALREADYEXISTS")
        if old.upper() == INBOX:
            await self.create(new)
            inbox = self._mailboxes[INBOX]
            await inbox.move(list(inbox.uids), new)
            return
        for source, target in self._moves(old, new):
            mailbox = self._mailboxes.pop(source)
            mailbox.vanish()
            moved = self._mailboxes[target] = Mailbox(target, mailbox.uidvalidity, self)
            _take_over(moved, mailbox)
            if source in self._uses:
                self._uses[target] = self._uses.pop(source)

    def _moves(self, old: str, new: str) -> list[tuple[str, str]]:
        moves = [(name, new + name[len(old) :]) for name in self._mailboxes if name == old or name.startswith(old + "/")]
        if not moves:
            raise NoSuchMailbox(old)
        if new == old or new.startswith(old + "/"):
            raise StoreError("A mailbox cannot be moved into itself", "CANNOT")
        for _, target in moves:
            if _normal(target) in self._mailboxes:
                raise StoreError(f"There is a mailbox {target} already", "ALREADYEXISTS")
        for level in _parents(new):
            if level not in self._mailboxes:
                self._make(level)
        return moves

    async def subscribe(self, name: str, subscribed: bool) -> None:
        (self._subscribed.add if subscribed else self._subscribed.discard)(_normal(name))

    async def subscriptions(self) -> tuple[str, ...]:
        return tuple(sorted(self._subscribed))

    async def status(self, name: str) -> MailboxStatus:
        return self.existing(name).status()

    async def open(self, name: str) -> Mailbox:
        return self.existing(name)

    async def usage(self) -> tuple[int, int]:
        all_of_them = [mailbox.status() for mailbox in self._mailboxes.values()]
        return sum(status.size for status in all_of_them), sum(status.messages for status in all_of_them)

    def place_for(self, folder: str) -> Mailbox:
        """Where a delivery for *folder* goes: it is made when missing; INBOX where there can be none of that name."""
        try:
            name = _normal(folder)
        except StoreError:
            return self._mailboxes[INBOX]
        for level in (*_parents(name), name):
            if level not in self._mailboxes:
                self._make(level)
        return self._mailboxes[name]

    def vanish(self) -> None:
        for mailbox in self._mailboxes.values():
            mailbox.vanish()


@implementer(IMailStore)
class MailStore:
    """*now* is a function that tells POSIX seconds; *folders* are those that a new account gets."""

    def __init__(self, now: Callable[[], float], folders: Sequence[str] = tuple(USES)) -> None:
        self._now = now
        self._folders = tuple(folders)
        self._accounts: dict[str, Mailboxes] = {}

    async def poll(self) -> None:
        """Nobody else can reach this memory."""

    async def deliver(self, deliveries: Sequence[Delivery]) -> list[BaseException | None]:
        return [self._deliver(delivery) for delivery in deliveries]

    def _deliver(self, delivery: Delivery) -> ValueError | None:
        if not _ACCOUNT.fullmatch(delivery.account):
            return ValueError(f"{delivery.account!r} cannot name an account")
        mailbox = self._account(delivery.account).place_for(delivery.folder)
        mailbox.add([(delivery.prefix + b"".join(delivery.content.chunks()), 0, self._now())])
        return None

    async def mailboxes(self, account: str) -> Mailboxes:
        return self._account(account)

    async def tidy(self) -> None:
        """Nothing is kept here beyond its time."""

    async def remove_account(self, account: str) -> None:
        home = self._accounts.pop(account, None)
        if home is not None:
            home.vanish()

    def close(self) -> None:
        """There is nothing to write down."""

    def _account(self, account: str) -> Mailboxes:
        return self._accounts.get(account) or self._accounts.setdefault(account, Mailboxes(self._folders, self._now))


def _take_over(moved: Mailbox, mailbox: Mailbox) -> None:
    """What was in *mailbox* is in *moved* now."""
    moved.uidnext, moved.highest_modseq, moved.keywords = mailbox.uidnext, mailbox.highest_modseq, mailbox.keywords
    moved.uids, moved.bits = mailbox.uids, mailbox.bits
    moved._messages, moved._recent = mailbox._messages, mailbox._recent


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _normal(name: str) -> str:
    """*name* with INBOX spelled so. Raises StoreError CANNOT for what cannot be the name of a mailbox."""
    parts = name.split("/")
    if parts[0].upper() == INBOX:
        parts[0] = INBOX
    for part in parts:
        if part in ("", ".", "..") or _CONTROLS.search(part) or len(part.encode()) > 255:
            raise StoreError("That is not a name for a mailbox", "CANNOT")
    if len(parts) > 16 or len(name.encode()) > 1024:
        raise StoreError("That mailbox name is too long", "CANNOT")
    return "/".join(parts)
