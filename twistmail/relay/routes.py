"""How mail goes to an address: one place decides it, by an operator's word, the route table, sections, the sender, or the DNS.

`Routes.of` says how to go (no question is asked for that), `Routes.choice` also
by which rule; `Routes.hosts` says where: the servers in the order in which to try
them (`servers.py`), or the status that the mail gets without any. Connecting is
`connect.py`; what needs no server is carried by `transports.py`.

The order, the first that fits: what an operator has said of the one message; the
second server of a domain of ours; the recipient's own route, where the more
specific name wins and a section counts before a line of the table; the sender's
route; the smart host; the MX records. What went by one of the last two and was
tried often enough in vain goes to the fall-back.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, TypeVar

from twistmail.interfaces import INameLookup, Unavailable
from twistmail.leaving.options import VERP
from twistmail.mail.address import Address
from twistmail.mail.envelope import Target
from twistmail.mail.item import Item
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.networks import NETWORKS
from twistmail.options import DURATION, DURATIONS, SWITCH, TEXT, WORDS, Kind, Option, Reload, Section, Settings, choice, count_from
from twistmail.relay.offers import AVOID
from twistmail.relay.paces import POSITIVE, RELAY_PACE, ROUTE_PACE
from twistmail.relay.proxy import PROXY
from twistmail.relay.route import Family, Host, Login, Route, Tls, Transport, parse_via
from twistmail.relay.servers import Identity, Servers
from twistmail.relay.table import Entry, Table, key_of, keys, nearest
from twistmail.relay.tlsoptions import TLS_OPTIONS, TLS_WORDS
from twistmail.watched import WatchedFile

T = TypeVar("T")


def _read_via(text: str) -> str:
    if text:
        parse_via(text)
    return text


def _read_server(text: str) -> str:
    if text and not parse_via(text).transport.has_servers:
        raise ValueError(f"{text} is no server\nwrite name, name:port, [name]:port or smtps://name")
    return text


def _read_source(text: str) -> tuple[str, ...]:
    found: dict[int, str] = {}
    for word in WORDS.read(text):
        try:
            address = ipaddress.ip_address(word.strip("[]"))
        except ValueError:
            raise ValueError(f"{word} is no address\nwrite one of this machine, such as 192.0.2.5 or 2001:db8::5") from None
        if found.setdefault(address.version, str(address)) != str(address):
            raise ValueError(f"two addresses for IPv{address.version}\nwrite at most one IPv4 and one IPv6 address")
    return tuple(found.values())


#: Where mail goes, checked but as it was written (`parse_via` reads it where it is used).
VIA = Kind("where mail goes", _read_via)
SERVER = Kind("a mail server", _read_server)
SOURCE = Kind("own addresses", _read_source, " ".join)
FAMILIES = choice(*(family.value for family in Family))
OPTIONS = Section(
    "relay", "Sending to the world.",
    Option("smarthost", SERVER, "", "Where all mail for others goes: name, name:port, [name]:port (no MX look-up) or smtps://name.",
           example="[smtp.provider.example]:587"),
    Option("smarthost_user", TEXT, "", "The name to log in there with: over TLS, and with a checked certificate unless tls is required."),
    Option("smarthost_password", TEXT, "", "The password that belongs to it.", secret=True, example="env:SMARTHOST_PASSWORD"),
    Option("fallback", SERVER, "", "A server for mail that could not be brought on the usual way, by MX records or the smart host.",
           example="[relay.provider.example]:587"),
    Option("fallback_after", count_from(1), "3", "After so many attempts in vain mail goes to the fallback."),
    Option("fallback_user", TEXT, "", "The name to log in there with: over TLS, and with a checked certificate unless tls is required."),
    Option("fallback_password", TEXT, "", "The password that belongs to it.", secret=True),
    Option("route_table", TEXT, "", "A file that says for domains and addresses where their mail goes, as sendmail's mailertable or "
           "Postfix's transport(5) do, watched: docs/routes.md.", example="/etc/mail/mailertable"),
    Option("retry", DURATIONS, "5m 15m 30m 1h 2h 4h", "The waits between attempts; the last one repeats."),
    Option("expire", DURATION, "5d", "After this the sender gets his message back."),
    Option("warn_sender_after", DURATION, "4h", "After this the sender is told, once, that his message is late."),
    Option("concurrency", POSITIVE, "100", "Connections to all other servers at a time.", Reload.NEW),
    Option("concurrency_per_domain", POSITIVE, "20", "Connections for one domain at a time.", Reload.NEW),
    Option("keep_connections", DURATION, "5s", "For how long a connection that has carried mail waits for more; 0s: not at all.",
           Reload.NEW),
    Option("process", choice("auto", "yes", "no"), "auto", "Whether a process of its own has the connections to other servers, so that a "
           "second processor is used: while there is much to send, from the first message on, or never: docs/sending.md.", Reload.NEW),
    *TLS_OPTIONS,
    Option("source_address", SOURCE, "", "The own addresses to connect from, at most one of IPv4 and one of IPv6; empty: what the system "
           "chooses.", example="192.0.2.5 2001:db8::5"),
    Option("addresses", FAMILIES, "both", "Which addresses of a server are used: both (IPv6 first), ipv4-first, or of one kind only."),
    Option("proxy", PROXY, "", "A SOCKS 5 proxy by way of which to connect; empty: none.", secret=True,
           example="socks5://127.0.0.1:9050"),
    AVOID,
    *RELAY_PACE,
    *VERP,
)
_OF_EACH = (
    Option("source_address", SOURCE, "", "As in [relay]; empty: as there."),
    Option("addresses", choice("", *(family.value for family in Family)), "", "As in [relay]; empty: as there."),
    Option("proxy", PROXY, "", "As in [relay]; empty: as there.", secret=True),
)
ROUTE_OPTIONS = Section(
    "route", "Where the mail for one domain goes: [route:partner.example], or [route:.partner.example] for all below it.",
    Option("via", VIA, "", "A server, written as for smarthost, or what a line of the route table says, such as lmtp:unix:/path or "
           "error:5.1.6 moved; empty: by its MX records.", example="smtp://mx.internal.example:25"),
    Option("user", TEXT, "", "The name to log in there with: over TLS, and with a checked certificate unless tls is required."),
    Option("password", TEXT, "", "The password that belongs to it.", secret=True, example="file:/etc/twistmail/partner.password"),
    Option("tls", TLS_WORDS, "opportunistic", "As in [relay]."),
    *_OF_EACH,
    Option("fallback", SERVER, "", "A server for mail that could not be brought there; after [relay] fallback_after attempts."),
    Option("hold", SWITCH, "no", "Keep the mail until the server of that domain calls for it (ETRN), or an operator sends it "
           "(twistmail queue flush DOMAIN). After [relay] expire it goes back."),
    *ROUTE_PACE,
    Option("etrn_from", NETWORKS, "", "The addresses and networks from which it may be called for.", example="192.0.2.0/24 2001:db8::7"),
    pattern=True,
)

SENDER_ROUTE_OPTIONS = Section(
    "sender_route", "Where mail of a sender who has logged in goes, unless its recipient has a route: [sender_route:anna@blue.example], "
    "or of a whole domain: [sender_route:blue.example], or of all below it: [sender_route:.blue.example].",
    Option("via", SERVER, "", "A server, written as for smarthost; empty: by MX records, even where there is a smart host.",
           example="[smtp.provider.example]:587"),
    Option("user", TEXT, "", "The name to log in there with: over TLS, and with a checked certificate unless tls is required."),
    Option("password", TEXT, "", "The password that belongs to it.", secret=True, example="env:ANNAS_PASSWORD"),
    Option("tls", TLS_WORDS, "opportunistic", "As in [relay]."),
    *_OF_EACH,
    pattern=True,
)


#: Domains for which it is remembered how mail goes.
MOST_KNOWN = 10_000


@frozen
class Choice:
    """How mail goes, and the rule that says so, for people. `fallback`: how it goes after attempts in vain, and by which rule."""

    route: Route
    rule: str
    fallback: tuple[Route, str] | None = None


@frozen
class Further:
    """What else decides. `senders`: Settings of SENDER_ROUTE_OPTIONS by sender or domain. `table`: the route table.

    `seconds`: by local domain, how its second server is written. `place`(section, key) tells where a section stands.
    """

    senders: Mapping[str, Settings] = field(default_factory=dict)
    table: WatchedFile[Table] | None = None
    seconds: Mapping[str, str] = field(default_factory=dict)
    place: Callable[[str, str], str] = lambda section, key: ""


class Routes:
    """`relay`: Settings of OPTIONS. `routes`: Settings of ROUTE_OPTIONS by domain. `random` has `shuffle` (random.Random)."""

    def __init__(self, lookup: INameLookup, identity: Identity, relay: Settings, routes: Mapping[str, Settings], random: Any,
                 further: Further = Further()) -> None:  # noqa: B008 - a value
        self._servers = Servers(lookup, identity, random)
        self._relay = relay
        self._sections = {domain.lower(): one for domain, one in routes.items()}
        self._senders = {sender.lower().removeprefix("@"): one for sender, one in further.senders.items()}
        self._further = further
        self._has_own = bool(self._sections) or further.table is not None  # whether any recipient may have a route of his own
        self._tls = Tls(relay.tls)
        smarthost, fallback = (
            self._written(parse_via(via, self._tls, _login(user, password)), relay) if via else None
            for via, user, password in ((relay.smarthost, relay.smarthost_user, relay.smarthost_password),
                                        (relay.fallback, relay.fallback_user, relay.fallback_password))
        )
        self._fallback = (fallback, self._rule("relay", "fallback")) if fallback else None
        self._smarthost = Choice(smarthost, self._rule("relay", "smarthost"), self._fallback) if smarthost else None
        self._known: dict[str, Choice] = {}
        self._attempts: tuple[Item | None, Mapping[Target, int]] = (None, {})

    async def freshen(self) -> None:
        """Read the route table again, if it has changed. Raises Unavailable where it never was in order."""
        if self._further.table is not None:
            await self._further.table.freshen()

    async def hosts(self, route: Route) -> tuple[Host, ...] | Status:
        """The servers of *route* in the order in which to try them, at least one; or why there is none."""
        return await self._servers.of(route)

    def of(self, target: Target, item: Item) -> Route:
        """How *item* goes to *target*."""
        return self.choice(target, item).route

    def groups(self, item: Item, targets: Sequence[Target]) -> dict[Route, list[Target]]:
        """*targets* by how *item* goes to them, in the order in which each way comes first."""
        groups: dict[Route, list[Target]] = {}
        for target in targets:
            groups.setdefault(self.of(target, item), []).append(target)
        return groups

    def holds(self, domain: str) -> bool:
        """Whether a line of the table says that mail for *domain* (A-labels, lower case) is kept until it is called for."""
        if nearest(self._sections, domain) is not None:
            return False  # the section has a say of its own
        entry = nearest(self._table, domain)
        return entry is not None and entry.held

    def keeps(self, domain: str) -> bool:
        """Whether mail for *domain* (A-labels, lower case) is kept until it is called for, by whichever rule."""
        section = nearest(self._sections, domain)
        return section.hold if section is not None else self.holds(domain)

    def entry(self, address: Address) -> Entry | None:
        """The line of the route table for *address*, unless a section says more or as much."""
        table = self._table
        if not table or (found := table.get(key_of(address))):
            return found if table else None
        for key in keys(address.domain):
            if key in self._sections:
                return None
            if key in table:
                return table[key]
        return None

    def inside(self, address: Address) -> Choice | None:
        """The route of *address*, where it says that it is somebody here, or that mail for it is refused; else None."""
        chosen = self._by_recipient(address)
        return chosen if chosen is not None and chosen.route.transport in (Transport.LOCAL, Transport.ERROR) else None

    def choice(self, target: Target, item: Item) -> Choice:
        """How *item* goes to *target*, and why."""
        if item.via:
            route = self._whole(self._written(parse_via(item.via, self._tls), self._relay), target.address)
            return Choice(route, "an operator has said so of this message")
        domain = target.address.domain
        if second := self._further.seconds.get(domain):
            return Choice(self._written(parse_via(second, self._tls), self._relay), self._rule(f"domain:{domain}", "other_server"))
        chosen = self._by_recipient(target.address) or self._by_sender(item, domain) or self._smarthost
        if chosen is None:
            chosen = self._known.get(domain) or self._remember(domain, self._usual(domain))
        if chosen.fallback is not None and self._is_late(target, item):
            route, rule = chosen.fallback
            return Choice(route, f"{rule}, after {self._relay.fallback_after} attempts in vain")
        return chosen

    # ----- what decides

    def _usual(self, domain: str) -> Choice:
        route = self._by_mx(domain, self._relay)
        return Choice(route, f"the MX records of {domain}" if route.use_mx else "the address itself", self._fallback)

    def _remember(self, domain: str, choice: Choice) -> Choice:
        """A message to thousands asks for each of them, several times."""
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[domain] = choice
        return choice

    @property
    def _table(self) -> Table:
        """What the file said when it was last in order; nothing while it never was (`freshen` tells that)."""
        try:
            return self._further.table.value if self._further.table is not None else {}
        except Unavailable:
            return {}

    def _by_recipient(self, address: Address) -> Choice | None:
        if not self._has_own:
            return None
        if (entry := self.entry(address)) is not None:
            assert self._further.table is not None
            rule = f"{self._further.table.path}:{entry.number} ({entry.key})"
            return Choice(self._whole(self._written(replace(entry.route, tls=_least(entry.route, self._tls)), self._relay), address), rule)
        if not self._sections:
            return None
        key = next((key for key in keys(address.domain) if key in self._sections), None)
        return None if key is None else self._by_section(key, self._sections[key], address)

    def _by_section(self, name: str, section: Settings, address: Address) -> Choice:
        fallback = None
        if section.fallback:
            route = self._written(parse_via(section.fallback, Tls(section.tls)), section)
            fallback = (route, self._rule(f"route:{name}", "fallback"))
        rule = self._rule(f"route:{name}", "via")
        if not section.via:
            return Choice(self._by_mx(address.domain, section), rule, fallback or self._fallback)
        return Choice(self._whole(self._to(section), address), rule, fallback)

    def _by_sender(self, item: Item, domain: str) -> Choice | None:
        """By the route of its sender, to somebody in *domain*: only where he has logged in, for anybody can name him."""
        sender = item.sender
        if sender is None or not self._senders or not item.account:
            return None
        name = next((key for key in (key_of(sender), *keys(sender.domain)) if key in self._senders), None)
        if name is None:
            return None
        section, rule = self._senders[name], self._rule(f"sender_route:{name}", "via")
        return Choice(self._to(section) if section.via else self._by_mx(domain, section), rule, self._fallback)

    def _is_late(self, target: Target, item: Item) -> bool:
        """Whether *item* was brought to *target* in vain so often that another way is tried."""
        if self._attempts[0] is not item:
            self._attempts = item, {errand.target: errand.attempts for errand in item.errands}
        after = self._relay.fallback_after
        return after is not None and self._attempts[1].get(target, 0) >= after

    # ----- building routes

    def _to(self, section: Settings) -> Route:
        """To the server that *section* names."""
        return self._written(parse_via(section.via, Tls(section.tls), _login(section.user, section.password)), section)

    def _by_mx(self, domain: str, section: Settings) -> Route:
        return self._from(Route(domain, use_mx=not domain.startswith("["), tls=Tls(section.tls)), section)

    def _whole(self, route: Route, address: Address) -> Route:
        """*route* to a server of its own: `smtp:` alone means the servers of the domain, `local:` alone the same name."""
        if route.next_hop or not (route.transport is Transport.LOCAL or route.transport.has_servers):
            return route
        if route.transport is Transport.LOCAL:
            return replace(route, next_hop=address.local)
        return replace(route, next_hop=address.domain, use_mx=not address.domain.startswith("["), written=False)

    def _written(self, route: Route, settings: Settings) -> Route:
        return self._from(replace(route, written=True), settings)

    def _from(self, route: Route, settings: Settings) -> Route:
        """*route*, from where *settings* say, or else [relay]."""
        if not route.transport.has_servers or not route.port:
            return route
        relay = self._relay
        return replace(
            route,
            source=settings.source_address or relay.source_address,
            family=Family(settings.addresses or relay.addresses),
            proxy=settings.proxy or relay.proxy,
        )

    def _rule(self, section: str, key: str) -> str:
        place = self._further.place(section, key)
        return f"[{section}] {key} ({place})" if place else f"[{section}] {key}"


def _login(user: str, password: str) -> Login | None:
    return Login(user, password) if user else None


def _least(route: Route, tls: Tls) -> Tls:
    """How much encryption the line of a table wants: as [relay] has it, but none through a UNIX socket."""
    return tls if route.port else route.tls
