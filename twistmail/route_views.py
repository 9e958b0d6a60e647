"""How mail for an address would go, and why: `twistmail route`. Aliases are followed, the DNS is asked, nobody is connected to.

The same objects answer that would carry the mail, so what is told here is what
would happen; only what other servers say cannot be known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from twistmail.control import Refusal, Verb
from twistmail.expansion import Expansion
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address, parse
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.relay.route import Route, Transport
from twistmail.relay.routes import Routes
from twistmail.relay.terms import Policies, Terms

USAGE, TEMPORARY = 64, 75  # sysexits
MOST_ATTEMPTS = 1000


class Rewriting(Protocol):
    """`leaving.departure.Leaving`, as far as it is asked here."""

    async def explain(self, sender: Address, target: Target) -> Any: ...


@frozen
class Question:
    """Who would write to whom, and how often that was tried in vain."""

    address: Address
    sender: Address | None = None
    attempts: int = 0


@frozen
class Desk:
    """Whom it is asked of. `leaving` None: senders stay as they are."""

    expansion: Expansion
    routes: Routes
    policies: Policies
    leaving: Rewriting | None = None


def read(arguments: Mapping[str, Any], default_domain: str) -> Question:
    """The question in *arguments* ("address", "sender", "attempts"). ValueError, with a sentence, where it is none."""
    attempts = arguments.get("attempts") or 0
    if not isinstance(attempts, int) or not 0 <= attempts <= MOST_ATTEMPTS:
        raise ValueError("attempts is no number of attempts")
    sender = str(arguments.get("sender") or "")
    return Question(
        _address(str(arguments.get("address") or ""), default_domain),
        None if sender in ("", "<>") else _address(sender, default_domain),
        attempts,
    )


def _address(text: str, default_domain: str) -> Address:
    """An address; of a domain alone, postmaster there."""
    text = text.strip().removeprefix("<").removesuffix(">")
    if "@" not in text and "." in text:
        text = f"postmaster@{text}"
    address = parse(text)
    return address if address.domain else Address(address.local, default_domain)


async def answer(desk: Desk, question: Question) -> dict[str, Any]:
    """Every target that the address leads to, and how mail gets there; as JSON. Raises Unavailable."""
    await desk.routes.freshen()
    followed = await desk.expansion.explain(question.address)
    errands = tuple(Errand(target, attempts=question.attempts) for target in followed.targets)
    item = Item("", question.sender, errands, 0.0, 0, account=str(question.sender or ""))  # as he himself would send it, logged in
    inside = None if desk.expansion.is_local(question.address) else desk.routes.inside(question.address)
    return {
        "address": str(question.address),
        "sender": str(question.sender or ""),
        "refusal": str(followed.fault) if followed.fault is not None and not followed.targets else "",
        "by": inside.rule if inside is not None else "",
        "ways": [await way(desk, target, item) for target in followed.targets],
    }


async def way(desk: Desk, target: Target, item: Item) -> dict[str, Any]:
    """How *item* gets to *target*; as JSON. Raises Unavailable."""
    told: dict[str, Any] = {"address": str(target.address)}
    if target.kind is Kind.MAILBOX:
        return told | {"transport": "mailbox", "next_hop": target.account, "rule": "a mailbox here", "status": "", "hosts": [], "out": []}
    if target.kind is not Kind.REMOTE:
        told |= {"transport": target.kind.value, "next_hop": target.way, "rule": "as its alias says"}
        return told | {"status": "", "hosts": [], "out": []}
    chosen = desk.routes.choice(target, item)
    route = chosen.route
    told |= {
        "transport": route.transport.value,
        "next_hop": str(route),
        "rule": chosen.rule,
        "fallback": str(chosen.fallback[0]) if chosen.fallback is not None else "",
        "held": desk.routes.keeps(target.address.domain),
        "login": route.login.user if route.login is not None else "",
        "from": list(route.source),
        "proxy": str(route.proxy or ""),
    }
    if not route.transport.has_servers:
        return told | {"status": str(route.answer or ""), "hosts": [], "out": []}
    if desk.leaving is not None and item.sender is not None and route.transport is Transport.SMTP:
        said = await desk.leaving.explain(item.sender, target)
        told |= {"sender": str(said.address), "sender_by": said.rule}
    return told | await _servers(desk, route)


async def _servers(desk: Desk, route: Route) -> dict[str, Any]:
    hosts = await desk.routes.hosts(route)
    if isinstance(hosts, Status):
        return {"status": str(hosts), "hosts": [], "out": []}
    decision = await desk.policies.look(route, hosts)
    decided = decision.why
    return {
        "status": "",
        "tls": decided,
        "hosts": [
            {"name": host.name, "address": host.address, "port": host.port, "tls": terms.want.value, "why": _why(terms, route, decided)}
            for host, terms in decision.hosts
        ],
        "out": [{"name": host.name, "address": host.address, "why": status.text} for host, status in decision.out],
    }


_USUAL = {
    "off": "nothing is encrypted", "opportunistic": "encrypted where it is offered; no certificate is checked",
    "required": "never in clear; no certificate is checked", "verified": "with a certificate that is checked",
    "dane": "with a certificate that fits the records in the DNS",
}  # fmt: skip


def _why(terms: Terms, route: Route, told: str) -> str:
    """What *terms* mean, and who wants them, where that was not *told* already."""
    said = f"encrypted from the first octet, {terms.want.value}" if route.implicit_tls else _USUAL.get(terms.want.value, terms.want.value)
    return f"{said} ({terms.why})" if terms.why and terms.why != told else said


class RouteDesk:
    """The verb over *service* (`service.MailService`), as it is at that moment."""

    def __init__(self, service: Any) -> None:
        self._service = service

    def verbs(self) -> dict[str, Verb]:
        return {"route.show": self._show}

    async def _show(self, arguments: Mapping[str, Any]) -> Any:
        parts = self._service.parts
        return await asked(Desk(parts.people.expansion, parts.relay.routes, parts.relay.policies, parts.people.leaving), arguments)


async def asked(desk: Desk, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to the question in *arguments*. Refusal where it is none, or cannot be answered now."""
    try:
        question = read(arguments, desk.expansion.default_domain)
    except ValueError as trouble:
        raise Refusal(str(trouble).partition("\n")[0], USAGE, "write an address, such as carl@partner.example") from None
    try:
        return await answer(desk, question)
    except Unavailable as trouble:
        raise Refusal(f"that cannot be told now: {trouble}", TEMPORARY, "the log says more") from None
