"""The wall around the classroom: a reactor through which nothing gets further than this machine.

Offices are given it in place of the real one, so that whatever of them opens a connection or sends a datagram, now or in
a year, comes by here. What they listen on is theirs to say (`town` writes their configurations).

What asks others without a reactor (directories and services of accounts, in threads) or by programs does not come by here:
`nothing_goes_around` is the check by which an office refuses a configuration that has such a thing.
"""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Iterator
from typing import Any

from twisted.internet.error import NoRouteError
from zope.interface import directlyProvides, providedBy

from twistmail.config.problem import Problem
from twistmail.config.settled import Config

NO_NAMES = "names are asked of the classroom's own name server"
#: Sections with which a server asks others, or runs programs, by ways of its own; with NAME: [pipe:NAME] ...
WAYS_AROUND = frozenset({"acme", "cred", "http", "kerberos", "ldap", "mda", "mda_for", "oauth", "pam", "pipe", "sql"})
#: Sources of [users] and [aliases] that do.
ASKING = frozenset({"cred", "http", "ldap", "pam", "sql"})
#: Settings that let programs be run.
PROGRAMS = frozenset({("aliases", "programs"), ("forward", "programs"), ("relay", "process")})


class Unreachable(NoRouteError):
    """There is no way to that address from here."""

    def __str__(self) -> str:
        return f"nothing leaves the classroom ({', '.join(map(str, self.args))})"


def is_here(host: str) -> bool:
    """Whether *host*, an IP address, is this machine's loopback. A name is not: who knows where it leads."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _insist(host: str, port: int) -> None:
    if not is_here(host):
        raise Unreachable(f"{host} port {port}")


def nothing_goes_around(config: Config) -> Iterator[Problem]:
    """A cross check for offices: what would leave the classroom by another way than the reactor is an error."""
    for setting in config.changed():
        section, key = setting.section, setting.option.key
        words = set(setting.text.replace(",", " ").split())
        asks = key == "source" and section in ("users", "aliases") and {word.partition(":")[0] for word in words} & ASKING
        runs = (section, key) in PROGRAMS and not words & {"no", "auto"}
        if section.partition(":")[0] in WAYS_AROUND or asks or runs:
            text = "an office of the classroom asks nobody outside and runs no programs"
            yield config.problem(section, key, text, "remove it; a server of its own may have it")


class Sealed:
    """*reactor*, with no way out: connections and datagrams go to loopback addresses or fail as if there were no route."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        directlyProvides(self, *providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def connectTCP(self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None) -> Any:
        _insist(host, port)
        return self._reactor.connectTCP(host, port, factory, timeout, bindAddress)

    def connectSSL(self, host: str, port: int, factory: Any, context: Any, timeout: float = 30, bindAddress: Any = None) -> Any:
        _insist(host, port)
        return self._reactor.connectSSL(host, port, factory, context, timeout, bindAddress)

    def listenUDP(self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192) -> Any:
        """A port whose datagrams go to loopback alone."""
        return _Datagrams(self._reactor.listenUDP(port, protocol, interface, maxPacketSize), protocol)

    def listenMulticast(self, *args: Any, **keywords: Any) -> Any:
        raise Unreachable("there is no multicast in the classroom")

    def spawnProcess(self, *args: Any, **keywords: Any) -> Any:
        raise PermissionError(errno.EPERM, "no programs are run in the classroom")

    def resolve(self, *args: Any, **keywords: Any) -> Any:
        raise Unreachable(NO_NAMES)

    @property
    def nameResolver(self) -> Any:
        """The real one asks the DNS of this machine."""
        raise Unreachable(NO_NAMES)

    def installNameResolver(self, resolver: Any) -> Any:
        raise Unreachable(NO_NAMES)

    def installResolver(self, resolver: Any) -> Any:
        raise Unreachable(NO_NAMES)


class _Datagrams:
    """A UDP port that refuses other destinations. Stands before *port* as the transport of *protocol*."""

    def __init__(self, port: Any, protocol: Any) -> None:
        self._port = port
        protocol.transport = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    def connect(self, host: str, port: int) -> None:
        _insist(host, port)
        self._port.connect(host, port)

    def write(self, datagram: bytes, addr: Any = None) -> Any:
        if addr is not None:
            _insist(*addr[:2])
        return self._port.write(datagram, addr)
