"""The host name of a client: found out while it talks, written into Received, and demanded where the operator wants that.

A name counts when it leads back to the address (`policy.naming`). The question
is put when the peer connects; whoever sends a message waits for the answer at
its end, or at RCPT where a name is demanded. Postmaster is reached without one.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from twistmail import tasks
from twistmail.interfaces import DnsTrouble, Edit, INameLookup, IPolicyStage, IPolicyStageFactory, Point
from twistmail.mail.address import Address
from twistmail.mail.envelope import Peer, Role, Transaction
from twistmail.mail.status import Status
from twistmail.options import Option, Reload, Settings, choice
from twistmail.policy.inquiries import Inquiries
from twistmail.policy.naming import name_of
from twistmail.policy.neighbours import Neighbours, is_postmaster
from twistmail.policy.pipeline import House

log = Logger()

#: In [mx].
OPTIONS = (
    Option("reverse_dns", choice("off", "log", "require"), "off",
           "The client's name in the DNS, if it leads back to its address: ignored, noted in Received and log, or demanded.", Reload.NEW),
)  # fmt: skip

#: RFC 7372 §3.3.
NAMELESS = Status(550, "5.7.25", "Your address has no name in the DNS that leads back to it")
UNKNOWN = Status(450, "4.7.25", "The name of your address cannot be looked up at the moment, please try again later")

TIMEOUT = 10.0  # seconds, for all questions about one client


class Names:
    """What the stages at the three points have in common."""

    def __init__(self, lookup: INameLookup, neighbours: Neighbours, local_domains: frozenset[str], clock: Any) -> None:
        self._lookup = lookup
        self._neighbours = neighbours
        self._local_domains = local_domains
        self._clock = clock
        self._names = Inquiries(self._find, "the look-up of a client's name")

    def ask(self, peer: Peer) -> None:
        """Begin to ask for the name of *peer*."""
        if not self._neighbours.unlisted(peer.address):
            self._names.about(peer.connection, peer.address)

    async def demand(self, transaction: Transaction, recipient: Address) -> Status | None:
        """The verdict at RCPT."""
        peer = transaction.peer
        if peer.name or self._neighbours.unlisted(peer.address) or is_postmaster(recipient, self._local_domains):
            return None
        name = await self._names.about(peer.connection, peer.address).result()
        return None if name else NAMELESS if name is not None else UNKNOWN

    async def note(self, transaction: Transaction) -> Edit | None:
        """At the end of the message: the name for Received."""
        peer = transaction.peer
        if peer.name or self._neighbours.unlisted(peer.address):
            return None
        name = await self._names.about(peer.connection, peer.address).result()
        return Edit(peer_name=name) if name else None

    def forget(self, peer: Peer) -> None:
        self._names.forget(peer.connection)

    async def _find(self, address: str) -> str | None:
        """The name, "" where there is none, None where that cannot be said now."""
        try:
            name = await tasks.with_timeout(self._clock, TIMEOUT, name_of(Peer("", address, 0), self._lookup), "a client's name")
        except (DnsTrouble, tasks.TimedOut) as trouble:
            log.info("the name of {address} is not known: {trouble}", address=address, trouble=trouble)
            return None
        if not name:
            log.info("{address} has no name that leads back to it", address=address)
        return name


@implementer(IPolicyStage)
class AtConnect:
    name = "reverse"
    point = Point.CONNECT

    def __init__(self, names: Names) -> None:
        self._names = names

    async def judge(self, peer: Peer) -> None:
        self._names.ask(peer)

    def left(self, peer: Peer) -> None:
        """The connection is gone (called by the pipeline)."""
        self._names.forget(peer)


@implementer(IPolicyStage)
class AtRecipient:
    name = "reverse"
    point = Point.RECIPIENT

    def __init__(self, names: Names) -> None:
        self.judge = names.demand


@implementer(IPolicyStage)
class AtMessage:
    name = "reverse"
    point = Point.MESSAGE

    def __init__(self, names: Names) -> None:
        self.judge = names.note


@implementer(IPolicyStageFactory)
class ReverseFactory:
    name = "reverse"
    options = None

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        if house.role is not Role.MX or house.lookup is None or house.settings.reverse_dns == "off":
            return ()
        names = Names(house.lookup, Neighbours(house), house.local_domains, house.clock)
        stages = (AtConnect(names), AtMessage(names))
        return (*stages, AtRecipient(names)) if house.settings.reverse_dns == "require" else stages
