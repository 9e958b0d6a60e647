"""How long somebody waits who keeps giving wrong passwords, and when we stop listening to him.

Failures are remembered per peer (an IPv4 address, an IPv6 /64 network) and per
login. A failure's answer is delayed by both; only a peer can be refused, never
a login, so nobody can lock somebody else out. Memory is bounded: the keys that
were quiet for longest are forgotten first. Times are given, in seconds of any
one clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address

#: limits.md auth.*: the first delay, doubled by each failure, and its end.
FIRST_DELAY = 2.0
LONGEST_DELAY = 15.0
#: Failures count towards the delay for so many seconds.
DELAY_MEMORY = 300.0
#: (failures, seconds): more than so many in so long, and the peer is not listened to.
RATES = ((10, 60.0), (50, 86_400.0))
MOST_KEYS = 20_000
MOST_DOUBLINGS = 8


class Throttle:
    """Remembers failures. One per server: all services share it."""

    def __init__(self, rates: Sequence[tuple[int, float]] = RATES, most_keys: int = MOST_KEYS) -> None:
        self.rates = tuple(rates)
        self._most_keys = most_keys
        self._kept = max(MOST_DOUBLINGS, *(count for count, _ in self.rates)) if self.rates else MOST_DOUBLINGS
        self._failures: OrderedDict[tuple[str, str], list[float]] = OrderedDict()

    def refuses(self, address: str, now: float) -> bool:
        """Has *address* failed so often that even a right password is not looked at?"""
        times = self._failures.get(("peer", network_of(address)), ())
        return any(sum(now - at < seconds for at in times) >= count for count, seconds in self.rates)

    def failed(self, address: str, login: str, now: float) -> float:
        """Note a failure; the seconds by which its answer is to be delayed."""
        seen = max(self._note(("peer", network_of(address)), now), self._note(("login", login.lower()), now))
        return min(FIRST_DELAY * 2.0 ** (seen - 1), LONGEST_DELAY)

    def succeeded(self, login: str) -> None:
        """*login* got in: his own earlier slips are forgotten. The peer's are not: one good account must not buy guesses."""
        self._failures.pop(("login", login.lower()), None)

    def __len__(self) -> int:
        return len(self._failures)

    def _note(self, key: tuple[str, str], now: float) -> int:
        """The failures of *key* that still count towards the delay, this one included."""
        times = self._failures.setdefault(key, [])
        self._failures.move_to_end(key)
        times.append(now)
        del times[: -self._kept]
        if len(self._failures) > self._most_keys:
            self._failures.popitem(last=False)
        return min(MOST_DOUBLINGS, sum(now - at < DELAY_MEMORY for at in times))


def network_of(address: str) -> str:
    """What counts as one peer: the IPv4 address, the IPv6 /64 network, or the text itself ("unix")."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(IPv6Address(int(parsed) >> 64 << 64)) + "/64"
    return str(parsed)
