"""How old what waits is, and where it wants to go: the chart by which one sees at a glance who is stuck (after Postfix's qshape). Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from typing import Any

from twistmail.mail.envelope import Kind
from twistmail.mail.item import Item
from twistmail.rows import STATES, View, sender_of

#: Minutes: the columns are 0 to 5, 5 to 10, and so on; the last is for all that is older.
BOUNDS = (5, 10, 20, 40, 80, 160, 320, 640, 1280)
BY = ("domain", "sender", "place")
HERE = "(here)"


class Shape:
    """The chart, item by item. *by*: one of BY. A message for several domains stands in the line of each, but once in the total."""

    def __init__(self, view: View, by: str = "domain") -> None:
        self._view = view
        self._by = by
        self._lines: dict[str, list[int]] = {}
        self._total = _empty()
        self._states = Counter[str](dict.fromkeys(STATES, 0))
        self._count = self._size = 0
        self._oldest: float | None = None

    def add(self, item: Item) -> None:
        column = bisect_right(BOUNDS, (self._view.now - item.arrived) / 60)
        self._count += 1
        self._size += item.size
        self._states[self._view.state(item)] += 1
        self._total[column] += 1
        self._oldest = item.arrived if self._oldest is None else min(self._oldest, item.arrived)
        for name in set(self._names(item)):
            self._lines.setdefault(name, _empty())[column] += 1

    def _names(self, item: Item) -> Iterator[str]:
        if self._by == "sender":
            yield sender_of(item).rpartition("@")[2]
        elif self._by == "place":
            yield from (place or HERE for place in self._view.places(item).values())
        else:
            for errand in item.pending or item.errands:
                yield errand.target.address.domain if errand.target.kind is Kind.REMOTE else HERE

    def as_json(self, most: int) -> dict[str, Any]:
        """All of it; at most *most* lines, those with the most messages."""
        lines = sorted(self._lines.items(), key=lambda line: (-sum(line[1]), line[0]))
        return {
            "by": self._by,
            "count": self._count,
            "size": self._size,
            "oldest_s": None if self._oldest is None else int(self._view.now - self._oldest),
            "states": dict(self._states),
            "minutes": list(BOUNDS),
            "total": list(self._total),
            "rows": [{"name": name, "count": sum(ages), "ages": list(ages)} for name, ages in lines[:most]],
            "others": max(0, len(lines) - most),
        }


def _empty() -> list[int]:
    return [0] * (len(BOUNDS) + 1)
