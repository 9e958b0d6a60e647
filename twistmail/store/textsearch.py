"""Searching one mailbox for a text: by the full-text index as far as it goes, the rest by reading; and filling the index.

An account's index begins with its first search for a text, as Dovecot's does:
most mailboxes are never searched at the server, and theirs would be room and work
for nothing. A search gives what it has read to the index. What comes later is
added in the background while somebody has the mailbox open, and never takes more
than half of the time of one thread.

One search has one thread at a time, for a piece of work that is bounded; the
account's database is asked by one at a time, and reading is limited over all
accounts (`Workshop.readers`). So nobody keeps the threads from others.
"""

from __future__ import annotations

import sqlite3
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, chain
from typing import Any, Protocol, TypeVar

from twisted.logger import Logger

from twistmail import tasks
from twistmail.store import searching
from twistmail.store.contents import StoredContent
from twistmail.store.fulltext import Answer, FullText, Place
from twistmail.store.searching import Sought, Texts
from twistmail.store.workshop import Workshop

log = Logger()
T = TypeVar("T")

#: Messages that the index is asked about in one go.
ASKED_TOGETHER = 50_000
#: Messages, and octets of them, that are read in one go: some ten milliseconds.
READ_TOGETHER = 100
OCTETS_TOGETHER = 4 * 1024 * 1024
#: Seconds before what has come, or was found on opening, is added.
FILL_AFTER = 2.0
#: Seconds for which an index is left alone that could not be used.
LEFT_ALONE = 10.0
#: Seconds that filling rests at most after each piece.
LONGEST_REST = 5.0


_NOTHING = Answer(0, set(), set())


class Searched(Protocol):
    """A mailbox, as it is searched."""

    uidvalidity: int
    gone: bool

    @property
    def uids(self) -> array[int]: ...

    @property
    def is_watched(self) -> bool: ...

    async def read(self, uids: Sequence[int]) -> list[tuple[int, StoredContent]]: ...

    def sizes_of(self, uids: Sequence[int]) -> Sequence[int]: ...

    def before(self, uids: Sequence[int]) -> int | None: ...


class TextIndex:
    """The full-text index of an account, for coroutines; what goes wrong with it costs time only."""

    def __init__(self, index: FullText, workshop: Workshop) -> None:
        self.index = index
        self.closed = False
        self._workshop = workshop
        self._failed = -LEFT_ALONE
        self._turn = tasks.Limit(1)

    async def ask(self, function: Callable[..., T], *args: Any) -> T | None:
        """What the method *function* of the index says; None where the index cannot be used."""
        async with self._turn:
            if self.closed or not self._workshop.fulltext or 0 <= self._workshop.now() - self._failed < LEFT_ALONE:
                return None
            try:
                return await self._workshop.threads.run(function, *args)
            except (sqlite3.Error, OSError) as error:
                log.warn("{path} cannot be used: {error}", path=self.index.path, error=error)
                self._failed = self._workshop.now()
                return None

    def close(self) -> None:
        """For good."""
        self.closed = True
        self.index.close()


