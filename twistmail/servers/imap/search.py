"""SEARCH (RFC 3501 §6.4.4): a tree of keys narrows a list of messages, cheap keys first.

`candidates` are always places in one snapshot of the view, ascending. Flags,
numbers and UIDs cost a pass over an array; dates and sizes a column; header
fields the header column, decoded (RFC 2047) and compared without case; bodies
are the mailbox's business. What awaits does so in blocks and lets the reactor
have its turn.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import timegm
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from twistmail.mail import headers
from twistmail.mail.mailbox import Column
from twistmail.servers.imap.client import Client, Responses
from twistmail.servers.imap.portions import portions
from twistmail.servers.imap.rendering import RECENT_BIT
from twistmail.servers.imap.view import BLOCK, Block, View
from twistmail.wire.imap import commands as c
from twistmail.wire.imap import searchkeys as k
from twistmail.wire.imap.responses import OK, Tagged, Untagged

DAY = 86400
#: Candidates that are looked at before the reactor gets its turn (a few milliseconds).
TURN_AFTER = 20_000

Places = list[int]


async def search(client: Client, event: c.Search) -> Responses:
    view = client.selected
    inquiry = Inquiry(client, view)
    found = await inquiry.narrow(event.key, list(range(len(inquiry.block.uids))))
    source = inquiry.block.uids if event.uid else inquiry.block.numbers
    yield Untagged(b"SEARCH" + b"".join([b" %d" % source[place] for place in found]))
    yield Tagged(event.tag, OK, "Done")


class Inquiry:
    """One SEARCH over a snapshot (`block`) of the view."""

    def __init__(self, client: Client, view: View) -> None:
        self.client = client
        self.view = view
        self.block: Block = view.block(0, len(view.uids))
        self._worked = 0

    async def narrow(self, key: k.Key, candidates: Places) -> Places:
        """Those of *candidates* that *key* matches. Recursive, at most 32 levels deep: the wire sees to it."""
        if not candidates:
            return candidates
        await self._rest(len(candidates))
        match key:
            case k.And(keys):
                for part in sorted(keys, key=_cost):
                    candidates = await self.narrow(part, candidates)
                return candidates
            case k.Or(left, right):
                if _cost(right) < _cost(left):
                    left, right = right, left
                first = await self.narrow(left, candidates)
                return sorted([*first, *await self.narrow(right, _without(candidates, first))])
            case k.Not(inner):
                return _without(candidates, await self.narrow(inner, candidates))
        if isinstance(key, k.Body | k.Text):
            return await self._by_text(key, candidates)
        if isinstance(key, k.Header):
            return await self._by_header(key, candidates)
        if type(key) in _COLUMN_TESTS:
            column, make_test = _COLUMN_TESTS[type(key)]
            return await self._by_column(column, make_test(key), candidates)
        return self._at_once(key, candidates)

    async def _rest(self, work: int) -> None:
        """Let the reactor have its turn after much *work*: keys are cheap, but there may be hundreds."""
        self._worked += work
        if self._worked > TURN_AFTER:
            self._worked = 0
            await self.client.turn()

    def _at_once(self, key: k.Key, candidates: Places) -> Places:
        """Keys that the arrays answer."""
        bits = self.block.bits
        match key:
            case k.All():
                return candidates
            case k.Has(flag):
                mask = self.view.mask(flag)
                return [place for place in candidates if bits[place] & mask]
            case k.Lacks(flag):
                mask = self.view.mask(flag)
                return [place for place in candidates if not bits[place] & mask]
            case k.Recent():
                return [place for place in candidates if bits[place] & RECENT_BIT]
            case k.Numbers(numbers):
                return self._in_set(numbers.spans(self.view.uids, numbers=True), candidates)
            case k.Uid(numbers):
                return self._in_set(numbers.spans(self.view.uids, numbers=False), candidates)
        raise TypeError(f"{key!r} is no search key that we know")

    def _in_set(self, spans: Sequence[tuple[int, int]], candidates: Places) -> Places:
        """*spans* are positions in the view; a place in the snapshot is another thing where messages are gone."""
        numbers = [self.block.numbers[place] for place in candidates]
        found: Places = []
        at = 0
        for start, stop in spans:
            at = bisect_left(numbers, start + 1, at)
            end = bisect_right(numbers, stop, at)
            found += candidates[at:end]
            at = end
        return found

    async def _by_text(self, key: k.Body | k.Text, candidates: Places) -> Places:
        """All at once: the mailbox may have an index, and bounds what it reads by itself."""
        uids = self.block.uids
        wanted = [uids[place] for place in candidates]
        fitting = await self.view.mailbox.text_search(wanted, key.needle.casefold(), isinstance(key, k.Text))
        return [place for place in candidates if uids[place] in fitting] if fitting else []

    async def _by_header(self, key: k.Header, candidates: Places) -> Places:
        uids = self.block.uids
        fitting = await self.view.mailbox.header_search([uids[place] for place in candidates], key.name, key.needle.casefold())
        return [place for place in candidates if uids[place] in fitting]

    async def _by_column(self, column: Column, test: Callable[[Any], bool], candidates: Places) -> Places:
        uids = self.block.uids
        found: Places = []
        for start in range(0, len(candidates), BLOCK):
            block = candidates[start : start + BLOCK]
            for first, last in await portions(self.view.mailbox, [uids[place] for place in block], (column,)):
                places = block[first:last]
                rows = await self.view.mailbox.rows([uids[place] for place in places], (column,))
                fitting = {uid for uid, value in rows if test(value)}
                found += [place for place in places if uids[place] in fitting]
                await self.client.turn()
        return found


def _without(places: Places, taken: Places) -> Places:
    gone = set(taken)
    return [place for place in places if place not in gone]


def _cost(key: k.Key) -> int:
    """What a key costs: 0 arrays, 1 a small column, 2 headers, 3 bodies; shapes as much as their dearest."""
    match key:
        case k.And(keys):
            return max(map(_cost, keys))
        case k.Or(left, right):
            return max(_cost(left), _cost(right))
        case k.Not(inner):
            return _cost(inner)
        case k.Body() | k.Text():
            return 3
        case k.Header() | k.SentBefore() | k.SentOn() | k.SentSince():
            return 2
    return 1 if type(key) in _COLUMN_TESTS else 0


# ----- tests of one column's value


def _midnight(day: date) -> int:
    """When *day* begins, in the zone in which we tell INTERNALDATE (UTC)."""
    return timegm(day.timetuple())


def _before(key: k.Before) -> Callable[[float], bool]:
    end = _midnight(key.day)
    return lambda when: when < end


def _on(key: k.On) -> Callable[[float], bool]:
    start = _midnight(key.day)
    return lambda when: start <= when < start + DAY


def _since(key: k.Since) -> Callable[[float], bool]:
    start = _midnight(key.day)
    return lambda when: when >= start


def _sent(fits: Callable[[date, date], bool]) -> Callable[[Any], Callable[[bytes], bool]]:
    def make(key: Any) -> Callable[[bytes], bool]:
        def test(header: bytes) -> bool:
            value = headers.first(header, b"date")
            day = headers.sent_date(value) if value else None
            return day is not None and fits(day, key.day)

        return test

    return make


_COLUMN_TESTS: dict[type[k.Key], tuple[Column, Callable[[Any], Callable[[Any], bool]]]] = {
    k.Larger: (Column.SIZE, lambda key: lambda size: size > key.size),
    k.Smaller: (Column.SIZE, lambda key: lambda size: size < key.size),
    k.Before: (Column.INTERNALDATE, _before),
    k.On: (Column.INTERNALDATE, _on),
    k.Since: (Column.INTERNALDATE, _since),
    k.SentBefore: (Column.HEADER, _sent(date.__lt__)),
    k.SentOn: (Column.HEADER, _sent(date.__eq__)),
    k.SentSince: (Column.HEADER, _sent(date.__ge__)),
}
