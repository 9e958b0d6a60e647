"""What would become of a message, told before anybody sends it: `twistmail explain --from A --to B`.

`rehearsal` plays the message; here its outcome is put beside the tree of aliases,
the limits, and the way of each target, as JSON. The same in a running server
(verbs `explain.letter` and `explain.show`) and beside its files (`cli.dry`).
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from twistmail import alias_views, route_views
from twistmail.config.settled import Config
from twistmail.control import Refusal, Verb
from twistmail.disk import status_of
from twistmail.dry_run import Question, read
from twistmail.foundation import Foundation, Standing
from twistmail.interfaces import ICourier, Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Item
from twistmail.mail.outcome import Foreseen, Result
from twistmail.mail.values import frozen
from twistmail.policy.witness import Said
from twistmail.rehearsal import Rehearsal, Rehearsed
from twistmail.relay.route import Transport
from twistmail.understudies import Copy

USAGE, NO_USER, TEMPORARY = 64, 67, 75  # sysexits
#: Whoever asks without an address of a client comes from one that is nobody's.
NOWHERE = "192.0.2.1"
#: Letters that have been begun and not asked about, and their octets together.
MOST_LETTERS, MOST_OCTETS = 4, 128 * 1024 * 1024


@frozen
class House:
    """Whom it is asked of. `foundation` is a Foundation where a server runs; `lists`: the courier for lists, None where none runs."""

    config: Config
    foundation: Standing
    people: Any
    routes: route_views.Desk
    lists: ICourier | None = None


def question_of(arguments: Mapping[str, Any], default_domain: str) -> Question:
    """The question in *arguments*; who has logged in submits. Refusal where it is none."""
    texts = dict(arguments)
    texts["client"] = texts.get("client") or NOWHERE
    texts["service"] = texts.get("service") or ("submission" if texts.get("login") else "mx")
    if not str(texts.get("hello") or "x").isprintable():
        raise Refusal("a client calls itself something on one line", USAGE, "write --hello NAME")
    for name in ("sender", "recipient"):
        texts[name] = _whole(str(texts.get(name) or ""), default_domain, name)
    try:
        return read(texts)
    except ValueError as trouble:
        raise Refusal(str(trouble).partition("\n")[0], USAGE, "twistmail explain --help   tells how to ask") from None


def _whole(text: str, default_domain: str, what: str) -> str:
    """An address with a domain; "" only for the sender."""
    if text in ("", "<>") and what == "sender":
        return ""
    try:
        address = parse(text.removeprefix("<").removesuffix(">"))
    except ValueError as trouble:
        said = str(trouble).partition("\n")[0]
        raise Refusal(f"the {what}: {said}", USAGE, f"write an address, such as anna@{default_domain}") from None
    return str(address if address.domain else Address(address.local, default_domain))


async def explained(house: House, arguments: Mapping[str, Any], message: bytes | None) -> dict[str, Any]:
    """The whole answer to the question in *arguments*. Refusal where it is none, or cannot be answered now."""
    question = question_of(arguments, house.people.default_domain)
    try:
        account = await _account(house.people, question.login)
        rehearsal = Rehearsal(house.config, house.foundation, house.people, question, account, house.lists)
        rehearsed = await rehearsal.play(message)
        await house.routes.routes.freshen()
        return {
            **_verdict(rehearsed),
            "service": question.role.value,
            "conversation": [{"said": line.said, "reply": str(line.answer)} for line in rehearsed.lines],
            "policy": [*map(_told, rehearsed.said), *(_unasked(point.value, name, message) for point, name in rehearsed.unasked)],
            "aliases": await _tree(house, question.recipient),
            "limits": await _limits(house, rehearsed, message),
            "deliveries": await _deliveries(house, question, rehearsal, rehearsed),
            "running": isinstance(house.foundation, Foundation),
            "message": None if message is None else len(message),
        }
    except Unavailable as trouble:
        raise Refusal(f"that cannot be told now: {trouble}", TEMPORARY, "the log says more") from None


async def _account(people: Any, login: str) -> Account | None:
    if not login:
        return None
    found: Account | None = await people.authenticator.whose(login)
    if found is None:
        raise Refusal(f"there is no account {login}", NO_USER, "twistmail user   lists them")
    return found


# ----- what is said


def _verdict(rehearsed: Rehearsed) -> dict[str, Any]:
    refusal = rehearsed.refusal
    held = rehearsed.item is not None and rehearsed.item.held
    result = "refused" if refusal else "thrown away" if rehearsed.thrown_away else "held" if held else "accepted"
    return {"result": result, "reply": str(rehearsed.lines[-1].answer), "stage": rehearsed.stage, "rule": rehearsed.rule}


def _told(said: Said) -> dict[str, Any]:
    return {"point": said.point.value, "stage": said.stage, "verdict": said.verdict or "-", "rule": said.rule, "decides": said.decides}


def _unasked(point: str, stage: str, message: bytes | None) -> dict[str, Any]:
    why = "needs the message" if point == "message" and message is None else "not asked any more"
    return {"point": point, "stage": stage, "verdict": why, "rule": "", "decides": False}


async def _tree(house: House, recipient: Address) -> dict[str, Any]:
    try:
        return await alias_views.tree(house.people.expansion, recipient)
    except Unavailable as trouble:
        return {"address": str(recipient), "what": f"cannot be looked up now: {trouble}", "arrives": False}


async def _limits(house: House, rehearsed: Rehearsed, message: bytes | None) -> list[dict[str, Any]]:
    """How much of what is allowed would be used: [{"what", "used", "most"}], in octets but for "recipients"."""
    item, found = rehearsed.item, []
    if message is not None and (most := house.config["mx"].max_message) is not None:
        found.append({"what": "message", "used": len(message), "most": most})
    if item is not None:
        found.append({"what": "recipients", "used": len(item.errands), "most": house.config["aliases"].expansion_limit})
    store = getattr(house.foundation, "store", None)
    for account in dict.fromkeys(errand.target.account for errand in item.errands if errand.target.kind is Kind.MAILBOX) if item else ():
        most, _ = await house.foundation.ground.terms.quota_of(account)
        if most is not None and store is not None:
            boxes = await store.peek(account)
            found.append({"what": f"mailbox {account}", "used": (await boxes.quota()).octets if boxes else 0, "most": most})
    return found


# ----- where it goes


async def _deliveries(house: House, question: Question, rehearsal: Rehearsal, rehearsed: Rehearsed) -> list[dict[str, Any]]:
    """Every target of what is on its way, in order."""
    item = rehearsed.item
    if item is None:
        return []
    copies = {(copy.account, copy.folder): copy for copy in rehearsed.copies}
    found = []
    for target in [errand.target for errand in item.errands if errand.result is not Result.EXPANDED]:
        told: dict[str, Any] = {"address": str(target.address), "for": str(target.original), "kind": target.kind.value, "to": target.way}
        if target.kind is Kind.REMOTE:
            told["way"] = await _way(house, target, item)
        elif (foreseen := await rehearsal.foresee(item, target)) is not None:
            told |= _foreseen(foreseen)
        elif target.kind is Kind.MAILBOX:
            told |= _mailbox(target, copies.get((target.account, target.folder or "INBOX")))
        else:
            told |= {"where": f"the members of the list {target.way}", "status": "", "why": ""}
        found.append(told | await _sender(house, target, item, question))
    return found


def _foreseen(foreseen: Foreseen) -> dict[str, Any]:
    return {"where": foreseen.where, "status": str(foreseen.status or ""), "why": foreseen.why}


def _mailbox(target: Target, copy: Copy | None) -> dict[str, Any]:
    """A mailbox of ours, which has got its *copy* at once; None where there is no message yet."""
    folder, error = target.folder or "INBOX", copy and copy.error
    told = {"where": f"the mailbox of {target.account}, {folder}", "account": target.account, "folder": folder}
    return told | {"at_once": copy is not None and error is None, "status": str(status_of(error)) if error else "", "why": ""}


async def _way(house: House, target: Target, item: Item) -> dict[str, Any]:
    """As `twistmail route` tells it, without the sender."""
    told = await route_views.way(house.routes, target, item)
    uplink = getattr(house.foundation, "uplink", None)
    told["offline"] = uplink is not None and uplink.is_down and told["transport"] in (Transport.SMTP.value, Transport.LMTP.value)
    return {key: value for key, value in told.items() if key not in ("sender", "sender_by")}


async def _sender(house: House, target: Target, item: Item, question: Question) -> dict[str, Any]:
    """As whom the sender is known where *target* is, and why, where that is not how he calls himself."""
    said, rules = item.sender_for(target), []
    if item.sender is None or said is None:
        return {}
    rules += ["[canonical]"] if item.sender != question.sender else []
    rules += ["the owner of the alias"] if target.sender is not None else []
    if target.kind is Kind.REMOTE and house.routes.routes.of(target, item).transport is Transport.SMTP:
        (departure,) = await house.people.leaving.departures(item, (target,), Memory(b""))
        if departure.item.sender is not None and departure.item.sender != said:
            rules.append((await house.people.leaving.explain(said, target)).rule)
            said = departure.item.sender
    return {} if said == question.sender else {"sender": str(said), "sender_by": ", ".join(filter(None, rules))}


class ExplainDesk:
    """The verbs over *service* (`service.MailService`), as it is at that moment. Letters come in pieces: requests are short."""

    def __init__(self, service: Any) -> None:
        self._service = service
        self._letters: dict[str, bytearray] = {}

    def verbs(self) -> dict[str, Verb]:
        return {"explain.letter": self._letter, "explain.show": self._show}

    async def _letter(self, arguments: Mapping[str, Any]) -> Any:
        """One more piece of the letter called "letter"."""
        name, data = arguments.get("letter"), arguments.get("data")
        try:
            piece = b64decode(str(data or ""), validate=True)
        except binascii.Error:
            raise Refusal("the piece cannot be read", USAGE) from None
        if not isinstance(name, str) or not name:
            raise Refusal("which letter?", USAGE)
        if name not in self._letters and len(self._letters) >= MOST_LETTERS:
            del self._letters[next(iter(self._letters))]
        if sum(map(len, self._letters.values())) + len(piece) > MOST_OCTETS:
            self._letters.pop(name, None)
            raise Refusal("the message is too long to be rehearsed", USAGE, f"{MOST_OCTETS} octets are the most")
        letter = self._letters.setdefault(name, bytearray())
        letter += piece
        return {"octets": len(letter)}

    async def _show(self, arguments: Mapping[str, Any]) -> Any:
        name = arguments.get("letter")
        if name and name not in self._letters:
            raise Refusal("that letter is not here any more", TEMPORARY, "ask again")
        message = bytes(self._letters.pop(str(name))) if name else None
        service, parts = self._service, self._service.parts
        routes = route_views.Desk(parts.people.expansion, parts.relay.routes, parts.relay.policies, parts.people.leaving)
        house = House(service.config, service.foundation, parts.people, routes, parts.dispatch.courier(Kind.LIST))
        return await explained(house, arguments, message)
