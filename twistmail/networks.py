"""Whether an address lies in networks: what settings such as `relay_networks` hold, and the question that is asked of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from twistmail.options import WORDS, Kind

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _read(text: str) -> tuple[Network, ...]:
    networks = []
    for word in WORDS.read(text):
        try:
            networks.append(ipaddress.ip_network(word, strict=False))
        except ValueError:
            raise ValueError(f"{word} is no address and no network\nwrite 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32") from None
    return tuple(networks)


#: "192.0.2.0/24 ::1" -> networks; a single address is a network of one.
NETWORKS = Kind("networks", _read, lambda networks: " ".join(map(str, networks)))


@lru_cache(1024)
def address_of(text: str) -> Address | None:
    """The address that *text* is, without a zone, and as IPv4 where that was written as IPv6; None where it is none ("unix")."""
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed


def covers(networks: Iterable[Network], address: str) -> bool:
    """Whether *address* (an IP address; "unix" never) lies in one of *networks*; an IPv4 address may be written as IPv6."""
    if not networks or (parsed := address_of(address)) is None:
        return False
    return any(parsed in network for network in networks)  # no IPv4 address is in an IPv6 network
