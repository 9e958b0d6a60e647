"""One open mailbox (IMailbox): the snapshot in memory, kept true, and told about.

Everything here runs on the reactor thread; blocking work goes to threads or,
where UIDs are assigned or content is written, to the committer as a job
(`jobs`). Whatever changes disk or index from a thread holds `_hands`, one at a
time; deliveries do not need it, and results of a scan are compared with what
has changed since it began.

Flag changes are true in memory and in the index at once; `settle` gives the
files their names in the background.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Callable, Iterable, Sequence, Set
from contextlib import suppress
from itertools import islice
from typing import Any, Protocol

from twisted.logger import Logger
from zope.interface import implementer

from twistmail import tasks
from twistmail.interfaces import (
    FIRST_KEYWORD_BIT,
    FLAG_NAMES,
    Change,
    Column,
    Copied,
    FlagChange,
    IMailbox,
    MailboxStatus,
    NewMessage,
    NoSuchMailbox,
)
from twistmail.store import keywords as keyword_file
from twistmail.store import names, scan, searching
from twistmail.store.contents import StoredContent, Whereabouts
from twistmail.store.index import Index, Known, Row
from twistmail.store.jobs import AdoptionJob, AppendJob, CopyJob, Entry, Original
from twistmail.store.maildir import Arrival, Maildir, NotAMaildir
from twistmail.store.rendering import chosen, render
from twistmail.store.settling import BLOCK, Move, settle
from twistmail.store.snapshot import Snapshot, snapshot_of
from twistmail.store.workshop import Workshop

log = Logger()

#: A directory that has changed within this time may change again without a new time: look once it is quiet.
QUIET_NS = 1_000_000_000
#: So many flag changes are put into the file names at once; more go through the index and happen in the background.
FEW = 8
#: Rows that wait for the index before they are saved unasked.
MANY_UNSAVED = 4096

_FLAG_BITS = {name.lower(): int(flag) for name, flag in FLAG_NAMES.items()}
_IN_MEMORY = (Column.SIZE, Column.INTERNALDATE)
Watcher = Callable[[Change], None]


class Home(Protocol):
    """The account's mailboxes, as one of them needs them."""

    async def open(self, name: str) -> Mailbox: ...

    def released(self, mailbox: Mailbox) -> None: ...


