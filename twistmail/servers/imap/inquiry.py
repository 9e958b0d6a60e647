"""Which messages of a view a search key means (RFC 3501 §6.4.4): `Inquiry`, for SEARCH, SORT, THREAD and whoever asks like them.

Messages are `places` sets over the numbering of the client. Flags, numbers and UIDs are answered from arrays; dates and sizes from
a column, read once; header fields and bodies by the mailbox, which may have an index. Cheap keys narrow what dear
ones are asked about. Whatever takes long waits, or lets the reactor have its turn.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import compress
from typing import Any

from twistmail.mail.folding import folded
from twistmail.mail.mailbox import Column
from twistmail.servers.imap import places
from twistmail.servers.imap.client import Client
from twistmail.servers.imap.columntests import MOST_BORDERS, UNKNOWN, ColumnTest, Scale, test_of
from twistmail.servers.imap.fuzzy import Fuzziness
from twistmail.servers.imap.headertests import HeaderTests
from twistmail.servers.imap.places import Places
from twistmail.servers.imap.portions import portions
from twistmail.servers.imap.view import View
from twistmail.wire.imap import searchkeys as k

#: Messages that a column is read of in one go: a small value each, and what may be as long as a header.
LIGHT, HEAVY = 2000, 500
#: Places that are looked at before the reactor gets its turn: about two milliseconds; and what a key costs beside them.
TURN_AFTER, A_KEY = 500_000, 4000
_COLUMNS_OF_IDENTIFIERS: dict[type[k.Key], Column] = {k.EmailId: Column.EMAILID, k.ThreadId: Column.THREADID}


#: Stands for the flags of a message that is gone.
_GONE = -1


class Abandoned(Exception):
    """Nobody waits for the answer any more."""


class Inquiry:
    """One search over the messages that *view* has at this moment. `uids`: of all places; those that are gone are never found.

    *positions*: only over the messages there (ascending, not many); a place is then the place in that list. `count`: of the view.
    """

    def __init__(self, client: Client, view: View, positions: Sequence[int] | None = None) -> None:
        self.client = client
        self.view = view
        self.count = len(view.uids)
        self._positions = positions
        if positions is None:
            self.uids = view.uids  # the view replaces it when it tells of expunged messages, and appends to it otherwise
            gone, self._bits = view.aligned()
            self.places = Places(self.count)
            self.existing = self.places.without(self.places.of_few(gone))
        else:
            self.uids = array(view.uids.typecode, [view.uids[position] for position in positions])
            bits = [(view.block(position, position + 1).bits or [_GONE])[0] for position in positions]
            self._bits = array("Q", [0 if flags == _GONE else flags for flags in bits]).tobytes()
            self.places = Places(len(positions))
            self.existing = self.places.of_truths(flags != _GONE for flags in bits)
        self.examined = 0  # messages that were looked at one by one: how far we are
        self._now: float = client.service.epoch()
        self._worked = 0
        self._flagged: dict[int, int] = {}
        self._tests: dict[Column, list[tuple[Scale, bytearray]]] = {}
        self._key: k.Key = k.All()
        self._headers = HeaderTests(())
        self._repeated: dict[k.Key, tuple[int, int]] = {}  # key -> places that were looked at, and those of them that it means
        self.fuzziness = Fuzziness(self)
        self._is_abandoned = False
        self._modseqs: array[int] | None = None  # of all places, 0 where a message is gone

    def abandon(self) -> None:
        """Nobody waits for the answer any more."""
        self._is_abandoned = True

    async def find(self, key: k.Key) -> int:
        """The places that *key* means. One question after the other."""
        self._key = key
        self._tests = {}
        asked = Counter(leaves(key))
        self._headers = HeaderTests(asked)
        self._repeated = {one: (0, 0) for one, times in asked.items() if times > 1}
        return await self.narrow(key, self.existing)

    def progress(self) -> tuple[int, int]:
        """How many messages have been looked at one by one, of how many; a message may be, for several keys."""
        return self.examined % (self.places.count + 1), self.places.count

    def placed(self, found: int) -> int:
        """*found* as places of the whole view."""
        if self._positions is None:
            return found
        chosen = compress(self._positions, map(int, self.places.digits(found).decode("ascii")))
        return Places(self.count).of_few(chosen)

    def uids_of(self, found: int) -> array[int]:
        """The UIDs at the places *found*, ascending. At once: for a large set prefer `uids_by_stretch`."""
        return places.chosen(self.places.digits(found), self.uids[: self.places.count])

    async def uids_by_stretch(self, found: int) -> array[int]:
        """As `uids_of`, with turns for the reactor."""
        if found == self.places.all:
            return self.uids[: self.places.count]
        chosen = array(self.uids.typecode)
        at = 0
        while at < self.places.count:
            digits, stop = self.places.stretch(found, at)
            chosen += places.chosen(digits, self.uids[at:stop])
            await self.rest(10 * (stop - at))
            at = stop
        return chosen

    async def values(self, found: int, *, uid: bool) -> array[int]:
        """What *found* is towards the client: UIDs, or sequence numbers, ascending."""
        if uid:
            return await self.uids_by_stretch(found)
        numbers = array(self.uids.typecode)
        at = 0
        while at < self.places.count:
            digits, stop = self.places.stretch(found, at)
            numbers += places.chosen(digits, array(self.uids.typecode, range(at + 1, stop + 1)))
            await self.rest(10 * (stop - at))
            at = stop
        return numbers

    async def rest(self, work: int) -> None:
        """Let the reactor have its turn after much *work*: keys are cheap, but there may be hundreds. Raises Abandoned."""
        if self._is_abandoned:
            raise Abandoned
        self._worked += work
        if self._worked > TURN_AFTER:
            self._worked = 0
            await self.client.turn()

    # ----- keys

    async def narrow(self, key: k.Key, among: int) -> int:
        """Those of the places *among* that *key* means. Recursive, at most 32 levels deep: the wire sees to it."""
        if not among:
            return 0
        await self.rest(A_KEY + self.places.count // 8)
        match key:
            case k.And(keys):
                for part in sorted(keys, key=_cost):
                    among = await self.narrow(part, among)
                return among
            case k.Or(left, right):
                if _cost(right) < _cost(left):
                    left, right = right, left
                first = await self.narrow(left, among)
                return first | await self.narrow(right, among & ~first)
            case k.Not(inner):
                return among & ~await self.narrow(inner, among)
            case k.Fuzzy(inner):
                return await self.fuzziness.narrow(inner, among)
            case k.Body() | k.Text() | k.Header():
                return await self._by_words(key, among)
            case k.ModSeq(least):
                return among & await self._by_modseq(least)
            case k.EmailId(identifier) | k.ThreadId(identifier):
                return await self._by_identifier(_COLUMNS_OF_IDENTIFIERS[type(key)], identifier, among)
        test = test_of(key, self._now)
        return among & (self._at_once(key) if test is None else await self._by_column(test, among))

    def _at_once(self, key: k.Key) -> int:
        """Keys that the arrays answer."""
        match key:
            case k.All():
                return self.existing
            case k.Has(flag):
                return self._with_flag(self.view.mask(flag))
            case k.Lacks(flag):
                return self.places.without(self._with_flag(self.view.mask(flag)))
            case k.Recent():
                return self.places.of_uids(self.view.recent, self.uids)
            case k.Numbers(numbers):
                return self._at_positions(self.view.positions(numbers, uid=False))
            case k.Uid(numbers):
                return self._at_positions(self.view.positions(numbers, uid=True))
        raise TypeError(f"{key!r} is no search key that we know")

    def _at_positions(self, spans: Iterable[tuple[int, int]]) -> int:
        """*spans*: positions in the view. What has come since we began is not among our places."""
        positions = self._positions
        if positions is None:
            return self.places.of_spans((start, min(stop, self.count)) for start, stop in spans if start < self.count)
        return self.places.of_spans(
            (first, last) for start, stop in spans
            if (first := bisect_left(positions, start)) < (last := bisect_left(positions, stop))
        )  # fmt: skip

    def _with_flag(self, mask: int) -> int:
        """The places that have the flag whose bit is *mask*: the octet that holds it, of every entry of the array at once."""
        if not mask:
            return 0
        if mask not in self._flagged:
            bit = mask.bit_length() - 1
            octet = bit // 8 if sys.byteorder == "little" else 7 - bit // 8
            table = bytes(0x30 | value >> bit % 8 & 1 for value in range(256))
            self._worked += 2 * self.places.count
            self._flagged[mask] = self.places.of_digits(self._bits[octet::8].translate(table))
        return self._flagged[mask]

    async def _asked(self, among: int, ask: Callable[[array[int]], Awaitable[set[int]]]) -> int:
        """Those of *among* that *ask* says fit, of whose UIDs it is given a stretch at a time."""
        digits: list[bytes] = []
        at = 0
        while at < self.places.count:
            stretch, stop = self.places.stretch(among, at)
            uids = self.uids[at:stop]
            wanted = places.chosen(stretch, uids)
            fitting = await ask(wanted) if wanted else ()
            digits.append(bytes(map(fitting.__contains__, uids)).translate(places.DIGITS) if fitting else b"0" * len(uids))
            self.examined += len(wanted)
            await self.rest(10 * len(uids))
            at = stop
        return among & self.places.of_digits(b"".join(digits))

    async def _by_words(self, key: k.Body | k.Text | k.Header, among: int) -> int:
        """A key that stands in the question again and again is asked about each message once."""
        known, found = self._repeated.get(key, (0, 0))
        if missing := among & ~known:
            if isinstance(key, k.Header):
                found |= await (self._by_headers(key, missing) if self._headers.are_many else self._by_header(key, missing))
            else:
                found |= await self._by_text(key.needle, missing, headers=isinstance(key, k.Text))
        if key in self._repeated:
            self._repeated[key] = known | missing, found
        return among & found

    async def _by_text(self, needle: str, among: int, *, headers: bool) -> int:
        """The mailbox may have an index, and bounds what it reads by itself."""
        mailbox, text = self.view.mailbox, folded(needle)
        return await self._asked(among, lambda uids: mailbox.text_search(uids, text, headers))

    async def _by_header(self, key: k.Header, among: int) -> int:
        mailbox, text = self.view.mailbox, folded(key.needle)
        return await self._asked(among, lambda uids: mailbox.header_search(uids, key.name, text))

    async def _by_headers(self, key: k.Header, among: int) -> int:
        """All HEADER keys of the question are looked for in whatever header this one needs, once."""
        tests = self._headers
        if key not in tests.found:  # FUZZY asks for words of its own
            return await self._by_header(key, among)
        missing = among & ~tests.known
        uids: list[set[int]] = [set() for _ in tests.found]
        wanted = await self.uids_by_stretch(missing)
        for start in range(0, len(wanted), HEAVY):
            block = wanted[start : start + HEAVY]
            for first, last in await portions(self.view.mailbox, block, (Column.HEADER,)):
                rows = await self.view.mailbox.rows(block[first:last], (Column.HEADER,))
                for known, more in zip(uids, await self.client.service.threads.run(tests.fitting, rows), strict=True):
                    known |= more
                self.examined += last - first
                await self.rest(len(rows) * 200)
        for one, fitting in zip(tests.found, uids, strict=True):
            tests.found[one] |= self.places.of_uids(fitting, self.uids)
            await self.rest(self.places.count)
        tests.known |= missing
        return among & tests.found[key]

    async def _by_identifier(self, column: Column, identifier: str, among: int) -> int:
        async def with_identifier(uids: array[int]) -> set[int]:
            fitting: set[int] = set()
            for start in range(0, len(uids), HEAVY):
                rows = await self.view.mailbox.rows(uids[start : start + HEAVY], (column,))
                fitting.update(uid for uid, value in rows if value == identifier)
                await self.rest(len(rows) * 200)
            return fitting

        return await self._asked(among, with_identifier)

    def _modseqs_now(self) -> array[int]:
        if self._modseqs is None:
            of = self.view.aligned_modseqs if self._positions is None else self.view.modseqs_of
            self._modseqs = of(self.uids[: self.places.count])
        return self._modseqs

    async def _by_modseq(self, least: int) -> int:
        modseqs, digits = self._modseqs_now(), []
        for start in range(0, len(modseqs), places.STRETCH):
            digits.append(bytes(map(least.__le__, modseqs[start : start + places.STRETCH])).translate(places.DIGITS))
            await self.rest(10 * places.STRETCH)
        return self.existing & self.places.of_digits(b"".join(digits))

    @property
    def asks_for_modseqs(self) -> bool:
        return k.mentions(self._key, k.ModSeq)

    async def highest_modseq(self, found: int) -> int:
        """The highest modification sequence at the places *found*; 0 for none."""
        modseqs, highest, at = self._modseqs_now(), 0, 0
        while at < self.places.count:
            digits, stop = self.places.stretch(found, at)
            highest = max([highest, *places.chosen(digits, modseqs[at:stop])])
            await self.rest(10 * (stop - at))
            at = stop
        return highest

    # ----- columns

    async def _by_column(self, test: ColumnTest, among: int) -> int:
        if test.column not in self._tests:
            self._tests[test.column] = [(scale, bytearray([UNKNOWN]) * self.places.count) for scale in self._scales(test.column)]
        scale, steps = next(pair for pair in self._tests[test.column] if _is_on(test, pair[0]))
        known = self.places.of_digits(steps.translate(_IS_KNOWN))
        await self._learn(test, scale, steps, among & ~known)
        await self.rest(3 * self.places.count)
        return self.places.of_digits(steps.translate(scale.table(test.interval)))

    def _scales(self, column: Column) -> list[Scale]:
        """Scales with the borders of all intervals that the question asks of *column*; an interval's ends are on one of them."""
        scales: list[set[float]] = [set()]
        for test in filter(None, (test_of(key, self._now) for key in leaves(self._key))):
            if test.column is column:
                if len(scales[-1] | set(test.interval)) > MOST_BORDERS:
                    scales.append(set())
                scales[-1] |= set(test.interval)
        return [Scale(borders) for borders in scales]

    async def _learn(self, test: ColumnTest, scale: Scale, steps: bytearray, missing: int) -> None:
        """Find the steps of the places *missing*."""
        at = 0
        mailbox, value, uids = self.view.mailbox, test.value, self.uids
        together = HEAVY if test.column in (Column.HEADER, Column.SAVEDATE) else LIGHT
        while missing and at < self.places.count:
            digits, stop = self.places.stretch(missing, at)
            wanted = places.chosen(digits, self.uids[at:stop])
            for start in range(0, len(wanted), together):
                block = wanted[start : start + together]
                for first, last in await portions(mailbox, block, (test.column,)):
                    rows = await mailbox.rows(block[first:last], (test.column,))
                    found = scale.steps([value(entry) for _, entry in rows])
                    at = bisect_left(uids, block[first], at)
                    if len(rows) == last - first and uids[at : at + len(rows)] == block[first:last]:
                        steps[at : at + len(rows)] = found
                    else:
                        for (uid, _), step in zip(rows, found, strict=True):
                            at = bisect_left(uids, uid, at)
                            steps[at] = step
                    self.examined += last - first
                    await self.rest(len(rows) * (1000 if together == HEAVY else 200))
            at = stop


_IS_KNOWN = b"1" * UNKNOWN + b"0"


def _is_on(test: ColumnTest, scale: Scale) -> bool:
    return all(end in scale.borders for end in test.interval)


def leaves(key: k.Key) -> Iterator[k.Key]:
    """The keys in *key* that hold no others."""
    waiting: list[Any] = [key]
    while waiting:
        match waiting.pop():
            case k.And(keys):
                waiting += keys
            case k.Or(left, right):
                waiting += (left, right)
            case k.Not(inner) | k.Fuzzy(inner):
                waiting.append(inner)
            case leaf:
                yield leaf


def _cost(key: k.Key) -> int:
    """What a key costs: 0 arrays, 1 a small column, 2 headers, 3 bodies; shapes as much as their dearest."""
    return max(map(_cost_of_leaf, leaves(key)), default=0)


def _cost_of_leaf(key: k.Key) -> int:
    match key:
        case k.Body() | k.Text():
            return 3
        case k.Header() | k.SentBefore() | k.SentOn() | k.SentSince() | k.EmailId() | k.ThreadId():
            return 2
    return 1 if test_of(key, 0.0) is not None else 0
