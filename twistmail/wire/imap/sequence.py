"""Sequence sets (RFC 3501 §9, `sequence-set`): which messages a command means.

A set is merged and sorted when it is read, so that resolving it against a
mailbox is one bisection and one slice per range. It knows nothing of UIDs or
sequence numbers until `spans` is asked with one client's numbering.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from twistmail.mail.ranges import Range
from twistmail.mail.values import frozen

#: Stands for "*", the largest number in use; larger than every real number (which have 32 bits).
STAR = 1 << 32
MOST_RANGES = 10_000


@frozen
class SequenceSet:
    """Inclusive ranges (low, high), low <= high, sorted, neither touching nor overlapping; either end may be STAR.

    `saved`: "$", what the last SEARCH has saved (RFC 5182); it has no ranges, and only the view of the mailbox knows what it means.
    """

    ranges: tuple[Range, ...]
    saved: bool = False

    @property
    def highest(self) -> int:
        """The largest number written (STAR does not count); 0 where only "*" is written.

        A sequence number above the size of the mailbox is a client's mistake (BAD); a UID that is gone is none.
        """
        return max((max(low % STAR, high % STAR) for low, high in self.ranges), default=0)

    @property
    def count(self) -> int:
        """How many numbers are in it. There must be no "*"."""
        return sum(high - low + 1 for low, high in self.ranges)

    def up_to(self, last: int) -> tuple[Range, ...]:
        """The ranges with *last* for "*"."""
        if not self.ranges or self.ranges[-1][1] != STAR:
            return self.ranges
        return merged((min(low, last), last) if high == STAR else (low, high) for low, high in self.ranges).ranges

    def spans(self, uids: Sequence[int], *, numbers: bool) -> list[tuple[int, int]]:
        """Half-open position ranges (start, stop) into *uids* (ascending, one client's view) that the set means.

        *numbers*: the set holds sequence numbers; otherwise UIDs. "*" is the last message, and "9:*" includes it even
        where it is smaller than 9 (RFC 3501 §6.4.8). In ascending order, without overlap; empty for an empty mailbox.
        """
        count = len(uids)
        if not count:
            return []
        last = count if numbers else uids[-1]
        spans: list[tuple[int, int]] = []
        reached = 0  # "*" may fall back into what an earlier range has covered
        for low, high in self.ranges:
            if high == STAR:
                low, high = min(low, last), last
            if numbers:
                start, stop = low - 1, min(high, count)
            else:
                start = bisect_left(uids, low)
                stop = bisect_right(uids, high, start)
            start = max(start, reached)
            if start < stop:
                spans.append((start, stop))
                reached = stop
        return spans

    def resolve(self, uids: array[int], *, numbers: bool) -> array[int]:
        """The UIDs (ascending, same type code as *uids*) that the set means; see `spans`."""
        spans = self.spans(uids, numbers=numbers)
        if len(spans) == 1:
            start, stop = spans[0]
            return uids[start:stop]
        found = array(uids.typecode)
        for start, stop in spans:
            found += uids[start:stop]
        return found


#: "$" (RFC 5182 §3).
SAVED = SequenceSet((), saved=True)


def merged(ranges: Iterable[tuple[int, int]]) -> SequenceSet:
    """The SequenceSet of *ranges* in any order, each end first or last ("5:2" is "2:5", RFC 3501 §9)."""
    ordered = sorted((low, high) if low <= high else (high, low) for low, high in ranges)
    result: list[tuple[int, int]] = []
    for low, high in ordered:
        if result and low <= result[-1][1] + 1:
            if high > result[-1][1]:
                result[-1] = (result[-1][0], high)
        else:
            result.append((low, high))
    return SequenceSet(tuple(result))


def parse(text: bytes) -> SequenceSet:
    """The set written as *text*, such as b"1:5,7,9:*" or b"$". ValueError (text fit for the client) where it is none."""
    if text == b"$":
        return SAVED
    if text.count(b",") >= MOST_RANGES:
        raise ValueError(f"A set may have {MOST_RANGES} ranges at most")
    ranges = []
    for piece in text.split(b","):
        low, colon, high = piece.partition(b":")
        start = _number(low)
        ranges.append((start, _number(high) if colon else start))
    return SequenceSet(tuple(ranges)) if len(ranges) == 1 and ranges[0][0] <= ranges[0][1] else merged(ranges)


def _number(text: bytes) -> int:
    """A `seq-number`: "*" or 1 to 4294967295."""
    if text == b"*":
        return STAR
    if text.isdigit() and len(text) <= 10 and text[0] != 0x30:
        number = int(text)
        if number < STAR:
            return number
    raise ValueError("A set holds numbers from 1 to 4294967295, ranges such as 2:4, and *")


def render(uids: Iterable[int]) -> bytes:
    """*uids*, in the order given, as a UIDPLUS set: b"1:5,7" (RFC 4315 §3). Runs of consecutive numbers become ranges."""
    found: list[Range] = []
    start = previous = -1
    for uid in uids:
        if uid != previous + 1 or start < 0:
            if start >= 0:
                found.append((start, previous))
            start = uid
        previous = uid
    if start >= 0:
        found.append((start, previous))
    return spelled(found)


def spelled(ranges: Iterable[Range]) -> bytes:
    """*ranges*, in the order given: b"1:5,7"."""
    return b",".join([b"%d" % start if start == end else b"%d:%d" % (start, end) for start, end in ranges])
