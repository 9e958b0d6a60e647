"""One open mailbox (IMailbox): what sessions ask for.

What keeps it true is in `view` and `writing`, what it reads in `reading` and `sorting`.
"""

from __future__ import annotations

import errno
import sqlite3
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from zope.interface import implementer

from twistmail import tasks
from twistmail.mail.acl import ALL
from twistmail.mail.mailbox import Change, Copied, FlagChange, MailboxStatus, NewMessage
from twistmail.mail.news import TreeNews
from twistmail.mail.ranges import Range, gaps, runs
from twistmail.store import flags as flag_words
from twistmail.store import keywords as keyword_file
from twistmail.store import names
from twistmail.store.folders import FolderTree
from twistmail.store.jobs import AppendJob, CopyJob, Entry, Original
from twistmail.store.maildir import Maildir
from twistmail.store.sorting import Sorting
from twistmail.store.workshop import Workshop
from twistmail.store_interfaces import IMailbox

#: Seconds to wait before a message whose file is not where it was is looked for again. Where another program renames many files at a time,
#: one of a dozen may be elsewhere at each look.
LOOK_AGAIN = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)
#: Places out of which messages are expunged together, but not in more portions than so many: each moves all that lies behind it.
STRETCH = 5000
PORTIONS = 20


class Home(Protocol):
    """The account's mailboxes, as one of them needs them."""

    tree: FolderTree
    index: Any
    descriptions: Any
    texts: Any
    news: TreeNews

    async def open(self, name: str) -> Mailbox: ...

    async def room_for(self, octets: int, messages: int) -> bool: ...

    def count(self, octets: int, messages: int) -> None: ...

    def released(self, mailbox: Mailbox) -> None: ...


