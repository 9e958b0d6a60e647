"""How mail goes on, as a value: the next hop, how to reach it, and how operators write it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from enum import Enum

SMTP_PORT, SMTPS_PORT = 25, 465


class Tls(Enum):
    """How much encryption a route wants."""

    OFF = "off"
    OPPORTUNISTIC = "opportunistic"  # where offered; no certificate is checked (RFC 7435)
    REQUIRED = "required"  # no mail in clear; no certificate is checked
    VERIFIED = "verified"  # and the certificate must be the host's
    DANE = "dane"  # and the certificate must be the one that the domain publishes, signed, in the DNS (RFC 7672 §6)


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Route:
    """How mail goes on. Two domains with equal routes share connections.

    `next_hop` is a domain, whose MX records count where `use_mx`, or the name or address of a server.
    """

    next_hop: str
    use_mx: bool = True
    port: int = SMTP_PORT
    implicit_tls: bool = False
    tls: Tls = Tls.OPPORTUNISTIC
    login: Login | None = None
    require_tls: bool = False  # RFC 8689: for messages that must be encrypted all the way; `tls` is then VERIFIED
    tls_optional: bool = False  # RFC 8689 §3: what the next hop publishes about encryption does not count for this message

    def __str__(self) -> str:
        name = self.next_hop if self.use_mx else f"[{self.next_hop.strip('[]')}]"
        return name if self.port == SMTP_PORT else f"{name}:{self.port}"


@dataclass(frozen=True, slots=True)
class Host:
    """One address of one server."""

    name: str
    address: str
    port: int


_VIA = re.compile(r"(?:(smtps?)://)?(\[[^\[\]]+\]|[^\[\]:/]+)(?::([0-9]{1,5}))?/?")


def parse_via(text: str, tls: Tls = Tls.OPPORTUNISTIC, login: Login | None = None) -> Route:
    """The Route that *text* writes: `name`, `name:port`, `[name]:port`, `smtp://name:port` or `smtps://name`.

    Brackets and URLs mean this very server, without an MX look-up. Raises ValueError with a sentence.
    """
    match = _VIA.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is no mail server\nwrite name, name:port, [name]:port or smtps://name")
    scheme, name, port_text = match.groups()
    port = int(port_text or (SMTPS_PORT if scheme == "smtps" else SMTP_PORT))
    if not 0 < port < 65536:
        raise ValueError(f"{port} is no port\nwrite a number from 1 to 65535")
    exact = name.startswith("[") or scheme is not None
    return Route(name.strip("[]").lower(), not exact, port, scheme == "smtps" or port == SMTPS_PORT, tls, login)


def literal(text: str) -> str | None:
    """The IP address that *text* is, with or without brackets and `IPv6:` (RFC 5321 §4.1.3); None where it is none."""
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if inner.lower().startswith("ipv6:"):
        inner = inner[5:]
    try:
        return str(ipaddress.ip_address(inner))
    except ValueError:
        return None
