"""The words between the server and its carrier process: routes, departures, terms and what came of them, as plain lists for JSON.

Each value has a pair of functions, `x_told` and `told_x`; what the second cannot
understand raises one of MISUNDERSTOOD, which both ends take for a broken
connection. Only what is needed to say a message is told: an errand comes without its
history, and terms without the policy behind them, which stays with who decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, fields
from pathlib import Path
from typing import Any

from twistmail.disk import FileContent
from twistmail.mail.address import Address
from twistmail.mail.content import Memory
from twistmail.mail.departure import Departure
from twistmail.mail.envelope import NO_WISHES, Deadline, Kind, Notify, Target, Wishes
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import outcome_of
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.relay.carrier import Capacity, Carried
from twistmail.relay.dane import Tlsa
from twistmail.relay.offers import Avoided
from twistmail.relay.proxy import Proxy
from twistmail.relay.route import Family, Host, Login, Route, Tls, Transport
from twistmail.relay.terms import Decision, Finding, Terms

#: What comes of words that make no sense.
MISUNDERSTOOD = (KeyError, IndexError, TypeError, ValueError, AttributeError)
#: Octets of a content that travels with the words; what is larger lies in a file.
MOST_CONTENT = 1024 * 1024


@frozen
class Equipment:
    """What a carrier has to know from the beginning: of `exchange.Manners`, and what those are made of.

    `authorities`: a PEM file with those who may vouch for servers; empty: the system's.
    """

    hello: str
    authorities: str = ""
    avoided: Avoided = field(default_factory=dict)
    capacity: Capacity = field(default_factory=Capacity)


def equipment_told(one: Equipment) -> list[Any]:
    avoided = {host: sorted(keywords) for host, keywords in one.avoided.items()}
    capacity = one.capacity
    return [one.hello, one.authorities, avoided, capacity.total, capacity.per_route, capacity.idle]


def told_equipment(said: Any) -> Equipment:
    hello, authorities, avoided, *capacity = said
    return Equipment(hello, authorities, {host: frozenset(words) for host, words in avoided.items()}, Capacity(*capacity))


# ----- where to


def route_told(route: Route) -> list[Any]:
    """But for `answer` and `written`: servers are never asked for those."""
    login, proxy = route.login, route.proxy
    return [
        route.next_hop, route.use_mx, route.port, route.implicit_tls, route.tls.value, login and [login.user, login.password],
        route.require_tls, route.tls_optional, route.transport.value, None, route.source, route.family.value,
        proxy and [proxy.address, proxy.port, proxy.user, proxy.password],
    ]  # fmt: skip


def told_route(said: Any) -> Route:
    next_hop, use_mx, port, implicit, tls, login, require, optional, transport, _, source, family, proxy = said
    return Route(
        next_hop, use_mx, port, implicit, Tls(tls), Login(*login) if login else None, require, optional, Transport(transport), None,
        tuple(source), Family(family), Proxy(*proxy) if proxy else None,
    )  # fmt: skip


def _host(host: Host) -> list[Any]:
    return [host.name, host.address, host.port]


def decision_told(decision: Decision | Status) -> list[Any]:
    if isinstance(decision, Status):
        return [status_told(decision)]
    return [
        None,
        [[_host(host), _terms(terms)] for host, terms in decision.hosts],
        [[_host(host), status_told(status)] for host, status in decision.out],
    ]


def told_decision(said: Any) -> Decision | Status:
    if said[0] is not None:
        return told_status(said[0])
    _, hosts, out = said
    return Decision(
        tuple((Host(*host), _told_terms(terms)) for host, terms in hosts),
        tuple((Host(*host), told_status(status)) for host, status in out),
    )


def _terms(terms: Terms) -> list[Any]:
    records = [[one.usage, one.selector, one.matching, one.data.hex()] for one in terms.records]
    return [terms.want.value, terms.names, records, terms.why, terms.testing, terms.checked_by]


def _told_terms(said: Any) -> Terms:
    want, names, records, why, testing, checked_by = said
    known = tuple(Tlsa(usage, selector, matching, bytes.fromhex(data)) for usage, selector, matching, data in records)
    return Terms(Tls(want), tuple(names), known, why, testing, checked_by)


def finding_told(finding: Finding) -> list[str]:
    return [finding.protocol, finding.checked_by, finding.fault, finding.kind, finding.source]


def told_finding(said: Any) -> Finding:
    protocol, checked_by, fault, kind, source = said
    return Finding(protocol, checked_by, fault, kind, source)


# ----- what


def departure_told(departure: Departure) -> tuple[list[Any], tuple[bytes, ...]]:
    """Words and load. ValueError where its content is of a kind that does not travel."""
    item, content = departure.item, departure.content
    words = [
        item.id, _address(item.sender), item.size, item.body, _wishes(item.wishes), len(item.prefix),
        [_errand(errand) for errand in _errands(departure)],
    ]  # fmt: skip
    if type(content) is Memory and content.size <= MOST_CONTENT:
        return [*words, None], (item.prefix, content.data)
    if type(content) is FileContent:
        return [*words, [str(content.path.absolute()), content.start, content.size]], (item.prefix,)
    raise ValueError("that content does not travel")


def _errands(departure: Departure) -> Sequence[Errand]:
    """Those of its targets, in their order."""
    errands = departure.item.errands
    if len(errands) == 1:
        return errands
    wanted = set(departure.targets)
    found = {errand.target: errand for errand in errands if errand.target in wanted}
    return [found[target] for target in departure.targets]


def told_departure(said: Any, load: bytes) -> Departure:
    identifier, sender, size, body, wishes, front, told, file = said
    errands = tuple(_told_errand(number, one) for number, one in enumerate(told))
    content = Memory(load[front:]) if file is None else FileContent(Path(file[0]), file[1], file[2])
    item = Item(identifier, _told_address(sender), errands, 0.0, size, load[:front], body=body, wishes=_told_wishes(wishes))
    return Departure(item, tuple(errand.target for errand in errands), content)


def _address(address: Address | None) -> list[str] | None:
    return None if address is None else [address.local, address.domain]


def _told_address(said: Any) -> Address | None:
    return None if said is None else Address(*said)


def _errand(errand: Errand) -> list[Any]:
    target = errand.target
    original = None if target.original == target.address else _address(target.original)
    return [_address(target.address), original, [one.value for one in errand.notify], errand.orcpt]


def _told_errand(number: int, said: Any) -> Errand:
    """What makes targets different may be something that is not told: their numbers keep them apart."""
    to, original, notify, orcpt = said
    address = Address(*to)
    target = Target(Kind.REMOTE, address, Address(*original) if original else address, account=str(number))
    return Errand(target, notify=frozenset(map(Notify, notify)), orcpt=orcpt)


def _wishes(wishes: Wishes) -> dict[str, Any] | None:
    """What differs from no wishes at all."""
    if wishes is NO_WISHES or wishes == NO_WISHES:
        return None
    said = {one.name: value for one in fields(Wishes) if (value := getattr(wishes, one.name)) != one.default}
    if wishes.deadline is not None:
        said["deadline"] = [wishes.deadline.at, wishes.deadline.returns, wishes.deadline.trace]
    return said


def _told_wishes(said: Any) -> Wishes:
    if said is None:
        return NO_WISHES
    return Wishes(**said | ({"deadline": Deadline(*said["deadline"])} if "deadline" in said else {}))


# ----- what came of it


def status_told(status: Status) -> list[Any]:
    return [status.code, status.enhanced, status.text]


def told_status(said: Any) -> Status:
    code, enhanced, text = said
    if not (isinstance(code, int) and 200 <= code < 600 and isinstance(enhanced, str) and isinstance(text, str)):
        raise ValueError(f"{said!r} is no status")
    return Status(code, enhanced, text)


def carried_told(targets: Sequence[Target], carried: Carried) -> list[Any]:
    """Of *targets*, as `told_departure` has made them: their outcomes, in their order."""
    outcomes = {outcome.target: outcome for outcome in carried.outcomes}
    told = []
    for target in targets:
        one = outcomes[target]
        told.append([one.status.code, one.status.enhanced, one.status.text, one.host, one.passed_on, one.secured])
    return [told, None if carried.unreachable is None else status_told(carried.unreachable)]


def told_carried(targets: Sequence[Target], said: Any) -> Carried:
    """Of the same *targets*, as they were before they were told."""
    told, unreachable = said
    outcomes = [
        outcome_of(target, told_status((code, enhanced, text)), _text(host), passed_on=passed_on is True, secured=_text(secured))
        for target, (code, enhanced, text, host, passed_on, secured) in zip(targets, told, strict=True)
    ]
    return Carried(outcomes, None if unreachable is None else told_status(unreachable))


def _text(said: Any) -> str:
    if not isinstance(said, str):
        raise ValueError(f"{said!r} is no text")
    return said
