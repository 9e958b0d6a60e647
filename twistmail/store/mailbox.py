"""One open mailbox (IMailbox): what sessions ask for. What keeps it true is in `view`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from zope.interface import implementer

from twistmail import tasks
from twistmail.interfaces import IMailbox
from twistmail.mail.mailbox import Change, Column, Copied, FlagChange, MailboxStatus, NewMessage
from twistmail.store import flags as flag_words
from twistmail.store import keywords as keyword_file
from twistmail.store import searching
from twistmail.store.contents import StoredContent, load_all
from twistmail.store.index import Index
from twistmail.store.jobs import AppendJob, CopyJob, Entry, Original
from twistmail.store.maildir import Maildir
from twistmail.store.rendering import chosen, render
from twistmail.store.settling import settle
from twistmail.store.view import View
from twistmail.store.workshop import Workshop

#: So many flag changes are put into the file names at once; more go through the index and happen in the background.
FEW = 8

_IN_MEMORY = (Column.SIZE, Column.INTERNALDATE)


class Home(Protocol):
    """The account's mailboxes, as one of them needs them."""

    async def open(self, name: str) -> Mailbox: ...

    def released(self, mailbox: Mailbox) -> None: ...


@implementer(IMailbox)
class Mailbox(View):
    """Shared by all sessions that have it open. Made by `Mailboxes`, which wakes it."""

    def __init__(self, name: str, maildir: Maildir, index: Index, workshop: Workshop, home: Home) -> None:
        super().__init__(name, maildir, index, workshop)
        self.users = 0
        self.waking = tasks.Limit(1)
        self._home = home

    def status(self) -> MailboxStatus:
        known = self._snapshot
        return MailboxStatus(
            len(known.uids), len(self._recent), known.unseen, self.uidnext, self.uidvalidity, known.size, self.highest_modseq
        )

    def close(self) -> None:
        self.users -= 1
        if not self.users:
            self._home.released(self)

    async def claim_recent(self) -> tuple[int, ...]:
        claimed = tuple(sorted(self._recent))
        self._recent.clear()
        for place in self._snapshot.places(claimed):
            if self._snapshot.paths[place].startswith(b"new/"):
                self._unsettled.add(self.uids[place])
        self._settle_soon()
        return claimed

    # ----- reading

    async def rows(self, uids: Sequence[int], columns: Sequence[Column]) -> list[tuple[Any, ...]]:
        places = self._snapshot.places(uids)
        found = [self.uids[place] for place in places]
        wanted = tuple(column.value for column in columns if column not in _IN_MEMORY)
        rendered = await self._rendered(found, wanted) if wanted and found else {}
        if wanted:
            places = [place for place in self._snapshot.places(found) if self.uids[place] in rendered]
        values: list[Sequence[Any]] = [[self.uids[place] for place in places]]
        for column in columns:
            if column in _IN_MEMORY:
                known = self._snapshot.sizes if column is Column.SIZE else self._snapshot.dates
                values.append([known[place] for place in places])
            else:
                number = wanted.index(column.value)
                values.append([rendered[uid][number] for uid in values[0]])
        return list(zip(*values, strict=True))

    async def _rendered(self, uids: Sequence[int], columns: Sequence[str]) -> dict[int, tuple[bytes, ...]]:
        """{uid: values of *columns*}, without those whose message has gone."""
        known = self._index.rendered(self._directory, uids, columns)
        missing = [uid for uid in uids if uid not in known]
        if missing:
            work = self._workshop
            fresh = await work.threads.run(render, self._index, self._directory, await self.read(missing), work.describe)
            known.update((uid, chosen(rendering, columns)) for uid, rendering in fresh.items())
        return known

    async def read(self, uids: Sequence[int]) -> list[tuple[int, StoredContent]]:
        return [(self.uids[p], StoredContent(self._where(p), self._snapshot.sizes[p])) for p in self._snapshot.places(uids)]

    async def load(self, uids: Sequence[int]) -> list[tuple[int, bytes]]:
        return await self._workshop.threads.run(load_all, await self.read(uids))

    async def text_search(self, uids: Sequence[int], needle: str, headers: bool) -> set[int]:
        return await self._workshop.threads.run(searching.matching, await self.read(uids), needle, headers=headers)

    # ----- flags

    async def store(
        self, uids: Sequence[int], change: FlagChange, flags: Sequence[str], by: Any = None, unchanged_since: int | None = None
    ) -> tuple[list[int], list[int]]:
        if change is not FlagChange.REMOVE:
            await self.learn(flags)
        places, failed = self._snapshot.places(uids), []
        if unchanged_since is not None:
            modseqs = self._snapshot.modseqs
            failed = [self.uids[place] for place in places if modseqs[place] > unchanged_since]
            places = [place for place in places if modseqs[place] <= unchanged_since]
        changed = self._snapshot.change(places, change, flag_words.bits(flags, self.keywords), self.highest_modseq + 1)
        if changed:
            self.highest_modseq += 1
            self._tell(Change(flagged=changed, by=by))
            await self._write_flags(changed)
        return changed, failed

    async def learn(self, flags: Sequence[str]) -> None:
        """Make sure that every keyword among *flags* has a letter. StoreError LIMIT."""
        wanted = flag_words.keywords_in(flags)
        if keyword_file.extended(self.keywords, wanted) == self.keywords:
            return
        async with self._hands:
            self.keywords[:] = await self._workshop.threads.run(keyword_file.learn, self.maildir.path, self.maildir.uids, wanted)

    async def _write_flags(self, uids: Sequence[int]) -> None:
        """Few changes go into the file names at once; many into the index, and into the names in the background."""
        self._unsaved.update(uids)
        self._unsettled.update(uids)
        if len(uids) <= FEW and not self.is_busy:
            self._settled(settle(self.maildir, self._moves(uids)), uids)
            return
        await self.save()
        self._settle_soon()

    # ----- coming and going of messages

    async def expunge(self, uids: Sequence[int], by: Any = None) -> list[int]:
        async with self._hands:
            places = self._snapshot.places(uids)
            paths = [self._where(place).paths for place in places]
            gone = self._forget(places, by)
            if gone:
                await self._workshop.threads.run(self.maildir.remove, paths)
        return gone

    async def append(self, messages: Sequence[NewMessage]) -> Copied:
        await self.learn([flag for message in messages for flag in message.flags])
        entries = [Entry(message.content, flag_words.letters(message.flags, self.keywords), message.internaldate) for message in messages]
        return Copied(self.uidvalidity, (), await self._publish(AppendJob(self.maildir, entries)))

    async def copy(self, uids: Sequence[int], target: str, by: Any = None) -> Copied:
        other = await self._home.open(target)
        try:
            return await self._copy(uids, other)
        finally:
            other.close()

    async def move(self, uids: Sequence[int], target: str, by: Any = None) -> Copied:
        copied = await self.copy(uids, target, by)
        await self.expunge(copied.source, by)
        return copied

    async def _copy(self, uids: Sequence[int], other: Mailbox) -> Copied:
        words = {bits: flag_words.words(bits, self.keywords) for bits in {self.bits[place] for place in self._snapshot.places(uids)}}
        await other.learn([word for some in words.values() for word in some])
        letters = {bits: flag_words.letters(some, other.keywords) for bits, some in words.items()}
        places = [place for place in self._snapshot.places(uids) if self.bits[place] in letters]
        source = tuple(self.uids[place] for place in places)
        originals = [
            Original(self._where(p).paths, letters[self.bits[p]], self._snapshot.sizes[p], self._snapshot.dates[p]) for p in places
        ]
        if not originals:
            return Copied(other.uidvalidity, (), ())
        return Copied(other.uidvalidity, source, await other._publish(CopyJob(self.maildir, other.maildir, originals)))

    async def _publish(self, job: AppendJob | CopyJob) -> tuple[int, ...]:
        """Commit a job of ours and tell; the new UIDs."""
        try:
            await self._workshop.committer.commit(job)
        except BaseException:
            if job.arrivals:
                self.maildir.known = None
                await self._workshop.threads.run(job.retract)
            raise
        self.arrived(job.arrivals)
        return tuple(arrival.uid for arrival in job.arrivals)
