"""XCLIENT: a proxy that we trust says who its client is. The attributes are Postfix's."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from twistmail.mail.address import canonical_domain
from twistmail.mail.envelope import Peer
from twistmail.wire.smtp.commands import XClient


def behind(proxy: Peer, event: XClient) -> Peer:
    """The client that *proxy* speaks for, as far as *event* tells of it. ValueError where an attribute makes no sense."""
    told = event.attributes
    address, port = told.get("ADDR"), told.get("PORT")
    hello, name, protocol = told.get("HELO"), told.get("NAME"), told.get("PROTO")
    if protocol is not None and protocol.upper() not in ("SMTP", "ESMTP"):
        raise ValueError(protocol)
    return replace(
        proxy,
        address=_address(address) if address is not None else proxy.address,
        port=_port(port) if port is not None else (0 if address is not None else proxy.port),
        hello=canonical_domain(hello) if hello is not None else "",
        name=canonical_domain(name) if name is not None else "",
        extended=protocol is not None and protocol.upper() == "ESMTP",
        account=None,
        via=proxy.via or proxy.address,
    )


def _address(text: str) -> str:
    """"192.0.2.7" or "IPv6:2001:db8::7"; a zone of the proxy's own interfaces means nothing here."""
    if "%" in text:
        raise ValueError(text)
    return str(ipaddress.ip_address(text[5:] if text[:5].upper() == "IPV6:" else text))


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) < 65536):
        raise ValueError(text)
    return int(text)
