"""What is in one mailbox, in memory: parallel arrays, no object per message, 44 octets each. Pure.

The arrays `uids`, `bits` and `modseqs` are those that `IMailbox` promises: appended
to on arrival, replaced on expunge, the last two changed in place. How the files
are called is in `namebook`; here stands only what flags a name shows (`named`).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from typing import Any, NamedTuple

from twistmail.mail.mailbox import Flag, FlagChange

_SEEN = int(Flag.SEEN)
_DELETED = int(Flag.DELETED)
#: So few messages are taken out one by one; with more, all that stay are copied.
FEW_HOLES = 64


class Message(NamedTuple):
    """One message of a Snapshot. `named`: the flag bits that its file name shows, or `namebook.NEW`, or `namebook.ODD`."""

    uid: int
    bits: int
    named: int
    modseq: int
    size: int
    date: float


class Snapshot:
    """Columns of equal length, ascending by UID. A *place* is a position in them."""

    def __init__(self) -> None:
        self.uids = array("I")
        self.bits = array("Q")
        self.named = array("Q")
        self.modseqs = array("Q")
        self.sizes = array("Q")
        self.dates = array("d")
        self.unseen = 0
        self.size = 0

    def make_room(self, count: int) -> None:
        """For *count* messages that `fill` will bring: columns that grow bit by bit would leave as many holes in memory."""
        self.uids = array("I", bytes(4 * count))
        self.bits, self.named, self.modseqs, self.sizes = (array("Q", bytes(8 * count)) for _ in range(4))
        self.dates = array("d", bytes(8 * count))

    def fill(self, place: int, uids: bytes, sizes: bytes, dates: bytes, bits: bytes, named: bytes, modseqs: bytes) -> int:
        """Put the columns of a block at *place*; the place behind it. ValueError where they are not of one length."""
        columns = ((self.uids, uids), (self.sizes, sizes), (self.dates, dates), (self.bits, bits), (self.named, named),
                   (self.modseqs, modseqs))  # fmt: skip
        count = len(uids) // self.uids.itemsize
        for column, octets in columns:
            with memoryview(column).cast("B") as view:
                view[place * column.itemsize : (place + count) * column.itemsize] = octets
        return place + count

    def count(self) -> None:
        """The totals, after the columns were filled."""
        self.unseen = len(self.bits) - sum(map(_SEEN.__and__, self.bits))
        self.size = sum(self.sizes)

    def deleted(self) -> tuple[int, int]:
        """How many have \\Deleted, and their octets: 40 ms for a million messages."""
        sizes = list(compress(self.sizes, map(_DELETED.__and__, self.bits)))
        return len(sizes), sum(sizes)

    def place(self, uid: int) -> int:
        """Where *uid* is, or -1."""
        place = bisect_left(self.uids, uid)
        return place if place < len(self.uids) and self.uids[place] == uid else -1

    def places(self, uids: Sequence[int]) -> Sequence[int]:
        """Where those of *uids* are that exist, ascending."""
        if run := self._run(uids):
            return run
        wanted = sorted(set(uids))
        if len(wanted) * 16 < len(self.uids):
            return [place for uid in wanted if (place := self.place(uid)) >= 0]
        chosen = set(wanted)
        return [place for place, uid in enumerate(self.uids) if uid in chosen]

    def _run(self, uids: Sequence[int]) -> range | None:
        """Most often the UIDs are such as follow each other here."""
        if len(uids) < 2 or (first := self.place(uids[0])) < 0:
            return None
        same = self.uids[first : first + len(uids)] == (uids if isinstance(uids, array) else array("I", uids))
        return range(first, first + len(uids)) if same else None

    def chosen(self, places: Sequence[int]) -> array[int]:
        """The UIDs at *places*."""
        found = at(self.uids, places)
        return found if isinstance(found, array) else array("I", found)

    def add(self, messages: Sequence[Sequence[Any]]) -> None:
        """Messages (as Message has them) above all others, ascending."""
        uids, bits, named, modseqs, sizes, dates = zip(*messages, strict=True)
        self.uids.extend(uids)
        self.bits.extend(bits)
        self.named.extend(named)
        self.modseqs.extend(modseqs)
        self.sizes.extend(sizes)
        self.dates.extend(dates)
        self.unseen += len(bits) - sum(map(_SEEN.__and__, bits))
        self.size += sum(sizes)

    def message(self, place: int) -> Message:
        return Message(self.uids[place], self.bits[place], self.named[place], self.modseqs[place], self.sizes[place], self.dates[place])

    def set_bits(self, place: int, bits: int, modseq: int) -> None:
        self.unseen += (self.bits[place] & _SEEN) - (bits & _SEEN)
        self.bits[place] = bits
        self.modseqs[place] = modseq

    def change(self, places: Iterable[int], change: FlagChange, mask: int, modseq: int) -> list[int]:
        """Change flags; the places where something is different now, all with the one modification sequence *modseq*."""
        keep = {FlagChange.SET: 0, FlagChange.ADD: -1, FlagChange.REMOVE: ~mask}[change]
        add = 0 if change is FlagChange.REMOVE else mask
        bits, modseqs = self.bits, self.modseqs
        changed = [place for place in places if bits[place] & keep | add != bits[place]]
        for place in changed:
            before = bits[place]
            bits[place] = after = before & keep | add
            modseqs[place] = modseq
            self.unseen += (before & _SEEN) - (after & _SEEN)
        return changed

    def remove(self, places: Sequence[int]) -> None:
        """Take the messages at *places* (ascending) out; `uids` becomes a new array."""
        for place in places:
            self.unseen -= not self.bits[place] & _SEEN
            self.size -= self.sizes[place]
        self.uids = _without(self.uids[:], places)
        self.bits = _without(self.bits, places)
        self.named = _without(self.named, places)
        self.modseqs = _without(self.modseqs, places)
        self.sizes = _without(self.sizes, places)
        self.dates = _without(self.dates, places)


def at(column: array, places: Sequence[int]) -> Sequence[Any]:  # type: ignore[type-arg]
    """What *column* has at *places*: a slice of it, where they follow each other."""
    if isinstance(places, range) and places.step == 1:
        return column[places.start : places.stop]
    return [column[place] for place in places]


def missing(before: Iterable[int], now: Iterable[int]) -> Iterator[int]:
    """Those of *before* that are not in *now*; both ascend."""
    rest = iter(now)
    there = next(rest, None)
    for uid in before:
        while there is not None and there < uid:
            there = next(rest, None)
        if there != uid:
            yield uid


def _without(column: array, places: Sequence[int]) -> array:  # type: ignore[type-arg]
    """*column* without what is at *places*, which ascend. What lies before the first and behind the last of them is moved only."""
    if len(places) > FEW_HOLES:
        start, stop = places[0], places[-1] + 1
        stays = bytearray(b"\1") * (stop - start)
        for place in places:
            stays[place - start] = 0
        column[start:stop] = array(column.typecode, compress(column[start:stop], stays))
        return column
    for place in reversed(places):
        del column[place]
    return column
