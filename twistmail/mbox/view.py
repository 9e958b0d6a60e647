"""What is in one mbox, in memory, and how it agrees with the file: looked through by turns, written when flags have changed.

All work on the file is done in a thread, one piece at a time for each mailbox,
while the file is locked; afterwards memory is made to agree with what was seen
there (`_merge`), and those who watch are told. Flags are written after some
seconds, or when nobody has the mailbox open any more; until then ours count,
whatever the file says. What sessions ask for is in `mailbox`.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from twisted.logger import Logger

from twistmail import tasks
from twistmail.formats.locks import TIMEOUT, Held
from twistmail.mail import flags as flag_words
from twistmail.mail.mailbox import MODSEQS_A_SECOND, Change, NoSuchMailbox, StoreError
from twistmail.mail.names import INBOX
from twistmail.mbox.boxfile import BoxFile, Unit
from twistmail.mbox.ledger import Numbers
from twistmail.mbox.listing import Listing, Stamp
from twistmail.mbox.messages import NotAnMbox
from twistmail.mbox.turns import Turns

log = Logger()
T = TypeVar("T")

#: Seconds after which changed flags are written into the file.
SETTLE_AFTER = 5.0

Watcher = Callable[[Change], None]


@dataclass(frozen=True)
class Workshop:
    """What all mailboxes of a store work with. `now`: POSIX seconds; `pause`(seconds) waits, None where nothing can."""

    threads: Any
    turns: Turns
    now: Callable[[], float]
    pause: Callable[[float], Awaitable[None]] | None


class Unsaved(NamedTuple):
    """What the ledger does not know yet: pairs (modification sequence, UID) of messages that have changed or were expunged."""

    numbers: Numbers
    changed: list[tuple[int, int]]
    expunged: list[tuple[int, int]]


class View:
    """See the module note. `awake` when it knows what is in the file."""

    def __init__(self, file: BoxFile, workshop: Workshop) -> None:
        self.name = file.name
        self.uidvalidity = 0
        self.uidnext = 1
        self.highest_modseq = 1
        self.uids = array("Q")
        self.bits = array("Q")
        self.modseqs = array("Q")
        self.keywords: list[str] = []
        self.awake = False
        self.gone = False
        self.file = file
        self._workshop = workshop
        self._hands = tasks.Limit(1)
        self._listing = Listing(0)  # what memory agrees with
        self._refused: tuple[int, ...] = ()  # the stamp of a file that was no mbox
        self._numbers = Numbers()
        self._pending: set[int] = set()  # their flags are not in the file yet
        self._waiting: list[Unit] = []
        self._expunged: list[tuple[int, int]] = []  # (modification sequence, UID), not written down yet
        self._saved_up_to = 0
        self._noted: Numbers | None = None  # what is written down
        self._settling = False
        self._watchers: list[Watcher] = []

    # ----- the file

    async def _work(self, function: Callable[[Held], T], *, exclusive: bool = False, patience: float = TIMEOUT, by: Any = None) -> T:
        """*function* in a thread, with the file locked; then memory agrees with what it has seen. NoSuchMailbox, MailboxBusy, OSError."""
        async with self._hands:
            return await self._turn(function, exclusive=exclusive, patience=patience, by=by)

    async def _turn(self, function: Callable[[Held], T], *, exclusive: bool, patience: float = TIMEOUT, by: Any = None) -> T:
        try:
            return await self._workshop.turns.run(
                self.file.path, function, exclusive=exclusive, create=self.name == INBOX, patience=patience
            )
        except FileNotFoundError:
            self.vanish()
            raise NoSuchMailbox(self.name) from None
        finally:
            self._merge(by)

    async def wake(self) -> None:
        """Learn what is in the file. NoSuchMailbox, OSError."""
        async with self._hands:
            if not self.awake:
                numbers = await self._turn(self._first_look, exclusive=False)
                self._begin(numbers)

    def _first_look(self, held: Held) -> Numbers:
        self.file.look(held)
        return self.file.ledger.numbers(self.name)

    def _begin(self, numbers: Numbers) -> None:
        listing = self.file.listing
        assert listing is not None
        self._numbers, self._listing, self.keywords = numbers, listing, numbers.keywords
        self.uidvalidity, self.uidnext = listing.uidvalidity, listing.uidnext
        self._learn_from(listing.flags)
        self.uids = listing.uids[:]
        self.bits = array("Q", [flag_words.bits(flags.split(), self.keywords) for flags in listing.flags])
        self.highest_modseq = self._saved_up_to = numbers.highest
        if numbers.unsaved or numbers.unnumbered or 0 in numbers.modseqs:
            self.highest_modseq = self._next_modseq()
        fresh = self.highest_modseq
        if numbers.unsaved:
            numbers.forgotten = fresh
        self.modseqs = array("Q", [fresh if numbers.unsaved or not modseq else modseq for modseq in numbers.modseqs])
        self._expunged = [(fresh, uid) for uid in numbers.unnumbered]
        if not numbers.unsaved and fresh == numbers.highest:
            self._noted = Numbers(fresh, numbers.forgotten, numbers.recent, False, list(self.keywords))
        self.awake = True

    def _next_modseq(self) -> int:
        """One that was never used: it follows the clock, so that it need not be written down at once (RFC 7162 §3.1)."""
        return max(self.highest_modseq + 1, int(self._workshop.now() * MODSEQS_A_SECOND))

    def _learn_from(self, flags: Sequence[str]) -> None:
        for words in dict.fromkeys(flags):
            for word in flag_words.keywords_in(words.split()):
                if len(self.keywords) < flag_words.MOST_KEYWORDS:
                    self.keywords[:] = flag_words.extended(self.keywords, [word])

    # ----- agreeing with the file

    def _merge(self, by: Any = None) -> None:
        """Take over what was seen in the file, and tell."""
        new, old = self.file.listing, self._listing
        if not self.awake or self.gone or new is None or new is old:
            return
        if new.uidvalidity != self.uidvalidity:
            self.vanish()
            return
        self._listing = new
        self._learn_from(new.flags[len(old) :] if new.flags[: len(old)] == old.flags else new.flags)
        modseq = self._next_modseq()
        gone = self._merge_gone(new, modseq)
        flagged = self._merge_flags(old, new, modseq)
        arrived = self._merge_arrived(new, modseq)
        if gone or flagged or arrived:
            self.highest_modseq = modseq
        for change in (Change(expunged=gone, by=by), Change(flagged=flagged), Change(arrived=arrived)):
            if change.expunged or change.flagged or change.arrived:
                self._tell(change)

    def _merge_gone(self, new: Listing, modseq: int) -> list[int]:
        if new.uids[: len(self.uids)] == self.uids:
            return []
        kept = [place for place, uid in enumerate(self.uids) if new.place(uid) is not None]
        gone = sorted(set(self.uids).difference(new.uids))
        self.uids, self.bits, self.modseqs = (
            array("Q", [column[place] for place in kept]) for column in (self.uids, self.bits, self.modseqs)
        )
        self._pending.difference_update(gone)
        self._expunged += [(modseq, uid) for uid in gone]
        return gone

    def _merge_flags(self, old: Listing, new: Listing, modseq: int) -> list[int]:
        """Of those that stay; in `new` they are the first."""
        if new.uids[: len(old)] == old.uids and new.flags[: len(old)] == old.flags:
            return []
        flagged = []
        for place, uid in enumerate(self.uids):
            bits = flag_words.bits(new.flags[place].split(), self.keywords)
            if uid not in self._pending and bits != self.bits[place]:
                self.bits[place], self.modseqs[place] = bits, modseq
                flagged.append(uid)
        return flagged

    def _merge_arrived(self, new: Listing, modseq: int) -> list[int]:
        first = len(self.uids)
        self.uids.extend(new.uids[first:])
        self.bits.extend([flag_words.bits(flags.split(), self.keywords) for flags in new.flags[first:]])
        self.modseqs.extend([modseq] * (len(new) - first))
        self.uidnext = new.uidnext
        return list(self.uids[first:])

    async def refresh(self, patience: float = TIMEOUT) -> None:
        if await self._workshop.threads.run(self.has_changed):
            try:
                await self._work(self.file.look, patience=patience)
            except NotAnMbox as error:
                self._refused = error.stamp
                raise

    def has_changed(self) -> bool:
        """Whether the file is another one than was seen last. Blocking."""
        try:
            return Stamp.of(os.stat(self.file.path)) not in (self._listing.stamp, self._refused)
        except FileNotFoundError:
            return True

    # ----- those who watch

    def watch(self, watcher: Watcher) -> None:
        self._watchers.append(watcher)

    def unwatch(self, watcher: Watcher) -> None:
        self._watchers = [other for other in self._watchers if other != watcher]

    def _tell(self, change: Change) -> None:
        for watcher in tuple(self._watchers):
            watcher(change)

    def vanish(self) -> None:
        """The mailbox was deleted or renamed: whoever has it open must let go."""
        if not self.gone:
            self.gone = True
            self._tell(Change(gone=True))

    # ----- writing down

    def _places(self, uids: Sequence[int]) -> list[tuple[int, int]]:
        """(UID, its place) of those of *uids* that exist. Memory agrees with the listing whenever nothing is under way."""
        return [(self._listing.uids[place], place) for place in self._listing.places(uids)]

    def _flags_to_write(self) -> dict[int, list[str]]:
        return {uid: flag_words.words(self.bits[place], self.keywords) for uid, place in self._places(sorted(self._pending))}

    def _settle_soon(self) -> None:
        if not self._settling:
            self._settling = True
            tasks.start(self._settle_later(), f"writing the flags of {self.name}")

    async def _settle_later(self) -> None:
        if self._workshop.pause is not None:
            await self._workshop.pause(SETTLE_AFTER)
        self._settling = False
        if not await self.settle() and self._workshop.pause is not None and not self.gone:
            self._settle_soon()

    async def settle(self) -> bool:
        """Write down what is only in memory. False where that has to be tried again."""
        async with self._hands:
            if self.gone or not self.awake:
                return True
            try:
                if self._pending:
                    await self._write_flags()
                unsaved = self._unsaved()
                await self._workshop.threads.run(self._save, unsaved)
                self._saved(unsaved)
            except (OSError, StoreError) as error:
                log.warn("flags of {path}: {error}", path=str(self.file.path), error=error)
                return False
            return True

    async def _write_flags(self) -> None:
        flags, keywords = self._flags_to_write(), list(self.keywords)
        await self._turn(lambda held: self.file.rewrite(held, (), flags, keywords), exclusive=True)
        self._written(flags)

    def _written(self, flags: dict[int, list[str]]) -> None:
        """These are in the file now, unless they have changed again meanwhile."""
        now = self._flags_to_write()
        self._pending = {uid for uid in self._pending if uid in now and now[uid] != flags.get(uid)}

    def _unsaved(self) -> Unsaved:
        """The numbers of flags that are not in the file are not written down either."""
        numbered = zip(self.modseqs, self.uids, strict=True)
        changed = [(modseq, uid) for modseq, uid in numbered if modseq > self._saved_up_to and uid not in self._pending]
        numbers = Numbers(self.highest_modseq, self._numbers.forgotten, self._numbers.recent, bool(self._pending), list(self.keywords))
        return Unsaved(numbers, changed, list(self._expunged))

    def _save(self, unsaved: Unsaved) -> None:
        if unsaved.changed or unsaved.expunged or unsaved.numbers != self._noted:
            self.file.ledger.save(self.name, unsaved.numbers, unsaved.changed, unsaved.expunged)

    def _saved(self, unsaved: Unsaved) -> None:
        del self._expunged[: len(unsaved.expunged)]
        self._noted = unsaved.numbers
        if not unsaved.numbers.unsaved:
            self._saved_up_to = unsaved.numbers.highest

    def settle_now(self) -> None:
        """As `settle`, in this thread; at shutdown."""
        if self.gone or not self.awake or self._hands.held:
            return
        flags, keywords = self._flags_to_write(), list(self.keywords)
        try:
            if flags:
                self._workshop.turns.now(self.file.path, lambda held: self.file.rewrite(held, (), flags, keywords), True, False, 2.0)
                self._merge()
                self._written(flags)
            self._save(self._unsaved())
        except OSError as error:
            log.warn("flags of {path} are lost: {error}", path=str(self.file.path), error=error)