@implementer(IMailbox)
class Mailbox(Sorting):
    """Shared by all sessions that have it open. Made by `Mailboxes`, which wakes it."""

    rights = ALL

    def __init__(self, name: str, maildir: Maildir, workshop: Workshop, home: Home) -> None:
        super().__init__(name, maildir, home.index, workshop, home.count, home.descriptions, home.texts)
        self.users = 0
        self.waking = tasks.Limit(1)
        self._appending = tasks.Limit(1)
        self._home = home

    def status(self, *, deleted: bool = False) -> MailboxStatus:
        known = self._snapshot
        return MailboxStatus(
            len(known.uids), len(self._recent), known.unseen, self.uidnext, self.uidvalidity, known.size, self.highest_modseq,
            self.mailboxid, *(known.deleted() if deleted else (0, 0)),
        )  # fmt: skip

    def _tell(self, change: Change) -> None:
        super()._tell(change)
        self._home.news.tell_messages(self.name, change)

    def close(self) -> None:
        self.users -= 1
        if not self.users:
            self._book.let_go()
            self._home.released(self)

    async def claim_recent(self) -> tuple[int, ...]:
        claimed = tuple(sorted(self._recent))
        self._recent.clear()
        self._claim(claimed)
        return claimed

    # ----- changes and their numbers

    async def note_change(self) -> None:
        """Something about the mailbox itself is different (RFC 7162 §3.2: an annotation)."""
        await self._doubt()
        self._next_modseq()

    def changed_since(self, modseq: int) -> list[int]:
        return [uid for uid, changed in zip(self.uids, self.modseqs, strict=True) if changed > modseq]

    async def vanished_since(self, modseq: int) -> list[Range]:
        if modseq < self._forgotten:
            return await self._missing()
        unsaved = [uid for uid, expunged in self._expunged if expunged > modseq]
        try:
            logged = self._index.vanished(self._directory, modseq) if self._begun else []
        except (LookupError, sqlite3.Error) as error:
            self._index.trouble.begins(error)
            return await self._missing()
        return runs(sorted({*logged, *unsaved}) if unsaved else logged)

    async def _missing(self) -> list[Range]:
        """All UIDs that some message has had, or could have had."""
        last = self.uidnext - 1
        return gaps(await self._workshop.threads.run(runs, self.uids[:]), last)

    # ----- flags

    async def store(
        self, uids: Sequence[int], change: FlagChange, flags: Sequence[str], by: Any = None, unchanged_since: int | None = None
    ) -> tuple[list[int], list[int]]:
        if change is not FlagChange.REMOVE:
            await self.learn(flags)
        if not self._goes_at_once(uids):
            await self._doubt()
        failed: list[int] = []
        places = self._snapshot.places(uids)
        if unchanged_since is not None:
            modseqs = self._snapshot.modseqs
            failed = [self.uids[place] for place in places if modseqs[place] > unchanged_since]
            places = [place for place in places if modseqs[place] <= unchanged_since]
        modseq = max(self.highest_modseq + 1, self._clock())
        places = self._snapshot.change(places, change, flag_words.bits(flags, self.keywords), modseq)
        if not places:
            return [], failed
        self.highest_modseq = modseq
        changed = list(self._snapshot.chosen(places))
        self._tell(Change(flagged=changed, by=by))
        await self._write_flags(changed)
        if self.gone:  # nobody knows which of them have been written
            raise OSError(errno.ESTALE, "the mailbox has to be opened again")
        return changed, failed

    async def learn(self, flags: Sequence[str]) -> None:
        """Make sure that every keyword among *flags* has a letter. StoreError LIMIT."""
        wanted = flag_words.keywords_in(flags)
        if keyword_file.extended(self.keywords, wanted) == self.keywords:
            return
        async with self._hands:
            self.keywords[:] = await self._workshop.threads.run(keyword_file.learn, self.maildir.path, self.maildir.uids, wanted)

    # ----- coming and going of messages

    async def expunge(self, uids: Sequence[int], by: Any = None, durable: bool = False) -> list[int]:
        gone: list[int] = []
        async with self._hands:
            await self._doubt()
            for together in self._by_stretch(uids):
                places = self._snapshot.places(together)
                paths = [self._paths(place) for place in places]
                if some := self._forget(places, by):
                    await self._remove(some, paths, durable=durable)
                gone += some
        return gone

    def _by_stretch(self, uids: Sequence[int]) -> Iterator[Sequence[int]]:
        """Those of *uids* that exist, divided by where they are."""
        places = self._snapshot.places(uids)
        present = self._snapshot.chosen(places)
        width = max(STRETCH, len(self.uids) // PORTIONS)
        start = 0
        while start < len(places):
            stop = bisect_left(places, places[start] + width)
            yield present[start:stop]
            start = stop

    async def _remove(self, gone: Sequence[int], paths: Sequence[tuple[bytes, ...]], *, durable: bool) -> None:
        try:
            lost = await self._workshop.threads.run(self.maildir.remove, paths, durable)
            if lost:  # where one of them is found after all, it is no message of ours any more
                self._vanished.update(uid for uid, where in zip(gone, paths, strict=True) if names.base_of(where[0]) in lost)
        except OSError:  # all have been told that they are gone: what is still there comes back under new UIDs
            self.maildir.known = None
            self._vanished.update(gone)
            raise

    async def append(self, messages: Sequence[NewMessage], freed: Sequence[int] = ()) -> Copied:
        async with self._appending:  # calls keep their order until the committer has them
            await self.learn([flag for message in messages for flag in message.flags])
            await self._need_room(sum(message.content.size for message in messages) - sum(freed), len(messages) - len(freed))
            letters = [flag_words.letters(message.flags, self.keywords) for message in messages]
            entries = [Entry(one.content, flags, one.internaldate) for one, flags in zip(messages, letters, strict=True)]
            published = tasks.shielded(self._publish(AppendJob(self._home.tree, self.maildir, entries)))
        return Copied(self.uidvalidity, (), await published)

    async def copy(self, uids: Sequence[int], target: str, by: Any = None) -> Copied:
        other = await self._home.open(target)
        try:
            return await self._copy(uids, other, moving=False)
        finally:
            other.close()

    async def move(self, uids: Sequence[int], target: str, by: Any = None) -> Copied:
        other = await self._home.open(target)
        try:
            copied = await self._copy(uids, other, moving=True)
        finally:
            other.close()
        await self.expunge(copied.source, by)
        return copied

    async def room_for(self, octets: int, messages: int) -> bool:
        return await self._home.room_for(octets, messages)

    async def _need_room(self, octets: int, messages: int) -> None:
        if not await self.room_for(octets, messages):
            raise OSError(errno.EDQUOT, "the mailbox is full")

    async def _copy(self, uids: Sequence[int], other: Mailbox, *, moving: bool) -> Copied:
        """Those of *uids* that exist. Where a file is gone, or is renamed by others while we look for it, we look again."""
        for pause in LOOK_AGAIN:
            try:
                return await self._copied(uids, other, moving=moving)
            except FileNotFoundError:
                await self._workshop.pause(pause)
                self.maildir.known = None
                await self.refresh()
        return await self._copied(uids, other, moving=moving)

    async def _copied(self, uids: Sequence[int], other: Mailbox, *, moving: bool) -> Copied:
        snapshot = self._snapshot
        letters: dict[int, bytes] = {}
        while unknown := {snapshot.bits[place] for place in snapshot.places(uids)} - letters.keys():  # they may change while we learn
            words = {bits: flag_words.words(bits, self.keywords) for bits in unknown}
            await other.learn([word for some in words.values() for word in some])
            letters |= {bits: flag_words.letters(some, other.keywords) for bits, some in words.items()}
        places = snapshot.places(uids)
        source = tuple(snapshot.chosen(places))
        originals = [Original(self._paths(p), letters[snapshot.bits[p]], snapshot.sizes[p], snapshot.dates[p]) for p in places]
        if not originals:
            return Copied(other.uidvalidity, (), ())
        if not moving:
            await self._need_room(sum(original.size for original in originals), len(originals))
        job = CopyJob(self.maildir, other._home.tree, other.maildir, originals)
        return Copied(other.uidvalidity, source, await other._publish(job))

    async def _publish(self, job: AppendJob | CopyJob) -> tuple[int, ...]:
        """Commit a job of ours and tell; the new UIDs."""
        try:
            await self._workshop.committer.commit(job)
        except BaseException:
            if job.arrivals:
                self.maildir.known = None
                await self._workshop.retract(job)
            raise
        self._home.count(sum(arrival.size for arrival in job.arrivals), len(job.arrivals))
        self.arrived(job.arrivals)
        if self.awake and job.arrivals and job.arrivals[-1].uid >= self.uidnext:
            await self._catch_up()  # whoever is told a UID can use it at once
        if self.gone:  # the UIDs are not of the UIDVALIDITY that the caller knows
            return ()
        return tuple(arrival.uid for arrival in job.arrivals)
