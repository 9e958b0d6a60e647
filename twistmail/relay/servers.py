"""The servers of a route, in the order in which to try them: by MX records or by name (RFC 5321 §5.1). Asks the DNS, connects to nobody."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from twistmail import tasks
from twistmail.interfaces import DnsTrouble, INameLookup, NoSuchDomain
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.relay.route import SMTP_PORT, UNIX, Host, Route, Transport, literal

#: More servers than this for one domain, and more addresses than that, are not tried.
MOST_HOSTS, MOST_ADDRESSES = 10, 20

NO_SUCH_DOMAIN = Status(550, "5.1.2", "There is no such mail domain")
NO_MAIL = Status(556, "5.1.10", "That domain takes no mail (it has a null MX)")
NO_ADDRESS = Status(451, "4.4.3", "None of the mail servers of that domain has an address")
NO_SUCH_SERVER = Status(451, "4.4.3", "The server that mail for that domain goes to is not known to the DNS")
NO_FAMILY = Status(451, "4.4.3", "None of the mail servers of that domain has an address of the kind that is used here")
NOWHERE = Status(550, "5.1.2", "That domain has no mail server and no address")
LOOPS_BACK = Status(554, "5.4.6", "Mail for that domain leads back to this server, which does not take it")
DNS_SILENT = Status(451, "4.4.3", "The DNS gives no answer about that domain at the moment")
BAD_LITERAL = Status(550, "5.1.2", "That is no address literal that we can reach")


@frozen
class Identity:
    """Who we are: mail that leads to one of these leads back here. `hostname` in lower case; `addresses`: IP addresses as str."""

    hostname: str
    addresses: frozenset[str] = frozenset()


@frozen
class _Server:
    """One MX record and the addresses behind it; `addresses` None: the DNS does not say."""

    preference: int
    name: str
    addresses: tuple[str, ...] | None


class Servers:
    """`random` has `shuffle` (random.Random)."""

    def __init__(self, lookup: INameLookup, identity: Identity, random: Any) -> None:
        self._lookup = lookup
        self._identity = identity
        self._random = random

    async def of(self, route: Route) -> tuple[Host, ...] | Status:
        """The servers of *route*, at least one; or why there is none. *route* has servers (`Transport.has_servers`)."""
        if route.next_hop.startswith(UNIX):
            return (Host("localhost", route.next_hop.removeprefix(UNIX), 0),)
        try:
            found = await (self._by_mx(route) if route.use_mx else self._exact(route))
        except NoSuchDomain:
            found = NO_SUCH_DOMAIN
        except DnsTrouble:
            return DNS_SILENT
        if not isinstance(found, Status):
            return found[:MOST_ADDRESSES]
        return NO_SUCH_SERVER if route.written and found in (NO_SUCH_DOMAIN, NOWHERE, NO_MAIL) else found

    async def _exact(self, route: Route) -> tuple[Host, ...] | Status:
        if (address := literal(route.next_hop)) is not None:
            addresses: tuple[str, ...] = (address,)
        elif route.next_hop.startswith("["):
            return BAD_LITERAL
        else:
            addresses = await self._lookup.addresses(route.next_hop)
        # a route or smart host that the operator wrote may well be this machine on another port
        if route.transport is Transport.SMTP and route.port == SMTP_PORT and self._identity.addresses.intersection(addresses):
            return LOOPS_BACK
        return _hosts(route, [(route.next_hop, addresses)], NO_ADDRESS)

    async def _by_mx(self, route: Route) -> tuple[Host, ...] | Status:
        records = await self._lookup.mx(route.next_hop)
        if not records:
            return await self._implicit_mx(route)
        if {host.rstrip(".") for _, host in records} == {""}:  # RFC 7505
            return NO_MAIL
        ordered = self._ordered([record for record in records if record[1].rstrip(".")])[:MOST_HOSTS]
        answers = await tasks.gather(*(self._addresses(host) for _, host in ordered))
        found = [_Server(preference, host, answer) for (preference, host), answer in zip(ordered, answers, strict=True)]
        kept = self._before_ourselves(found)
        if not kept:
            return LOOPS_BACK
        silent = any(server.addresses is None for server in kept)
        return _hosts(route, [(server.name, server.addresses or ()) for server in kept], DNS_SILENT if silent else NO_ADDRESS)

    async def _implicit_mx(self, route: Route) -> tuple[Host, ...] | Status:
        """RFC 5321 §5.1: without MX records the domain is its own server."""
        addresses = await self._lookup.addresses(route.next_hop)
        if route.next_hop == self._identity.hostname or self._are_ours(addresses):
            return LOOPS_BACK
        return _hosts(route, [(route.next_hop, addresses)], NOWHERE)

    def _are_ours(self, addresses: Iterable[str]) -> bool:
        """Whether one of *addresses*, which the DNS has told, is this machine, however it is spelled."""
        return any(str(one) in self._identity.addresses or one.is_loopback for one in map(_plain, addresses))

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

    def _before_ourselves(self, found: list[_Server]) -> list[_Server]:
        """RFC 5321 §5.1: where we are in the list, only servers of lower preference values count, or mail would loop."""
        ours = [
            server.preference for server in found
            if server.name.rstrip(".").lower() == self._identity.hostname or self._are_ours(server.addresses or ())
        ]
        return [server for server in found if not ours or server.preference < min(ours)]


def _hosts(route: Route, servers: list[tuple[str, tuple[str, ...]]], none: Status) -> tuple[Host, ...] | Status:
    """The addresses of *servers* that may be used; *none* where there are none at all."""
    usable = [(name, tuple(filter(_is_somewhere, addresses))) for name, addresses in servers]
    if not any(addresses for _, addresses in usable):
        return none
    hosts = tuple(Host(name, address, route.port) for name, addresses in usable for address in route.family.chosen(addresses))
    return hosts or NO_FAMILY


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """*address* without its zone; an IPv4 address where it is one in the clothes of IPv6."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _is_somewhere(address: str) -> bool:
    """Not 0.0.0.0 or ::, which the system takes for itself, nor a group of machines."""
    inner = _plain(address)
    return not inner.is_unspecified and not inner.is_multicast
