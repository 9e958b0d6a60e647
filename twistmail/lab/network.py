"""The pretend Internet: the way from one office to another, and no other way.

A relay connects to "192.0.2.20 port 25", as the DNS has told it; here that becomes the port on loopback where the office
really listens. Whatever else somebody wants to connect to is out of reach. The receiving office learns by the PROXY protocol
from which pretend address the connection comes, so Received fields, reverse look-ups and rules are as in real life.

Each pair of offices has a `Link` in each direction, which can be broken (`LINK_STATES`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectError, ConnectionRefusedError, TimeoutError

from twistmail import tasks
from twistmail.lab import pipes
from twistmail.lab.links import LINK_STATES, PATIENCE, Link
from twistmail.lab.offices import Office
from twistmail.lab.outgoing import LabConnection
from twistmail.lab.ring import Ring
from twistmail.lab.seal import Unreachable

__all__ = ["LINK_STATES", "Link", "Network"]

#: The only port that anybody has in the pretend Internet.
SMTP = 25
#: From where the network itself connects: an office believes what the PROXY protocol says from there, and nowhere else.
BACKBONE = "127.0.0.2"


class Network:
    """`port_of(office)`: where it listens for other servers; 0 while it is off. *reactor*: a sealed one.

    *forgery*: the TLS context factory of whoever sits in the middle of a line.
    """

    def __init__(self, offices: tuple[Office, ...], ring: Ring, reactor: Any, port_of: Callable[[str], int], forgery: Any) -> None:
        self._offices = {office.address: office for office in offices}
        self._ring = ring
        self._reactor = reactor
        self._port_of = port_of
        self._forgery = forgery
        self.links = {(one.name, other.name): Link(one.name, other.name) for one in offices for other in offices if one is not other}

    def link(self, origin: str, to: str) -> Link:
        """KeyError where there is no such pair."""
        return self.links[origin, to]

    def set_link(self, origin: str, to: str, state: str) -> None:
        """Break or mend the way from one office to another. ValueError for a state that there is not, KeyError as `link`."""
        link = self.link(origin, to)
        if link.state != state:
            link.state = state
            self._ring.add(origin, "switch", f"{origin}>{to}", {"what": "link", "from": origin, "to": to, "state": state})

    def mend(self) -> None:
        """All ways are whole."""
        for link in self.links.values():
            self.set_link(link.origin, link.to, "whole")

    def dial_for(self, office: Office) -> OfficeDial:
        """The way out of *office*, to be given to its relay."""
        return OfficeDial(self, office)

    def drop(self, name: str) -> None:
        """Cut every connection that office *name* has made."""
        for link in self.links.values():
            if link.origin == name:
                for connection in tuple(link.connections):
                    connection.abort()

    def connect(self, office: Office, address: str, port: int, about: str) -> Deferred[LabConnection]:
        """A connection from *office* on behalf of item *about*. Fails as the real thing would."""
        there = self._offices.get(address)
        if there is None or port != SMTP or there is office:
            self._tell(office, address, about, "out of reach")
            return fail(Unreachable(f"{address} port {port}"))
        self._tell(office, there.name, about, "connecting", address)
        where = self._port_of(there.name)
        if not where:
            self._tell(office, there.name, about, "refused")
            return fail(ConnectionRefusedError())
        return tasks.shielded(self._open(office, there, where, about))

    async def _open(self, office: Office, there: Office, where: int, about: str) -> LabConnection:
        link = self.links[office.name, there.name]
        made = lambda: LabConnection(self._reactor, self._ring, link, (office, there), about)  # noqa: E731
        try:
            connection: LabConnection = await pipes.connect(
                link, self._reactor, where, made, forged=lambda: self._forgery, source=BACKBONE, timeout=PATIENCE)
        except (ConnectError, OSError) as error:
            self._tell(office, there.name, about, "no answer" if isinstance(error, TimeoutError) else "refused")
            raise
        return connection

    def _tell(self, office: Office, to: str, about: str, what: str, address: str = "") -> None:
        told = {"from": office.name, "to": to, "what": what} | ({"address": address} if address else {})
        self._ring.add(office.name, "net", about, told)


class OfficeDial:
    """A `relay.connect.Dial`. `about(item)`: the same, on behalf of that item."""

    def __init__(self, network: Network, office: Office, item: str = "") -> None:
        self._network = network
        self._office = office
        self._item = item

    def about(self, item: str) -> OfficeDial:
        return OfficeDial(self._network, self._office, item)

    def __call__(self, address: str, port: int, **way: Any) -> Deferred[LabConnection]:
        """*way*, as source addresses and proxies, leads nowhere here."""
        return self._network.connect(self._office, address, port, self._item)
