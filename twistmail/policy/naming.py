"""The host name of a client: what its address is called in the DNS, if that name leads back to the address."""

from __future__ import annotations

from twistmail.interfaces import INameLookup, NoSuchDomain
from twistmail.mail.envelope import Peer
from twistmail.networks import address_of

#: Names of one address that are looked at.
MOST_NAMES = 5


async def name_of(peer: Peer, lookup: INameLookup | None) -> str:
    """The verified name of *peer* in lower case, "" where it has none. Raises DnsTrouble.

    A name that does not lead back is anybody's claim: who owns an address writes what he likes into its reverse zone.
    """
    address = address_of(peer.address)
    if peer.name or lookup is None or address is None:
        return peer.name
    try:
        names = await lookup.pointer(str(address))
    except NoSuchDomain:
        return ""
    for name in names[:MOST_NAMES]:
        try:
            if address in map(address_of, await lookup.addresses(name)):
                return name.rstrip(".").lower()
        except NoSuchDomain:
            continue
    return ""