class TextSearch:
    """See the module note. One for each mailbox in memory."""

    def __init__(self, mailbox: Searched, directory: str, texts: TextIndex, workshop: Workshop) -> None:
        self._mailbox = mailbox
        self._directory = directory
        self._texts = texts
        self._workshop = workshop
        self._filling = False
        self._swept = False
        self._is_indexed = True  # as far as we know
        self._lacking: set[int] | None = None  # below what is complete, and not there

    @property
    def _place(self) -> Place:
        return Place(self._directory, self._mailbox.uidvalidity)

    # ----- searching

    async def search(self, uids: Sequence[int], needle: str, *, headers: bool) -> set[int]:
        """Those of *uids* (existing ones, ascending) that hold *needle*. OSError where a file that must be read cannot be."""
        what = searching.sought(needle, headers=headers)
        if self._lacking is None:
            self._lacking = await self._looked_over()
        found: set[int] = set()
        unsure: list[int] = []
        beyond: list[int] = []
        for start in range(0, len(uids), ASKED_TOGETHER):
            some = uids[start : start + ASKED_TOGETHER]
            answer = await self._asked(some, what)
            found |= answer.hits
            unsure += sorted(answer.unsure)
            beyond += some[bisect_right(some, answer.complete) :]
        for together in chain(self._pieces(unsure), self._pieces(beyond)):
            found |= await self._look(together, what)
        self._is_indexed = True
        self.fill_soon()
        return found

    async def _asked(self, uids: Sequence[int], what: Sought) -> Answer:
        """What the index says of *uids*."""
        if self._lacking is None:
            return _NOTHING
        answer = await self._texts.ask(self._texts.index.search, self._place, uids[0], uids[-1], what)
        if answer is None:
            return _NOTHING
        unsure = answer.unsure | self._lacking
        return Answer(answer.complete, answer.hits and answer.hits.intersection(uids), unsure and unsure.intersection(uids))

    async def _looked_over(self) -> set[int] | None:
        """What the index lacks although it should have it. Only at the first search: while we see to the mailbox, that does not happen."""
        lacking: set[int] = set()
        uids = self._mailbox.uids
        for start in range(0, len(uids), ASKED_TOGETHER):
            some = await self._texts.ask(self._texts.index.lacking, self._place, uids[start : start + ASKED_TOGETHER])
            if some is None:
                return None
            lacking |= some
        return lacking

    async def _look(self, uids: Sequence[int], what: Sought) -> set[int]:
        """Those of *uids* that hold *what*, by reading; what was read is given to the index."""
        before = self._mailbox.before(uids)
        contents = await self._mailbox.read(uids)
        async with self._workshop.readers:
            if before is None or not self._workshop.fulltext:
                return await self._workshop.threads.run(searching.matching, contents, what)
            found, texts = await self._workshop.threads.run(searching.matching_and_texts, contents, what)
        await self._add(before, uids[-1], texts)
        return found

    def _pieces(self, uids: Sequence[int]) -> Iterator[Sequence[int]]:
        """*uids* in pieces that are read in one go."""
        start = 0
        while start < len(uids):
            some = uids[start : start + READ_TOGETHER]
            sums = list(accumulate(self._mailbox.sizes_of(some)))
            some = some[: max(bisect_right(sums, OCTETS_TOGETHER), 1)]
            yield some
            start += len(some)

    # ----- filling

    def fill_soon(self) -> None:
        """The index may lack messages of this mailbox: add them, if it has the mailbox at all and somebody looks at it."""
        if self._workshop.fulltext and self._is_indexed and self._is_wanted and not self._filling:
            self._filling = True
            tasks.start(self._fill(), f"full-text index of {self._directory!r}")

    @property
    def _is_wanted(self) -> bool:
        return self._mailbox.is_watched and not self._mailbox.gone and not self._texts.closed

    async def _fill(self) -> None:
        try:
            await self._workshop.pause(FILL_AFTER)
            complete = await self._texts.ask(self._texts.index.complete, self._place)
            self._is_indexed = complete is not None
            while complete is not None and self._is_wanted:
                started = self._workshop.now()
                uids = self._mailbox.uids
                missing = uids[(at := bisect_right(uids, complete)) : at + READ_TOGETHER]
                if not missing:
                    break
                complete = await self._fill_in(next(self._pieces(missing)))
                await self._rest(started)
            if complete is not None and not self._swept:
                await self._sweep()
        finally:
            self._filling = False

    async def _fill_in(self, uids: Sequence[int]) -> int | None:
        """Add the texts of *uids*, all that follow what is complete; up to where it is now."""
        before = self._mailbox.before(uids)
        contents = await self._mailbox.read(uids)
        async with self._workshop.readers:
            texts = await self._workshop.threads.run(searching.all_texts, contents)
        return await self._add(before or 0, uids[-1], texts)

    async def _add(self, before: int, upto: int, texts: Sequence[tuple[int, Texts]]) -> int | None:
        if self._mailbox.gone:
            return None
        return await self._texts.ask(self._texts.index.add, self._place, before, upto, texts)

    async def _rest(self, started: float) -> None:
        """As long as the work has taken since *started*, by the clock of the day, which may jump."""
        await self._workshop.pause(min(max(self._workshop.now() - started, 0.0), LONGEST_REST))

    async def _sweep(self) -> None:
        """Once for each time that the mailbox is in memory: remove what has gone."""
        self._swept = True
        above: int | None = 0
        while above is not None and self._is_wanted:
            started = self._workshop.now()
            above = await self._texts.ask(self._texts.index.sweep, self._place, above, self._mailbox.uids)
            await self._rest(started)
        strays: bool | None = True
        while strays and self._is_wanted:
            started = self._workshop.now()
            strays = await self._texts.ask(self._texts.index.sweep_strays)
            await self._rest(started)
