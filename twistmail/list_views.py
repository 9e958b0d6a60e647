"""Mailing lists as operators see and change them: verbs of the control socket, and of a command while the server is down."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Protocol

from twistmail.control import Refusal, Verb
from twistmail.interfaces import Unavailable
from twistmail.lists import notes, sources
from twistmail.lists.mailing_list import IN_BOOK, Lists, MailingList, Member
from twistmail.lists.names import Role
from twistmail.mail.address import Address, parse
from twistmail.mail.domains import Domains
from twistmail.rows import iso

USAGE, DATA_ERROR, NO_USER, TEMPORARY, CONFIG = 64, 65, 67, 75, 78  # sysexits
#: Addresses of one request.
MOST = sources.MOST_MEMBERS
BY_OPERATOR = "an operator has suspended him"


class Books(Protocol):
    """As `registrar.Books`. `lists` is None where the configuration has mistakes."""

    @property
    def lists(self) -> Lists | None: ...

    @property
    def domains(self) -> Domains: ...


class ListDesk:
    """The verbs over the lists of *books*, as they are at the moment; names without a domain are in the default one."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def verbs(self) -> dict[str, Verb]:
        return {
            "list.all": self._all,
            "list.show": self._show,
            "list.members": self._members,
            "list.add": self._add,
            "list.remove": self._remove,
            "list.suspend": self._suspend,
            "list.resume": self._resume,
        }

    # ----- looking

    async def _all(self, arguments: Mapping[str, Any]) -> Any:
        return [await self._row(one) for one in self._lists()]

    async def _show(self, arguments: Mapping[str, Any]) -> Any:
        one = self._list(arguments)
        shown = {role.value: str(one.address(role)) for role in (Role.OWNER, Role.REQUEST, Role.UNSUBSCRIBE)}
        if one.settings.subscribe != "closed":
            shown[Role.SUBSCRIBE.value] = str(one.address(Role.SUBSCRIBE))
        return await self._row(one) | {"description": one.settings.description, "subscribe": one.settings.subscribe, "addresses": shown}

    async def _members(self, arguments: Mapping[str, Any]) -> Any:
        return [_member(member) for member in await _known(self._list(arguments))]

    async def _row(self, one: MailingList) -> dict[str, Any]:
        members = await _known(one)
        return {
            "name": str(one.name),
            "members": len(members),
            "suspended": sum(bool(member.note.suspended) for member in members),
            "post": one.settings.post,
            "owners": [str(owner) for owner in one.owners],
            "source": one.origin,
        }

    # ----- changing

    async def _add(self, arguments: Mapping[str, Any]) -> Any:
        """Each of the addresses is a member from now on, also who had left: {"added", "were_members"}."""
        one, addresses = self._list(arguments), self._addresses(arguments)
        if not one.in_book:
            raise Refusal(f"the book is no source of members of {one.name}", DATA_ERROR, "put the word book into its members")
        added, known = [], []
        for address in addresses:
            member = await _tried(one.member(address))
            if member is not None and not member.note.suspended:
                known.append(str(address))
                continue
            await _tried(one.subscribe(address))
            added.append(str(address))
        return {"added": added, "were_members": known}

    async def _remove(self, arguments: Mapping[str, Any]) -> Any:
        """They are none: {"removed"}, and "kept_out" for those whom other sources name."""
        one, removed, kept_out = self._list(arguments), [], []
        members = [await self._member(one, address) for address in self._addresses(arguments)]
        for member in members:
            if member.origin == IN_BOOK:
                await _tried(one.ask(one.tools.book.forget, one.name, member.key))
                removed.append(str(member.address))
            else:
                await _tried(one.unsubscribe(member.address))
                kept_out.append({"address": str(member.address), "source": member.origin})
        return {"removed": removed, "kept_out": kept_out}

    async def _suspend(self, arguments: Mapping[str, Any]) -> Any:
        """They get nothing for a while."""
        one = self._list(arguments)
        members = [await self._member(one, address) for address in self._addresses(arguments)]
        for member in members:
            await _tried(one.note(member.address, notes.suspended(member.note, one.tools.epoch(), BY_OPERATOR)))
        return {"suspended": [str(member.address) for member in members]}

    async def _resume(self, arguments: Mapping[str, Any]) -> Any:
        """Nothing is held against them any more."""
        one = self._list(arguments)
        members = [await self._member(one, address) for address in self._addresses(arguments)]
        for member in members:
            await _tried(one.note(member.address, notes.resumed(member.note)))
        return {"resumed": [str(member.address) for member in members]}

    # ----- what somebody means

    def _lists(self) -> Lists:
        if (lists := self._books.lists) is None:
            raise Refusal("the lists stand in the configuration, and that has mistakes", CONFIG, "mend it: twistmail config check")
        return lists

    def _default(self) -> str:
        return self._books.domains.default

    def _list(self, arguments: Mapping[str, Any]) -> MailingList:
        text, lists = arguments.get("name"), self._lists()
        address = _address(text, self._default())
        if (one := lists.get(address)) is not None:
            return one
        names = [str(other.name) for other in lists]
        near = get_close_matches(str(address), names, 1, 0.6)
        step = f"did you mean {near[0]}?" if near else f"there are: {', '.join(names)}" if names else f"make it: [list:{address}]"
        raise Refusal(f"there is no list {address}", NO_USER, step)

    def _addresses(self, arguments: Mapping[str, Any]) -> list[Address]:
        texts = arguments.get("addresses")
        if not isinstance(texts, list) or not texts or len(texts) > MOST:
            raise Refusal("whose addresses?", USAGE, "write one or more")
        return list(dict.fromkeys(_address(text, self._default()) for text in texts))

    async def _member(self, one: MailingList, address: Address) -> Member:
        member = await _tried(one.member(address))
        if member is None:
            names = [str(other.address) for other in await _known(one)]
            near = get_close_matches(str(address), names, 1, 0.6)
            step = f"did you mean {near[0]}?" if near else f"twistmail list members {one.name}"
            raise Refusal(f"{address} is not on the list {one.name}", NO_USER, step)
        return member


def _address(text: Any, default: str) -> Address:
    try:
        address = parse(str(text or "")).folded
    except ValueError as trouble:
        raise Refusal(str(trouble).partition("\n")[0], USAGE, "write an address, such as anna@blue.example") from None
    return address if address.domain else Address(address.local, default)


async def _known(one: MailingList) -> list[Member]:
    return await _tried(one.members())  # type: ignore[no-any-return]


async def _tried(question: Any) -> Any:
    try:
        return await question
    except Unavailable as trouble:
        raise Refusal(str(trouble), TEMPORARY, "try again; the log says more") from None


def _member(member: Member) -> dict[str, Any]:
    note = member.note
    return {
        "address": str(member.address),
        "source": member.origin,
        "since": iso(note.since) if note.since else "",
        "state": "suspended" if note.suspended else "member",
        "suspended": iso(note.suspended) if note.suspended else "",
        "bounces": note.bounces,
        "why": note.why,
    }
