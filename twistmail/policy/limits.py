"""How many connections one address may have, and how fast it may open them. The service's own maximum is the listener's."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from zope.interface import implementer

from twistmail.interfaces import IPolicyStage, IPolicyStageFactory, Point
from twistmail.mail.envelope import Peer
from twistmail.mail.status import Status
from twistmail.options import Settings
from twistmail.policy.pipeline import House

TOO_MANY = Status(421, "4.7.0", "Too many connections from your address, please try again later")
TOO_FAST = Status(421, "4.7.0", "Your address connects too often, please try again later")

RATE_WINDOW = 60.0  # seconds
MOST_REMEMBERED = 10_000  # addresses whose rate is remembered


@implementer(IPolicyStage)
class ConnectionLimits:
    """Counts by IPv4 address or IPv6 /64. This machine itself and UNIX sockets are not counted."""

    name = "limits"
    point = Point.CONNECT

    def __init__(self, most: int, most_per_minute: int, now: Callable[[], float]) -> None:
        self._most = most
        self._rate = most_per_minute
        self._now = now
        self._open: dict[str, str] = {}  # connection id -> network
        self._counts: dict[str, int] = {}  # network -> connections
        self._windows: dict[str, tuple[float, int]] = {}  # network -> (begin, connections since)

    async def judge(self, peer: Peer) -> Status | None:
        network = _network(peer.address)
        if network is None:
            return None
        self._open[peer.connection] = network
        self._counts[network] = self._counts.get(network, 0) + 1
        if self._is_too_fast(network):
            return TOO_FAST
        return TOO_MANY if self._counts[network] > self._most else None

    def left(self, peer: Peer) -> None:
        """The connection is gone (called by the pipeline)."""
        network = self._open.pop(peer.connection, None)
        if network is not None:
            self._counts[network] -= 1
            if not self._counts[network]:
                del self._counts[network]

    def _is_too_fast(self, network: str) -> bool:
        now = self._now()
        began, count = self._windows.get(network, (now, 0))
        if now - began >= RATE_WINDOW:
            began, count = now, 0
        if network not in self._windows and len(self._windows) >= MOST_REMEMBERED:
            self._windows = {name: window for name, window in self._windows.items() if now - window[0] < RATE_WINDOW}
            if len(self._windows) >= MOST_REMEMBERED:
                self._windows.clear()
        self._windows[network] = (began, count + 1)
        return count + 1 > self._rate


def _network(address: str) -> str | None:
    """What is counted together with *address*; None where nothing is counted."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if parsed.is_loopback:
        return None
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))


@implementer(IPolicyStageFactory)
class LimitsFactory:
    name = "limits"
    options = None

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        own = house.settings
        return (ConnectionLimits(own.max_connections_per_ip, own.max_rate_per_ip, house.clock.seconds),)
