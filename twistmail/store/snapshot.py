"""What is in one mailbox, in memory: parallel arrays, no object per message. Pure.

The arrays `uids` and `bits` are those that `IMailbox` promises: appended to on
arrival, replaced on expunge, `bits` changed in place.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import compress

from twistmail.mail.mailbox import Flag, FlagChange
from twistmail.store.index import Row

_SEEN = int(Flag.SEEN)


class Snapshot:
    """Columns of equal length, ascending by UID. A *place* is a position in them."""

    def __init__(self) -> None:
        self.uids = array("L")
        self.bits = array("Q")
        self.modseqs = array("Q")
        self.sizes = array("Q")
        self.dates = array("d")
        self.paths: list[bytes] = []
        self.unseen = 0
        self.size = 0

    def place(self, uid: int) -> int:
        """Where *uid* is, or -1."""
        place = bisect_left(self.uids, uid)
        return place if place < len(self.uids) and self.uids[place] == uid else -1

    def places(self, uids: Iterable[int]) -> list[int]:
        """Where those of *uids* are that exist, ascending."""
        wanted = sorted(set(uids))
        if len(wanted) * 16 < len(self.uids):
            return [place for uid in wanted if (place := self.place(uid)) >= 0]
        chosen = set(wanted)
        return [place for place, uid in enumerate(self.uids) if uid in chosen]

    def add(self, row: Row) -> None:
        """A message above all others."""
        uid, path, bits, modseq, size, date, _ = row
        self.uids.append(uid)
        self.bits.append(bits)
        self.modseqs.append(modseq)
        self.sizes.append(size)
        self.dates.append(date)
        self.paths.append(path)
        self.unseen += not bits & _SEEN
        self.size += size

    def set_bits(self, place: int, bits: int, modseq: int) -> None:
        self.unseen += (self.bits[place] & _SEEN) - (bits & _SEEN)
        self.bits[place] = bits
        self.modseqs[place] = modseq

    def change(self, places: Iterable[int], change: FlagChange, mask: int, modseq: int) -> list[int]:
        """Change flags; the UIDs where something is different now, all with the one modification sequence *modseq*."""
        keep = {FlagChange.SET: 0, FlagChange.ADD: -1, FlagChange.REMOVE: ~mask}[change]
        add = 0 if change is FlagChange.REMOVE else mask
        bits = self.bits
        changed = [place for place in places if bits[place] & keep | add != bits[place]]
        for place in changed:
            self.set_bits(place, bits[place] & keep | add, modseq)
        return [self.uids[place] for place in changed]

    def remove(self, places: Sequence[int]) -> None:
        """Take the messages at *places* out, into new arrays."""
        for place in places:
            self.unseen -= not self.bits[place] & _SEEN
            self.size -= self.sizes[place]
        stays = bytearray(b"\1") * len(self.uids)
        for place in places:
            stays[place] = 0
        self.uids = array("L", compress(self.uids, stays))
        self.bits = array("Q", compress(self.bits, stays))
        self.modseqs = array("Q", compress(self.modseqs, stays))
        self.sizes = array("Q", compress(self.sizes, stays))
        self.dates = array("d", compress(self.dates, stays))
        self.paths = list(compress(self.paths, stays))

    def row(self, place: int, *, unsettled: bool) -> Row:
        """The message at *place* as the index stores it."""
        return (self.uids[place], self.paths[place], self.bits[place], self.modseqs[place],
                self.sizes[place], self.dates[place], int(unsettled))  # fmt: skip


def snapshot_of(rows: Iterable[Row]) -> Snapshot:
    """*rows* ascend by UID."""
    snapshot = Snapshot()
    for row in rows:
        snapshot.add(row)
    return snapshot
