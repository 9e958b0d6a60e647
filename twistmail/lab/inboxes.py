"""Everybody's mail in one list, read from the stores of the offices that are on: what the inbox page and the JSON API show.

A message has an id which people can read and which stays the same while it lies where it lies:
`blue-alice-INBOX-7` (office, person, mailbox, UID). Somebody who looks at a message here has read it, as if by
IMAP: it loses its mark, and the office says so (`facts.Read`, service "web").
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from twistmail.facts import Fact, Read
from twistmail.lab.letter_place import Place, place_of
from twistmail.lab.letter_rows import Row
from twistmail.lab.letter_search import Wanted, parse
from twistmail.lab.offices import Office
from twistmail.mail import headers
from twistmail.mail.mailbox import Column, Flag, FlagChange, NoSuchMailbox
from twistmail.mail.values import frozen
from twistmail.web import letters

EVERYONE = "everyone"
#: Messages of one mailbox that are looked at, the newest; and those that a search goes through.
MOST_OF_ONE, MOST_SEARCHED = 5000, 2000
#: Rows that are asked of a mailbox at a time (`IMailbox.rows`).
SMALL, WHOLE = 2000, 200
_OURS = re.compile(rb"\bid ([0-9a-z]{6}-[0-9a-z]{4})\b")


class Away(Exception):
    """The office is off: nobody can get at mail there now. *is_told*: whether one may know why (`secret`)."""

    def __init__(self, office: str, *, is_told: bool = True) -> None:
        why = f"The office {office} is off. Its mail is safe on its disk, and is here again when it is on."
        super().__init__(why if is_told else "This mail cannot be read now.")
        self.office = office


@frozen
class Owner:
    """Somebody with mailboxes; `unread`: messages in his INBOX, None where nobody can tell, for his office is off."""

    account: str
    office: str
    unread: int | None


@frozen
class Listing:
    """`rows`, the newest first, of `matching` (`matching_unread`) that fit; `total` and `unread` are there in all.

    `away`: the offices that are off; `lacks`: mail of one is missing that is to be found, and therefore not named.
    """

    rows: tuple[Row, ...]
    matching: int
    matching_unread: int
    total: int
    unread: int
    away: tuple[str, ...]
    lacks: bool = False


@frozen
class _Head:
    place: Place
    arrived: float
    is_read: bool


class Inboxes:
    """*offices*: those of the town; *service*(name): the MailService of one, None while it is off; *seems_on*(name): whether people shall
    think that it is on (`secret`), by default where it is."""

    def __init__(
        self, offices: Callable[[], Sequence[Office]], service: Callable[[str], Any], seems_on: Callable[[str], bool] | None = None
    ) -> None:
        self._offices = offices
        self._service = service
        self._seems_on = seems_on or (lambda name: service(name) is not None)

    async def owners(self) -> tuple[Owner, ...]:
        """Everybody, by office."""
        return tuple([Owner(account, office.name, await self._unread(office, account))
                      for office in self._offices() for account in office.accounts])  # fmt: skip

    async def _unread(self, office: Office, account: str) -> int | None:
        service = self._service(office.name)
        if service is None:
            return None
        boxes = await service.foundation.store.peek(account)
        return (await boxes.status("INBOX")).unseen if boxes is not None else 0

    async def listing(self, who: str = EVERYONE, query: str = "", start: int = 0, limit: int = 50) -> Listing:
        """What *who* (an account, or EVERYONE) has, as far as *query* wants it."""
        heads, off = await self._heads(who)
        away = tuple(name for name in off if not self._seems_on(name))
        lacks = len(away) < len(off)
        heads.sort(key=lambda head: (-head.arrived, -head.place.uid, head.place.id))
        wanted = parse(query)
        unread = sum(not head.is_read for head in heads)
        if not wanted.terms:
            rows = await self._rows(heads[start : start + limit])
            return Listing(tuple(rows), len(heads), unread, len(heads), unread, away, lacks)
        rows = [row for row in await self._rows(heads[:MOST_SEARCHED]) if wanted.fits(row)]
        rows = await self._with_words(rows, wanted)
        found = tuple(rows[start : start + limit])
        return Listing(found, len(rows), sum(not row.is_read for row in rows), len(heads), unread, away, lacks)

    async def row(self, place: Place) -> Row | None:
        """None: it is not there any more. Raises Away."""
        found = await self._in(place, lambda mailbox: _read_flag(mailbox, place.uid))
        rows = await self._rows([_Head(place, 0.0, found)]) if found is not None else []
        return rows[0] if rows else None

    async def content(self, place: Place) -> bytes | None:
        """The octets of a message, CRLF line ends; None: it is not there any more. Raises Away. Nobody has read it by that."""
        found = await self._in(place, lambda mailbox: mailbox.load([place.uid]))
        return bytes(found[0][1]) if found else None

    async def think(self, place: Place, work: Callable[..., Any], *given: Any) -> Any:
        """*work*(*given*) in a thread of the office's. Raises Away."""
        return await self._on(place.office).foundation.threads.run(work, *given)

    async def mark(self, places: Iterable[Place], *, read: bool) -> None:
        """As read, which is told, or as unread. Offices that are off are passed over."""
        change = FlagChange.ADD if read else FlagChange.REMOVE

        async def store(mailbox: Any, uids: list[int]) -> list[int]:
            changed, _ = await mailbox.store(uids, change, ("\\Seen",))
            return [int(uid) for uid in changed]

        for place, changed in await self._each(places, store):
            if read and changed:
                self._tell_read(place, changed)

    def _tell_read(self, place: Place, uids: Sequence[int]) -> None:
        foundation = self._on(place.office).foundation
        if foundation.facts.listened:
            said = Read("web", place.account, place.mailbox, ",".join(map(str, uids)))
            foundation.facts.tell(Fact(foundation.ground.epoch(), "web", said))

    async def delete(self, places: Iterable[Place]) -> int:
        """For good; how many there were. Offices that are off are passed over."""

        async def expunge(mailbox: Any, uids: list[int]) -> int:
            return len(await mailbox.expunge(uids))

        return sum(count for _, count in await self._each(places, expunge))

    async def all(self, query: str = "") -> list[Place]:
        """Where everything lies that *query* wants; of a search the newest MOST_SEARCHED are looked at."""
        if not query:
            return [head.place for head in (await self._heads(EVERYONE))[0]]
        return [row.place for row in (await self.listing(EVERYONE, query, 0, MOST_SEARCHED)).rows]

    def place(self, identifier: str) -> Place | None:
        """What *identifier* (`Place.id`) means, there or not; None: it is none."""
        place = place_of(identifier, {office.name: office.domain for office in self._offices()})
        known = {account for office in self._offices() for account in office.accounts}
        return place if place is not None and place.account in known else None

    # ----- at the stores

    def _on(self, office: str) -> Any:
        service = self._service(office)
        if service is None:
            raise Away(office, is_told=not self._seems_on(office))
        return service

    async def _in(self, place: Place, work: Callable[[Any], Awaitable[Any]]) -> Any:
        """What *work*(mailbox) gives; None where there is no such mailbox. Raises Away."""
        boxes = await self._on(place.office).foundation.store.peek(place.account)
        if boxes is None:
            return None
        try:
            mailbox = await boxes.open(place.mailbox)
        except NoSuchMailbox:
            return None
        try:
            return await work(mailbox)
        finally:
            mailbox.close()

    async def _each(self, places: Iterable[Place], work: Callable[[Any, list[int]], Awaitable[Any]]) -> list[tuple[Place, Any]]:
        """(One of its places, what *work*(mailbox, uids) has given) of each mailbox that is there."""
        done = []
        for place, uids in _by_mailbox(places):
            if self._service(place.office) is not None:
                result = await self._in(place, lambda mailbox, uids=uids: work(mailbox, uids))  # type: ignore[misc]
                if result is not None:
                    done.append((place, result))
        return done

    async def _heads(self, who: str) -> tuple[list[_Head], tuple[str, ...]]:
        """And the names of the offices that are off."""
        heads: list[_Head] = []
        off = []
        for office in self._offices():
            service = self._service(office.name)
            if service is None:
                off.append(office.name)
                continue
            for account in office.accounts:
                if who in (EVERYONE, account):
                    heads += await self._of_account(service.foundation.store, office.name, account)
        return heads, tuple(off)

    async def _of_account(self, store: Any, office: str, account: str) -> list[_Head]:
        boxes = await store.peek(account)
        if boxes is None:
            return []
        names = [folder.name for folder in await boxes.folders() if folder.selectable]
        heads: list[_Head] = []
        for name, status in (await boxes.statuses(names[:100])).items():
            if status.messages:
                place = Place(office, account, name, 0)
                heads += await self._in(place, lambda mailbox, place=place: _dated(mailbox, place)) or []  # type: ignore[misc]
        return heads

    async def _rows(self, heads: Sequence[_Head]) -> list[Row]:
        """In the order of *heads*, without what has gone meanwhile."""
        told = {head.place: head for head in heads}
        found: dict[Place, Row] = {}
        for place, uids in _by_mailbox(told):
            if self._service(place.office) is None:
                continue
            raw = await self._in(place, lambda mailbox, uids=uids: _whole(mailbox, uids)) or []  # type: ignore[misc]
            for row in await self.think(place, _rows_of, place, raw, told):
                found[row.place] = row
        return [found[head.place] for head in heads if head.place in found]

    async def _with_words(self, rows: list[Row], wanted: Wanted) -> list[Row]:
        """Those of *rows* whose messages hold the words of *wanted*."""
        for term in wanted.words:
            having: set[Place] = set()
            for place, uids in _by_mailbox(row.place for row in rows):
                search = lambda mailbox, uids=uids, word=term.wanted: mailbox.text_search(uids, word, True)  # noqa: E731
                hits = await self._in(place, search) or ()
                having |= {Place(place.office, place.account, place.mailbox, uid) for uid in hits}
            rows = [row for row in rows if (row.place in having) is not term.excludes]
        return rows


