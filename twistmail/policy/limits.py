"""How many connections an address and the network around it may have, and how fast they may open them.

The service's own maximum is the listener's, mail a minute is the stage `rates`.
A connection counts until its descriptor is free: also while a peer leaves our
last words unread, or our TLS farewell unanswered (the pump tells, through
`Pipeline.left`).
"""

from __future__ import annotations

import ipaddress
from typing import Any

from zope.interface import implementer

from twistmail.interfaces import IPolicyStage, IPolicyStageFactory, Point, Verdict
from twistmail.mail.envelope import Peer
from twistmail.mail.status import Status
from twistmail.networks import address_of
from twistmail.options import COUNT, COUNT_OR_UNLIMITED, Option, Reload, Settings
from twistmail.policy.pipeline import House
from twistmail.policy.rates import Rate

#: In [mx], [submission] and [lmtp].
OPTIONS = (
    Option("max_connections_per_ip", COUNT, "30", "Connections at a time from one address (IPv6: from one /64).", Reload.NEW),
    Option(
        "max_connections_per_network", COUNT_OR_UNLIMITED, "100", "Connections at a time from one /24 (IPv6: from one /48).", Reload.NEW
    ),
    Option("max_rate_per_ip", COUNT, "300", "New connections a minute from one address (IPv6: from one /64).", Reload.NEW),
    Option("max_rate_per_network", COUNT_OR_UNLIMITED, "1000", "New connections a minute from one /24 (IPv6: from one /48).", Reload.NEW),
)

TOO_MANY = Status(421, "4.7.0", "Too many connections from your address, please try again later")
TOO_FAST = Status(421, "4.7.0", "Your address connects too often, please try again later")


@implementer(IPolicyStage)
class ConnectionLimits:
    """Counts by address (IPv6: /64) and by network (/24, /48). This machine itself and UNIX sockets are not counted.

    `most`: connections at a time of an address, and of a network; `rates`: new ones a minute. None: no limit.
    """

    name = "limits"
    point = Point.CONNECT

    def __init__(self, most: tuple[int | None, int | None], rates: tuple[Rate | None, Rate | None]) -> None:
        self._most = most
        self._rates = rates
        self._open: dict[str, tuple[str, str]] = {}  # connection id -> what it counts for
        self._counts: dict[str, int] = {}  # address or network -> connections

    async def judge(self, peer: Peer) -> Verdict | None:
        groups = _groups(peer.address)
        if groups is None:
            return None
        self._enter(peer.connection, groups)
        return self._too_fast(groups) or self._too_many(groups)

    def left(self, peer: Peer) -> None:
        """The connection's descriptor is free (called by the pipeline)."""
        for group in self._open.pop(peer.connection, ()):
            self._counts[group] -= 1
            if not self._counts[group]:
                del self._counts[group]

    def _enter(self, connection: str, groups: tuple[str, str]) -> None:
        self._open[connection] = groups
        for group in groups:
            self._counts[group] = self._counts.get(group, 0) + 1

    def _too_fast(self, groups: tuple[str, str]) -> Verdict | None:
        """What was refused does not count: whoever keeps trying gets his even share."""
        counted = [(rate, group) for rate, group in zip(self._rates, groups, strict=True) if rate is not None]
        for rate, group in counted:
            if rate.is_full(group):
                return Verdict(TOO_FAST, f"{group}: {rate.most} connections a minute")
        for rate, group in counted:
            rate.count(group)
        return None

    def _too_many(self, groups: tuple[str, str]) -> Verdict | None:
        for most, group in zip(self._most, groups, strict=True):
            if most is not None and self._counts[group] > most:
                return Verdict(TOO_MANY, f"{group}: {most} connections")
        return None


def _groups(address: str) -> tuple[str, str] | None:
    """What is counted together with *address*: itself (IPv6: its /64) and its network; None where nothing is counted."""
    parsed = address_of(address)
    if parsed is None or parsed.is_loopback:
        return None
    if isinstance(parsed, ipaddress.IPv4Address):
        near = str(parsed)
        return near, near.rpartition(".")[0] + ".0/24"
    bits = int(parsed)
    return f"{ipaddress.IPv6Address(bits >> 64 << 64)}/64", f"{ipaddress.IPv6Address(bits >> 80 << 80)}/48"


@implementer(IPolicyStageFactory)
class LimitsFactory:
    name = "limits"
    options = None

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        own, now = house.settings, house.clock.seconds
        per_network = None if own.max_rate_per_network is None else Rate(own.max_rate_per_network, now)
        rates = (Rate(own.max_rate_per_ip, now), per_network)
        return (ConnectionLimits((own.max_connections_per_ip, own.max_connections_per_network), rates),)
