"""A SOCKS proxy as a value, and how operators write it: `socks5://user:password@127.0.0.1:9050`."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import field
from urllib.parse import unquote

from twistmail.mail.values import frozen
from twistmail.options import Kind

SOCKS_PORT = 1080
#: Octets of a name and of a password (RFC 1929 §2).
LONGEST = 255
_URL = re.compile(r"socks5h?://(?:([^:@/\s]+):([^@/\s]*)@)?(\[[0-9a-fA-F:.]+\]|[^:@/\[\]\s]+)(?::([0-9]{1,5}))?/?", re.IGNORECASE)


@frozen
class Proxy:
    """Where it is (an IP address), and the login there; `user` empty: none."""

    address: str
    port: int = SOCKS_PORT
    user: str = ""
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"socks5://[{self.address}]:{self.port}" if ":" in self.address else f"socks5://{self.address}:{self.port}"


def parse_proxy(text: str) -> Proxy | None:
    """The Proxy that *text* writes; None where it is empty. Raises ValueError with a sentence, which never quotes a password."""
    if not text:
        return None
    match = _URL.fullmatch(text.strip())
    if match is None:
        raise ValueError("that is no SOCKS proxy\nwrite socks5://127.0.0.1:1080 or socks5://user:password@127.0.0.1:1080")
    user, password, host, port_text = match.groups()
    port = int(port_text or SOCKS_PORT)
    if not 0 < port < 65536:
        raise ValueError(f"{port} is no port\nwrite a number from 1 to 65535")
    try:
        address = str(ipaddress.ip_address("127.0.0.1" if host.lower() == "localhost" else host.strip("[]")))
    except ValueError:
        raise ValueError(f"{host} is no IP address\nwrite the address of the proxy, such as 127.0.0.1") from None
    user, password = unquote(user or ""), unquote(password or "")
    if max(len(user.encode()), len(password.encode())) > LONGEST or (user and not password):
        raise ValueError("the login of the SOCKS proxy is too long, or has no password\nwrite socks5://user:password@127.0.0.1:1080")
    return Proxy(address, port, user, password)


PROXY = Kind("a SOCKS proxy", parse_proxy, lambda proxy: str(proxy or ""))
