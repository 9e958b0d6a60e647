"""What people ask a list for by mail: to be on it, not to be on it any more, what can be asked. And what servers tell of its mail.

Nobody is put on a list or taken off it by a message that only says whose it is: he is written to, and has to answer. Who
leaves by the token in his own copy need not. Programs are not answered (RFC 3834 §2), nobody twice a day about the same,
nobody at all while very many have asked; and only who is the sender as well as the author, so that whatever judges senders
judges him. So nobody can have others written to by us.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.logger import Logger

from twistmail.lists import letters, rights
from twistmail.lists.book import HELP, SUBSCRIBE, UNSUBSCRIBE
from twistmail.lists.letters import Letter
from twistmail.lists.mailing_list import MailingList
from twistmail.lists.names import Call, Role
from twistmail.lists.tokens import BOUNCE, LEAVE
from twistmail.mail import answerable, bounced
from twistmail.mail.address import Address, parse
from twistmail.mail.headers import text
from twistmail.mail.item import Item
from twistmail.mail.values import frozen

log = Logger()

#: What people write to news-request@, in the subject or the first line.
_WORDS = dict.fromkeys(("subscribe", "join"), SUBSCRIBE) | dict.fromkeys(("unsubscribe", "leave", "signoff", "remove"), UNSUBSCRIBE)

Write = Callable[[MailingList, Letter], Awaitable[None]]


@frozen
class Request:
    """A message for one of the addresses of a list, other than that for its members. `body` is its beginning."""

    item: Item
    header: bytes
    body: bytes


class Requests:
    """*write* puts a letter into the queue; OSError and Unavailable are the caller's. *host*: our name in reports."""

    def __init__(self, write: Write, host: str) -> None:
        self._write = write
        self._host = host

    async def serve(self, one: MailingList, call: Call, request: Request) -> None:
        """Do what *request*, which came by the address *call*, is about. Raises Unavailable, OSError: try again."""
        match call.role:
            case Role.BOUNCES:
                await self._came_back(one, call.token, request)
            case Role.UNSUBSCRIBE if call.token:
                await self.leave(one, call.token)
            case Role.CONFIRM:
                await self._confirmed(one, call.token, request)
            case Role.SUBSCRIBE:
                await self._ask(one, SUBSCRIBE, request)
            case Role.UNSUBSCRIBE:
                await self._ask(one, UNSUBSCRIBE, request)
            case _:
                await self._ask(one, _wanted(request), request)

    async def leave(self, one: MailingList, token: str) -> Address | None:
        """Whoever was given *token* is off the list; who that was, None where nobody was given it."""
        member = await one.whose(token, LEAVE)
        if member is not None and await one.member(member) is not None:
            await one.unsubscribe(member)
            log.info("list {name}: {member} has left", name=str(one.name), member=str(member))
        return member

    async def _ask(self, one: MailingList, action: str, request: Request) -> None:
        """Write to whoever asks, if anybody: how it is confirmed, or what there is to ask for."""
        member = self._person(request)
        if member is None:
            return
        known = await one.member(member)
        if action == SUBSCRIBE and (one.settings.subscribe == "closed" or (known is not None and not known.note.suspended)):
            action = HELP
        if action == UNSUBSCRIBE and known is None:
            return
        token = await one.ask(one.tools.book.ask, one.name, str(member), action, one.tools.epoch())
        if token is None:
            log.info("list {name}: {member} is not written to again about: {action}", name=str(one.name), member=str(member), action=action)
        elif action == HELP:
            await self._write(one, letters.usage(one, member))
        else:
            await self._write(one, letters.confirm(one, member, action, token))

    async def _confirmed(self, one: MailingList, token: str, request: Request) -> None:
        """The answer to what `_ask` has written; a vacation is none."""
        if request.item.sender is None or answerable.is_automatic(request.header):
            return
        found = await one.ask(one.tools.book.confirmed, one.name, token, one.tools.epoch())
        if found is None:
            return
        member, action = parse(found[0]), found[1]
        log.info("list {name}: {member} has confirmed: {action}", name=str(one.name), member=str(member), action=action)
        if action == SUBSCRIBE:
            await one.subscribe(member)
            await self._write(one, letters.welcome(one, member))
        elif action == UNSUBSCRIBE:
            await one.unsubscribe(member)
            await self._write(one, letters.goodbye(one, member))

    def _person(self, request: Request) -> Address | None:
        """Who writes, where he can be answered: one person, in the envelope as in the header, who is not a program."""
        item, header = request.item, request.header
        if item.sender is None or answerable.is_automatic(header) or answerable.no_answer_to(item, header, self._host):
            return None
        if answerable.forgery(item, self._host):
            return None
        author = rights.author(header)
        return author if author == item.sender.folded else None

    # ----- mail that comes back

    async def _came_back(self, one: MailingList, token: str, request: Request) -> None:
        """A report about the copy of one member. Reports have no sender (RFC 3464 §2); whatever else comes here is nothing."""
        if request.item.sender is not None or not token:
            return
        report = bounced.read(request.header, request.body)
        member = await one.whose(token, BOUNCE) if report is not None else None
        if member is None:
            return
        if report is not None and report.is_about_address:
            await self.bounced(one, member, str(report))
        else:  # whoever may write to the list could have all members suspended by messages that nobody takes
            log.info("list {name}: {member} did not take a message: {why}", name=str(one.name), member=str(member), why=str(report))

    async def bounced(self, one: MailingList, member: Address, why: str) -> None:
        """Mail for *member* could not be delivered."""
        log.info("list {name}: mail for {member} came back: {why}", name=str(one.name), member=str(member), why=why)
        if await one.bounced(member, why):
            log.warn("list {name}: {member} is suspended", name=str(one.name), member=str(member))
            await self._write(one, letters.gone(one, member, why))


def _wanted(request: Request) -> str:
    """What news-request@ is asked for: the first word of the subject, or of the text."""
    first_line = request.body.lstrip()[:80].decode("ascii", "replace")
    for said in (text(request.header, b"subject"), first_line):
        if (words := said.lower().split()) and (action := _WORDS.get(words[0].strip(".,:;!"))):
            return action
    return HELP