@implementer(IMailbox)
class Mailbox:
    """See the module note. Made by `Mailboxes`, which calls `wake` before anybody else sees it."""

    def __init__(self, name: str, maildir: Maildir, index: Index, workshop: Workshop, home: Home) -> None:
        self.name = name
        self.uidvalidity = 0
        self.uidnext = 1
        self.highest_modseq = 1
        self.keywords: list[str] = []
        self.maildir = maildir
        self.users = 0
        self.gone = False
        self.awake = False
        self.waking = tasks.Limit(1)
        self._directory = names.directory_of(name)
        self._index = index
        self._workshop = workshop
        self._home = home
        self._snapshot = Snapshot()
        self._watchers: list[Watcher] = []
        self._hands = tasks.Limit(1)
        self._early: list[Arrival] | None = []  # what was delivered while we were being loaded
        self._recent: set[int] = set()
        self._unsettled: set[int] = set()
        self._unsaved: set[int] = set()
        self._expunged: list[int] = []  # of which the index does not know yet
        self._vanished: set[int] = set()  # told to be expunged because others had removed the file
        self._looked = 0
        self._settling = False
        self._saving = tasks.Limit(1)

    @property
    def uids(self) -> array[int]:
        return self._snapshot.uids

    @property
    def bits(self) -> array[int]:
        return self._snapshot.bits

    @property
    def is_busy(self) -> bool:
        return self._settling or bool(self._hands.held)

    # ----- coming and going

    async def wake(self) -> None:
        """Read what there is. Raises NoSuchMailbox, OSError."""
        now = self._workshop.now()
        try:
            loaded = await self._workshop.threads.run(scan.load, self.maildir, self._index, self._directory, now)
        except NotAMaildir:
            raise NoSuchMailbox(self.name) from None
        self.uidvalidity, self.uidnext, self.keywords, self._looked = loaded.uidvalidity, loaded.uidnext, loaded.keywords, loaded.looked
        self.highest_modseq = max(loaded.modseq, 1)
        self._snapshot = snapshot_of(loaded.rows)
        self._unsaved = set(loaded.changed)
        self._expunged = loaded.forgotten
        self._recent = {row[0] for row in loaded.rows if row[1].startswith(b"new/")}
        self._unsettled = {row[0] for row in loaded.rows if row[6]}
        early, self._early = self._early or [], None
        self.arrived(early)
        self.awake = True
        await self._adopt(loaded.strangers, loaded.uidnext - 1)
        self._settle_soon()

    def watch(self, watcher: Watcher) -> None:
        self._watchers.append(watcher)

    def unwatch(self, watcher: Watcher) -> None:
        self._watchers = [other for other in self._watchers if other != watcher]

    def close(self) -> None:
        self.users -= 1
        if not self.users:
            self._home.released(self)

    def vanish(self) -> None:
        """The mailbox was deleted, renamed, or has lost its UIDs: whoever has it open must let go."""
        if not self.gone:
            self.gone = True
            self._tell(Change(gone=True))

    def status(self) -> MailboxStatus:
        known = self._snapshot
        return MailboxStatus(
            len(known.uids), len(self._recent), known.unseen, self.uidnext, self.uidvalidity, known.size, self.highest_modseq
        )

    def _tell(self, change: Change) -> None:
        for watcher in tuple(self._watchers):
            watcher(change)

    # ----- what others do

    def arrived(self, arrivals: Sequence[Arrival]) -> None:
        """Messages were published; in the order of their UIDs. Those that we have heard of do not count.

        A gap before one of them means that another process has given UIDs too: then a scan has to tell, so that UIDs ascend.
        """
        if self._early is not None:
            self._early += arrivals
            return
        expected = self.uidnext
        for arrival in arrivals:
            if arrival.uid > expected:
                self.maildir.known = None
                tasks.start(self.refresh(), f"catching up with {self.name}")
                return
            expected = max(expected, arrival.uid + 1)
        self._take(arrivals)

    def _take(self, arrivals: Iterable[Arrival]) -> None:
        news = [arrival for arrival in arrivals if arrival.uid >= self.uidnext]
        for arrival in news:
            self._add(arrival)
        if news:
            self._tell(Change(arrived=[arrival.uid for arrival in news]))

    def _add(self, arrival: Arrival) -> None:
        bits = names.bits_of(names.letters_of(arrival.path), len(self.keywords))
        self.highest_modseq += 1
        self._snapshot.add((arrival.uid, arrival.path, bits, self.highest_modseq, arrival.size, arrival.date, 0))
        self.uidnext = arrival.uid + 1
        self._recent.add(arrival.uid)
        self._unsaved.add(arrival.uid)

    async def refresh(self) -> None:
        if self.gone or not self._must_look():
            return
        async with self._hands:
            if self.gone or not self._must_look():
                return
            now, above = int(self._workshop.now() * 1e9), self.uidnext - 1
            before = scan.Before(self.uidvalidity, self.uids[:], self._snapshot.paths[:])
            try:
                findings = await self._workshop.threads.run(scan.scan, self.maildir, before, now)
            except FileNotFoundError:  # the directory, or what holds it
                self.vanish()
                return
            self._merge(findings)
            if not self.gone:
                await self._adopt(findings.strangers, above, listed=findings.uidnext - 1)
            if not self.gone:
                self.uidnext = max(self.uidnext, findings.uidnext)
        if len(self._unsaved) > MANY_UNSAVED:
            await self.save()

    def _must_look(self) -> bool:
        """Whether somebody else may have changed the directories. Costs two stats."""
        try:
            undisturbed = self.maildir.undisturbed()
        except NotAMaildir:
            return True
        known = self.maildir.known
        if undisturbed is None:
            return False
        if not undisturbed or known is None:
            return True
        return not known.is_older_than(self._looked) and max(known.new, known.cur) + QUIET_NS < self._workshop.now() * 1e9

    def _merge(self, findings: scan.Findings) -> None:
        """Apply what a scan has found, except where we have changed the same message since it began."""
        self._looked = findings.looked
        if findings.uidvalidity != self.uidvalidity:
            self.vanish()
            return
        self.keywords[:] = findings.keywords
        flagged = [uid for uid, old, new in findings.moved if self._moved(uid, old, new)]
        if flagged:
            self._tell(Change(flagged=sorted(flagged)))
        vanished = [place for uid, path in findings.vanished if (place := self._place_at(uid, path)) >= 0]
        self._vanished.update(self._forget(vanished))

    def _place_at(self, uid: int, path: bytes) -> int:
        place = self._snapshot.place(uid)
        return place if place >= 0 and self._snapshot.paths[place] == path else -1

    def _moved(self, uid: int, old: bytes, new: bytes) -> bool:
        """The file of *uid* has another name now; whether its flags have changed thereby."""
        place = self._place_at(uid, old)
        if place < 0:
            return False
        self._snapshot.paths[place] = new
        self._unsaved.add(uid)
        bits = names.bits_of(names.letters_of(new), len(self.keywords))
        if uid in self._unsettled or bits == self.bits[place]:
            return False
        self.highest_modseq += 1
        self._snapshot.set_bits(place, bits, self.highest_modseq)
        return True

    def _forget(self, places: Sequence[int], by: Any = None) -> list[int]:
        """Take messages that have gone out of the snapshot and tell; their UIDs, ascending."""
        uids = sorted(self.uids[place] for place in places)
        if uids:
            self._snapshot.remove(places)
            self._recent.difference_update(uids)
            self._unsettled.difference_update(uids)
            self._unsaved.difference_update(uids)
            self._expunged += uids
            self.highest_modseq += 1
            self._tell(Change(expunged=uids, by=by))
        return uids

    async def _adopt(self, paths: Sequence[bytes], above: int, listed: int = 0) -> None:
        """Give UIDs to files that a scan has found, which began when *above* was the largest UID that we knew of.

        *listed*: the largest that the list has given by now.
        """
        if not paths and listed <= above:
            return
        job = AdoptionJob(self.maildir, paths, above, self._vanished)
        await self._workshop.committer.commit(job)
        if job.overtaken:
            self.vanish()
            return
        self._forget_renumbered({names.base_of(path) for path in paths}, job.arrivals)
        self._take(job.arrivals)

    def _forget_renumbered(self, strangers: Set[bytes], arrivals: Iterable[Arrival]) -> None:
        """Another process has told of a message that it had gone, and then given its file a new UID: so do we."""
        renumbered = {names.base_of(arrival.path) for arrival in arrivals if arrival.uid >= self.uidnext} - strangers
        if renumbered:
            self._forget([place for place, path in enumerate(self._snapshot.paths) if names.base_of(path) in renumbered])

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
        return await self._workshop.threads.run(_load, await self.read(uids))

    async def text_search(self, uids: Sequence[int], needle: str, headers: bool) -> set[int]:
        return await self._workshop.threads.run(searching.matching, await self.read(uids), needle, headers=headers)

    def _where(self, place: int) -> Whereabouts:
        path = self._snapshot.paths[place]
        if self.uids[place] in self._unsettled:
            return Whereabouts(self.maildir, path, self._wanted(place))
        return Whereabouts(self.maildir, path)

    def _wanted(self, place: int) -> bytes:
        return names.wanted_path(self._snapshot.paths[place], self.bits[place], len(self.keywords))

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
        changed = self._change_bits(places, change, self._mask(flags))
        if changed:
            uids_changed = [self.uids[place] for place in changed]
            self._tell(Change(flagged=uids_changed, by=by))
            await self._write_flags(uids_changed)
            return uids_changed, failed
        return [], failed

    async def learn(self, flags: Sequence[str]) -> None:
        """Make sure that every keyword among *flags* has a letter. StoreError LIMIT."""
        wanted = [flag for flag in flags if flag.lower() not in _FLAG_BITS]
        if keyword_file.extended(self.keywords, wanted) == self.keywords:
            return
        async with self._hands:
            longer = keyword_file.extended(await self._workshop.threads.run(keyword_file.read, self.maildir.path), wanted)
            await self._workshop.threads.run(keyword_file.write, self.maildir.path, longer)
            self.keywords[:] = longer

    def _mask(self, flags: Sequence[str]) -> int:
        """The bits of flag and keyword names; unknown keywords have none."""
        numbers = {keyword.lower(): number for number, keyword in enumerate(self.keywords)}
        mask = 0
        for flag in flags:
            name = flag.lower()
            mask |= _FLAG_BITS.get(name) or (1 << (FIRST_KEYWORD_BIT + numbers[name]) if name in numbers else 0)
        return mask

    def _change_bits(self, places: Sequence[int], change: FlagChange, mask: int) -> list[int]:
        """Change the snapshot; the places where something is different now. One modification sequence for all."""
        keep = {FlagChange.SET: 0, FlagChange.ADD: -1, FlagChange.REMOVE: ~mask}[change]
        add = 0 if change is FlagChange.REMOVE else mask
        bits = self.bits
        changed = [place for place in places if bits[place] & keep | add != bits[place]]
        if changed:
            self.highest_modseq += 1
        for place in changed:
            self._snapshot.set_bits(place, bits[place] & keep | add, self.highest_modseq)
        return changed

    async def _write_flags(self, uids: Sequence[int]) -> None:
        """Few changes go into the file names at once; many into the index, and into the names in the background."""
        self._unsaved.update(uids)
        self._unsettled.update(uids)
        if len(uids) <= FEW and not self.is_busy:
            self._settled(settle(self.maildir, self._moves(uids)), uids)
            return
        await self.save()
        self._settle_soon()

    def _moves(self, uids: Iterable[int]) -> list[Move]:
        return [(self.uids[p], self._snapshot.paths[p], self._wanted(p)) for p in self._snapshot.places(uids)]

    def _settled(self, moved: Iterable[Move], tried: Iterable[int]) -> None:
        """Files have got the names that were wanted then; flags may have changed again since. What is missing, a scan will tell."""
        left = set(tried)
        for uid, _, path in moved:
            left.discard(uid)
            place = self._snapshot.place(uid)
            if place >= 0:
                self._snapshot.paths[place] = path
                self._unsaved.add(uid)
                if self._wanted(place) == path:
                    self._unsettled.discard(uid)
        if left:
            self._unsettled -= left
            self.maildir.known = None

    def _settle_soon(self) -> None:
        if self._unsettled and not self._settling:
            self._settling = True
            tasks.start(self._settle(), f"flags of {self.name}")

    async def _settle(self) -> None:
        try:
            while self._unsettled and not self.gone:
                async with self._hands:
                    block = list(islice(self._unsettled, BLOCK))
                    moves = self._moves(block)
                    self._settled(await self._workshop.threads.run(settle, self.maildir, moves), block)
        finally:
            self._settling = False
        await self.save()

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
        entries = [Entry(message.content, self._letters(self._mask(message.flags)), message.internaldate) for message in messages]
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
        places = self._snapshot.places(uids)
        await other.learn([self.keywords[number] for number in self._used_keywords(places)])
        places = self._snapshot.places(uids)
        source = tuple(self.uids[place] for place in places)
        letters = {bits: other.letters_for(bits, self.keywords) for bits in {self.bits[place] for place in places}}
        originals = [
            Original(self._where(p).paths, letters[self.bits[p]], self._snapshot.sizes[p], self._snapshot.dates[p]) for p in places
        ]
        if not originals:
            return Copied(other.uidvalidity, (), ())
        return Copied(other.uidvalidity, source, await other._publish(CopyJob(self.maildir, other.maildir, originals)))

    def _used_keywords(self, places: Iterable[int]) -> list[int]:
        union = 0
        for place in places:
            union |= self.bits[place]
        return [number for number in range(len(self.keywords)) if union >> (FIRST_KEYWORD_BIT + number) & 1]

    def letters_for(self, bits: int, keywords: Sequence[str]) -> bytes:
        """Flag letters, in this mailbox, for *bits* of a mailbox that has *keywords*."""
        words = [keyword for number, keyword in enumerate(keywords) if bits >> (FIRST_KEYWORD_BIT + number) & 1]
        return self._letters(bits & (1 << FIRST_KEYWORD_BIT) - 1 | self._mask(words))

    def _letters(self, bits: int) -> bytes:
        return names.letters_of(names.wanted_path(b"new/", bits, len(self.keywords)))

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

    # ----- the index

    async def save(self) -> None:
        """Tell the index what has changed. Where it cannot be written, the maildir still says it all."""
        async with self._saving:
            if self.gone or not (self._unsaved or self._expunged):
                return
            try:
                await self._workshop.threads.run(self._index.save, self._directory, *self._news_for_index())
            except sqlite3.Error as error:
                log.warn("index of {path}: {error}", path=self.maildir.path, error=error)

    def save_now(self) -> None:
        """As `save`, but blocking; at shutdown."""
        if not self.gone and (self._unsaved or self._expunged):
            self._index.save(self._directory, *self._news_for_index())

    def _news_for_index(self) -> tuple[Known, list[Row], list[int]]:
        known = self.maildir.known
        looked = self._looked if known else 0
        said = Known(self.uidvalidity, self.uidnext, self.highest_modseq, known.new if known else 0, known.cur if known else 0, looked)
        rows = [self._snapshot.row(p, unsettled=self.uids[p] in self._unsettled) for p in self._snapshot.places(self._unsaved)]
        expunged, self._expunged, self._unsaved = self._expunged, [], set()
        return said, rows, expunged


def _load(messages: Sequence[tuple[int, StoredContent]]) -> list[tuple[int, bytes]]:
    """Whole messages; those that have gone are left out."""
    loaded = []
    for uid, content in messages:
        with suppress(FileNotFoundError):
            loaded.append((uid, content.whole()))
    return loaded
