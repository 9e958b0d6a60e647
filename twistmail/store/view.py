"""What is in one mailbox, kept true: memory, disk and index in step, and every change told to those who watch.

Everything here runs on the reactor thread; blocking work goes to threads or,
where UIDs are given, to the committer as a job (`jobs`). Whatever changes disk
or index from a thread holds `_hands`, one at a time; deliveries do not need it,
and what a scan has found is compared with what has changed since it began.

Flag changes are true in memory and in the index at once; `_settle` gives the
files their names in the background. What sessions ask for is in `mailbox`.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Callable, Iterable, Sequence, Set
from itertools import islice
from typing import Any

from twisted.logger import Logger

from twistmail import tasks
from twistmail.mail.mailbox import Change, NoSuchMailbox
from twistmail.store import names, scan
from twistmail.store.contents import Whereabouts
from twistmail.store.index import Index, Known, Row
from twistmail.store.jobs import AdoptionJob
from twistmail.store.maildir import Arrival, Maildir, NotAMaildir
from twistmail.store.settling import BLOCK, Move, settle
from twistmail.store.snapshot import Snapshot, snapshot_of
from twistmail.store.workshop import Workshop

log = Logger()

#: A directory that has changed within this time may change again without a new time: look once it is quiet.
QUIET_NS = 1_000_000_000
#: Rows that wait for the index before they are saved unasked.
MANY_UNSAVED = 4096

Watcher = Callable[[Change], None]


class View:
    """See the module note. Nobody sees it before `wake` has ended."""

    def __init__(self, name: str, maildir: Maildir, index: Index, workshop: Workshop) -> None:
        self.name = name
        self.uidvalidity = 0
        self.uidnext = 1
        self.highest_modseq = 1
        self.keywords: list[str] = []
        self.maildir = maildir
        self.gone = False
        self.awake = False
        self._directory = names.directory_of(name)
        self._index = index
        self._workshop = workshop
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
        if not self._watchers:
            self._workshop.hints.watch(self.maildir.path, self.refresh)
        self._watchers.append(watcher)

    def unwatch(self, watcher: Watcher) -> None:
        self._watchers = [other for other in self._watchers if other != watcher]
        if not self._watchers:
            self._workshop.hints.unwatch(self.refresh)

    def vanish(self) -> None:
        """The mailbox was deleted, renamed, or has lost its UIDs: whoever has it open must let go."""
        if not self.gone:
            self.gone = True
            self._tell(Change(gone=True))

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

    # ----- where the files are

    def _where(self, place: int) -> Whereabouts:
        path = self._snapshot.paths[place]
        if self.uids[place] in self._unsettled:
            return Whereabouts(self.maildir, path, self._wanted(place))
        return Whereabouts(self.maildir, path)

    def _wanted(self, place: int) -> bytes:
        return names.wanted_path(self._snapshot.paths[place], self.bits[place], len(self.keywords))

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
            try:
                self._index.save(self._directory, *self._news_for_index())
            except sqlite3.Error as error:
                log.warn("index of {path}: {error}", path=self.maildir.path, error=error)

    def _news_for_index(self) -> tuple[Known, list[Row], list[int]]:
        known = self.maildir.known
        looked = self._looked if known else 0
        said = Known(self.uidvalidity, self.uidnext, self.highest_modseq, known.new if known else 0, known.cur if known else 0, looked)
        rows = [self._snapshot.row(p, unsettled=self.uids[p] in self._unsettled) for p in self._snapshot.places(self._unsaved)]
        expunged, self._expunged, self._unsaved = self._expunged, [], set()
        return said, rows, expunged
