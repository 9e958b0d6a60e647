"""What is in one mailbox, kept true: memory, disk and index in step, and every change told to those who watch.

Everything here runs on the reactor thread; blocking work goes to threads or,
where UIDs are given, to the committer as a job (`jobs`). Whatever changes disk
or index from a thread holds `_hands`, one at a time; deliveries do not need it,
and what a scan has found is compared with what has changed since it began.

How changes reach the names of the files and the index is in `writing`, what
sessions ask for in `mailbox`.
"""

from __future__ import annotations

import errno
from array import array
from collections.abc import Callable, Iterable, Sequence, Set
from typing import Any

from twisted.logger import Logger

from twistmail import heap, tasks
from twistmail.mail.mailbox import MODSEQS_A_SECOND, Change, NoSuchMailbox
from twistmail.store import loading, namebook, names, scan
from twistmail.store.blocks import Blocks
from twistmail.store.contents import Whereabouts
from twistmail.store.index import Index
from twistmail.store.jobs import AdoptionJob
from twistmail.store.maildir import Arrival, Maildir, NotAMaildir, Stamp
from twistmail.store.namebook import NEW, ODD, NameBook
from twistmail.store.pigeonholes import Book, book
from twistmail.store.snapshot import Message, Snapshot
from twistmail.store.workshop import Workshop

log = Logger()

#: A directory that has changed within this time may change again without a new time: look once it is quiet.
QUIET_NS = 1_000_000_000
#: Seconds for which a mailbox in which others have changed something is taken to be theirs, too.
SHARED = 60.0
#: Files that get their UIDs in one job, while others' mail waits; and messages that are taken in while clients wait.
ADOPTED_TOGETHER, TAKEN_TOGETHER = 20_000, 2_000
#: Where something is doubtful, looks take at most this share of the time.
SHARE_OF_LOOKS = 0.1

Watcher = Callable[[Change], None]
#: Told of octets and messages that have come (or, negative, gone).
Tally = Callable[[int, int], None]


