"""Who is no stranger: this machine itself, and what lies in networks that the configuration or the address plan sets apart."""

from __future__ import annotations

from twistmail.mail.address import Address
from twistmail.networks import NETWORKS, covers
from twistmail.policy.pipeline import House

LOOPBACK = NETWORKS.read("127.0.0.0/8 ::1")
#: Addresses that mean another machine in each network, so that no list in the world can know them.
PRIVATE = NETWORKS.read("0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16 ::/127 fc00::/7 fe80::/10")
NO_ADDRESS = "unix"


class Neighbours:
    """Whom *house* (that of [mx]) lets relay by the address, and whoever is nearer than that."""

    def __init__(self, house: House) -> None:
        self._trusted = (*LOOPBACK, *house.settings.relay_networks)
        self._popauth = house.popauth if house.settings.pop_before_smtp else None

    def near(self, address: str) -> bool:
        """*address* is this machine, a UNIX socket, or in `relay_networks`: always so, or never."""
        return address == NO_ADDRESS or covers(self._trusted, address)

    def vouched_for(self, address: str) -> bool:
        """Somebody has just read his mail from *address* (`pop_before_smtp`)."""
        return self._popauth is not None and self._popauth.reader(address) is not None

    def trusted(self, address: str) -> bool:
        """*address* is near or vouched for: whoever is there needs no look at what he calls himself, or how often he errs."""
        return self.near(address) or self.vouched_for(address)

    def unlisted(self, address: str) -> bool:
        """*address* is trusted, or private, so that nobody outside can say anything about it."""
        return self.trusted(address) or covers(PRIVATE, address)


def is_postmaster(recipient: Address, local_domains: frozenset[str]) -> bool:
    """He is to be reached whatever else is refused (RFC 5321 §4.5.1), by those too who ask why they are refused."""
    return recipient.local.lower() == "postmaster" and (not recipient.domain or recipient.domain in local_domains)
