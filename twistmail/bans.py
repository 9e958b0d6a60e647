"""Who may not come in for a while: banned networks, and whether an address lies in one of them.

A `Ban` of the server's own making keeps somebody who has guessed at passwords
from the services where one logs in; an operator's ban holds everywhere. Asking
costs one look per length of network that is banned at all, however many there
are. A ban that has ended is remembered for a day: the next one is longer.

Pure; times are POSIX seconds and are given. `servers.gate` makes bans and asks,
`doorbook` keeps them over a restart.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from twistmail.mail.values import frozen
from twistmail.networks import Network, address_of

#: Who has banned: the server by itself, or somebody who rules it.
SERVER, OPERATOR = "server", "operator"
#: Bans that are kept; of more, the server's own that were made first are forgotten.
MOST_BANS = 50_000
#: Each ban of the same network is twice as long as the one before, up to a day, until it was left in peace for a day.
LONGEST = 86_400.0
MEMORY = 86_400.0


@frozen
class Ban:
    """`network` is banned from `since` until `until` (None: for ever), for the `times`-th time. `by`: SERVER or OPERATOR."""

    network: Network
    since: float
    until: float | None
    reason: str
    by: str = SERVER
    times: int = 1

    def holds(self, now: float) -> bool:
        return self.until is None or now < self.until

    @property
    def place(self) -> str:
        """`network`, where it is one address as the address."""
        return str(self.network.network_address if self.network.num_addresses == 1 else self.network)

    def as_json(self, now: float, turned_away: int = 0) -> dict[str, Any]:
        """As it is told to operators. `left_s` None: for ever. *turned_away*: connections since the start."""
        return {
            "network": self.place,
            "since": self.since,
            "until": self.until,
            "left_s": None if self.until is None else int(self.until - now),
            "by": self.by,
            "reason": self.reason,
            "times": self.times,
            "turned_away": turned_away,
        }


class Bans:
    """The bans of one server. `changed` is what a keeper has not seen yet: {network: its Ban, or None where it was lifted}."""

    def __init__(self, bans: Iterable[Ban] = (), most: int = MOST_BANS) -> None:
        self.changed: dict[Network, Ban | None] = {}
        #: Connections that were sent away, per network, since the start.
        self.turned_away: dict[Network, int] = {}
        self._most = most
        self._bans: dict[Network, Ban] = {}  # in the order in which they were made
        self._by_length: dict[tuple[int, int], dict[int, Ban]] = {}  # (IP version, bits that do not count) -> the rest of the bits
        for ban in bans:
            self._take(ban)

    def __len__(self) -> int:
        return len(self._bans)

    def covering(self, address: str, now: float) -> Ban | None:
        """The ban that holds for *address* ("unix" never has one); an operator's before the server's own."""
        if not self._by_length or (parsed := address_of(address)) is None:
            return None
        number, version, found = int(parsed), parsed.version, None
        for (of_version, shift), bans in self._by_length.items():
            if of_version == version and (ban := bans.get(number >> shift)) is not None and ban.holds(now):
                if ban.by == OPERATOR:
                    return ban
                found = ban
        return found

    def in_force(self, now: float) -> tuple[Ban, ...]:
        """All that hold, those that were made first first."""
        return tuple(ban for ban in self._bans.values() if ban.holds(now))

    def get(self, network: Network) -> Ban | None:
        """The ban of exactly *network*, even when it has ended."""
        return self._bans.get(network)

    def put(self, ban: Ban) -> None:
        """From now on *ban* holds, in the place of an earlier one of the same network."""
        self._forget(ban.network)
        self._take(ban)
        self.changed[ban.network] = ban
        if len(self._bans) > self._most:
            self._drop(next((one.network for one in self._bans.values() if one.by == SERVER), ban.network))

    def ban(self, network: Network, reason: str, now: float, seconds: float) -> Ban:
        """The server's own ban: for *seconds* the first time, longer each time after. An operator's ban stays as it is."""
        before = self._bans.get(network)
        if before is not None and before.by == OPERATOR and before.holds(now):
            return before
        times = 1 if before is None or before.by == OPERATOR else before.times + 1
        lasts = max(seconds, min(seconds * 2.0 ** min(times - 1, 32), LONGEST))
        ban = Ban(network, now, now + lasts, reason, SERVER, times)
        self.put(ban)
        return ban

    def lift(self, network: Network) -> Ban | None:
        """Forget the ban of exactly *network*, which is returned; None where there is none."""
        ban = self._bans.get(network)
        if ban is not None:
            self._drop(network)
        return ban

    def expire(self, now: float) -> None:
        """Forget what ended long ago."""
        for network in [ban.network for ban in self._bans.values() if ban.until is not None and ban.until + MEMORY <= now]:
            self._drop(network)

    def count(self, ban: Ban) -> None:
        """Somebody was sent away because of *ban*."""
        self.turned_away[ban.network] = self.turned_away.get(ban.network, 0) + 1

    def take_changes(self) -> dict[Network, Ban | None]:
        """`changed`, which is empty then."""
        changed, self.changed = self.changed, {}
        return changed

    def _take(self, ban: Ban) -> None:
        self._bans[ban.network] = ban
        key, number = _key(ban.network)
        self._by_length.setdefault(key, {})[number] = ban

    def _drop(self, network: Network) -> None:
        self._forget(network)
        self.turned_away.pop(network, None)
        self.changed[network] = None

    def _forget(self, network: Network) -> None:
        if self._bans.pop(network, None) is None:
            return
        key, number = _key(network)
        of_length = self._by_length[key]
        del of_length[number]
        if not of_length:
            del self._by_length[key]


def _key(network: Network) -> tuple[tuple[int, int], int]:
    shift = network.max_prefixlen - network.prefixlen
    return (network.version, shift), int(network.network_address) >> shift


def network_in(text: str) -> Network:
    """The network that *text* spells: an address or a network, an IPv4 one also when it is written as IPv6.

    ValueError with two lines: what is wrong, and what would be right.
    """
    try:
        network: IPv4Network | IPv6Network = ip_network(text.strip(), strict=False)
    except ValueError:
        raise ValueError(f"{text} is no address and no network\nwrite 192.0.2.7, 192.0.2.0/24 or 2001:db8::/64") from None
    if isinstance(network, IPv6Network) and network.prefixlen >= 96 and (mapped := network.network_address.ipv4_mapped) is not None:
        return ip_network((mapped, network.prefixlen - 96))
    return network


def home_of(address: str) -> Network | None:
    """What is banned where *address* has guessed: the IPv4 address, the IPv6 /64 network; None for what is no IP address."""
    parsed = address_of(address)
    if parsed is None:
        return None
    return ip_network((parsed, 32 if parsed.version == 4 else 64), strict=False)
