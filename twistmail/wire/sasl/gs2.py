"""The header in front of a client's first message in the mechanisms that GS2 has shaped (RFC 5801 §4): SCRAM, OAUTHBEARER."""

from __future__ import annotations

import re

from twistmail.mail.values import frozen
from twistmail.wire.sasl.exchange import name

_HEADER = re.compile(rb"(?:([ny])|p=([A-Za-z0-9.-]{1,255})),(?:a=([^,]{1,1024}))?,")


@frozen
class Gs2Header:
    """`flag`: "n", "y" or "p", and then `binding` is the name of the channel binding (RFC 5056 §7). `octets`: as it was sent."""

    flag: str
    binding: str
    authzid: str
    octets: bytes


def gs2_header(message: bytes) -> Gs2Header:
    """The header with which *message* begins. ValueError says in words why there is none."""
    match = _HEADER.match(message)
    if match is None:
        raise ValueError("The message does not begin with a GS2 header")
    flag, binding, authzid = match.groups()
    return Gs2Header((flag or b"p").decode(), (binding or b"").decode(), saslname(authzid) if authzid else "", match[0])


def saslname(octets: bytes) -> str:
    """The name in *octets*, in which `=2C` is a comma and `=3D` an equals sign (RFC 5801 §4). ValueError where it is none."""
    first, *pieces = octets.split(b"=")
    plain = [first]
    for piece in pieces:
        character = _ESCAPED.get(piece[:2])
        if character is None:
            raise ValueError("In a name, = stands before 2C or 3D only")
        plain.append(character + piece[2:])
    return name(b"".join(plain))


_ESCAPED = {b"2C": b",", b"3D": b"="}
