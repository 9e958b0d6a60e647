"""A dictionary in many small ones, for the names of very many messages.

A dictionary that is full makes itself larger by moving all that it holds, in one
call during which no other thread comes to its turn: with a million names 150 ms.
One of a thousand pigeonholes moves a thousandth of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

#: With fewer keys a dictionary is never full for more than a millisecond or two, and is quicker.
FEW = 50_000
HOLES = 1024


class Pigeonholes(MutableMapping[K, V]):
    """What a dictionary can, in another order."""

    __slots__ = ("_holes",)

    def __init__(self) -> None:
        self._holes: list[dict[K, V]] = [{} for _ in range(HOLES)]

    def __getitem__(self, key: K) -> V:
        return self._holes[hash(key) % HOLES][key]

    def __setitem__(self, key: K, value: V) -> None:
        self._holes[hash(key) % HOLES][key] = value

    def __delitem__(self, key: K) -> None:
        del self._holes[hash(key) % HOLES][key]

    def __contains__(self, key: object) -> bool:
        return key in self._holes[hash(key) % HOLES]

    def __iter__(self) -> Iterator[K]:
        return (key for hole in self._holes for key in hole)

    def __len__(self) -> int:
        return sum(map(len, self._holes))

    def clear(self) -> None:
        for hole in self._holes:
            hole.clear()

    def copy(self) -> Pigeonholes[K, V]:
        twin: Pigeonholes[K, V] = Pigeonholes()
        twin._holes = [hole.copy() for hole in self._holes]
        return twin


Book = dict[K, V] | Pigeonholes[K, V]


def book(count: int, pairs: Iterable[tuple[K, V]] = ()) -> Book[K, V]:
    """A mapping with *pairs* in it that is to hold about *count* keys."""
    made: Book[K, V] = {} if count < FEW else Pigeonholes()
    for key, value in pairs:
        made[key] = value
    return made
