"""Strangers may write to us, not through us (RFC 5321 §7.1's open relay is everybody's enemy).

This stage is the one gate: whatever another stage accepts, it is asked, and who
it does not let through is refused. Doors in it are opened by the operator alone:

    logging in                  to everybody, for everything (R51)
    [mx] relay_networks         to clients by their address (R49)
    the access list             to clients (Connect: ... RELAY) or for recipients (To: ... RELAY) (R54)
    [mx] pop_before_smtp        to the address of whoever has just read his mail (R50)
    [mx] relay_domains          for recipients: we are their backup (R52)
    [rewrite] sender_map        for recipients: the world knows somebody here by that address, and the mail stays here (R56)

What a client calls itself, and what it calls the sender, opens nothing: both are
anybody's words.
"""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from twistmail.expansion import Expansion
from twistmail.interfaces import DnsTrouble, IPolicyStage, IPolicyStageFactory, Point, Verdict
from twistmail.mail.address import Address
from twistmail.mail.envelope import Peer, Role, Transaction
from twistmail.mail.status import Status
from twistmail.networks import covers
from twistmail.options import Settings
from twistmail.policy.access import Access
from twistmail.policy.pipeline import House
from twistmail.policy.popauth import AfterLogin
from twistmail.policy.relay_domains import RelayDomains
from twistmail.policy.relay_domains import parse as parse_recipients

RELAYING_DENIED = Status(550, "5.7.1", "Not a local recipient, and you have not logged in")
NO_ROUTING = Status(550, "5.7.1", "Mail is not routed by way of this system")
NO_NAME_YET = Status(451, "4.4.3", "Your address cannot be looked up at the moment, please try again later")

#: What other systems once took for a route inside a local part: user%far@here, far!user@here, "user@far"@here.
_ROUTE_MARKS = frozenset("%!@")


@implementer(IPolicyStage)
class Relaying:
    """A recipient is ours, or one of the doors is open. *domains*: those we are a backup for; *doors*: to clients."""

    name = "relaying"
    point = Point.RECIPIENT
    #: Asked even where an earlier stage has accepted the recipient.
    is_gate = True

    def __init__(self, local_domains: frozenset[str], doors: tuple[Any, ...] = (), domains: tuple[Any, ...] = ()) -> None:
        self._local_domains = local_domains
        self._doors = doors
        self._domains = domains

    async def judge(self, transaction: Transaction, recipient: Address) -> Status | Verdict | None:
        if transaction.account is not None:
            return None
        is_routed = not _ROUTE_MARKS.isdisjoint(recipient.local)
        if not recipient.domain or recipient.domain in self._local_domains:
            return NO_ROUTING if is_routed else None
        trouble: Status | None = None
        for door in self._doors:
            try:
                if rule := await door.lets_through(transaction, recipient):
                    return Verdict(None, rule)
            except DnsTrouble:
                trouble = NO_NAME_YET
        for domains in self._domains:
            if rule := await domains.has(recipient):
                return Verdict(NO_ROUTING if is_routed else await domains.objection(recipient), rule)
        return trouble or RELAYING_DENIED

    def left(self, peer: Peer) -> None:
        """The connection of *peer* has ended."""
        for door in self._doors:
            door.left(peer)


# ----- doors: `lets_through` says by which rule, or ""; `left` hears of the end of connections


class ByNetwork:
    """Clients in *networks* relay."""

    def __init__(self, networks: tuple[Any, ...]) -> None:
        self._networks = networks

    async def lets_through(self, transaction: Transaction, recipient: Address) -> str:
        return "relay_networks" if covers(self._networks, transaction.peer.address) else ""

    def left(self, peer: Peer) -> None:
        """Nothing is known of single connections."""


class ByAccessList:
    """Clients that the access list lets relay (Connect: ... RELAY)."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def lets_through(self, transaction: Transaction, recipient: Address) -> str:
        rule = await self._access.relays_client(transaction.peer)
        return self._access.told(rule) if rule else ""

    def left(self, peer: Peer) -> None:
        self._access.forget(peer)


class ListedDomains:
    """Recipients that the access list takes for relaying (To: ... RELAY)."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def has(self, recipient: Address) -> str:
        rule = await self._access.relays_recipient(recipient)
        return self._access.told(rule) if rule else ""

    async def objection(self, recipient: Address) -> Status | None:
        return None


class KnownOutside:
    """Recipients by whose addresses the world knows somebody here (`[rewrite] sender_map`): their mail goes no further."""

    def __init__(self, expansion: Expansion) -> None:
        self._expansion = expansion

    async def has(self, recipient: Address) -> str:
        return "[rewrite] reverse" if await self._expansion.comes_home(recipient) else ""

    async def objection(self, recipient: Address) -> Status | None:
        return None


@implementer(IPolicyStageFactory)
class RelayingFactory:
    name = "relaying"
    options = None

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        if house.role is not Role.MX:  # who submits has logged in
            return (Relaying(house.local_domains),)
        own = house.settings
        doors: list[Any] = []
        domains: list[Any] = [KnownOutside(house.expansion)]
        if own.relay_networks:
            doors.append(ByNetwork(own.relay_networks))
        if house.access is not None:
            doors.append(ByAccessList(house.access))
            domains.append(ListedDomains(house.access))
        if own.pop_before_smtp and house.popauth is not None:
            doors.append(AfterLogin(house.popauth, house.facts, house.epoch))
        if own.relay_domains:
            listed = house.watched.file(house.path(own.relay_recipients), parse_recipients) if own.relay_recipients else None
            domains.insert(0, RelayDomains(own.relay_domains, listed))
        return (Relaying(house.local_domains, tuple(doors), tuple(domains)),)
