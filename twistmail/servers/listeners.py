"""Listeners: where connections begin. One `Listener` is one port of one service.

It makes an id, a wire and a session for each connection and joins them with a
pump; it counts the connections of its service and sends away who comes when
there are too many. Proxies that are trusted introduce their clients first
(`introduction`). What a connection is made of is in `Born`, which a reload
replaces: connections in progress keep what they were born with.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol

from twistmail.facts import Closed, Connected, Fact, Facts, Refused
from twistmail.mail.account import Account
from twistmail.mail.values import frozen
from twistmail.networks import Network, covers
from twistmail.servers.introduction import Introduction
from twistmail.servers.pump import Pump
from twistmail.servers.recognition import Recognition
from twistmail.servers.refusal import BANNED, FULL, NO_ROOM, Complaints, Refusal
from twistmail.servers.session import Session
from twistmail.servers.stress import Stress
from twistmail.wire.contract import Wire
from twistmail.wire.proxy import Client


@frozen
class Origin:
    """Where a connection comes from: the client's address ("unix" for a socket of this machine) and port.

    `via` is the address of the proxy that has told us of them, else empty.
    """

    address: str
    port: int
    via: str = ""


@frozen
class Born:
    """What connections of one listener are made of, from now on.

    `begin(identifier, address, port, via)` makes the wire and the session, for what an Origin tells. `tls` makes a context for
    startTLS (None: no TLS here); `implicit`: TLS starts before the greeting. `most`: connections of the whole service, which is
    under `stress` before that. Who comes from `proxy_from` has to introduce a client. `look_first`: octets that came before we
    said anything are read before we do. `recognize` gives the account of a user of this machine, who need not log in then: `begin`
    gets it as `account`. `turns_away`(address, service): somebody is not to come in. Times in seconds.
    """

    service: str
    begin: Callable[..., tuple[Wire, Session]]
    identifiers: Iterator[str]
    epoch: Callable[[], float]
    facts: Facts
    tls: Callable[[], Any] | None = None
    implicit: bool = False
    handshake_timeout: float = 30.0
    most: int | None = None
    stress: Stress | None = None
    proxy_from: tuple[Network, ...] = ()
    look_first: bool = False
    recognize: Callable[[int], Awaitable[Account | None]] | None = None
    turns_away: Callable[[str, str], bool] = lambda address, service: False


@dataclass(slots=True)
class Pool:
    """The connections of one service, whatever port they came in by: those that have a descriptor."""

    pumps: set[Pump | Introduction | Recognition] = field(default_factory=set)
    most: int | None = None
    stress: Stress | None = None

    def enter(self, pump: Pump | Introduction | Recognition) -> None:
        self.pumps.add(pump)
        if self.stress is not None:
            self.stress.look(len(self.pumps), self.most)

    def leave(self, pump: Pump | Introduction | Recognition) -> None:
        self.pumps.discard(pump)
        if self.stress is not None:
            self.stress.look(len(self.pumps), self.most)

    @property
    def is_full(self) -> bool:
        return self.most is not None and len(self.pumps) >= self.most


class Listener(Factory):
    """A Twisted protocol factory. Takes nobody before `adopt` was called, and nobody while the process has no room."""

    noisy = False

    def __init__(self, pool: Pool, clock: Any, has_room: Callable[[], bool] = lambda: True) -> None:
        self.pool = pool
        self._clock = clock
        self._has_room = has_room
        self._born: Born | None = None
        self._complaints = Complaints(clock)

    def adopt(self, born: Born) -> None:
        """Make connections of *born* from now on."""
        self._born = born
        self.pool.most, self.pool.stress = born.most, born.stress

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        born = self._born
        if born is None:
            return None
        origin = Origin(getattr(addr, "host", "unix"), getattr(addr, "port", 0))
        if self.pool.is_full:
            return self._refuse(born, origin, f"{born.most} connections, no more are taken")
        if not self._has_room():
            return self._refuse(born, origin, "no more connections are taken, for the other descriptors are for files")
        if covers(born.proxy_from, origin.address):
            return self._introduction(born, origin)
        if born.turns_away(origin.address, born.service):
            return self._turn_away(born)
        if born.recognize is not None and origin.address == "unix":
            return self._recognition(born, origin)
        return self._pump(born, origin)

    def _refuse(self, born: Born, origin: Origin, rule: str) -> Refusal:
        self._complaints.say(f"{born.service}: {rule}")
        words = b"" if born.implicit else FULL[born.service]
        if born.facts.listened:
            identifier = next(born.identifiers)
            told = (
                Connected(born.service, origin.address, origin.port, origin.via),
                Refused("connections", NO_ROOM, identifier, rule=rule),
                Closed("refused", 0, len(words)),
            )
            for what in told:
                born.facts.tell(Fact(born.epoch(), identifier, what))
        return Refusal(words)

    def _turn_away(self, born: Born) -> Refusal:
        """Nothing is told of it but a count: who is banned must not fill the journal."""
        self._complaints.say(f"{born.service}: somebody who is banned is sent away; see: twistmail ban list")
        return Refusal(b"" if born.implicit else BANNED[born.service])

    def _pump(self, born: Born, origin: Origin, account: Account | None = None) -> Pump:
        identifier = next(born.identifiers)
        begin = born.begin if account is None else partial(born.begin, account=account)
        wire, session = begin(identifier, origin.address, origin.port, origin.via)
        pump = Pump(
            identifier,
            wire,
            session,
            self._clock,
            born.facts,
            tls=born.tls,
            implicit=born.implicit,
            handshake_timeout=born.handshake_timeout,
            epoch=born.epoch,
            on_closed=self.pool.leave,
            look_first=born.look_first and not born.implicit,
        )
        self.pool.enter(pump)
        if born.facts.listened:
            connected = Connected(born.service, origin.address, origin.port, origin.via)
            born.facts.tell(Fact(born.epoch(), identifier, connected))
        return pump

    # ----- from this machine

    def _recognition(self, born: Born, origin: Origin) -> Recognition:
        """A connection of this machine, until it is known whose it is."""
        assert born.recognize is not None

        def admit(waiting: Recognition, account: Account | None) -> None:
            pump = self._pump(born, origin, account)
            self.pool.leave(waiting)
            waiting.transport.protocol = pump
            pump.makeConnection(waiting.transport)

        waiting = Recognition(born.recognize, admit, self.pool.leave)
        self.pool.enter(waiting)
        return waiting

    # ----- behind a proxy

    def _introduction(self, born: Born, proxy: Origin) -> Introduction:
        """The proxy's connection, until it has said for whom it speaks."""
        waiting = Introduction(
            self._clock,
            admit=partial(self._admit, born, proxy),
            spurn=partial(self._spurn, born, proxy),
            on_closed=self.pool.leave,
        )
        self.pool.enter(waiting)
        return waiting

    def _admit(self, born: Born, proxy: Origin, waiting: Introduction, client: Client, rest: bytes) -> None:
        """Put a pump in the place of *waiting*. What came behind the header is the client's: plain octets, or those of TLS."""
        transport = waiting.transport
        origin = Origin(client.address, client.port, proxy.address) if client.address else proxy
        if born.turns_away(origin.address, born.service):
            self.pool.leave(waiting)
            transport.protocol = self._turn_away(born)
            transport.protocol.makeConnection(transport)
            return
        pump = self._pump(born, origin)
        self.pool.leave(waiting)
        transport.protocol = pump
        if rest and not born.implicit:
            pump.dataReceived(rest)  # before the greeting, for that is when it was said
        pump.makeConnection(transport)
        if rest and born.implicit:
            transport.protocol.dataReceived(rest)  # by now TLS stands there

    def _spurn(self, born: Born, proxy: Origin, why: str) -> None:
        known = f"{proxy.address} is in [{born.service}] proxy_from"
        self._complaints.say(f"{born.service}: {known} and does not say for whom it speaks: {why}")
