"""Mail that runs in circles: too many hops (RFC 5321 §6.3), or through the same mailbox of ours twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

from zope.interface import implementer

from twistmail.interfaces import IPolicyStage, IPolicyStageFactory, Point
from twistmail.mail import headers
from twistmail.mail.envelope import Transaction
from twistmail.mail.status import Status
from twistmail.options import Settings
from twistmail.policy.pipeline import House

TOO_MANY_HOPS = Status(554, "5.4.6", "The message has come through too many systems: it runs in circles")
HERE_BEFORE = Status(554, "5.4.6", "The message has been delivered to the same mailbox before: it runs in circles")

#: Times that one address of ours may stand in Delivered-To. One is fetched mail, which is no loop.
MOST_DELIVERIES = 1


@implementer(IPolicyStage)
class Loops:
    """Reads the trace fields that `mail.trace` writes."""

    name = "loops"
    point = Point.MESSAGE

    def __init__(self, most_hops: int, local_domains: frozenset[str]) -> None:
        self._most_hops = most_hops
        self._local_domains = local_domains

    async def judge(self, transaction: Transaction) -> Status | None:
        text = transaction.header.lower()
        if text.count(b"received") <= self._most_hops and text.count(b"delivered-to") <= MOST_DELIVERIES:
            return None  # as nearly always: no need to look at the fields one by one
        hops = 0
        deliveries: Counter[bytes] = Counter()
        for field in headers.fields(transaction.header):
            name = field.name.lower()
            if name == b"received":
                hops += 1
            elif name == b"delivered-to":
                deliveries[headers.unfold(field.value).lower()] += 1
        if hops > self._most_hops:
            return TOO_MANY_HOPS
        repeated = (address for address, times in deliveries.items() if times > MOST_DELIVERIES)
        return HERE_BEFORE if any(map(self._is_ours, repeated)) else None

    def _is_ours(self, address: bytes) -> bool:
        return address.rpartition(b"@")[2].decode("ascii", "replace") in self._local_domains


@implementer(IPolicyStageFactory)
class LoopsFactory:
    name = "loops"
    options = None

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        return (Loops(house.settings.max_hops, house.local_domains),)
