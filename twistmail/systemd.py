"""What systemd has prepared for us: sockets that it has opened (ports below 1024 without ever having been root), and where to say
that we are ready.

`listen = systemd:domain=INET:name=imap` takes the socket called so in its .socket unit, `index=0` the first one
(sd_listen_fds(3)). A place such as `tcp:25` needs no other words for it: a socket that is bound there already is used, so one
configuration does for both.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping
from typing import Any

from twisted.internet import endpoints
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.python.systemd import ListenFDs

from twistmail.endpoints import Listen, Transport
from twistmail.mail.values import frozen
from twistmail.servers.transport import adopt_tcp

FAMILIES = {"INET": socket.AF_INET, "INET6": socket.AF_INET6, "UNIX": socket.AF_UNIX}
ANY = ("0.0.0.0", "::")


@frozen
class Inherited:
    """The sockets that were given to this process. They stay open while it runs, so a reload finds them again."""

    descriptors: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    def adopt(self, reactor: Any, listen: Listen, factory: IProtocolFactory) -> IListeningPort | None:
        """A listening port on the socket that *listen* means; None where a TCP port has to be opened by ourselves.

        CannotListenError where the socket is named and was not given.
        """
        if listen.kind is Transport.SYSTEMD:
            return _adopt(reactor, self._named(listen), listen.domain, factory)
        found = self._bound(listen) if listen.port else None
        return None if found is None else _adopt(reactor, found, "INET6" if _is_ipv6(found) else "INET", factory)

    def _named(self, listen: Listen) -> int:
        try:
            return self.descriptors[self.names.index(listen.name) if listen.name else listen.index or 0]
        except (ValueError, IndexError):
            trouble = OSError(f"systemd has opened {len(self.descriptors)} sockets for this process, and none of them is that one")
            raise CannotListenError("systemd", str(listen), trouble) from None

    def _bound(self, listen: Listen) -> int | None:
        for descriptor in self.descriptors:
            place = _place(descriptor)
            if place is not None and place[1] == listen.port and _is_same(listen.interface, place[0]):
                return descriptor
        return None


def inherited(given: ListenFDs | None = None) -> Inherited:
    """What was *given* to this process (None: as Twisted has found it, who takes the words out of the environment at its first import)."""
    given = given or getattr(endpoints._SystemdParser, "_sddaemon", None) or ListenFDs.fromEnvironment()
    descriptors = tuple(given.inheritedDescriptors())
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    # names may be there several times, which Twisted's dict does not show
    return Inherited(descriptors, tuple(given._names))


def notify(state: str, environ: Mapping[str, str] = os.environ) -> None:
    """Tell systemd *state*, such as READY=1 (sd_notify(3)), where it wants to hear."""
    path = environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as speaker:
        try:
            speaker.sendto(state.encode(), "\0" + path[1:] if path[0] == "@" else path)
        except OSError:
            pass  # whoever has asked has gone


def _adopt(reactor: Any, descriptor: int, domain: str, factory: IProtocolFactory) -> IListeningPort:
    os.set_blocking(descriptor, False)  # or the reactor would wait in accept
    if domain == "UNIX":
        port: IListeningPort = reactor.adoptStreamPort(descriptor, socket.AF_UNIX, factory)
        return port
    return adopt_tcp(reactor, descriptor, FAMILIES[domain], factory)


def _place(descriptor: int) -> tuple[str, int] | None:
    """(address, port) where *descriptor* is bound; None: not TCP."""
    with socket.socket(fileno=os.dup(descriptor)) as looked:
        return looked.getsockname()[:2] if looked.family in (socket.AF_INET, socket.AF_INET6) else None


def _is_ipv6(descriptor: int) -> bool:
    with socket.socket(fileno=os.dup(descriptor)) as looked:
        return looked.family == socket.AF_INET6


def _is_same(interface: str, address: str) -> bool:
    """*interface* as in a Listen, where empty means all."""
    if not interface:
        return address in ANY
    return ipaddress.ip_address(interface) == ipaddress.ip_address(address)
