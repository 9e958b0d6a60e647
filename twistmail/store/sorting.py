"""SORT and THREAD over one mailbox (IMailbox): from the columns of the index, in a thread, and remembered.

What is compared never changes, so an order of all messages holds until one comes or goes, and the order of some of them is a
part of it. Threads of some are not: they are found anew each time, unless all are asked for.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from twistmail import heap, tasks
from twistmail.mail import threads
from twistmail.mail.mailbox import SortKey, Threading
from twistmail.mail.ordering import Column, gathered, ordered
from twistmail.mail.threads import Threaded, Threads
from twistmail.store.descriptions import SORTED
from twistmail.store.reading import Reading

#: Orders and threads that are remembered of one mailbox.
MOST_KEPT = 4
#: What is to be sorted is few where it is less than this part of the mailbox: then it is sorted by itself.
FEW = 16
#: So many messages are sorted or threaded in so little time that they need not wait until others are done.
QUICK = 20_000

Keys = Sequence[tuple[SortKey, bool]]


class Table(NamedTuple):
    """Columns of messages: UIDs ascending, INTERNALDATEs, sizes, and what was asked of the index (None where it knows nothing)."""

    uids: array[int]
    dates: array[float]
    sizes: array[int]
    told: list[list[Any]]

    def sent(self, column: int) -> array[float]:
        """RFC 5256 §2.2: without a date of its own, a message was sent when it came."""
        both = zip(self.told[column], self.dates, strict=True)
        return gathered("d", (arrival if when is None else when for when, arrival in both))

    def texts(self, column: int) -> list[str]:
        return [text or "" for text in self.told[column]]


class _Kept(NamedTuple):
    """What was found of all messages while `uids` was the mailbox's array, and so long."""

    uids: array[int]
    messages: int
    found: Any


class Sorting(Reading):
    """See the module note."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._found: OrderedDict[Any, _Kept] = OrderedDict()
        self._one_at_a_time = tasks.Limit(1)

    async def sort(self, uids: Sequence[int], keys: Keys) -> Sequence[int]:
        columns = tuple(SORTED[key] for key, _ in keys if key in SORTED)
        if len(uids) * FEW < len(self.uids) and not self._known(tuple(keys)):
            return await self._computed(uids, columns, lambda table: _order(table, keys))
        are_all = self._are_all(uids)
        order = await self._of_all(tuple(keys), columns, lambda table: _order(table, keys))
        if are_all:
            return order
        if len(uids) < QUICK:
            return _those_of(order, uids)
        return await self._workshop.threads.run(_those_of, order, uids)

    async def thread(self, uids: Sequence[int], how: Threading) -> Threads:
        columns = ("sent", "base_subject", "reply", "threading")
        if self._are_all(uids):
            return await self._of_all(how, columns, lambda table: _threads(table, how))
        return await self._computed(uids, columns, lambda table: _threads(table, how))

    def _are_all(self, uids: Sequence[int]) -> bool:
        return len(uids) == len(self.uids) and self.uids == (uids if isinstance(uids, array) else array("I", uids))

    def _known(self, what: Any) -> _Kept | None:
        kept = self._found.get(what)
        return kept if kept is not None and kept.uids is self.uids and kept.messages == len(self.uids) else None

    async def _of_all(self, what: Any, columns: Sequence[str], compute: Callable[[Table], Any]) -> Any:
        """What *compute* makes of all messages that there are now, as far as it is not known; it is kept as *what*."""
        present, count = self.uids, len(self.uids)
        if (kept := self._known(what)) is None:
            async with self._one_at_a_time:
                if (kept := self._known(what)) is None or kept.messages != count:
                    kept = _Kept(present, count, await self._computed(present[:count], columns, compute))
                    self._found[what] = kept
        if what in self._found:
            self._found.move_to_end(what)
        if len(self._found) > MOST_KEPT:
            self._found.popitem(last=False)
        return kept.found

    async def _computed(self, uids: Sequence[int], columns: Sequence[str], compute: Callable[[Table], Any]) -> Any:
        snapshot = self._snapshot
        places = snapshot.places(uids)
        uids = snapshot.chosen(places)
        dates, sizes = _taken(snapshot.dates, places), _taken(snapshot.sizes, places)
        if not len(uids) or not columns:
            return await self._at_leisure(len(uids), lambda: compute(Table(uids, dates, sizes, [[] for _ in columns])))
        try:
            await self._describe_all(uids)
            told = await self._at_leisure(len(uids), self._descriptions.columns, self._directory, uids, columns)
        except sqlite3.Error as error:
            self._index.trouble.begins(error)
            described = await self._described(uids, columns)
            unknown = (None,) * len(columns)
            told = [list(column) for column in zip(*(described.get(uid, unknown) for uid in uids), strict=True)]
        return await self._at_leisure(len(uids), _finally_freed(compute), Table(uids, dates, sizes, told))

    async def _at_leisure(self, count: int, work: Callable[..., Any], *args: Any) -> Any:
        """Do *work* for *count* messages in a thread; if they are many, only some mailboxes may do such a thing at a time."""
        if count <= QUICK:
            return await self._workshop.threads.run(work, *args)
        async with self._workshop.readers:
            return await self._workshop.threads.run(work, *args)


def _finally_freed(compute: Callable[[Table], Any]) -> Callable[[Table], Any]:
    """*compute*, after which what was told is emptied: by the thread, since the reactor would do it in one go."""
    def computed(table: Table) -> Any:
        found = compute(table)
        heap.let_go(*table.told)
        return found

    return computed


def _taken(column: array[Any], places: Sequence[int]) -> array[Any]:
    if isinstance(places, range):
        return column[places.start : places.stop]
    return array(column.typecode, [column[place] for place in places])


def _those_of(order: Sequence[int], uids: Sequence[int]) -> array[int]:
    wanted: set[int] = set()
    for uid in uids:  # one by one: a set of a million made in one go keeps everybody waiting
        wanted.add(uid)
    return gathered("I", (uid for uid in order if uid in wanted))


def _order(table: Table, keys: Keys) -> array[int]:
    """The UIDs in order (RFC 5256 §3)."""
    columns: list[Column] = []
    described = 0
    for key, reverse in keys:
        values: Sequence[Any]
        if key in SORTED:
            values = table.sent(described) if key is SortKey.DATE else table.texts(described)
            described += 1
        else:
            values = table.dates if key is SortKey.ARRIVAL else table.sizes
        columns.append((values, reverse))
    uids = table.uids
    return gathered("I", (uids[place] for place in ordered(len(uids), columns)))


def _threads(table: Table, how: Threading) -> Threads:
    if not len(table.uids):
        return Threads()
    replies = [bool(reply) for reply in table.told[2]]
    return threads.threads(Threaded(table.uids, table.sent(0), table.texts(1), replies, table.texts(3)), how)
