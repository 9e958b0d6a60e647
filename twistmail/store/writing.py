"""What follows a change of a mailbox in memory: flags reach the names of the files, and the index hears of everything.

Both happen in the background and in bounded pieces. Names wait a moment, for
changes that follow and may undo the first; the index has them at once, so a
crash in between is made good when the mailbox is read again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from twisted.logger import Logger

from twistmail import tasks
from twistmail.store import loading
from twistmail.store.index import Forgotten, Known, News, StoredBlock
from twistmail.store.maildir import Stamp
from twistmail.store.namebook import NEW
from twistmail.store.settling import BLOCK, Move, settle
from twistmail.store.trouble import Trouble
from twistmail.store.view import QUIET_NS, View

log = Logger()

#: Seconds that many changed flags wait for others before files are renamed.
SETTLE_AFTER = 1.0
#: So many flag changes are put into the file names at once; more happen in the background.
FEW = 8
#: Blocks that are written in one transaction: some milliseconds.
TOGETHER = 8
#: Names that only memory knows, before they are saved unasked.
MANY_FRESH = 4096


class Writing(View):
    """See the module note."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._saving = tasks.Limit(1)
        self._left = False  # the index believes that nothing will follow
        self._renaming = Trouble(f"flags cannot be put into the names of files in {self.maildir.path}")
        self._settling = False
        self._to_settle: set[int] = set()  # blocks with files whose names may not show their flags

    @property
    def is_busy(self) -> bool:
        return self._settling or bool(self._hands.held)

    # ----- flags into names

    def _awoken(self) -> None:
        snapshot = self._snapshot
        for start in self._blocks.starts:
            places = self._blocks.places(start, snapshot)
            if snapshot.bits[places.start : places.stop] != snapshot.named[places.start : places.stop]:
                self._to_settle.add(start)
        self._settle_soon()

    async def _write_flags(self, uids: Sequence[int]) -> None:
        """The flags of *uids* (ascending) have changed."""
        self._blocks.changed |= self._blocks.touched(uids)
        if self._goes_at_once(uids):
            try:
                self._settled(settle(self.maildir, self._moves(uids)), uids)
            except OSError:
                self._to_settle |= self._blocks.touched(uids)
                self._settle_soon()
                raise
            return
        self._to_settle |= self._blocks.touched(uids)
        if not await self.save():  # then only the names can remember them
            await self._settle_all()
        self._settle_soon()

    def _goes_at_once(self, uids: Sequence[int]) -> bool:
        """Whether a change of *uids* is in the names of their files before anybody hears of it."""
        return len(uids) <= FEW and not self.is_busy and not self._to_settle

    def _settle_soon(self) -> None:
        if self._to_settle and not self._settling:
            self._settling = True
            tasks.start(self._settle(), f"flags of {self.name}")

    async def _settle(self) -> None:
        try:
            await self._workshop.pause(SETTLE_AFTER)
            await self._settle_all()
            self._renaming.ends()
        except OSError as error:  # the index has them, and the next change tries again
            self._renaming.begins(error)
        finally:
            self._settling = False
        await self.save()

    async def _settle_all(self) -> None:
        while self._to_settle and not self.gone:
            start = self._to_settle.pop()
            try:
                for block in _pieces(self._unsettled_in(start)):
                    async with self._hands:
                        moves = self._moves(block)
                        self._settled(await self._workshop.threads.run(settle, self.maildir, moves), block)
            except OSError:
                self._to_settle.add(start)
                raise

    async def make_known(self) -> None:
        """Whatever only memory or the index knows is in the names of the files, and in the index, when this returns."""
        await self._settle_all()
        async with self._hands:  # the last of it may be under way
            pass
        await self.save(leaving=True)

    def _unsettled_in(self, start: int) -> list[int]:
        """The UIDs in a block whose files are to get other names."""
        bits, named = self._snapshot.bits, self._snapshot.named
        places = self._blocks.places(start, self._snapshot)
        return [self.uids[place] for place in places if bits[place] != named[place] and self._is_unsettled(place)]

    def _moves(self, uids: Sequence[int]) -> list[Move]:
        """What to rename, of those of *uids* that are still there."""
        return [(self.uids[place], self._path(place), self._wanted(place)) for place in self._snapshot.places(uids)]

    def _settled(self, moved: Iterable[Move], tried: Iterable[int]) -> None:
        """Files have got the names that were wanted then; flags may have changed again since. What is missing, a scan will tell."""
        left = set(tried)
        for uid, _, path in moved:
            left.discard(uid)
            place = self._snapshot.place(uid)
            if place >= 0:
                self._lies_at(place, path)
                if self._is_unsettled(place):
                    self._to_settle.add(self._blocks.start_of(uid))
        if left:
            self.maildir.known = None

    def settle_now(self) -> None:
        """As `_settle`, but blocking: nothing is left to do when the files are looked at by somebody else."""
        while self._to_settle and not self.gone:
            uids = self._unsettled_in(self._to_settle.pop())
            try:
                self._settled(settle(self.maildir, self._moves(uids)), ())
            except OSError as error:
                self._renaming.begins(error)
                return

    # ----- the index

    def _arrivals_taken(self) -> None:
        if len(self._book.fresh) > MANY_FRESH and not self._saving.held:
            tasks.start(self.save(), f"index of {self.name}")

    async def save(self, *, leaving: bool = False) -> bool:
        """Tell the index what has changed. False where it cannot be written: the names of the files still say it all, once they are
        settled. *leaving*: nothing will follow.
        """
        async with self._saving:
            is_certain = self._sure_of not in (None, self._told)
            while not self.gone and (self._is_unsaved or leaving != self._left or is_certain):
                is_certain = False
                news = self._news(leaving)
                try:
                    await self._workshop.threads.run(self._index.save, self._directory, news)
                except Forgotten:
                    await self._begin_again()
                    continue
                except sqlite3.Error as error:
                    self._not_saved(news, error)
                    return False
                self._saved(news)
        return True

    def save_now(self) -> None:
        """As `save`, leaving, but blocking; at shutdown."""
        while not self.gone:
            news = self._news(leaving=True)
            try:
                self._index.save(self._directory, news)
            except Forgotten:
                return  # it is read from the disk next time
            except sqlite3.Error as error:
                self._not_saved(news, error)
                return
            self._saved(news)
            if not self._is_unsaved:
                return

    async def _doubt(self) -> None:
        """Something is about to be told that the directories show later: a crash in between must not leave the index certain.

        There must be no other await between this and the change.
        """
        while self._told and not self.gone:
            async with self._saving:
                try:
                    await self._workshop.threads.run(self._index.doubt, self._directory)
                except sqlite3.Error as error:  # then nothing else will be saved, and names have to show all changes at once
                    self._index.trouble.begins(error)
                self._told = None

    def _undisturbed(self) -> None:
        """So that a crash from now on costs no look at all the names."""
        stamp = self._sure_of
        if stamp and stamp != self._told and not self._saving.held and max(stamp.new, stamp.cur) + QUIET_NS < self._workshop.now() * 1e9:
            tasks.start(self.save(), f"index of {self.name}")

    @property
    def _sure_of(self) -> Stamp | None:
        """The times of the directories, where these show all that is in memory."""
        return self.maildir.known if self.maildir.sure and not self._to_settle and not self._hands.held else None

    @property
    def _is_unsaved(self) -> bool:
        return bool(self._blocks or self._expunged or self._dropped)

    async def _begin_again(self) -> None:
        """The index knows nothing of us any more."""
        paths = await self._workshop.threads.run(loading.listed_paths, self.maildir)
        self._begun = self._left = False
        recovered = self._recovered(paths)
        recovered.update(self._book.fresh)
        self._book.fresh = recovered
        self._forgotten = self.highest_modseq
        self._dropped.clear()
        self._expunged.clear()

    def _news(self, leaving: bool) -> News:
        taken = self._blocks.take(TOGETHER)
        blocks = [block for start, whole in taken if (block := self._stored(start, whole))]
        dropped, self._dropped = self._dropped, []
        self._left = leaving and not self._blocks
        stamp = None if self._blocks else self._sure_of  # with the last of several transactions only
        times = (stamp.new, stamp.cur) if stamp else (0, 0)
        self._told = stamp or self._told  # from now on, for others are at work while this is written
        boot, clean = self._workshop.boot, self._left
        known = Known(self.uidvalidity, self.uidnext, self.highest_modseq, self._forgotten, boot, clean, len(self.uids), *times)
        return News(known, blocks, dropped, self._expunged[:], self._begun)

    def _stored(self, start: int, whole: bool) -> StoredBlock | None:
        """A block as the index keeps it; one that has no messages any more is dropped."""
        places, snapshot = self._blocks.places(start, self._snapshot), self._snapshot
        if not places:
            self._blocks.dropped(start)
            self._dropped.append(start)
            return None
        flags = loading.flags_of(snapshot, places)
        if not whole:
            return StoredBlock(start, flags, None)
        entries = self._book.entries(snapshot.uids[places.start : places.stop])
        return StoredBlock(start, flags, loading.names_in(snapshot, places, entries))

    def _saved(self, news: News) -> None:
        self._begun = True
        self._index.trouble.ends()
        known = news.known
        self._told = Stamp(known.new_changed, known.cur_changed) if known.new_changed else None
        for block in news.blocks:
            if block.names:
                self._book.saved(block.start, block.names.uids, block.names.entries)
        del self._expunged[: len(news.expunged)]

    def _not_saved(self, news: News, error: sqlite3.Error) -> None:
        self._index.trouble.begins(error)
        self._left = False
        self._blocks.give_back([(block.start, block.names is not None) for block in news.blocks])
        self._dropped += news.dropped

    def _claim(self, uids: Iterable[int]) -> None:
        """*uids* are not recent any more: they leave new/."""
        snapshot = self._snapshot
        claimed = [snapshot.uids[place] for place in snapshot.places(sorted(uids)) if snapshot.named[place] == NEW]
        if claimed:
            self._claimed.update(claimed)
            self._to_settle |= self._blocks.touched(claimed)
            self._settle_soon()


def _pieces(uids: Sequence[int]) -> Iterable[Sequence[int]]:
    return (uids[place : place + BLOCK] for place in range(0, len(uids), BLOCK))
