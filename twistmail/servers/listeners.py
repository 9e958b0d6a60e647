"""Listeners: where connections begin. One `Listener` is one port of one service.

It makes an id, a wire and a session for each connection and joins them with a
pump; it counts the connections of its service and hands out nothing when there
are too many. What a connection is made of comes from `Born`, which a reload
replaces: connections in progress keep what they were born with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
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

    `begin(identifier, address, port)` makes the wire and the session. `tls` makes a context for startTLS.
    """

    service: str
    begin: Callable[[str, str, int], tuple[Wire, Session]]
    tls: Callable[[], Any] | None = None
    implicit: bool = False
    handshake_timeout: float = 30.0
    most: int = 1000  # connections of the whole service


@dataclass(slots=True)
class Pool:
    """The connections of one service, whatever port they came in by."""

    pumps: set[Pump]


class Listener(Factory):
    """A Twisted protocol factory. `born` is assigned anew by a reload."""

    noisy = False

    def __init__(
        self,
        born: Born,
        pool: Pool,
        clock: Any,
        epoch: Callable[[], float],
        identifiers: Iterator[str],
        facts: Facts,
    ) -> None:
        self.born = born
        self.pool = pool
        self._clock = clock
        self._epoch = epoch
        self._identifiers = identifiers
        self._facts = facts

    def buildProtocol(self, addr: IAddress) -> Pump | None:
        born = self.born
        if len(self.pool.pumps) >= born.most:
            log.warn("{service}: {most} connections, no more are taken", service=born.service, most=born.most)
            return None
        identifier = next(self._identifiers)
        host, port = getattr(addr, "host", "unix"), getattr(addr, "port", 0)
        wire, session = born.begin(identifier, host, port)
        pump = Pump(
            identifier,
            wire,
            session,
            self._clock,
            self._facts,
            tls=born.tls,
            implicit=born.implicit,
            handshake_timeout=born.handshake_timeout,
            epoch=self._epoch,
            on_closed=self.pool.pumps.discard,
        )
        self.pool.pumps.add(pump)
        if self._facts.listened:
            self._facts.tell(Fact(self._epoch(), identifier, Connected(born.service, host, port)))
        return pump
