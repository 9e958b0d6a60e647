"""Which servers take the mail for a domain: route sections, the smart host, or the DNS (RFC 5321 §5).

`Routes.of` says how to go (no question is asked for that), `Routes.hosts` where:
the servers in the order in which to try them, or the status that mail for this
domain gets without any. Connecting is `connect.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from twistmail import tasks
from twistmail.interfaces import DnsTrouble, INameLookup, NoSuchDomain
from twistmail.leaving.options import VERP
from twistmail.mail.envelope import Target
from twistmail.mail.item import Item
from twistmail.mail.status import Status
from twistmail.networks import NETWORKS
from twistmail.options import COUNT, DURATION, DURATIONS, SWITCH, TEXT, Option, Reload, Section, Settings
from twistmail.relay.offers import AVOID
from twistmail.relay.route import SMTP_PORT, Host, Login, Route, Tls, literal, parse_via
from twistmail.relay.tlsoptions import TLS_OPTIONS, TLS_WORDS

T = TypeVar("T")

OPTIONS = Section(
    "relay", "Sending to the world.",
    Option("smarthost", TEXT, "", "Where all mail for others goes: name, name:port, [name]:port (no MX look-up) or smtps://name.",
           example="[smtp.provider.example]:587"),
    Option("smarthost_user", TEXT, "", "The name to log in there with; never said without TLS."),
    Option("smarthost_password", TEXT, "", "The password that belongs to it.", secret=True, example="env:SMARTHOST_PASSWORD"),
    Option("retry", DURATIONS, "5m 15m 30m 1h 2h 4h", "The waits between attempts; the last one repeats."),
    Option("expire", DURATION, "5d", "After this the sender gets his message back."),
    Option("warn_sender_after", DURATION, "4h", "After this the sender is told, once, that his message is late."),
    Option("concurrency", COUNT, "100", "Connections to all other servers at a time.", Reload.NEW),
    Option("concurrency_per_domain", COUNT, "20", "Connections for one domain at a time.", Reload.NEW),
    *TLS_OPTIONS,
    Option("source_address", TEXT, "", "The own address to connect from; empty: what the system chooses."),
    AVOID,
    *VERP,
)
ROUTE_OPTIONS = Section(
    "route", "Where the mail for one domain goes: [route:partner.example], or [route:.partner.example] for all below it.",
    Option("via", TEXT, "", "A server, written as for smarthost; empty: by its MX records.", example="smtp://mx.internal.example:25"),
    Option("tls", TLS_WORDS, "opportunistic", "As in [relay]."),
    Option("hold", SWITCH, "no", "Keep the mail until the server of that domain calls for it (ETRN), or an operator sends it "
           "(twistmail queue flush DOMAIN). After [relay] expire it goes back."),
    Option("etrn_from", NETWORKS, "", "The addresses and networks from which it may be called for.", example="192.0.2.0/24 2001:db8::7"),
    pattern=True,
)

#: More servers than this for one domain, and more addresses than that, are not tried.
MOST_HOSTS, MOST_ADDRESSES = 10, 20

NO_SUCH_DOMAIN = Status(550, "5.1.2", "There is no such mail domain")
NO_MAIL = Status(556, "5.1.10", "That domain takes no mail (it has a null MX)")
NO_ADDRESS = Status(451, "4.4.3", "None of the mail servers of that domain has an address")
NOWHERE = Status(550, "5.1.2", "That domain has no mail server and no address")
LOOPS_BACK = Status(554, "5.4.6", "Mail for that domain leads back to this server, which does not take it")
DNS_SILENT = Status(451, "4.4.3", "The DNS gives no answer about that domain at the moment")
BAD_LITERAL = Status(550, "5.1.2", "That is no address literal that we can reach")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are: mail that leads to one of these leads back here. `hostname` in lower case; `addresses`: IP addresses as str."""

    hostname: str
    addresses: frozenset[str] = frozenset()


def nearest(table: Mapping[str, T], domain: str) -> T | None:
    """The entry of *table* for *domain* itself, or the nearest above it whose name begins with a dot."""
    entry = table.get(domain)
    above = domain
    while entry is None and "." in above:
        above = above.partition(".")[2]
        entry = table.get("." + above)
    return entry


