"""One mailbox (IMailbox) in memory: the plainest thing that keeps the promises, and so what other stores are measured by."""

from __future__ import annotations

import errno
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from zope.interface import implementer

from twistmail.mail import flags as flag_words
from twistmail.mail import matching, mime, objectids
from twistmail.mail.acl import ALL
from twistmail.mail.content import Memory
from twistmail.mail.folding import folded
from twistmail.mail.mailbox import (
    Change,
    Column,
    Copied,
    Flag,
    FlagChange,
    MailboxStatus,
    NewMessage,
    Quota,
    SortKey,
    Threading,
)
from twistmail.mail.news import TreeNews
from twistmail.mail.ranges import Range, runs
from twistmail.mail.threads import Threads, threads
from twistmail.store_interfaces import IMailbox

Watcher = Callable[[Change], None]


class Home(Protocol):
    """The account, as one of its mailboxes needs it."""

    now: Callable[[], float]
    news: TreeNews
    account: str

    def existing(self, name: str) -> Mailbox: ...

    async def quota(self) -> Quota: ...

    async def room_for(self, octets: int, messages: int) -> bool: ...


@dataclass(slots=True)
class Message:
    """One message of one mailbox."""

    uid: int
    content: bytes
    date: float
    saved: float
    place: int = 0  # in the arrays


