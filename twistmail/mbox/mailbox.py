"""One open mbox (IMailbox): what sessions ask for. How it is kept in step with its file is in `view`."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from zope.interface import implementer

from twistmail.mail import flags as flag_words
from twistmail.mail import matching, mime, objectids
from twistmail.mail.acl import ALL
from twistmail.mail.content import Stored
from twistmail.mail.folding import folded
from twistmail.mail.mailbox import (
    Change,
    Column,
    Copied,
    Flag,
    FlagChange,
    MailboxStatus,
    NewMessage,
    SortKey,
    StoreError,
    Threading,
    TreeEvent,
)
from twistmail.mail.news import TreeNews
from twistmail.mail.paged import looked_at
from twistmail.mail.ranges import Range, gaps, runs
from twistmail.mail.threads import Threads, threads
from twistmail.mbox.boxfile import BoxFile, Unit
from twistmail.mbox.messages import Copy, Deposit
from twistmail.mbox.view import View, Workshop
from twistmail.store_interfaces import IMailbox

T = TypeVar("T")

#: Messages that are read while the file is locked once, and their octets.
MOST_AT_ONCE = 200
MOST_OCTETS_AT_ONCE = 8 * 1024 * 1024


class Home(Protocol):
    """The account, as one of its mailboxes needs it."""

    account: str

    @property
    def root(self) -> Path: ...

    @property
    def news(self) -> TreeNews: ...

    async def open(self, name: str) -> Mailbox: ...

    async def room_for(self, octets: int, messages: int) -> bool: ...

    def released(self, mailbox: Mailbox) -> None: ...


@implementer(IMailbox)
class Mailbox(View):
    """Shared by all sessions. Made by `Mailboxes`, which wakes it."""

    rights = ALL

    def __init__(self, file: BoxFile, workshop: Workshop, home: Home) -> None:
        super().__init__(file, workshop)
        self.users = 0
        self._home = home
        self._big: tuple[int, Copy] | None = None  # the message of which pieces were asked for last

    def close(self) -> None:
        self.users -= 1
        if not self.users:
            self._big = None
            self._home.released(self)

    def _tell(self, change: Change) -> None:
        super()._tell(change)
        self._home.news.tell_messages(self.name, change)

    @property
    def is_busy(self) -> bool:
        return bool(self.users or self._hands.held or self._waiting)

    def status(self) -> MailboxStatus:
        unseen = sum(not bits & Flag.SEEN for bits in self.bits)
        recent = len(self.uids) - sum(uid < self._numbers.recent for uid in self.uids)
        deleted = [size for size, bits in zip(self._listing.sizes, self.bits, strict=False) if bits & Flag.DELETED]
        return MailboxStatus(len(self.uids), recent, unseen, self.uidnext, self.uidvalidity, self._listing.octets, self.highest_modseq,
                             self.mailboxid, len(deleted), sum(deleted))  # fmt: skip

    @property
    def mailboxid(self) -> str:
        return objectids.mailboxid(self._home.account, self.uidvalidity)

    async def claim_recent(self) -> tuple[int, ...]:
        claimed = tuple(uid for uid in self.uids if uid >= self._numbers.recent)
        self._numbers.recent = self.uidnext
        return claimed

    # ----- reading

    async def rows(self, uids: Sequence[int], columns: Sequence[Column]) -> list[tuple[Any, ...]]:
        listing = self._listing
        known = {uid: place for place in listing.places(uids) if (uid := listing.uids[place])}
        told: dict[Column, dict[int, Any]] = {}
        for column, values in ((Column.SIZE, listing.sizes), (Column.INTERNALDATE, listing.dates), (Column.SAVEDATE, listing.saved)):
            told[column] = {uid: values[place] for uid, place in known.items()}
        told[Column.PREVIEW_AT_HAND] = dict.fromkeys(known)  # nothing that messages say is kept
        told[Column.MODSEQ] = {uid: self.modseqs[place] for uid, place in known.items() if place < len(self.modseqs)}
        rest = [column for column in columns if column not in told]
        if rest:
            described = dict(await self._each(uids, lambda uid, message: _columns(message, rest, listing.dates[known[uid]]), known))
            known = {uid: place for uid, place in known.items() if uid in described}
            told |= {column: {uid: described[uid][number] for uid in known} for number, column in enumerate(rest)}
        return [(uid, *(told[column][uid] for column in columns)) for uid in known]

    async def read(self, uids: Sequence[int]) -> list[tuple[int, Stored]]:
        return await self._work(lambda held: self.file.contents(held, uids, self._home.root))

    async def load(self, uids: Sequence[int]) -> list[tuple[int, bytes]]:
        return await self._work(lambda held: self.file.loaded(held, uids))

    async def span(self, uid: int, start: int, length: int) -> bytes | None:
        if self._listing.place(uid) is None:
            return None
        if self._big is None or self._big[0] != uid:
            found = await self.read([uid])
            if not found:
                return None
            content = found[0][1]
            if not isinstance(content, Copy):
                return content.span(start, length)
            self._big = uid, content
        return await self._workshop.threads.run(self._big[1].span, start, length)

    async def text_search(self, uids: Sequence[int], needle: str, headers: bool) -> set[int]:
        wanted = folded(needle)
        found = await self._each(uids, lambda uid, message: matching.holds(message, wanted, headers=headers))
        return {uid for uid, holds in found if holds}

    async def header_search(self, uids: Sequence[int], field: str, needle: str) -> set[int]:
        wanted = folded(needle)
        found = await self._each(uids, lambda uid, message: matching.has_field(message, field, wanted))
        return {uid for uid, has in found if has}

    async def sort(self, uids: Sequence[int], keys: Sequence[tuple[SortKey, bool]]) -> list[int]:
        listing = self._listing
        places = {listing.uids[place]: place for place in listing.places(uids)}

        def values(uid: int, message: bytes) -> list[Any]:
            described, place = mime.describe(message), places[uid]
            return [matching.sort_value(described, key, listing.dates[place], listing.sizes[place]) for key, _ in keys]

        found = await self._each(uids, values, places)
        for number, (_, reverse) in reversed(list(enumerate(keys))):
            found.sort(key=lambda row, number=number: row[1][number], reverse=reverse)  # type: ignore[misc]
        return [uid for uid, _ in found]

    async def thread(self, uids: Sequence[int], how: Threading) -> Threads:
        listing = self._listing
        dates = {listing.uids[place]: listing.dates[place] for place in listing.places(uids)}
        found = await self._each(uids, lambda uid, message: matching.thread_row(uid, mime.describe(message), dates[uid]), dates)
        return await self._workshop.threads.run(threads, matching.threaded(row for _, row in found), how)

    async def _each(self, uids: Sequence[int], ask: Callable[[int, bytes], T], among: Any = None) -> list[tuple[int, T]]:
        """(UID, *ask*(UID, octets)) of those of *uids* that exist, ascending: in pieces, so that nobody waits long for the lock."""
        found: list[tuple[int, T]] = []
        for batch in self._batches([uid for uid in uids if among is None or uid in among]):
            loaded = await self._in_memory(batch)
            found += await self._workshop.threads.run(lambda loaded=loaded: [(uid, ask(uid, message)) for uid, message in loaded])
        return found

    async def _in_memory(self, batch: Sequence[int]) -> list[tuple[int, Any]]:
        """(UID, octets); of a message that is too big a Paged instead, which answers as they would."""
        if sum(self._listing.sizes[place] for place in self._listing.places(batch)) <= MOST_OCTETS_AT_ONCE:
            return await self.load(batch)
        return [(uid, looked_at(content)) for uid, content in await self.read(batch)]

    def _batches(self, uids: Sequence[int]) -> list[list[int]]:
        batches: list[list[int]] = [[]]
        octets = 0
        for place in self._listing.places(uids):
            octets += self._listing.sizes[place]
            if batches[-1] and (octets > MOST_OCTETS_AT_ONCE or len(batches[-1]) == MOST_AT_ONCE):
                batches.append([])
                octets = self._listing.sizes[place]
            batches[-1].append(self._listing.uids[place])
        return [batch for batch in batches if batch]

    # ----- changes and their numbers

    def note_change(self) -> None:
        """Something about the mailbox itself is different (RFC 7162 §3.2: an annotation)."""
        self.highest_modseq = self._next_modseq()

    def changed_since(self, modseq: int) -> list[int]:
        return [uid for uid, changed in zip(self.uids, self.modseqs, strict=True) if changed > modseq]

    async def vanished_since(self, modseq: int) -> list[Range]:
        if modseq < self._numbers.forgotten:
            return gaps(runs(self.uids), self.uidnext - 1)
        logged = await self._workshop.threads.run(self.file.ledger.vanished, self.name, modseq)
        return runs(sorted({*logged, *(uid for expunged, uid in self._expunged if expunged > modseq)}))

    # ----- flags

    async def store(
        self, uids: Sequence[int], change: FlagChange, flags: Sequence[str], by: Any = None, unchanged_since: int | None = None
    ) -> tuple[list[int], list[int]]:
        if change is not FlagChange.REMOVE:
            self._learn(flags)
        if not self._pending:
            self._noted = None
            await self._workshop.threads.run(self.file.ledger.unsaved, self.name)
        mask = flag_words.bits(flags, self.keywords)
        changed, failed, modseq = [], [], self._next_modseq()
        for uid, place in self._places(uids):
            if unchanged_since is not None and self.modseqs[place] > unchanged_since:
                failed.append(uid)
            elif (bits := flag_words.after(self.bits[place], change, mask)) != self.bits[place]:
                self.bits[place], self.modseqs[place] = bits, modseq
                changed.append(uid)
        if changed:
            self.highest_modseq = modseq
            self._pending.update(changed)
            self._tell(Change(flagged=changed, by=by))
            self._settle_soon()
        return changed, failed

    def _learn(self, flags: Sequence[str]) -> None:
        self.keywords[:] = flag_words.extended(self.keywords, flag_words.keywords_in(flags))

    def _words(self, flags: Sequence[str]) -> tuple[str, ...]:
        """*flags* as they are spelled here."""
        return tuple(flag_words.words(flag_words.bits(flags, self.keywords), self.keywords))

    # ----- coming and going of messages

    async def deposit(self, units: Sequence[Unit]) -> None:
        """Add *units*, which tell afterwards how it went. Those that wait for the file go into it together."""
        self._waiting += units
        async with self._hands:
            if all(unit.done for unit in units):
                return
            waiting, self._waiting = self._waiting, []
            look = self.awake
            try:
                await self._turn(lambda held: self.file.add(held, waiting, look=look), exclusive=True)
            except (OSError, StoreError) as error:
                for unit in waiting:
                    unit.error = unit.error or error
            finally:
                for unit in waiting:
                    unit.done = True
        if not look and any(unit.error is None for unit in waiting):
            self._home.news.tell(TreeEvent.ARRIVED, self.name)

    async def append(self, messages: Sequence[NewMessage], freed: Sequence[int] = ()) -> Copied:
        self._learn([flag for message in messages for flag in message.flags])
        await self._need_room(sum(message.content.size for message in messages) - sum(freed), len(messages) - len(freed))
        return Copied(self.uidvalidity, (), await self._append(messages))

    async def _append(self, messages: Sequence[NewMessage]) -> tuple[int, ...]:
        unit = Unit([NewMessage(Deposit(b"", one.content), self._words(one.flags), one.internaldate) for one in messages])
        await self.deposit([unit])
        if unit.error:
            raise unit.error
        return unit.uids

    async def room_for(self, octets: int, messages: int) -> bool:
        return await self._home.room_for(octets, messages)

    async def _need_room(self, octets: int, messages: int) -> None:
        if not await self.room_for(octets, messages):
            raise OSError(errno.EDQUOT, "the mailbox is full")

    async def copy(self, uids: Sequence[int], target: str, by: Any = None) -> Copied:
        return await self._copy(uids, target, moving=False)

    async def move(self, uids: Sequence[int], target: str, by: Any = None) -> Copied:
        copied = await self._copy(uids, target, moving=True)
        await self.expunge(copied.source, by)
        return copied

    async def _copy(self, uids: Sequence[int], target: str, *, moving: bool) -> Copied:
        other = await self._home.open(target)
        try:
            found = await self.read(uids)
            messages = [
                NewMessage(content, tuple(flag_words.words(self.bits[place], self.keywords)), self._listing.dates[place])
                for uid, content in found
                if (place := self._listing.place(uid)) is not None
            ]
            other._learn([word for message in messages for word in message.flags])
            if not moving:
                await self._need_room(sum(message.content.size for message in messages), len(messages))
            copies = await other._append(messages) if messages else ()
            return Copied(other.uidvalidity, tuple(uid for uid, _ in found), copies)
        finally:
            other.close()

    async def unique_ids(self) -> dict[int, bytes]:
        return {}

    async def expunge(self, uids: Sequence[int], by: Any = None, durable: bool = False) -> list[int]:
        if not self._listing.places(uids):
            return []
        flags: dict[int, list[str]] = {}
        async with self._hands:
            flags, keywords = self._flags_to_write(), list(self.keywords)
            gone = await self._turn(lambda held: self.file.rewrite(held, uids, flags, keywords), exclusive=True, by=by)
            self._written(flags)
        self._settle_soon()
        return gone


def _columns(message: bytes, columns: Sequence[Column], date: float) -> list[Any]:
    described = mime.describe(message)
    return [matching.column(described, column, date) for column in columns]
