"""How much mail one address, and the network around it, may bring in a minute; and how many recipients it may guess wrong.

Whoever is over is told to come later (451): an honest server does. What was
refused so does not count, so nobody locks himself out by trying. Neighbours
(this machine, `relay_networks`) are not counted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_network
from typing import Any

from zope.interface import implementer

from twistmail.interfaces import IPolicyStage, IPolicyStageFactory, Point, Verdict
from twistmail.mail.address import Address
from twistmail.mail.envelope import Role, Transaction
from twistmail.mail.status import Status
from twistmail.networks import address_of
from twistmail.options import COUNT_OR_UNLIMITED, Option, Reload, Settings
from twistmail.policy.neighbours import Neighbours
from twistmail.policy.pipeline import House

#: In [mx].
OPTIONS = (
    Option("max_mails_per_ip", COUNT_OR_UNLIMITED, "500", "Messages a minute from one address (IPv6: from one /64).", Reload.NEW),
    Option("max_mails_per_network", COUNT_OR_UNLIMITED, "2000", "Messages a minute from one /24 (IPv6: from one /48).", Reload.NEW),
    Option(
        "max_unknown_per_ip", COUNT_OR_UNLIMITED, "100", "Unknown recipients a minute from one address (IPv6: from one /64).", Reload.NEW
    ),
)

TOO_MUCH_MAIL = Status(451, "4.7.1", "Too much mail from your address at once, please try again later")
TOO_MANY_GUESSES = Status(451, "4.7.1", "Too many unknown recipients from your address, please try again later")

#: The enhanced code of a recipient whom nobody knows (RFC 3463 §3.2).
UNKNOWN_RECIPIENT = "5.1.1"

WINDOW = 60.0  # seconds
MOST_REMEMBERED = 10_000  # addresses or networks; those that were quiet for longest are forgotten first
EXACT = 1e-6  # seconds by which sums of parts of a second may be wrong


class Rate:
    """So many in WINDOW for each key; all of them may come at once. `now` gives seconds.

    One number a key (the generic cell rate algorithm): when all that was counted would be over at the even pace.
    """

    def __init__(self, most: int, now: Callable[[], float]) -> None:
        self.most = most
        self._pace = WINDOW / most if most else float("inf")
        self._now = now
        self._over: OrderedDict[str, float] = OrderedDict()

    def is_full(self, key: str) -> bool:
        """Whether one more of *key* is one too many."""
        now = self._now()
        return max(self._over.get(key, now), now) + self._pace - now > WINDOW + EXACT

    def count(self, key: str) -> None:
        now = self._now()
        self._over[key] = max(self._over.get(key, now), now) + self._pace
        self._over.move_to_end(key)
        if len(self._over) > MOST_REMEMBERED:
            self._over.popitem(last=False)

    def __len__(self) -> int:
        return len(self._over)


class Groups:
    """What is counted together with an address."""

    def __init__(self, neighbours: Neighbours) -> None:
        self._neighbours = neighbours
        self._remembered = lru_cache(maxsize=1024)(self._of)

    def of(self, address: str) -> tuple[str, str] | None:
        """The address (IPv6: its /64) and the network around it (/24, /48); None where nothing is counted."""
        return None if self._neighbours.vouched_for(address) else self._remembered(address)

    def _of(self, address: str) -> tuple[str, str] | None:
        parsed = address_of(address)
        if parsed is None or self._neighbours.near(address):
            return None
        near, far = (32, 24) if parsed.version == 4 else (64, 48)
        return str(ip_network((parsed, near), strict=False)).removesuffix("/32"), str(ip_network((parsed, far), strict=False))


@implementer(IPolicyStage)
class MailRates:
    """`rates`: that of addresses and that of networks; None: no limit."""

    name = "rates"
    point = Point.SENDER

    def __init__(self, groups: Groups, rates: tuple[Rate | None, Rate | None]) -> None:
        self._groups = groups
        self._rates = rates

    async def judge(self, transaction: Transaction) -> Verdict | None:
        groups = self._groups.of(transaction.peer.address)
        if groups is None:
            return None
        counted = [(rate, key) for rate, key in zip(self._rates, groups, strict=True) if rate is not None]
        for rate, key in counted:
            if rate.is_full(key):
                return Verdict(TOO_MUCH_MAIL, f"{key}: {rate.most} messages a minute")
        for rate, key in counted:
            rate.count(key)
        return None


@implementer(IPolicyStage)
class GuessRate:
    """Unknown recipients, over all connections of an address."""

    name = "rates"
    point = Point.RECIPIENT

    def __init__(self, groups: Groups, rate: Rate) -> None:
        self._groups = groups
        self._rate = rate

    async def judge(self, transaction: Transaction, recipient: Address) -> Verdict | None:
        if not len(self._rate):  # as on most days
            return None
        groups = self._groups.of(transaction.peer.address)
        if groups is None or not self._rate.is_full(groups[0]):
            return None
        return Verdict(TOO_MANY_GUESSES, f"{groups[0]}: {self._rate.most} unknown recipients a minute")

    def refused(self, transaction: Transaction, recipient: Address, status: Status) -> None:
        """Somebody has refused *recipient* (called by the pipeline)."""
        if status.enhanced == UNKNOWN_RECIPIENT and (groups := self._groups.of(transaction.peer.address)):
            self._rate.count(groups[0])


@implementer(IPolicyStageFactory)
class RatesFactory:
    name = "rates"
    options = None

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        if house.role is not Role.MX:
            return ()
        own, now = house.settings, house.clock.seconds
        groups = Groups(Neighbours(house))
        mails, network, unknown = (
            None if most is None else Rate(most, now) for most in (own.max_mails_per_ip, own.max_mails_per_network, own.max_unknown_per_ip)
        )
        stages: tuple[Any, ...] = (MailRates(groups, (mails, network)),) if mails is not None or network is not None else ()
        return (*stages, GuessRate(groups, unknown)) if unknown is not None else stages
