"""A connection to another mail server: moves bytes between the transport and the client wire, and keeps the deadlines.

`exchange.py` says things and waits for replies; here is how. Whatever ends a
connection early is a `Lost`, which says why in words that fit a Status; it is
the relay's own exception and never leaves this folder.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from twistmail.mail.status import Status
from twistmail.wire.contract import NEED_DATA, PeerGone
from twistmail.wire.smtp.client import Garbled, Reply, SmtpClient

#: Seconds after which a connection that we have closed is cut, where the other side does not let go of it.
LINGERING = 30.0
#: More replies than we ever have commands under way (RCPT is said in batches, see `exchange.py`): nobody asked for them.
MOST_UNREAD = 128


@dataclass(frozen=True, slots=True)
class Patience:
    """How long we wait for what, in seconds: RFC 5321 §4.5.3.2, and our own for TLS and QUIT."""

    greeting: float = 300.0
    hello: float = 300.0
    tls: float = 30.0
    login: float = 300.0
    mail: float = 300.0
    recipient: float = 300.0
    data: float = 120.0
    block: float = 180.0
    end: float = 600.0
    quit: float = 10.0


class Lost(Exception):
    """The connection has ended, or is of no more use. `status` says why, always temporarily."""

    def __init__(self, status: Status) -> None:
        super().__init__(str(status))
        self.status = status


GONE = Status(451, "4.4.2", "The connection was closed by the other side")
SILENT = Status(451, "4.4.2", "The other side took too long to answer")
GARBLED = Status(451, "4.5.0", "The other side does not speak SMTP")
NO_TLS = Status(451, "4.7.5", "Encryption could not be agreed upon with the other side")


@implementer(IPushProducer, IHandshakeListener)
class SmtpConnection(Protocol):
    """One connection. `clock`: IReactorTime. After a Lost nothing but `close` is of use."""

    transport: Any

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.is_open = False
        self.tls = False
        self._wire = SmtpClient()
        self._replies: deque[Reply] = deque()
        self._lost: Status | None = None
        self._waiting: Deferred[Reply] | None = None
        self._shaking: Deferred[None] | None = None
        self._full: Deferred[None] | None = None
        self._cut: Any = None

    # ----- for exchange.py

    @property
    def is_usable(self) -> bool:
        """Open, and the other side has not said anything unasked (as 421 before it closes)."""
        return self.is_open and self._lost is None and not self._replies

    def send(self, *commands: Any) -> None:
        """Say all of this at once. Every Command and ContentEnd asks for one reply. Raises Lost."""
        if self._lost:
            raise Lost(self._lost)
        self.transport.write(b"".join(map(self._wire.send, commands)))

    async def reply(self, patience: float) -> Reply:
        """The next reply, within *patience* seconds. Raises Lost."""
        if self._replies:
            return self._replies.popleft()
        if self._lost:
            raise Lost(self._lost)
        self._waiting = Deferred()
        return await self._within(patience, self._waiting, SILENT)

    async def room(self, patience: float) -> None:
        """Wait until the transport takes more. Raises Lost, after *patience* seconds too."""
        if self._lost:
            raise Lost(self._lost)
        if self._full is not None:
            await self._within(patience, self._full, SILENT)
            if self._lost:
                raise Lost(self._lost)

    async def start_tls(self, options: Any, patience: float) -> None:
        """Change to TLS and see the handshake through. *options*: IOpenSSLClientConnectionCreator. Raises Lost."""
        self._wire.tls_started()
        self._replies.clear()  # RFC 3207 §4.2: nothing said before counts, also what came behind the 220
        self._shaking = Deferred()
        shaking = self._shaking
        self.transport.startTLS(options)
        await self._within(patience, shaking, NO_TLS)
        self.tls = True

    async def _within(self, patience: float, waiting: Deferred[Any], late: Status) -> Any:
        timer = self.clock.callLater(patience, self._give_up, late)
        try:
            return await waiting
        finally:
            if timer.active():
                timer.cancel()

    def close(self) -> None:
        """Hang up, politely where the transport still can."""
        self._fail(GONE)
        if self.is_open:
            self.transport.unregisterProducer()  # else TLS would wait for us before it closes
            self.transport.loseConnection()
            self._cut = self._cut or self.clock.callLater(LINGERING, self.abort)

    def abort(self) -> None:
        """Hang up at once; what is unsent is dropped, so that half a message is never taken for a whole one."""
        self._fail(GONE)
        if self.is_open:
            self.transport.unregisterProducer()
            self.transport.abortConnection()

    # ----- for the transport

    def connectionMade(self) -> None:
        self.is_open = True
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        self._wire.receive_bytes(data)
        while (event := self._wire.next_event()) is not NEED_DATA:
            match event:
                case Reply():
                    self._take(event)
                case Garbled():
                    return self._give_up(GARBLED)
                case PeerGone():
                    return None
        return None

    def _take(self, reply: Reply) -> None:
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(reply)
            return
        self._replies.append(reply)
        if len(self._replies) > MOST_UNREAD:
            self._give_up(GARBLED)

    def handshakeCompleted(self) -> None:
        if self._shaking is not None:
            shaking, self._shaking = self._shaking, None
            shaking.callback(None)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.is_open = False
        if self._cut is not None and self._cut.active():
            self._cut.cancel()
        self._fail(NO_TLS if self._shaking is not None else GONE)

    def pauseProducing(self) -> None:
        if self._full is None:
            self._full = Deferred()

    def resumeProducing(self) -> None:
        if self._full is not None:
            full, self._full = self._full, None
            full.callback(None)

    def stopProducing(self) -> None:
        self.resumeProducing()

    # ----- the end

    def _give_up(self, why: Status) -> None:
        self._fail(why)
        self.abort()

    def _fail(self, why: Status) -> None:
        """Tell whoever waits. The first reason stays the reason."""
        self._lost = self._lost or why
        waiting, shaking, self._waiting, self._shaking = self._waiting, self._shaking, None, None
        for deferred in (waiting, shaking):
            if deferred is not None:
                deferred.errback(Lost(self._lost))
        self.resumeProducing()

