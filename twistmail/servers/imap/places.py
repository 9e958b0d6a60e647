"""Sets of messages as one integer: one bit for each place in a client's numbering, the first message being the highest bit.

A million messages are 125 KB; AND, OR and NOT of such sets take microseconds, so that hundreds of search keys over a large
mailbox are nothing. What finds messages makes octets "0" and "1", one for each place, of which Python reads a set in one
go (1.7 ms for a million). Pure.
"""

from __future__ import annotations

import re
import sys
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from itertools import compress, pairwise

#: Places of which digits are looked at in one go.
STRETCH = 50_000

_RUN = re.compile(b"1+")
_TRUTH = bytes.maketrans(b"01", b"\0\1")
#: From truths, as octets, to digits.
DIGITS = bytes.maketrans(b"\0\1", b"01")


class Places:
    """The places 0 to `count` - 1. `all`: the set of all of them."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.all = (1 << count) - 1

    # ----- making sets

    def of_digits(self, digits: bytes | bytearray) -> int:
        """*digits*: "0" or "1" for each place."""
        return int(digits, 2) if self.count else 0

    def of_truths(self, truths: Iterable[bool]) -> int:
        return self.of_digits(bytes(truths).translate(DIGITS))

    def of_spans(self, spans: Iterable[tuple[int, int]]) -> int:
        """*spans*: half-open ranges, ascending and without overlap."""
        packed = bytearray(-(-self.count // 8))
        for start, stop in spans:
            first, last = start >> 3, stop >> 3
            if first == last:
                packed[first] |= 0xFF >> (start & 7) & ~(0xFF >> (stop & 7))
                continue
            packed[first] |= 0xFF >> (start & 7)
            packed[first + 1 : last] = b"\xff" * (last - first - 1)
            if stop & 7:
                packed[last] |= ~(0xFF >> (stop & 7)) & 0xFF
        return int.from_bytes(packed, "big") >> (-self.count % 8)

    def of_few(self, places: Iterable[int]) -> int:
        """*places*: ascending."""
        return self.of_spans((place, place + 1) for place in places)

    def of_uids(self, found: Collection[int], uids: Sequence[int]) -> int:
        """The places of the *found* UIDs among *uids*, the ascending UIDs of all places."""
        if len(found) * 8 > self.count:
            there = found if isinstance(found, set | frozenset) else frozenset(found)
            return self.of_truths(map(there.__contains__, uids[: self.count]))
        places = ((bisect_left(uids, uid, 0, self.count), uid) for uid in sorted(found))
        return self.of_few(place for place, uid in places if place < self.count and uids[place] == uid)

    # ----- looking at them

    def digits(self, found: int) -> bytes:
        """*found* as `of_digits` wants it."""
        return f"{found:0{self.count}b}".encode("ascii") if self.count else b""

    def runs(self, found: int) -> list[tuple[int, int]]:
        """*found* as half-open ranges, ascending."""
        return runs(self.digits(found))

    def stretch(self, found: int, start: int) -> tuple[bytes, int]:
        """The digits of at most STRETCH places from *start* on, and where they end."""
        stop = min(start + STRETCH, self.count)
        part = found >> (self.count - stop) & (1 << stop - start) - 1
        return f"{part:0{stop - start}b}".encode("ascii"), stop

    # ----- numbers for each place, two octets each, all of them one integer that can be added to others

    def weighted(self, found: int, points: int) -> int:
        """*points* (0 to 255) at each of *found*, 0 elsewhere."""
        lanes = bytearray(2 * self.count)
        lanes[1::2] = self.digits(found).translate(bytes.maketrans(b"01", bytes([0, points])))
        return int.from_bytes(lanes, "big")

    def at_least(self, lanes: int, number: int) -> int:
        """The places whose number, below 256, is at least *number*."""
        table = b"0" * number + b"1" * (256 - number)
        return self.of_digits(lanes.to_bytes(2 * self.count, "big")[1::2].translate(table))

    def numbers(self, lanes: int, found: int) -> array[int]:
        """The numbers at the places *found*, in order."""
        every = array("H", lanes.to_bytes(2 * self.count, "big"))
        if sys.byteorder == "little":
            every.byteswap()
        return chosen(self.digits(found), every)

    def without(self, found: int) -> int:
        """All places but *found*."""
        return self.all ^ found


def runs(digits: bytes, start: int = 0) -> list[tuple[int, int]]:
    """The places of ones in *digits*, the first of which stands for place *start*, as half-open ranges."""
    return [(start + run.start(), start + run.end()) for run in _RUN.finditer(digits)]


def chosen(digits: bytes, values: array[int]) -> array[int]:
    """Those of *values* where *digits* has a one."""
    return array(values.typecode, compress(values, digits.translate(_TRUTH)))


class Following:
    """A set of places that follows a client's numbering: what arrives is not in it, and what is expunged falls out of it."""

    __slots__ = ("_count", "_found")

    def __init__(self, found: int = 0, count: int = 0) -> None:
        self._found = found
        self._count = count

    def __bool__(self) -> bool:
        return bool(self._found)

    def among(self, count: int) -> int:
        """The set, as there are *count* places by now."""
        if count > self._count:
            self._found <<= count - self._count
            self._count = count
        return self._found

    def replace(self, found: int, count: int) -> None:
        self._found, self._count = found, count

    def spans(self, count: int) -> list[tuple[int, int]]:
        """Half-open ranges of places, ascending."""
        return runs(Places(count).digits(self.among(count))) if self._found else []

    def expunge(self, gone: Sequence[int], count: int) -> None:
        """The places *gone* (ascending) of *count* are no more; those behind them move up."""
        if self._found:
            digits = Places(count).digits(self.among(count))
            borders = [-1, *gone, count]
            kept = b"".join(digits[after + 1 : until] for after, until in pairwise(borders))
            self._found = int(kept, 2) if kept else 0
        self._count = count - len(gone)


def missing(known: Sequence[int], present: Sequence[int]) -> list[int]:
    """The places in *known* whose UID is not in *present*; both ascend, and *present* has no others up to the last of *known*.

    The next one is looked for by bisection: as long as nothing is missing, entries at the same distance are equal.
    """
    found: list[int] = []
    at = 0
    while at < len(known):
        gone = len(found)
        low, high = at, len(known)
        if not (at - gone < len(present) and known[at] == present[at - gone]):
            high = at
        while low < high:
            middle = (low + high) // 2
            if middle - gone < len(present) and known[middle] == present[middle - gone]:
                low = middle + 1
            else:
                high = middle
        if low == len(known):
            break
        found.append(low)
        at = low + 1
    return found