@implementer(IMailbox)
class Mailbox:
    rights = ALL

    def __init__(self, name: str, uidvalidity: int, home: Home) -> None:
        self.name = name
        self.uidvalidity = uidvalidity
        self.mailboxid = objectids.mailboxid(home.account, uidvalidity)
        self.uidnext = 1
        self.highest_modseq = 1
        self.uids = array("L")
        self.bits = array("Q")
        self.modseqs = array("Q")
        self.keywords: list[str] = []
        self._home = home
        self._messages: dict[int, Message] = {}
        self._recent: set[int] = set()
        self._expunged: list[tuple[int, int]] = []  # (modseq, uid)
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
        sizes = [len(self._messages[uid].content) for uid in self.uids]
        deleted = [size for size, bits in zip(sizes, self.bits, strict=True) if bits & Flag.DELETED]
        return MailboxStatus(len(self.uids), len(self._recent), unseen, self.uidnext, self.uidvalidity, sum(sizes), self.highest_modseq,
                             self.mailboxid, len(deleted), sum(deleted))  # fmt: skip

    async def claim_recent(self) -> tuple[int, ...]:
        claimed = tuple(sorted(self._recent))
        self._recent.clear()
        return claimed

    def _found(self, uids: Sequence[int]) -> list[Message]:
        return [self._messages[uid] for uid in sorted(set(uids)) if uid in self._messages]

    def _tell(self, change: Change) -> None:
        for watcher in tuple(self._watchers):
            watcher(change)
        self._home.news.tell_messages(self.name, change)

    # ----- reading

    async def rows(self, uids: Sequence[int], columns: Sequence[Column]) -> list[tuple[Any, ...]]:
        return [(message.uid, *(self._value(message, column) for column in columns)) for message in self._found(uids)]

    def _value(self, message: Message, column: Column) -> Any:
        return self.modseqs[message.place] if column is Column.MODSEQ else _value(message, column)

    async def read(self, uids: Sequence[int]) -> list[tuple[int, Memory]]:
        return [(message.uid, Memory(message.content)) for message in self._found(uids)]

    async def load(self, uids: Sequence[int]) -> list[tuple[int, bytes]]:
        return [(message.uid, message.content) for message in self._found(uids)]

    async def text_search(self, uids: Sequence[int], needle: str, headers: bool) -> set[int]:
        wanted = folded(needle)
        return {message.uid for message in self._found(uids) if matching.holds(message.content, wanted, headers=headers)}

    async def span(self, uid: int, start: int, length: int) -> bytes | None:
        return self._messages[uid].content[start : start + length] if uid in self._messages else None

    async def header_search(self, uids: Sequence[int], field: str, needle: str) -> set[int]:
        wanted = folded(needle)
        return {message.uid for message in self._found(uids) if matching.has_field(message.content, field, wanted)}

    async def sort(self, uids: Sequence[int], keys: Sequence[tuple[SortKey, bool]]) -> list[int]:
        found = self._found(uids)
        for key, reverse in reversed(keys):
            found.sort(key=lambda message, key=key: _sort_value(message, key), reverse=reverse)  # type: ignore[misc]
        return [message.uid for message in found]

    async def thread(self, uids: Sequence[int], how: Threading) -> Threads:
        rows = [matching.thread_row(message.uid, mime.describe(message.content), message.date) for message in self._found(uids)]
        return threads(matching.threaded(rows), how)

    # ----- changes and their numbers

    def changed_since(self, modseq: int) -> list[int]:
        return [uid for uid, changed in zip(self.uids, self.modseqs, strict=True) if changed > modseq]

    async def vanished_since(self, modseq: int) -> list[Range]:
        return runs(sorted(uid for expunged, uid in self._expunged if expunged > modseq))

    # ----- flags

    async def store(
        self, uids: Sequence[int], change: FlagChange, flags: Sequence[str], by: Any = None, unchanged_since: int | None = None
    ) -> tuple[list[int], list[int]]:
        mask = self._mask(flags, learn=change is not FlagChange.REMOVE)
        changed, failed = [], []
        for message in self._found(uids):
            if unchanged_since is not None and self.modseqs[message.place] > unchanged_since:
                failed.append(message.uid)
            elif self._change(message, change, mask):
                changed.append(message.uid)
        if changed:
            self.highest_modseq += 1
            self._tell(Change(flagged=changed, by=by))
        return changed, failed

    def _change(self, message: Message, change: FlagChange, mask: int) -> bool:
        before = self.bits[message.place]
        after = flag_words.after(before, change, mask)
        if before == after:
            return False
        self.bits[message.place] = after
        self.modseqs[message.place] = self.highest_modseq + 1
        return True

    def _mask(self, flags: Sequence[str], *, learn: bool = False) -> int:
        if learn:
            self._learn(flags)
        return flag_words.bits(flags, self.keywords)

    def _learn(self, flags: Sequence[str]) -> None:
        self.keywords[:] = flag_words.extended(self.keywords, flag_words.keywords_in(flags))

    # ----- coming and going of messages

    def add(self, messages: Sequence[tuple[bytes, int, float]]) -> tuple[int, ...]:
        """Take messages (content, bits, date); their UIDs."""
        first = self.uidnext
        self.highest_modseq += bool(messages)
        for content, bits, date in messages:
            self._messages[self.uidnext] = Message(self.uidnext, content, date, self._home.now(), len(self.uids))
            self.uids.append(self.uidnext)
            self.bits.append(bits)
            self.modseqs.append(self.highest_modseq)
            self.uidnext += 1
        uids = tuple(range(first, self.uidnext))
        self._recent.update(uids)
        if uids:
            self._tell(Change(arrived=uids))
        return uids

    async def append(self, messages: Sequence[NewMessage], freed: Sequence[int] = ()) -> Copied:
        now = self._home.now()
        self._learn([flag for message in messages for flag in message.flags])
        taken = [
            (b"".join(message.content.chunks()), self._mask(message.flags), now if message.internaldate is None else message.internaldate)
            for message in messages
        ]
        await self._need_room([content for content, _, _ in taken], freed)
        return Copied(self.uidvalidity, (), self.add(taken))

    async def room_for(self, octets: int, messages: int) -> bool:
        return await self._home.room_for(octets, messages)

    async def _need_room(self, contents: Sequence[bytes], freed: Sequence[int] = ()) -> None:
        if not await self.room_for(sum(map(len, contents)) - sum(freed), len(contents) - len(freed)):
            raise OSError(errno.EDQUOT, "the mailbox is full")

    async def copy(self, uids: Sequence[int], target: str, by: Any = None) -> Copied:
        self._home.existing(target)
        await self._need_room([message.content for message in self._found(uids)])
        return self._copy(uids, target)

    def _copy(self, uids: Sequence[int], target: str) -> Copied:
        other = self._home.existing(target)
        messages = self._found(uids)
        names = [flag_words.words(self.bits[message.place], self.keywords) for message in messages]
        other._learn([name for some in names for name in some])
        copies = [(message.content, other._mask(some), message.date) for message, some in zip(messages, names, strict=True)]
        return Copied(other.uidvalidity, tuple(message.uid for message in messages), other.add(copies))

    async def move(self, uids: Sequence[int], target: str, by: Any = None) -> Copied:
        copied = self._copy(uids, target)
        await self.expunge(copied.source, by)
        return copied

    async def unique_ids(self) -> dict[int, bytes]:
        return {}

    async def expunge(self, uids: Sequence[int], by: Any = None, durable: bool = False) -> list[int]:
        gone = [message.uid for message in self._found(uids)]
        if not gone:
            return gone
        flags = dict(zip(self.uids, zip(self.bits, self.modseqs, strict=True), strict=True))
        for uid in gone:
            del flags[uid], self._messages[uid]
        self._recent.difference_update(gone)
        self.uids = array("L", flags)
        self.bits, self.modseqs = array("Q", [bits for bits, _ in flags.values()]), array("Q", [modseq for _, modseq in flags.values()])
        for place, message in enumerate(self._messages.values()):
            message.place = place
        self.highest_modseq += 1
        self._expunged += [(self.highest_modseq, uid) for uid in gone]
        self._tell(Change(expunged=gone, by=by))
        return gone


def _value(message: Message, column: Column) -> Any:
    match column:
        case Column.SIZE:
            return len(message.content)
        case Column.INTERNALDATE:
            return message.date
        case Column.SAVEDATE:
            return message.saved
        case Column.PREVIEW_AT_HAND:
            column = Column.PREVIEW
    return matching.column(mime.describe(message.content), column, message.date)


def _sort_value(message: Message, key: SortKey) -> Any:
    return matching.sort_value(mime.describe(message.content), key, message.date, len(message.content))


def take_over(moved: Mailbox, mailbox: Mailbox) -> None:
    """What was in *mailbox* is in *moved* now."""
    moved.uidnext, moved.highest_modseq, moved.keywords = mailbox.uidnext, mailbox.highest_modseq, mailbox.keywords
    moved.uids, moved.bits, moved.modseqs = mailbox.uids, mailbox.bits, mailbox.modseqs
    moved._messages, moved._recent, moved._expunged = mailbox._messages, mailbox._recent, mailbox._expunged
