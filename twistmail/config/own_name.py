"""What this machine is called where nobody has said it: guessed from what it knows itself, without a question to anybody.

A server must start before there is a network, and on machines whose name has no dot. So the DNS is not asked, nor what
may ask it behind our back (getfqdn).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path

from twistmail.mail.address import canonical_domain

#: The word for "guess it".
AUTO = "auto"
HOSTS = Path("/etc/hosts")
#: What nobody else is called, and everybody: mail from there is not believed by many.
LAST_RESORT = "localhost.localdomain"
MOST_OCTETS = 1_000_000


def own_name() -> str:
    """The full name of this machine, or LAST_RESORT. Blocking: reads /etc/hosts."""
    try:
        with HOSTS.open("rb") as file:
            hosts = file.read(MOST_OCTETS).decode("utf-8", "replace")
    except OSError:
        hosts = ""
    return guess(socket.gethostname(), hosts)


def guess(own: str, hosts: str) -> str:
    """*own*: the name that the system has, with or without a domain; *hosts*: the text of /etc/hosts (hosts(5)).

    First a full name that stands there beside the own one, then the own one where it is full, then one of a loopback address.
    """
    lines = list(_entries(hosts))
    beside = [name for _, names in lines if own.lower() in names for name in names]
    looped = [name for address, names in lines if address.is_loopback for name in names]
    return next(filter(_is_full, (*beside, own.lower(), *looped)), LAST_RESORT)


def _entries(hosts: str) -> Iterator[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, list[str]]]:
    for line in hosts.split("\n"):
        address, *names = line.partition("#")[0].split() or [""]
        try:
            yield ipaddress.ip_address(address), [name.lower().rstrip(".") for name in names]
        except ValueError:
            continue


def _is_full(name: str) -> bool:
    """With a domain, and not a way of saying "this machine"."""
    if "." not in name or name.startswith(("localhost", "ip6-")) or name.rpartition(".")[2].isdigit():
        return False
    try:
        canonical_domain(name)
    except ValueError:
        return False
    return True
