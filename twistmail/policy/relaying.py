"""Strangers may write to us, not through us (RFC 5321 §7.1's open relay is everybody's enemy)."""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from twistmail.interfaces import IPolicyStage, IPolicyStageFactory, Point
from twistmail.mail.address import Address
from twistmail.mail.envelope import Transaction
from twistmail.mail.status import Status
from twistmail.options import Settings
from twistmail.policy.pipeline import House

RELAYING_DENIED = Status(550, "5.7.1", "Not a local recipient, and you have not logged in")
NO_ROUTING = Status(550, "5.7.1", "Mail is not routed by way of this system")

#: What other systems once took for a route inside a local part: user%far@here, far!user@here, "user@far"@here.
_ROUTE_MARKS = frozenset("%!@")


@implementer(IPolicyStage)
class Relaying:
    """A recipient is ours, or the peer has logged in."""

    name = "relaying"
    point = Point.RECIPIENT

    def __init__(self, local_domains: frozenset[str]) -> None:
        self._local_domains = local_domains

    async def judge(self, transaction: Transaction, recipient: Address) -> Status | None:
        if transaction.account is not None:
            return None
        if recipient.domain and recipient.domain not in self._local_domains:
            return RELAYING_DENIED
        return NO_ROUTING if not _ROUTE_MARKS.isdisjoint(recipient.local) else None


@implementer(IPolicyStageFactory)
class RelayingFactory:
    name = "relaying"
    options = None

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        return (Relaying(house.local_domains),)
