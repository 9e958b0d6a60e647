"""A small DNS in memory. Implements INameLookup; for tests, demos and classes."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from zope.interface import implementer

from twistmail.interfaces import DnsTrouble, INameLookup, NoSuchDomain, Proved

Zone = Mapping[str, Mapping[str, Any]]


@implementer(INameLookup)
class MemoryLookup:
    """`names`: {"far.test": {"MX": [(10, "mx.far.test")]}, "mx.far.test": {"A": ["192.0.2.1"], "AAAA": [...]}}.

    Kinds are MX, A, AAAA, TXT (bytes), PTR (under the address), TLSA (usage, selector, matching type, bytes) and CNAME (one
    name). A name that is not there, and above no other, does not exist. `broken`: names about which there is no answer
    (SERVFAIL). `signed`: zones whose answers are proved. `asked`: every question, in order.
    """

    def __init__(self, names: Zone | None = None) -> None:
        self.names: dict[str, Mapping[str, Any]] = dict(names or {})
        self.broken: set[str] = set()
        self.signed: set[str] = set()
        self.asked: list[tuple[str, str]] = []

    async def mx(self, domain: str) -> tuple[tuple[int, str], ...]:
        if _is_address(domain) or domain == "localhost":
            return ()
        return tuple(self._find(domain, "MX"))

    async def addresses(self, host: str) -> tuple[str, ...]:
        if _is_address(host):
            return (host.strip("[]"),)
        if host == "localhost":
            return ("::1", "127.0.0.1")
        return (*self._find(host, "AAAA"), *self._find(host, "A"))

    async def ipv4(self, host: str) -> tuple[str, ...]:
        return tuple(self._find(host, "A"))

    async def txt(self, name: str) -> tuple[bytes, ...]:
        try:
            return tuple(self._find(name, "TXT"))
        except NoSuchDomain:
            return ()

    async def pointer(self, address: str) -> tuple[str, ...]:
        try:
            return tuple(self._find(address, "PTR"))
        except NoSuchDomain:
            return ()

    async def proved(self, name: str, kind: str) -> Proved:
        if _is_address(name) or name == "localhost":
            return Proved((), False, name)
        chain = [name.lower().rstrip(".")]
        while kind != "CNAME" and len(chain) < 8 and (alias := self.names.get(chain[-1], {}).get("CNAME")):
            chain.append(alias)
        try:
            values = self.names.get(chain[0], {}).get("CNAME") if kind == "CNAME" else self._find(name, kind)
        except NoSuchDomain:
            values = ()
        found = (values,) if isinstance(values, str) else tuple(values or ())
        return Proved(found, all(map(self._is_signed, chain)), chain[-1])

    def _is_signed(self, name: str) -> bool:
        return any(name == zone or name.endswith("." + zone) for zone in self.signed)

    def _find(self, name: str, kind: str, depth: int = 0) -> Any:
        name = name.lower().rstrip(".")
        self.asked.append((name, kind))
        if name in self.broken or depth > 8:
            raise DnsTrouble(f"{kind} of {name}: SERVFAIL")
        records = self.names.get(name)
        if records is None:
            if any(other.endswith("." + name) for other in self.names):
                return ()
            raise NoSuchDomain(f"there is no {name}")
        if "CNAME" in records:
            return self._find(records["CNAME"], kind, depth + 1)
        return records.get(kind, ())


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


@implementer(INameLookup)
class SilentLookup:
    """Gives no answer to anything, as if the network were cut: mail for others waits in the queue. `[dns] use = none`."""

    async def mx(self, domain: str) -> tuple[tuple[int, str], ...]:
        raise DnsTrouble(f"MX of {domain}: no name server is asked ([dns] use = none)")

    async def addresses(self, host: str) -> tuple[str, ...]:
        if _is_address(host):
            return (host.strip("[]"),)
        raise DnsTrouble(f"addresses of {host}: no name server is asked ([dns] use = none)")

    async def ipv4(self, host: str) -> tuple[str, ...]:
        raise DnsTrouble(f"A of {host}: no name server is asked ([dns] use = none)")

    async def txt(self, name: str) -> tuple[bytes, ...]:
        raise DnsTrouble(f"TXT of {name}: no name server is asked ([dns] use = none)")

    async def pointer(self, address: str) -> tuple[str, ...]:
        raise DnsTrouble(f"name of {address}: no name server is asked ([dns] use = none)")

    async def proved(self, name: str, kind: str) -> Proved:
        if _is_address(name):
            return Proved((), False, name)
        raise DnsTrouble(f"{kind} of {name}: no name server is asked ([dns] use = none)")