def journey_of(message: bytes) -> str:
    """The id that the first server of ours has given to *message*, by its Received fields (the oldest is the lowest); "": none."""
    found = [match[1] for value in headers.values(headers.split(message)[0], b"received") if (match := _OURS.search(value[:2000]))]
    return found[-1].decode() if found else ""


def _by_mailbox(places: Iterable[Place]) -> Iterator[tuple[Place, list[int]]]:
    def mailbox(place: Place) -> tuple[str, str, str]:
        return place.office, place.account, place.mailbox

    for _, group in groupby(sorted(places, key=lambda place: (*mailbox(place), place.uid)), mailbox):
        members = list(group)
        yield members[0], [place.uid for place in members]


async def _read_flag(mailbox: Any, uid: int) -> bool | None:
    seen = next((bits & Flag.SEEN for one, bits in zip(mailbox.uids, mailbox.bits, strict=True) if one == uid), None)
    return None if seen is None else bool(seen)


async def _dated(mailbox: Any, place: Place) -> list[_Head]:
    uids = list(mailbox.uids[-MOST_OF_ONE:])
    seen = {uid: bool(bits & Flag.SEEN) for uid, bits in zip(uids, mailbox.bits[-MOST_OF_ONE:], strict=True)}
    rows = [row for at in range(0, len(uids), SMALL) for row in await mailbox.rows(uids[at : at + SMALL], (Column.INTERNALDATE,))]
    return [_Head(Place(place.office, place.account, place.mailbox, uid), arrived, seen[uid]) for uid, arrived in rows]


async def _whole(mailbox: Any, uids: Sequence[int]) -> list[Any]:
    columns = (Column.LISTED, Column.INTERNALDATE, Column.SIZE, Column.PREVIEW, Column.BODYSTRUCTURE)
    return [row for at in range(0, len(uids), WHOLE) for row in await mailbox.rows(uids[at : at + WHOLE], columns)]


def _rows_of(place: Place, raw: Sequence[Any], told: dict[Place, _Head]) -> list[Row]:
    rows = []
    for uid, listed, arrived, size, preview, structure in raw:
        where = Place(place.office, place.account, place.mailbox, uid)
        found = letters.listed(listed)
        files = structure.lower().count(b'("attachment"')
        rows.append(Row(where, told[where].is_read, **found, arrived=arrived, size=size, files=files, preview=letters.whole(preview)))
    return rows
