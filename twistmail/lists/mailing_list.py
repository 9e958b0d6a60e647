"""One mailing list: who is on it, who may write to it, and what becomes of a member whose mail comes back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, TypeVar

from twistmail import tasks
from twistmail.interfaces import Unavailable
from twistmail.lists import notes, rights
from twistmail.lists.book import Book
from twistmail.lists.names import Role, address_of, called
from twistmail.lists.notes import FRESH, Note
from twistmail.lists.tokens import BOUNCE, LEAVE, Given, Tokens
from twistmail.mail.address import Address, parse
from twistmail.mail.envelope import Transaction
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.options import Settings

T = TypeVar("T")
#: The source of those of whom the book says so.
IN_BOOK = "book"


@frozen
class Member:
    """Somebody on a list. `origin` says where that is written, `note` what the book knows of him."""

    address: Address
    origin: str
    note: Note = FRESH

    @property
    def key(self) -> str:
        """What he is called in the book."""
        return str(self.address.folded)


@frozen
class Tools:
    """What all lists work with: `threads` (tasks.Threads) read the book, `epoch` tells POSIX seconds, `url` is where pages are.

    `local`: the domains whose users log in before they write.
    """

    book: Book
    tokens: Tokens
    threads: Any
    epoch: Callable[[], float]
    url: str = ""
    local: Container[str] = ()


class MailingList:
    """The list *name* (with its domain, folded), by its *settings*. *sources* as in `lists.sources`; *origin*: where it is written."""

    def __init__(
        self, name: Address, settings: Settings, sources: Sequence[Any], tools: Tools, *, in_book: bool = True, origin: str = ""
    ) -> None:
        self.name = name
        self.settings = settings
        self.tools = tools
        self.origin = origin
        self.in_book = in_book
        self._sources = tuple(sources)
        #: What was given out; asked by `whose`, which knows too what an earlier process has given.
        self.given = Given(tools.tokens, name, (LEAVE, BOUNCE))
        self._seen: list[dict[str, Address]] | None = None
        self._turn = tasks.Limit(1)
        self.owners = tuple(_whole(one, name.domain) for one in settings.owners)
        self._posters = frozenset((*self.owners, *(_whole(one, name.domain) for one in settings.posters)))

    def address(self, role: Role, token: str = "") -> Address:
        """One of its addresses."""
        return address_of(self.name, role, token)

    # ----- who is on it

    async def members(self) -> list[Member]:
        """Everybody, in the order of the sources, with who is suspended. Raises Unavailable."""
        known = await self.ask(self.tools.book.notes, self.name)
        listed = [(source.origin, await source.addresses()) for source in self._sources]
        found: list[Member] = await self.tools.threads.run(_together, listed, known, in_book=self.in_book)
        return found

    async def member(self, address: Address) -> Member | None:
        """Who has that address; None where nobody on the list does. Raises Unavailable."""
        key = str(address.folded)
        note = await self.ask(self.tools.book.note, self.name, key) or FRESH
        if note.left:
            return None
        for source in self._sources:
            if (listed := (await source.addresses()).get(key)) is not None:
                return Member(listed, source.origin, note)
        return Member(address.folded, IN_BOOK, note) if self.in_book and note.subscribed else None

    async def whose(self, token: str, purpose: str) -> Address | None:
        """Who was given *token*: one who is or was on the list; None for a stranger's. Raises Unavailable.

        All tokens are made once, and those of a source again when that has changed: whoever guesses costs us nothing.
        """
        if not self.tools.tokens.is_one(token):
            return None
        async with self._turn:
            listed = [await source.addresses() for source in self._sources]
            new = [addresses for addresses in listed if not any(addresses is one for one in self._seen or ())]
            if self._seen is None:
                known = await self.ask(self.tools.book.notes, self.name)
                await self.tools.threads.run(lambda: self.given.add(map(parse, known)))
            if new:
                await self.tools.threads.run(lambda: self.given.add(chain.from_iterable(one.values() for one in new)))
            self._seen = listed
        return self.given.whose(purpose, token)

    # ----- who may write

    async def objection(self, post: rights.Post) -> Status | None:
        """Why *post* is not taken; None where it is. Raises Unavailable."""
        if (status := rights.objection(self.name, post, self.settings.max_size)) is not None:
            return status
        if self.settings.local_writers == "login" and any(domain in self.tools.local for domain in post.claimed):
            return rights.LOG_IN
        if self.settings.post == "anyone":
            return None
        if self.settings.post == "owners":
            return None if any(self._may_always(one) and self._is_sure(one, post) for one in post.writers) else rights.OWNERS_ONLY
        for one in post.writers:
            if self._may_always(one) or await self.member(one) is not None:
                return None
        return rights.MEMBERS_ONLY

    def _is_sure(self, writer: Address, post: rights.Post) -> bool:
        """Whether *post* is from *writer* for certain, or the operator says that he is to be believed."""
        return bool(post.account) or (self.settings.local_writers == "header" and writer.domain in self.tools.local)

    def _may_always(self, writer: Address) -> bool:
        return writer in self._posters or Address("", writer.domain) in self._posters

    # ----- changes

    async def subscribe(self, address: Address) -> None:
        """From now on he is a member, with nothing held against him."""
        note = await self.ask(self.tools.book.note, self.name, str(address.folded)) or FRESH
        since = note.since or self.tools.epoch()
        await self.note(address, replace(notes.resumed(note), subscribed=True, left=False, since=since))

    async def unsubscribe(self, address: Address) -> None:
        """He is none, whatever the sources say."""
        note = await self.ask(self.tools.book.note, self.name, str(address.folded)) or FRESH
        await self.note(address, replace(notes.resumed(note), subscribed=False, left=True))

    async def bounced(self, address: Address, why: str) -> bool:
        """Mail for him came back; whether he is suspended by that. Raises Unavailable."""
        found = await self.member(address)
        if found is None:
            return False
        after = notes.after_bounce(found.note, self.tools.epoch(), why, self.settings)
        if after != found.note:
            await self.note(found.address, after)
        return bool(after.suspended) and not found.note.suspended

    def due(self, members: Iterable[Member]) -> list[Member]:
        """Those of *members* who get what is sent now; `sent` hears of them when that is certain."""
        now = self.tools.epoch()
        return [one for one in members if notes.at_post(one.note, now, self.settings)[0]]

    async def sent(self, members: Iterable[Member]) -> None:
        """A message goes to *members*, who were due; the book hears whose suspension changes by that. Raises Unavailable."""
        suspended = [one.key for one in members if one.note.suspended]
        if not suspended:
            return
        known, now = await self.ask(self.tools.book.notes, self.name), self.tools.epoch()  # he may have left since
        standing = [(key, known[key], notes.at_post(known[key], now, self.settings)[1]) for key in suspended if key in known]
        changed = [(key, after) for key, before, after in standing if after is not before]
        if changed:
            await self.ask(self.tools.book.keep, self.name, changed)

    async def note(self, address: Address, note: Note) -> None:
        """From now on this is known of him. Raises Unavailable."""
        await self.ask(self.tools.book.keep, self.name, [(str(address.folded), note)])

    async def ask(self, function: Callable[..., T], *arguments: Any) -> T:
        """What a *function* of the book says. Raises Unavailable where it cannot now."""
        try:
            return await self.tools.threads.run(function, *arguments)  # type: ignore[no-any-return]
        except (sqlite3.Error, OSError) as trouble:
            raise Unavailable(f"the book of lists: {trouble}") from trouble


def _together(listed: Iterable[tuple[str, dict[str, Address]]], known: dict[str, Note], *, in_book: bool) -> list[Member]:
    """Those who are *listed* (origin, address by name), and those of whom the book says so; each once, and nobody who has left."""
    found: dict[str, Member] = {}
    for origin, addresses in listed:
        for key, address in addresses.items():
            note = known.get(key, FRESH)
            if not note.left and key not in found:
                found[key] = Member(address, origin, note)
    if in_book:
        for key, note in known.items():
            if note.subscribed and key not in found:
                found[key] = Member(parse(key), IN_BOOK, note)
    return list(found.values())


def _whole(address: Address, domain: str) -> Address:
    return address if address.domain else Address(address.local, domain)


class Lists:
    """All lists of the house, by their addresses. *notes*: what is let in at the door is noted in the book."""

    def __init__(self, lists: Iterable[MailingList], tools: Tools, *, notes: bool = True) -> None:
        self._lists = {one.name: one for one in lists}
        self.tools = tools
        self._notes = notes

    def aside(self) -> Lists:
        """The same, for questions about mail that nobody has sent: what would be let in is not noted."""
        return Lists(self, self.tools, notes=False)

    def __iter__(self) -> Any:
        return iter(self._lists.values())

    def __len__(self) -> int:
        return len(self._lists)

    def __contains__(self, name: object) -> bool:
        return name in self._lists

    def get(self, name: Address) -> MailingList | None:
        """The list called *name* (folded, with its domain)."""
        return self._lists.get(name)

    async def objection(self, way: str, transaction: Transaction) -> Status | None:
        """Why what *transaction* brings is not taken by the address *way* of a list; None where it is. Raises Unavailable."""
        call = called(parse(way).folded, self)
        one = self.get(call.name) if call is not None else None
        if call is None or one is None or call.role is not Role.POST:
            return None
        account, content = transaction.account, transaction.content
        names = (account.name, *account.addresses) if account else ()
        status = await one.objection(rights.Post(transaction.sender, transaction.header, content.size if content else 0, names))
        if status is None and self._notes:
            await one.ask(self.tools.book.let_in, transaction.id, one.name, self.tools.epoch())
        return status
