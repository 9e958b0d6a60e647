"""The order of many things by several columns. Pure.

One `sorted` over a million values keeps the interpreter for a second, and with it every other thread. So pieces are
sorted, each cut at the same values, and what lies between two cuts is sorted again: many calls, none of which takes long.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

#: Things that are sorted in one call: some milliseconds.
PIECE = 5000

#: One value for each thing, and whether the largest comes first.
Column = tuple[Sequence[Any], bool]


def gathered(typecode: str, values: Iterable[Any]) -> array[Any]:
    """An array of *values*, which grows piece by piece. The garbage collector looks into lists of numbers, and not into arrays."""
    found, rest = array(typecode), iter(values)
    while some := list(islice(rest, PIECE)):
        found.extend(some)
    return found


def ordered(count: int, columns: Sequence[Column], piece: int = PIECE) -> list[int]:
    """The numbers from 0 up to *count* by the first of *columns*, those that are equal there by the next; at last by number."""
    order: list[int] = []
    for at in range(0, count, piece):
        order += range(at, min(at + piece, count))
    for values, largest_first in reversed(columns):  # each sort keeps the order of what is equal
        if largest_first:
            order.reverse()
        order = _sorted(order, values, piece)
        if largest_first:
            order.reverse()
    return order


def _sorted(order: list[int], values: Sequence[Any], piece: int) -> list[int]:
    value = values.__getitem__
    if len(order) <= piece:
        return sorted(order, key=value)
    pieces = [sorted(order[at : at + piece], key=value) for at in range(0, len(order), piece)]
    cuts = _cuts(pieces, values)
    between: list[list[int]] = [[] for _ in range(len(cuts) + 1)]
    equal: list[list[int]] = [[] for _ in cuts]
    for one in pieces:
        at = 0
        for number, cut in enumerate(cuts):
            start = bisect_left(one, cut, at, key=value)
            stop = bisect_right(one, cut, start, key=value)
            between[number] += one[at:start]
            equal[number] += one[start:stop]
            at = stop
        between[-1] += one[at:]
    return [number for part in _alternating(between, equal, values) for number in part]


def _cuts(pieces: Sequence[Sequence[int]], values: Sequence[Any]) -> list[Any]:
    """As many values as there are *pieces*, about evenly spread, ascending: between two of them lies about as much as in a piece."""
    count = len(pieces)
    samples = sorted(values[one[at]] for one in pieces for at in range(0, len(one), -(-len(one) // count)))
    chosen = samples[::count]
    return [cut for number, cut in enumerate(chosen) if not number or chosen[number - 1] != cut]


def _alternating(between: list[list[int]], equal: list[list[int]], values: Sequence[Any]) -> Iterator[list[int]]:
    """What is equal to a cut is in order: it came piece by piece."""
    for number, part in enumerate(between):
        part.sort(key=values.__getitem__)
        yield part
        if number < len(equal):
            yield equal[number]
