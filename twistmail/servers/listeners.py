"""Listeners: where connections begin. One `Listener` is one port of one service.

It makes an id, a wire and a session for each connection and joins them with a
pump; it counts the connections of its service and takes no more when there are
too many. What a connection is made of is in `Born`, which a reload replaces:
connections in progress keep what they were born with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from twistmail.facts import Connected, Fact, Facts
from twistmail.servers.pump import Pump
from twistmail.servers.session import Session
from twistmail.wire.contract import Wire

log = Logger()


@dataclass(frozen=True, slots=True)
class Born:
    """What connections of one listener are made of, from now on.

    `begin(identifier, address, port)` makes the wire and the session. `tls` makes a context for startTLS (None: no TLS
    here); `implicit`: TLS starts before the greeting. `most`: connections of the whole service. Times in seconds.
    """

    service: str
    begin: Callable[[str, str, int], tuple[Wire, Session]]
    identifiers: Iterator[str]
    epoch: Callable[[], float]
    facts: Facts
    tls: Callable[[], Any] | None = None
    implicit: bool = False
    handshake_timeout: float = 30.0
    most: int | None = None


@dataclass(slots=True)
class Pool:
    """The connections of one service, whatever port they came in by."""

    pumps: set[Pump] = field(default_factory=set)


class Listener(Factory):
    """A Twisted protocol factory. Takes nobody before `adopt` was called, and nobody while the process has no room."""

    noisy = False

    def __init__(self, pool: Pool, clock: Any, has_room: Callable[[], bool] = lambda: True) -> None:
        self.pool = pool
        self._clock = clock
        self._has_room = has_room
        self._born: Born | None = None

    def adopt(self, born: Born) -> None:
        """Make connections of *born* from now on."""
        self._born = born

    def buildProtocol(self, addr: IAddress | None) -> Pump | None:
        born = self._born
        if born is None:
            return None
        if born.most is not None and len(self.pool.pumps) >= born.most:
            log.warn("{service}: {most} connections, no more are taken", service=born.service, most=born.most)
            return None
        if not self._has_room():
            log.warn("{service}: no more connections are taken, for the other descriptors are for files", service=born.service)
            return None
        identifier = next(born.identifiers)
        host, port = getattr(addr, "host", "unix"), getattr(addr, "port", 0)
        wire, session = born.begin(identifier, host, port)
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
            on_closed=self.pool.pumps.discard,
        )
        self.pool.pumps.add(pump)
        if born.facts.listened:
            born.facts.tell(Fact(born.epoch(), identifier, Connected(born.service, host, port)))
        return pump
