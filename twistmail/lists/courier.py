"""The courier for lists (ICourier, Kind.LIST): what is for the members goes into the queue once more, as one new message to all.

That message has an id of its own, which follows from the id of the first, and the book knows how far it has come. So
whenever the server dies, it is sent, and sent once:

    begun in the book  ->  durable in the queue  ->  done in the book  ->  the first is delivered, as far as the queue sees it
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from twistmail import tasks
from twistmail.disk import status_of
from twistmail.interfaces import Batch, ICourier, Unavailable
from twistmail.lists import copies, letters, rights
from twistmail.lists.book import Sent
from twistmail.lists.letters import Letter
from twistmail.lists.mailing_list import Lists, MailingList, Member
from twistmail.lists.names import Call, Role, called
from twistmail.lists.requests import Request, Requests
from twistmail.lists.tokens import BOUNCE, LEAVE
from twistmail.mail import bounced
from twistmail.mail.address import Address, parse
from twistmail.mail.content import Content, Memory
from twistmail.mail.edited import Edited
from twistmail.mail.envelope import Kind, Target, Wishes
from twistmail.mail.headers import MOST, split
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Foreseen, Outcome, Result, outcome_of
from twistmail.mail.status import UNAVAILABLE, Status
from twistmail.mail.values import frozen

log = Logger()

SERVED = Status(250, "2.0.0", "The list has seen to it")
NOBODY = Status(250, "2.0.0", "Nobody on the list gets anything at the moment")
UNKNOWN = Status(550, "5.1.1", "There is no list of that name here any more")
NOBODY_HERE = "nobody here has that address"
#: Members of one list who may wait by themselves.
MOST_LATE = 100
#: So many members are looked up before the reactor gets its turn.
AT_A_TIME = 50


@frozen
class Office:
    """What the courier works with: `follow` as `Expansion.follow`, `submit` as `Runner.submit`, `is_queued` knows the items there are.

    `threads` reads contents that lie in files. `host` names us. `has_door`: all services ask who may write before they take mail.
    """

    follow: Callable[[Address], Awaitable[tuple[Target, ...]]]
    submit: Callable[[Item, Content], Awaitable[None]]
    is_queued: Callable[[str], bool]
    identifiers: Iterator[str]
    threads: Any
    clock: Any
    epoch: Callable[[], float]
    host: str
    has_door: bool = True


@implementer(ICourier)
class ListCourier:
    """For targets of Kind LIST; `way` is the address by which the list was called."""

    name = "lists"

    def __init__(self, lists: Lists, office: Office) -> None:
        self.lists = lists
        self.requests = Requests(self.write, office.host)
        self._office = office

    def recovered(self, items: Mapping[str, Item]) -> None:
        """These *items* were in the queue when the server began, before anything of it was tried. Blocking, for a moment."""
        book = self.lists.tools.book
        try:
            book.done([identifier for identifier in book.doubtful() if identifier in items])
        except (sqlite3.Error, OSError) as trouble:
            log.error("the book of lists: {trouble}", trouble=trouble)

    def batches(self, item: Item, targets: Sequence[Target]) -> tuple[Batch, ...]:
        return (Batch("", tuple(targets)),)

    async def foresee(self, item: Item, target: Target) -> Foreseen:
        call = called(parse(target.way or str(target.address)).folded, self.lists)
        one = self.lists.get(call.name) if call is not None else None
        if call is None or one is None:
            return Foreseen(f"the list {target.way}", UNKNOWN)
        if call.role is not Role.POST:
            return Foreseen(f"the list {one.name} itself, which sees to it ({call.role.name.lower()})")
        members = len(await one.members())
        if not members:
            return Foreseen(f"the list {one.name}, on which nobody is", UNAVAILABLE)
        return Foreseen(f"the {members} member{'' if members == 1 else 's'} of the list {one.name}")

    async def carry(self, item: Item, targets: Sequence[Target], content: Content) -> list[Outcome]:
        return await tasks.gather(*(self._carry(item, target, content) for target in targets))

    async def _carry(self, item: Item, target: Target, content: Content) -> Outcome:
        call = called(parse(target.way or str(target.address)).folded, self.lists)
        is_late = call is None and copies.is_copy(item.id)  # then it is a member, and no list
        call = self._sender_of(item) if is_late else call
        one = self.lists.get(call.name) if call is not None else None
        if call is None or one is None:
            return outcome_of(target, UNKNOWN, local=True)
        try:
            if is_late:
                return await self._to_latecomer(one, item, target, content)
            header = await self._header(content)
            if call.role is Role.POST:
                return await self._post(one, item, target, content, header)
            body = await self._office.threads.run(_beginning, content, len(header))
            await self.requests.serve(one, call, Request(item, header, body))
            status = SERVED
        except Unavailable as trouble:
            log.error("list {name}: {id}: {trouble}", name=str(one.name), id=item.id, trouble=str(trouble))
            status = UNAVAILABLE
        except OSError as error:
            log.error("list {name}: {id}: {error}", name=str(one.name), id=item.id, error=error)
            status = status_of(error)
        return outcome_of(target, status, f"list {one.name}", local=True)

    async def _header(self, content: Content) -> bytes:
        found: bytes = await self._office.threads.run(_header_of, content)
        return found

    # ----- to the members

    async def _post(self, one: MailingList, item: Item, target: Target, content: Content, header: bytes) -> Outcome:
        host = f"list {one.name}"
        if (refusal := await self._objection(one, item, header)) is not None:
            log.warn("list {name}: {id} is not sent: {refusal}", name=str(one.name), id=item.id, refusal=str(refusal))
            # Where nobody is asked at the door, a stranger may never have written what bears his name.
            is_told = bool(item.account) or (self._office.has_door and refusal not in (rights.LOOPS, rights.NO_PERSON))
            return Outcome(target, Result.FAILED, refusal, host, passed_on=not is_told)
        identifier = copies.copy_id(item.id, one.name)
        going: list[Member] = []

        async def make() -> tuple[Item, Content] | None:
            if not (errands := await self._errands(one, going)):
                return None
            log.info("list {name}: {id} goes to {count} as {copy}", name=str(one.name), id=item.id, count=len(errands), copy=identifier)
            return self._copy(one, item, identifier, errands, header, content)

        if is_sent := await self._once(one, identifier, make):
            await self._noted(one, identifier, one.sent(going))
        return outcome_of(target, Status(250, "2.0.0", f"Sent to the members of the list as {identifier}") if is_sent else NOBODY, host,
                          local=True)  # fmt: skip

    async def _once(self, one: MailingList, identifier: str, make: Callable[[], Awaitable[tuple[Item, Content] | None]]) -> bool:
        """Put what *make* makes into the queue, as *identifier*, unless that was done before; False where there is nothing to send."""
        book = self.lists.tools.book
        sent = await one.ask(book.begin, identifier, self._office.epoch())
        if sent is Sent.DONE:
            return True
        if not self._office.is_queued(identifier):
            if (made := await make()) is None:
                return False
            await self._office.submit(*made)
        await self._noted(one, identifier, one.ask(book.done, [identifier]))
        return True

    async def _noted(self, one: MailingList, identifier: str, work: Awaitable[None]) -> None:
        """Do *work* of the book. The copy is in the queue already: where the book fails, to begin again would send it twice."""
        try:
            await work
        except Unavailable as trouble:
            log.error("list {name}: {copy} is sent, but {trouble}", name=str(one.name), copy=identifier, trouble=str(trouble))

    async def _to_latecomer(self, one: MailingList, copy: Item, target: Target, content: Content) -> Outcome:
        """To one member whose forward or alias could not be asked when the *copy* was made. Raises Unavailable where it still cannot."""
        identifier = copies.copy_id(copy.id, target.address)

        async def make() -> tuple[Item, Content] | None:
            targets = await self._office.follow(target.address)
            if not targets:
                await self.requests.bounced(one, target.address, NOBODY_HERE)
            errands = tuple(Errand(replace(found, sender=target.sender, front=target.front)) for found in targets)
            now = self._office.epoch()
            mine = Item(identifier, copy.sender, errands, now, copy.size, copy.prefix, body=copy.body, wishes=copy.wishes)
            return (mine, content) if errands else None

        is_sent = await self._once(one, identifier, make)
        status = Status(250, "2.0.0", f"Goes on to {target.address} as {identifier}") if is_sent else NOBODY
        return outcome_of(target, status, f"list {one.name}", local=True)

    async def _objection(self, one: MailingList, item: Item, header: bytes) -> Status | None:
        """What was let in at the door is not judged again: since then its sender may have left, or another name ([canonical])."""
        post = rights.Post(item.sender, header, item.size - len(item.prefix), self._names(item))
        if await one.ask(self.lists.tools.book.was_let_in, item.id, one.name):
            return rights.objection(one.name, post, None)
        return await one.objection(post)

    def _names(self, item: Item) -> tuple[str, ...]:
        """Who has sent *item*, as far as that is sure: who has logged in, or another list of ours."""
        if item.account:
            return (item.account,)
        call = self._sender_of(item)
        return (str(call.name),) if call is not None else ()

    def _sender_of(self, item: Item) -> Call | None:
        """The list that has sent *item*; None where none has."""
        return called(item.sender.folded, self.lists) if item.sender is not None and copies.is_copy(item.id) else None

    def _copy(
        self, one: MailingList, item: Item, identifier: str, errands: tuple[Errand, ...], header: bytes, content: Content
    ) -> tuple[Item, Content]:
        """The message for the members: a new envelope (RFC 5321 §3.9.2), and what `copies` makes of the header."""
        one_click, nested = bool(one.tools.url), copies.is_copy(item.id)
        ours = copies.header(header, item.prefix, one.name, one.settings, one_click=one_click, nested=nested)
        changed = Edited(ours, content, len(header))
        asked = item.wishes
        require_tls = asked.require_tls and bool(self._names(item))  # a stranger shall not keep it from members whose servers have no TLS
        wishes = Wishes(utf8=asked.utf8, require_tls=require_tls, tls_optional=asked.tls_optional, priority=asked.priority)
        sender = one.address(Role.BOUNCES)
        return Item(identifier, sender, errands, self._office.epoch(), changed.size, body=item.body, wishes=wishes), changed

    async def _errands(self, one: MailingList, going: list[Member]) -> tuple[Errand, ...]:
        """One for each place that the members lead to; who gets something is put into *going*.

        Whom nobody knows here any more counts as one whose mail came back. Who cannot be asked about now waits alone, as one errand
        of ours (`_to_latecomer`). Raises Unavailable where they are very many: then something greater is down than somebody's forward.
        """
        found: dict[tuple[Kind, str], Target] = {}
        late = 0
        if not (members := await one.members()):
            raise Unavailable("nobody is on it")
        for number, member in enumerate(one.due(members), 1):
            try:
                targets = await self._office.follow(member.address)
            except Unavailable as trouble:
                if (late := late + 1) > MOST_LATE:
                    raise
                log.warn("list {name}: {member} waits: {why}", name=str(one.name), member=str(member.address), why=str(trouble))
                targets = (Target(Kind.LIST, member.address, member.address, way=str(member.address)),)
            if targets:
                going.append(member)
            else:
                await one.sent([member])  # that was his trial, if he was suspended
                await self.requests.bounced(one, member.address, NOBODY_HERE)
            for target in targets:
                if target.kind is not Kind.LIST or target.way != str(one.name):  # a list on itself
                    found.setdefault(target.place, self._for(one, member, target))
            if number % AT_A_TIME == 0:
                await tasks.sleep(self._office.clock, 0)
        return tuple(map(Errand, found.values()))

    def _for(self, one: MailingList, member: Member, target: Target) -> Target:
        """*target* with the sender that tells of whom a report is; mailboxes here have none who could tell."""
        token = "" if target.kind is Kind.MAILBOX else one.given.of(BOUNCE, member.address)
        front = b""
        if one.tools.url:
            front = copies.unsubscribing(one.name, one.tools.url, one.given.of(LEAVE, member.address))
        return replace(target, sender=one.address(Role.BOUNCES, token), front=front)

    # ----- to one person

    async def write(self, one: MailingList, letter: Letter) -> None:
        """Put *letter* into the queue. OSError, Unavailable."""
        targets = await self._office.follow(letter.to)
        if not targets:
            log.info("list {name}: {to} cannot be written to", name=str(one.name), to=str(letter.to))
            return
        identifier, now = next(self._office.identifiers), self._office.epoch()
        text = letters.message(letter, one, self._office.host, identifier, now)
        utf8 = not split(text)[0].isascii()
        item = Item(identifier, None, tuple(map(Errand, targets)), now, len(text), body="" if text.isascii() else "8BITMIME",
                    wishes=Wishes(utf8=utf8))  # fmt: skip
        await self._office.submit(item, Memory(text))


def _header_of(content: Content) -> bytes:
    return split(content.beginning(MOST + 4))[0]


def _beginning(content: Content, start: int) -> bytes:
    """The beginning of the body, which begins at *start*."""
    return content.beginning(start + bounced.MOST)[start:]