class Routes:
    """`relay`: Settings of OPTIONS. `routes`: Settings of ROUTE_OPTIONS by domain. `random` has `shuffle` (random.Random)."""

    def __init__(self, lookup: INameLookup, identity: Identity, relay: Settings, routes: Mapping[str, Settings], random: Any) -> None:
        self._lookup = lookup
        self._identity = identity
        self._random = random
        self._tls = Tls(relay.tls)
        login = Login(relay.smarthost_user, relay.smarthost_password) if relay.smarthost_user else None
        self._smarthost = parse_via(relay.smarthost, self._tls, login) if relay.smarthost else None
        self._table = {
            domain.lower(): parse_via(one.via, Tls(one.tls)) if one.via else Tls(one.tls) for domain, one in routes.items()
        }

    def of(self, target: Target, item: Item) -> Route:
        """How *item* goes to *target*: as the operator has said of the item, by the section of the target's domain, the nearest
        above it that begins with a dot, the smart host, or by MX."""
        domain = target.address.domain
        if item.via:
            return parse_via(item.via, self._tls)
        entry = nearest(self._table, domain)
        if isinstance(entry, Route):
            return entry
        if entry is None and self._smarthost:
            return self._smarthost
        return Route(domain, use_mx=not domain.startswith("["), tls=entry or self._tls)

    async def hosts(self, route: Route) -> tuple[Host, ...] | Status:
        """The servers of *route* in the order in which to try them, at least one; or why there is none."""
        try:
            found = await (self._by_mx(route) if route.use_mx else self._exact(route))
            return found if isinstance(found, Status) else found[:MOST_ADDRESSES]
        except NoSuchDomain:
            return NO_SUCH_DOMAIN
        except DnsTrouble:
            return DNS_SILENT

    async def _exact(self, route: Route) -> tuple[Host, ...] | Status:
        if (address := literal(route.next_hop)) is not None:
            # a route or smart host that the operator wrote may well be this machine on another port
            ours = address in self._identity.addresses and route.port == SMTP_PORT
            return LOOPS_BACK if ours else (Host(route.next_hop, address, route.port),)
        if route.next_hop.startswith("["):
            return BAD_LITERAL
        addresses = await self._lookup.addresses(route.next_hop)
        return tuple(Host(route.next_hop, address, route.port) for address in addresses) or NO_ADDRESS

    async def _by_mx(self, route: Route) -> tuple[Host, ...] | Status:
        records = await self._lookup.mx(route.next_hop)
        if not records:
            return await self._implicit_mx(route)
        if {host.rstrip(".") for _, host in records} == {""}:  # RFC 7505
            return NO_MAIL
        ordered = self._ordered([record for record in records if record[1].rstrip(".")])[:MOST_HOSTS]
        answers = await tasks.gather(*(self._addresses(host) for _, host in ordered))
        found = [(preference, host, answer) for (preference, host), answer in zip(ordered, answers, strict=True)]
        kept = self._before_ourselves(found)
        if not kept:
            return LOOPS_BACK
        hosts = tuple(Host(host, address, route.port) for _, host, answer in kept for address in answer or ())
        return hosts or (DNS_SILENT if any(answer is None for _, _, answer in kept) else NO_ADDRESS)

    async def _implicit_mx(self, route: Route) -> tuple[Host, ...] | Status:
        """RFC 5321 §5.1: without MX records the domain is its own server."""
        addresses = await self._lookup.addresses(route.next_hop)
        if route.next_hop == self._identity.hostname or self._identity.addresses & set(addresses):
            return LOOPS_BACK
        return tuple(Host(route.next_hop, address, route.port) for address in addresses) or NOWHERE

    def _ordered(self, records: list[tuple[int, str]]) -> list[tuple[int, str]]:
        """By preference; equal ones in random order, to spread the load (RFC 5321 §5.1)."""
        shuffled = sorted(records)
        self._random.shuffle(shuffled)
        return sorted(shuffled, key=lambda record: record[0])

    async def _addresses(self, host: str) -> tuple[str, ...] | None:
        """A server's addresses; empty where it has none, None where the DNS does not say: both mean the next server."""
        try:
            return tuple(await self._lookup.addresses(host.rstrip(".").lower()))
        except NoSuchDomain:
            return ()
        except DnsTrouble:
            return None

    def _before_ourselves(self, found: list[tuple[int, str, tuple[str, ...] | None]]) -> list[tuple[int, str, tuple[str, ...] | None]]:
        """RFC 5321 §5.1: where we are in the list, only servers of lower preference values count, or mail would loop."""
        ours = [
            preference for preference, host, answer in found
            if host.rstrip(".").lower() == self._identity.hostname or self._identity.addresses & set(answer or ())
        ]
        return [entry for entry in found if not ours or entry[0] < min(ours)]
