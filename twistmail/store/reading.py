"""What sessions read of a mailbox: columns, contents, parts of contents; searching. Sorting is in `sorting`.

Columns that never change come from the index (`descriptions`); what is not there
yet is described from the files, in a thread, and kept.
"""

from __future__ import annotations

import sqlite3
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any

from twistmail.mail.headers import LISTED
from twistmail.mail.mailbox import Column
from twistmail.mail.mime import Description
from twistmail.store import names, searching, uidlist
from twistmail.store.contents import StoredContent, load_all
from twistmail.store.descriptions import FIELDS, Descriptions, Values, values
from twistmail.store.snapshot import at
from twistmail.store.textsearch import TextSearch
from twistmail.store.view import Watcher
from twistmail.store.writing import Writing

#: Messages, and octets of messages, that are described in one go, in a thread: headers and structures are strangers' doing.
MOST_TOGETHER = 200
OCTETS_TOGETHER = 8 * 1024 * 1024
#: Big messages that are being read in pieces: where their pieces begin is remembered.
MOST_IN_PIECES = 8


class Reading(Writing):
    """See the module note."""

    def __init__(self, *args: Any) -> None:
        *rest, descriptions, texts = args
        super().__init__(*rest)
        self._texts = TextSearch(self, self._directory, texts, self._workshop)
        self._descriptions: Descriptions = descriptions
        self._in_pieces: OrderedDict[int, StoredContent] = OrderedDict()
        self._described_up_to = 0  # all messages up to this UID are described, since the index was as old as:
        self._described_in = 0

    # ----- columns

    async def rows(self, uids: Sequence[int], columns: Sequence[Column]) -> list[tuple[Any, ...]]:
        wanted = tuple(column.value for column in columns if column not in _AT_HAND)
        described: Iterator[Sequence[Any]] = iter(())
        places = self._snapshot.places(uids)
        if wanted:
            rows = await self._described_rows(self._snapshot.chosen(places), wanted)
            places = self._snapshot.places([row[0] for row in rows])
            if len(places) != len(rows):  # some have gone meanwhile
                there = set(self._snapshot.chosen(places))
                rows = [row for row in rows if row[0] in there]
            described = islice(zip(*rows, strict=True), 1, None)
        told: list[Sequence[Any]] = [self._snapshot.chosen(places)]
        for column in columns:
            told.append(_AT_HAND[column](self, places) if column in _AT_HAND else next(described, ()))
            if column is Column.SENT:
                told[-1] = self._sent(places, told[-1])
        return list(zip(*told, strict=True))

    def _sent(self, places: Sequence[int], sent: Sequence[float | None]) -> list[float]:
        """RFC 5256 §2.2: without a date of its own, a message was sent when it came."""
        dates = self._snapshot.dates
        return [dates[place] if when is None else when for place, when in zip(places, sent, strict=True)]

    def _savedates(self, places: Sequence[int]) -> list[float]:
        """The name of a file begins with the second in which it was made here (RFC 8514)."""
        dates = self._snapshot.dates
        return [names.time_of(self._base(place)) or dates[place] for place in places]

    def _previews(self, places: Sequence[int]) -> list[str | None]:
        """Those that are in the index; nobody waits for the others."""
        uids = self._snapshot.chosen(places)
        known = dict(self._descriptions.known(self._directory, uids, ("preview",))) if len(uids) and not self.gone else {}
        return [known.get(uid) for uid in uids]

    def _base(self, place: int) -> bytes:
        return names.base_of(self._path(place))

    async def _described(self, uids: Sequence[int], columns: Sequence[str]) -> Values:
        """{uid: values of *columns*}, without those whose message has gone."""
        return {row[0]: row[1:] for row in await self._described_rows(uids, columns)}

    async def _described_rows(self, uids: Sequence[int], columns: Sequence[str]) -> list[tuple[Any, ...]]:
        """(uid, values of *columns*) of *uids* (ascending), in their order, without those whose message has gone."""
        if not uids:
            return []
        known = [] if self.gone else self._descriptions.known(self._directory, uids, columns)  # there may be another mailbox by now
        if len(known) == len(uids):
            return known
        there = {row[0] for row in known}
        for together in self._portions([uid for uid in uids if uid not in there]):
            known += [(uid, *values(description, columns)) for uid, description in await self._describe(together)]
        return sorted(known, key=itemgetter(0))

    async def _describe(self, uids: Sequence[int]) -> list[tuple[int, Description]]:
        try:
            return await self._kept(uids)
        except NotKept as error:
            self._index.trouble.begins(error)
            return error.described

    async def _kept(self, uids: Sequence[int]) -> list[tuple[int, Description]]:
        """Describe *uids*, without those that have gone, and keep it. Raises NotKept."""
        work, messages = self._workshop, await self.read(uids)
        return await work.threads.run(_describe, self._descriptions, self._directory, messages, work.describe, lambda: self.gone)

    async def _describe_all(self, uids: Sequence[int]) -> None:
        """Make sure that what all of *uids* say is in the index. Raises NotKept, and other sqlite3.Errors."""
        if self._descriptions.age != self._described_in:
            self._described_in, self._described_up_to = self._descriptions.age, 0
        above = uids[bisect_right(uids, self._described_up_to) :]
        if not len(above):
            return
        missing = await self._workshop.threads.run(self._descriptions.missing, self._directory, above)
        for together in self._portions(missing):
            await self._kept(together)
        first, last = bisect_right(self.uids, self._described_up_to), bisect_right(self.uids, above[-1])
        present = self.uids[first:last]
        if above == present or set(above).issuperset(present):  # some may have come or gone meanwhile
            self._described_up_to = above[-1]

    def _portions(self, uids: Sequence[int]) -> Iterator[list[int]]:
        """*uids* in pieces that may be in memory at once."""
        together: list[int] = []
        octets = 0
        for uid in uids:
            place = self._snapshot.place(uid)
            size = self._snapshot.sizes[place] if place >= 0 else 0
            if together and (len(together) == MOST_TOGETHER or octets + size > OCTETS_TOGETHER):
                yield together
                together, octets = [], 0
            together.append(uid)
            octets += size
        if together:
            yield together

    # ----- contents

    async def read(self, uids: Sequence[int]) -> list[tuple[int, StoredContent]]:
        snapshot = self._snapshot
        return [(snapshot.uids[p], StoredContent(self._where(p), snapshot.sizes[p])) for p in snapshot.places(uids)]

    async def load(self, uids: Sequence[int]) -> list[tuple[int, bytes]]:
        return await self._workshop.threads.run(load_all, await self.read(uids))

    async def unique_ids(self) -> dict[int, bytes]:
        return await self._workshop.threads.run(uidlist.pop3_ids, self.maildir.path)

    async def span(self, uid: int, start: int, length: int) -> bytes | None:
        content = self._in_pieces.pop(uid, None)
        place = self._snapshot.place(uid)
        if place < 0:
            return None
        content = (content or StoredContent(self._where(place), self._snapshot.sizes[place])).at(self._where(place))
        self._in_pieces[uid] = content
        if len(self._in_pieces) > MOST_IN_PIECES:
            self._in_pieces.popitem(last=False)
        try:
            return await self._workshop.threads.run(content.span, start, length)
        except FileNotFoundError:
            return None

    # ----- searching

    async def text_search(self, uids: Sequence[int], needle: str, headers: bool) -> set[int]:
        return await self._texts.search(self._snapshot.chosen(self._snapshot.places(uids)), needle, headers=headers)

    def watch(self, watcher: Watcher) -> None:
        super().watch(watcher)
        self._texts.fill_soon()

    def _arrivals_taken(self) -> None:
        super()._arrivals_taken()
        self._texts.fill_soon()

    @property
    def is_watched(self) -> bool:
        return bool(self._watchers)

    def sizes_of(self, uids: Sequence[int]) -> list[int]:
        """The octets of each of *uids*, 0 for one that has gone."""
        places = [self._snapshot.place(uid) for uid in uids]
        return [self._snapshot.sizes[place] if place >= 0 else 0 for place in places]

    def before(self, uids: Sequence[int]) -> int | None:
        """The UID of the message before *uids* (ascending), or 0; None where those are not neighbours."""
        first = self._snapshot.place(uids[0])
        if first < 0 or self.uids[first : first + len(uids)] != array("I", uids):
            return None
        return self.uids[first - 1] if first else 0

    async def header_search(self, uids: Sequence[int], field: str, needle: str) -> set[int]:
        wanted = self._snapshot.chosen(self._snapshot.places(uids))
        if field.lower() in FIELDS and needle and wanted:
            try:
                await self._describe_all(wanted)
                ends = (wanted[0], wanted[-1])
                found = await self._workshop.threads.run(self._descriptions.holding, self._directory, *ends, field.lower(), needle)
            except sqlite3.Error as error:
                self._index.trouble.begins(error)
            else:
                return found.intersection(wanted)
        return await self._header_search(wanted, field, needle)

    async def _header_search(self, uids: Sequence[int], field: str, needle: str) -> set[int]:
        """Field by field, in the header blocks."""
        found: set[int] = set()
        column = Column.LISTED if field.lower().encode("utf-8", "replace") in LISTED else Column.HEADER
        for together in self._portions(uids):
            headers = await self._described(together, (column.value,))
            found |= await self._workshop.threads.run(searching.with_field, headers, field, needle)
        return found


