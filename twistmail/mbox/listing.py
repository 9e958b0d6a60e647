"""What is in one mbox file, as arrays: where each message lies, its UID, size, date, key and flags. Never the contents.

A Listing is a value: whoever has one may keep it. Its messages are in the order
of their UIDs, which need not be their order in the file.
"""

from __future__ import annotations

import os
import sys
from array import array
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from twistmail.mbox.messages import Seen


class Stamp(NamedTuple):
    """By what a file is known to be unchanged."""

    inode: int
    size: int
    mtime: int  # nanoseconds

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


NEVER = Stamp(0, 0, -1)


class Row(NamedTuple):
    """One message. `saved`: POSIX seconds of when we saw it first."""

    uid: int
    offset: int
    start: int
    end: int
    stop: int
    size: int
    date: float
    saved: float
    key: int
    flags: str


_TYPES = "QQQQQQddq"


def _arrays() -> tuple[array, ...]:  # type: ignore[type-arg]
    return tuple(array(kind) for kind in _TYPES)


@dataclass(frozen=True)
class Listing:
    """`stamp` and `probe` (a digest of both ends) are those of the file that was read; `generation` counts what was written down."""

    uidvalidity: int
    uidnext: int = 1
    generation: int = 0
    stamp: Stamp = NEVER
    probe: bytes = b""
    columns: Sequence[array] = field(default_factory=_arrays)  # type: ignore[type-arg]
    flags: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.flags)

    @property
    def uids(self) -> array[int]:
        return self.columns[0]

    @property
    def sizes(self) -> array[int]:
        return self.columns[5]

    @property
    def dates(self) -> array[float]:
        return self.columns[6]

    @property
    def saved(self) -> array[float]:
        return self.columns[7]

    @property
    def octets(self) -> int:
        return sum(self.sizes)

    def row(self, place: int) -> Row:
        return Row._make([*(column[place] for column in self.columns), self.flags[place]])

    def place(self, uid: int) -> int | None:
        """Where in the arrays *uid* stands; None where there is no such message."""
        place = bisect_left(self.uids, uid)
        return place if place < len(self.uids) and self.uids[place] == uid else None

    def places(self, uids: Iterable[int]) -> list[int]:
        """The places of those of *uids* that there are, ascending."""
        return [place for uid in sorted(set(uids)) if (place := self.place(uid)) is not None]

    def of_file(self, stamp: Stamp, probe: bytes) -> Listing:
        return replace(self, stamp=stamp, probe=probe)

    def of_generation(self, generation: int) -> Listing:
        return replace(self, generation=generation)

    def grown(self, rows: Sequence[Row]) -> Listing:
        """With *rows*, whose UIDs are above all others, at the end."""
        columns = [column[:] for column in self.columns]
        for number, column in enumerate(columns):
            column.extend([row[number] for row in rows])
        return replace(
            self,
            columns=columns,
            flags=[*self.flags, *(sys.intern(row.flags) for row in rows)],
            uidnext=rows[-1].uid + 1 if rows else self.uidnext,
        )

    def holding(self, rows: Iterable[Row], uidnext: int) -> Listing:
        """With *rows* (ascending UIDs) and nothing else."""
        empty = replace(self, columns=_arrays(), flags=(), uidnext=uidnext).grown(list(rows))
        return replace(empty, uidnext=uidnext)


def known_again(known: Listing, found: Iterable[Seen], now: float) -> Listing:
    """*known* as a scan of the whole file has *found* it: who was there keeps the UID, in whatever order; equal ones in theirs."""
    places: defaultdict[int, deque[int]] = defaultdict(deque)
    for place, key in enumerate(known.columns[8]):
        places[key].append(place)
    uidnext, rows = known.uidnext, []
    for seen in found:
        if waiting := places.get(seen.key):
            place = waiting.popleft()
            rows.append(row_of(seen, known.uids[place], known.saved[place]))
        else:
            rows.append(row_of(seen, uidnext, now))
            uidnext += 1
    return known.holding(sorted(rows), uidnext)


def row_of(seen: Seen, uid: int, saved: float) -> Row:
    return Row(uid, seen.offset, seen.start, seen.end, seen.stop, seen.size, seen.date or saved, saved, seen.key, seen.flags)
