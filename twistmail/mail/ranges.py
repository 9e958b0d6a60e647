"""Sets of numbers as lists of inclusive ranges, (low, high) with low <= high, ascending, not touching each other.

What is missing from a mailbox of a million messages is a handful of ranges or a million numbers; these functions take time by
ranges, and `runs` of an array that has few holes by their number too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

#: Inclusive.
Range = tuple[int, int]
#: Numbers that are looked at one by one, where looking at halves would not pay.
FEW = 16


def runs(numbers: Sequence[int]) -> list[Range]:
    """*numbers* (ascending, each once) as ranges."""
    found: list[Range] = []
    waiting = [(0, len(numbers))] if numbers else []
    while waiting:
        start, stop = waiting.pop()
        if numbers[stop - 1] - numbers[start] == stop - 1 - start:
            _add(found, numbers[start], numbers[stop - 1])
        elif stop - start <= FEW:
            for number in numbers[start:stop]:
                _add(found, number, number)
        else:
            middle = (start + stop) // 2
            waiting += [(middle, stop), (start, middle)]
    return found


def _add(ranges: list[Range], low: int, high: int) -> None:
    """Put a range behind the others, with which it may touch."""
    if ranges and ranges[-1][1] + 1 == low:
        ranges[-1] = (ranges[-1][0], high)
    else:
        ranges.append((low, high))


def common(some: Sequence[Range], others: Sequence[Range]) -> list[Range]:
    """What is in both."""
    found: list[Range] = []
    here = there = 0
    while here < len(some) and there < len(others):
        low, high = max(some[here][0], others[there][0]), min(some[here][1], others[there][1])
        if low <= high:
            found.append((low, high))
        if some[here][1] < others[there][1]:
            here += 1
        else:
            there += 1
    return found


def gaps(ranges: Iterable[Range], last: int) -> list[Range]:
    """The numbers from 1 to *last* that are not in *ranges*."""
    found: list[Range] = []
    before = 0
    for low, high in ranges:
        if low > last:
            break
        if low > before + 1:
            found.append((before + 1, low - 1))
        before = high
    if before < last:
        found.append((before + 1, last))
    return found