_AT_HAND: dict[Column, Callable[[Any, Sequence[int]], Sequence[Any]]] = {
    Column.SIZE: lambda mailbox, places: at(mailbox._snapshot.sizes, places),
    Column.INTERNALDATE: lambda mailbox, places: at(mailbox._snapshot.dates, places),
    Column.MODSEQ: lambda mailbox, places: at(mailbox._snapshot.modseqs, places),
    Column.SAVEDATE: lambda mailbox, places: mailbox._savedates(places),
    Column.PREVIEW_AT_HAND: lambda mailbox, places: mailbox._previews(places),
}


class NotKept(sqlite3.Error):
    """What was `described` could not be written down."""

    def __init__(self, error: sqlite3.Error, described: list[tuple[int, Description]]) -> None:
        super().__init__(*error.args)
        self.described = described


def _describe(
    descriptions: Descriptions,
    directory: str,
    messages: Sequence[tuple[int, StoredContent]],
    describe: Callable[[bytes], Description],
    is_gone: Callable[[], bool],
) -> list[tuple[int, Description]]:
    described: list[tuple[int, Description]] = []
    for uid, content in messages:
        try:
            described.append((uid, describe(content.looked_at())))
        except FileNotFoundError:
            continue
    try:
        descriptions.save(directory, described, is_gone)
    except sqlite3.Error as error:
        raise NotKept(error, described) from error
    return described
