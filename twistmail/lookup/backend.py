"""The sockets that dnspython's resolver uses here: Twisted's (DESIGN.md, section 7).

dnspython's coroutines await whatever their backend gives them; ours gives
Deferreds. Time-outs are dnspython's own exception, which its resolver expects.
"""

from __future__ import annotations

import socket
from collections import deque
from typing import Any

import dns.asyncbackend
import dns.exception
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.python.failure import Failure

from twistmail import tasks

#: Datagrams that wait to be read; more are dropped, as a kernel would.
MOST_DATAGRAMS = 16


class _Inbox:
    """What has arrived, and at most one reader who waits for it. `None` in the queue is the end."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._queue: deque[Any] = deque()
        self._waiting: Deferred[None] | None = None

    def put(self, what: Any) -> None:
        self._queue.append(what)
        self._wake()

    def __len__(self) -> int:
        return len(self._queue)

    async def get(self, timeout: float | None) -> Any:
        """The next one. Raises dns.exception.Timeout."""
        if not self._queue:
            self._waiting = Deferred()
            timer = self._clock.callLater(timeout, self._wake) if timeout is not None else None
            await self._waiting
            if timer is not None and timer.active():
                timer.cancel()
        if not self._queue:
            raise dns.exception.Timeout
        return self._queue.popleft()

    def _wake(self) -> None:
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)


class _Datagrams(DatagramProtocol):
    def __init__(self, inbox: _Inbox) -> None:
        self.inbox = inbox

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        if len(self.inbox) < MOST_DATAGRAMS:
            self.inbox.put((datagram, addr))

    def connectionRefused(self) -> None:
        self.inbox.put(None)


class DatagramSocket(dns.asyncbackend.DatagramSocket):
    """One UDP socket, connected to one server, so that nobody else's datagrams come in and a refusal is heard."""

    def __init__(self, reactor: Any, family: int, destination: tuple[str, int]) -> None:
        super().__init__(family, socket.SOCK_DGRAM)
        self._inbox = _Inbox(reactor)
        self._protocol = _Datagrams(self._inbox)
        self._port = reactor.listenUDP(0, self._protocol, interface="::" if family == socket.AF_INET6 else "")
        self._port.connect(*destination)

    async def sendto(self, what: bytes, destination: Any, timeout: float) -> int:
        self._port.write(what)
        return len(what)

    async def recvfrom(self, size: int, timeout: float) -> tuple[bytes, Any]:
        if (received := await self._inbox.get(timeout)) is None:
            raise ConnectionRefusedError("no DNS server answers there")
        datagram, address = received
        return datagram, (*address, 0, 0) if self.family == socket.AF_INET6 and len(address) == 2 else address

    async def close(self) -> None:
        self._port.stopListening()


class _Stream(Protocol):
    transport: Any

    def __init__(self, inbox: _Inbox) -> None:
        self.inbox = inbox

    def dataReceived(self, data: bytes) -> None:
        self.inbox.put(data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.inbox.put(b"")


class StreamSocket(dns.asyncbackend.StreamSocket):
    """One TCP connection, for answers that do not fit into a datagram."""

    def __init__(self, family: int, stream: _Stream, destination: tuple[str, int]) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._stream = stream
        self._destination = destination
        self._rest = b""

    async def sendall(self, what: bytes, timeout: float) -> None:
        self._stream.transport.write(what)

    async def recv(self, size: int, timeout: float) -> bytes:
        data: bytes = self._rest or await self._stream.inbox.get(timeout)
        self._rest = data[size:]
        return data[:size]

    async def getpeername(self) -> tuple[str, int]:
        return self._destination

    async def close(self) -> None:
        self._stream.transport.abortConnection()


class TwistedBackend(dns.asyncbackend.Backend):
    """Always to be passed to the resolver: by itself it would look for asyncio."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def name(self) -> str:
        return "twisted"

    def datagram_connection_required(self) -> bool:
        return True

    async def make_socket(  # the parameters are dnspython's
        self, af: int, socktype: int, proto: int = 0, source: Any = None, destination: Any = None, timeout: float | None = None,
        ssl_context: Any = None, server_hostname: str | None = None,
    ) -> DatagramSocket | StreamSocket:
        host, port = destination[:2]
        if socktype == socket.SOCK_DGRAM:
            return DatagramSocket(self._reactor, af, (host, port))
        endpoint = (TCP6ClientEndpoint if af == socket.AF_INET6 else TCP4ClientEndpoint)(self._reactor, host, port, timeout=timeout or 5.0)
        try:
            stream: Any = await endpoint.connect(Factory.forProtocol(lambda: _Stream(_Inbox(self._reactor))))
        except ConnectError as error:
            raise OSError(str(error)) from None
        return StreamSocket(af, stream, (host, port))

    async def sleep(self, interval: float) -> None:
        await tasks.sleep(self._reactor, interval)