class View:
    """See the module note. Nobody sees it before `wake` has ended."""

    def __init__(self, name: str, maildir: Maildir, index: Index, workshop: Workshop, tally: Tally) -> None:
        self.name = name
        self.uidvalidity = 0
        self.mailboxid = ""
        self.uidnext = 1
        self.highest_modseq = 1
        self.keywords: list[str] = []
        self.maildir = maildir
        self.gone = False
        self.awake = False
        self._directory = names.directory_of(name)
        self._index = index
        self._workshop = workshop
        self._tally = tally
        self._snapshot = Snapshot()
        self._blocks = Blocks()
        self._book = NameBook(lambda uid: self._blocks.start_of(uid), self._load_entries, self._recovered_entries)
        self._watchers: list[Watcher] = []
        self._hands = tasks.Limit(1)
        self._early: list[Arrival] | None = []  # what was delivered while we were being loaded
        self._recent: set[int] = set()
        self._claimed: set[int] = set()  # not recent any more, and still in new/
        self._expunged: list[tuple[int, int]] = []  # (uid, modseq) of which the index does not know yet
        self._begun = False  # whether the index has all blocks, except for those that are to be written
        self._told: Stamp | None = None  # the directories' times by which the index knows that nothing has changed
        self._dropped: list[int] = []  # blocks that the index still has
        self._forgotten = 0  # up to this modification sequence the log of expunged messages may lack some
        self._vanished: set[int] = set()  # told to be expunged because others had removed the file
        self._others_at = 0.0  # when others were last seen to have changed something, POSIX seconds
        self._looks_at = 0.0  # when a doubt may be looked at again
        maildir.is_shared = self._is_shared

    @property
    def uids(self) -> array[int]:
        return self._snapshot.uids

    @property
    def bits(self) -> array[int]:
        return self._snapshot.bits

    @property
    def modseqs(self) -> array[int]:
        return self._snapshot.modseqs

    # ----- coming and going

    async def wake(self) -> None:
        """Read what there is. Raises NoSuchMailbox, OSError."""
        now = self._workshop.now()
        try:
            loaded = await self._workshop.threads.run(loading.load, self.maildir, self._index, self._directory, now, self._workshop.boot)
        except NotAMaildir:
            raise NoSuchMailbox(self.name) from None
        self.uidvalidity, self.uidnext, self.keywords = loaded.uidvalidity, loaded.uidnext, loaded.keywords
        self.mailboxid = loaded.mailboxid
        self.highest_modseq = max(loaded.modseq, 1)
        self._snapshot, self._blocks = loaded.snapshot, loaded.blocks
        self._book.fresh = loaded.fresh
        self._expunged, self._forgotten, self._begun, self._told = loaded.expunged, loaded.forgotten, loaded.begun, loaded.told
        self._recent = self._in_new()
        early, self._early = self._early or [], None
        self.arrived(early)
        self.awake = True
        await self._adopt(loaded.strangers, loaded.uidnext - 1)
        self._awoken()

    def _awoken(self) -> None:
        """Everything is known now."""

    def _undisturbed(self) -> None:
        """Nobody else has changed anything since we looked."""

    def _in_new(self) -> set[int]:
        snapshot = self._snapshot
        if NEW not in snapshot.named:
            return set()
        return {uid for uid, named in zip(snapshot.uids, snapshot.named, strict=True) if named == NEW}

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

    def _clock(self) -> int:
        return int(self._workshop.now() * MODSEQS_A_SECOND)

    def _next_modseq(self) -> int:
        """One that was never used: it follows the clock, so that it need not be written down at once (RFC 7162 §3.1)."""
        self.highest_modseq = max(self.highest_modseq + 1, self._clock())
        return self.highest_modseq

    # ----- what others do

    def arrived(self, arrivals: Sequence[Arrival]) -> None:
        """Messages were published; in the order of their UIDs. Those that we have heard of do not count.

        A gap before one of them means that another process has given UIDs too: then a scan has to tell, so that UIDs ascend.
        """
        if self._early is not None:
            self._early += arrivals
            return
        if self._was_begun_again():
            self.vanish()
            return
        expected = self.uidnext
        for arrival in arrivals:
            if arrival.uid > expected:
                self.maildir.known = None
                tasks.start(self._catch_up(), f"catching up with {self.name}")
                return
            expected = max(expected, arrival.uid + 1)
        self._take(arrivals)

    def _take(self, arrivals: Iterable[Arrival]) -> None:
        news = [arrival for arrival in arrivals if arrival.uid >= self.uidnext]
        if news:
            self._add(news, self._next_modseq())
            self._tell(Change(arrived=[arrival.uid for arrival in news]))
            self._arrivals_taken()

    def _arrivals_taken(self) -> None:
        """There may be much that only memory knows."""

    def _add(self, arrivals: Sequence[Arrival], modseq: int) -> None:
        keywords, messages = len(self.keywords), []
        for arrival in arrivals:
            entry, named, bits = namebook.classified(arrival.path, keywords)
            messages.append(Message(arrival.uid, bits, named, modseq, arrival.size, arrival.date))
            self._book.set(arrival.uid, entry)
        self._snapshot.add(messages)
        self._blocks.arrived(self._snapshot, len(messages))
        self._recent.update(arrival.uid for arrival in arrivals)
        self.uidnext = arrivals[-1].uid + 1

    async def _catch_up(self) -> None:
        try:
            await self.refresh()
        except OSError as error:
            log.warn("{path}: {error}", path=self.maildir.path, error=error)

    async def refresh(self) -> None:
        if self.gone:
            return
        if not self._must_look():
            self._undisturbed()
            return
        async with self._hands:
            if self.gone or not self._must_look():
                return
            began, above = self._workshop.now(), self.uidnext - 1
            try:
                findings = await self._workshop.threads.run(scan.scan, self.maildir, self._before(), int(began * 1e9))
            except FileNotFoundError:  # the directory, or what holds it
                self.vanish()
                return
            except OSError as error:
                if error.errno != errno.EROFS:
                    raise
                return  # nobody can have changed anything, and what is known can still be read
            took = self._workshop.now() - began
            self._looks_at = began + took / SHARE_OF_LOOKS
            self._merge(findings)
            if not self.gone:
                await self._adopt(findings.strangers, above, listed=findings.uidnext - 1)
            if not self.gone:
                self.uidnext = max(self.uidnext, findings.uidnext)

    def _before(self) -> scan.Before:
        known = self.maildir.known
        cur = known.cur if known is not None and self.maildir.sure else None
        fresh = self._book.fresh.copy()

        def entries() -> Book[int, bytes]:
            found = loading.all_entries(self._index, self._directory)
            found.update(fresh)
            return found

        return scan.Before(
            self.uidvalidity,
            self.uids[:],
            self._snapshot.named[:],
            entries,
            cur,
        )

    def _is_shared(self) -> bool:
        """Whether others have been at work here lately. From any thread."""
        return self._workshop.now() < self._others_at + SHARED

    def _was_begun_again(self) -> bool:
        """Whether our committer has found the list of UIDs lost or wrong: the UIDs that it gives now are not of our UIDVALIDITY."""
        return self.maildir.uids.uidvalidity != self.uidvalidity

    def _must_look(self) -> bool:
        """Whether somebody else may have changed the directories. Costs two stats."""
        if self._was_begun_again():
            return True
        try:
            undisturbed = self.maildir.undisturbed()
        except NotAMaildir:
            return True
        known = self.maildir.known
        if undisturbed is None:
            return False
        if not undisturbed or known is None:
            return True
        if self.maildir.doubtful and self._workshop.now() >= self._looks_at:
            return True
        return not self.maildir.sure and max(known.new, known.cur) + QUIET_NS < self._workshop.now() * 1e9

    def _merge(self, findings: scan.Findings) -> None:
        """Apply what a scan has found, except where we have changed the same message since it began."""
        if findings.uidvalidity != self.uidvalidity:
            self.vanish()
            return
        self.keywords[:] = findings.keywords
        flagged = sorted(uid for uid, old, new in findings.moved if self._moved(uid, old, new))
        if flagged:
            self._tell(Change(flagged=flagged))
        vanished = [place for uid, path in findings.vanished if (place := self._place_at(uid, path)) >= 0]
        self._vanished.update(self._forget(sorted(vanished)))
        if flagged or vanished:
            self._others_at = self._workshop.now()

    def _path(self, place: int) -> bytes:
        return namebook.path_of(self._book.entry(self.uids[place]), self._snapshot.named[place])

    def _place_at(self, uid: int, path: bytes) -> int:
        place = self._snapshot.place(uid)
        return place if place >= 0 and self._path(place) == path else -1

    def _moved(self, uid: int, old: bytes, new: bytes) -> bool:
        """The file of *uid* has another name now; whether its flags have changed thereby."""
        place = self._place_at(uid, old)
        if place < 0:
            return False
        unsettled = self._is_unsettled(place)
        bits = self._lies_at(place, new)
        if unsettled or bits == self.bits[place]:
            return False
        self._snapshot.set_bits(place, bits, self._next_modseq())
        return True

    def _lies_at(self, place: int, path: bytes) -> int:
        """The file of the message at *place* is called *path* now; the flag bits that this shows."""
        uid, before = self.uids[place], self._snapshot.named[place]
        entry, named, bits = namebook.classified(path, len(self.keywords))
        self._snapshot.named[place] = named
        start = self._blocks.start_of(uid)
        if ODD in (before, named):
            self._book.set(uid, entry)
            self._blocks.rebuilt.add(start)
        else:
            self._blocks.changed.add(start)
        self._claimed.discard(uid)
        return bits

    def _forget(self, places: Sequence[int], by: Any = None) -> list[int]:
        """Take messages (*places* ascend) that have gone out of the snapshot and tell; their UIDs, ascending."""
        uids = list(self._snapshot.chosen(places))
        if not uids:
            return uids
        octets = self._snapshot.size
        self._blocks.rebuilt |= self._blocks.touched(uids)
        self._snapshot.remove(places)
        self._book.forget(uids)
        self._recent.difference_update(uids)
        self._claimed.difference_update(uids)
        modseq = self._next_modseq()
        self._expunged += [(uid, modseq) for uid in uids]
        self._tally(self._snapshot.size - octets, -len(uids))
        self._tell(Change(expunged=uids, by=by))
        return uids

    async def _adopt(self, paths: list[bytes], above: int, listed: int = 0) -> None:
        """Give UIDs to files that a scan has found, which began when *above* was the largest UID that we knew of.

        *listed*: the largest that the list has given by now. Very many *paths* are used up.
        """
        if not paths and listed <= above:
            return
        if len(paths) > ADOPTED_TOGETHER:
            await self._workshop.threads.run(names.sort_paths, paths)
        known: set[bytes] = set()  # by what others have told of some, while we had not come to them yet
        for start in range(0, max(len(paths), 1), ADOPTED_TOGETHER):
            some = [path for path in paths[start : start + ADOPTED_TOGETHER] if not known or names.base_of(path) not in known]
            known |= await self._adopt_some(some, above)
            if self.gone:
                return
            above = self.uidnext - 1
        if len(paths) > ADOPTED_TOGETHER:
            await self._workshop.threads.run(heap.let_go, paths)

    async def _adopt_some(self, paths: Sequence[bytes], above: int) -> set[bytes]:
        """As `_adopt`; the base names of those that were not among *paths*."""
        job = AdoptionJob(self.maildir, paths, above, self._vanished)
        try:
            await self._workshop.committer.commit(job)
        except OSError:
            self.maildir.known = None  # they are strangers still
            raise
        if job.overtaken:
            log.warn("{path}: others have given UIDs that were passed over here; whoever has it open has to open it again",
                     path=self.maildir.path)
            self.vanish()
            return set()
        if job.fresh:
            self._others_at = self._workshop.now()
        others = self._forget_renumbered({names.base_of(path) for path in paths}, job.arrivals)
        for start in range(0, len(job.arrivals), TAKEN_TOGETHER):
            if start:
                await self._workshop.threads.run(int)  # the reactor comes to its turn
            some = job.arrivals[start : start + TAKEN_TOGETHER]
            news = [arrival.size for arrival in some if arrival.uid >= self.uidnext]
            self._tally(sum(news), len(news))
            self._take(some)
        return others

    def _forget_renumbered(self, strangers: Set[bytes], arrivals: Iterable[Arrival]) -> set[bytes]:
        """Another process has told of a message that it had gone, and then given its file a new UID: so do we.

        The base names of new messages that are not among the *strangers*.
        """
        renumbered = {names.base_of(arrival.path) for arrival in arrivals if arrival.uid >= self.uidnext} - strangers
        if renumbered:
            self._forget([place for place in range(len(self.uids)) if names.base_of(self._path(place)) in renumbered])
        return renumbered

    # ----- where the files are

    def _where(self, place: int) -> Whereabouts:
        return Whereabouts(self.maildir, *self._paths(place))

    def _paths(self, place: int) -> tuple[bytes, ...]:
        """Where the file may lie: as it is called, and as it is to be called."""
        snapshot = self._snapshot
        named = snapshot.named[place]
        path = namebook.path_of(self._book.entry(snapshot.uids[place]), named)
        if named == snapshot.bits[place] or not self._is_unsettled(place):
            return (path,)
        return path, self._wanted(place)

    def _wanted(self, place: int) -> bytes:
        snapshot = self._snapshot
        return namebook.wanted(self._book.entry(snapshot.uids[place]), snapshot.named[place], snapshot.bits[place], len(self.keywords))

    def _is_unsettled(self, place: int) -> bool:
        """Whether the file is to get another name."""
        snapshot = self._snapshot
        named = snapshot.named[place]
        if named < NEW:
            return named != snapshot.bits[place]
        return snapshot.uids[place] in self._claimed or loading.is_unsettled(
            snapshot.message(place), self._book.entry(snapshot.uids[place]), len(self.keywords)
        )

    def _load_entries(self, start: int) -> dict[int, bytes]:
        return self._index.entries(self._directory, start)

    def _recovered_entries(self) -> Book[int, bytes]:
        """The name book by the disk, where the index cannot be read. Slow, and rare."""
        return self._recovered(loading.listed_paths(self.maildir))

    def _recovered(self, paths: Book[int, bytes]) -> Book[int, bytes]:
        """The name book of files that lie at *paths*; the index is to have all of it again."""
        self._blocks.rebuilt.update(self._blocks.starts)
        snapshot = self._snapshot
        named = book(len(snapshot.uids), zip(snapshot.uids, snapshot.named, strict=True))
        found = ((uid, path if named[uid] == ODD else names.base_of(path)) for uid, path in paths.items() if uid in named)
        return book(len(named), found)
