"""A client that speaks TLS for real, in memory: OpenSSL on both sides, Twisted's TLS layer between the pump and the octets."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from tests.dialogues.player import FakeTransport
from tests.journeys.house import ADDRESS, House


class Transport(FakeTransport):
    """As a TCP connection does it (`twisted.internet._newtls`): once TLS has started, what the pump writes goes through it."""

    def __init__(self, pump: Any, clock: Any) -> None:
        super().__init__()
        self.pump = pump
        self.clock = clock  # Twisted gathers what is written until the next turn
        self.tls: Any = None

    def startTLS(self, context: Any, normal: bool = True) -> None:
        super().startTLS(context)
        factory = TLSMemoryBIOFactory(context, False, None, self.clock)
        self.tls = self.protocol = factory.protocol(factory, self.pump, False)
        self.tls.makeConnection(_Below(self))

    def receive(self, octets: bytes) -> None:
        (self.tls or self.pump).dataReceived(octets)

    def end(self) -> None:
        (self.tls or self.pump).connectionLost(Failure(ConnectionDone()))

    def write(self, data: bytes) -> None:
        if self.tls is not None:
            self.tls.write(data)
        else:
            super().write(data)

    def loseConnection(self) -> None:
        if self.tls is not None:
            self.tls.loseConnection()
        else:
            super().loseConnection()

    def abortConnection(self) -> None:
        if self.tls is not None:
            self.tls.abortConnection()
        else:
            super().abortConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        (self.tls.registerProducer if self.tls is not None else super().registerProducer)(producer, streaming)

    def unregisterProducer(self) -> None:
        (self.tls.unregisterProducer if self.tls is not None else super().unregisterProducer)()


class _Below:
    """The connection as the TLS layer sees it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        method = getattr(FakeTransport, name)
        return lambda *arguments: method(self._transport, *arguments)


class Caller:
    """One connection to *service* of *house*. Octets go there and back in `say` and `feed`; `start_tls` shakes hands.

    `transcript` is all that was heard.
    """

    def __init__(self, house: House, service: str) -> None:
        self.house = house
        pump: Any = house.listeners[service].buildProtocol(IPv4Address("TCP", ADDRESS, 40_000))
        self.transport = Transport(pump, house.reactor)
        self.client: SSL.Connection | None = None
        self.transcript: list[str] = []
        self._read = 0
        self._ended = False
        pump.makeConnection(self.transport)
        self.house.settle()

    def start_tls(self, client: SSL.Connection, *first: bytes) -> list[str]:
        """Shake hands; *first* is said in the same breath as our last words of the handshake. What is heard of the server then."""
        self.client = client
        for _ in range(10):
            try:
                client.do_handshake()
                for octets in first:
                    client.send(octets)
                break
            except SSL.WantReadError:
                self._carry()
        return self.heard()

    def say(self, lines: str) -> list[str]:
        """What we hear after *lines*, each of which is said when the one before it was answered."""
        return [heard for line in lines.split("\r\n") for heard in self.feed(line.encode() + b"\r\n")]

    def feed(self, octets: bytes) -> list[str]:
        """What we hear after *octets*, as lines."""
        if self.client is None:
            self.deliver(octets)
        else:
            self.client.send(octets)
        return self.heard()

    def deliver(self, octets: bytes) -> None:
        """*octets* as they are, on the wire."""
        if not self._ended:
            self.transport.receive(octets)
        self.house.settle()

    def heard(self) -> list[str]:
        heard = b""
        for _ in range(3):
            self._carry()
            heard += self._plain()
        self.leave(only_if_closed=True)
        lines = heard.decode("utf-8", "surrogateescape").split("\r\n")[:-1]
        self.transcript += lines
        return lines

    def _carry(self) -> None:
        """What the client has to say to the server, and what that answers."""
        if self.client is not None:
            try:
                self.deliver(self.client.bio_read(1 << 20))
            except SSL.WantReadError:
                self.house.settle()
            if octets := self._new():
                self.client.bio_write(octets)

    def _plain(self) -> bytes:
        if self.client is None:
            return self._new()
        try:
            return self.client.recv(1 << 20)
        except (SSL.WantReadError, SSL.ZeroReturnError):
            return b""

    def _new(self) -> bytes:
        octets = self.transport.value()[self._read :]
        self._read += len(octets)
        return octets

    def leave(self, *, only_if_closed: bool = False) -> None:
        """The end of the connection; it is told to the server once."""
        if not self._ended and (self.transport.closed or not only_if_closed):
            self._ended = True
            self.transport.end()
            self.house.settle()
