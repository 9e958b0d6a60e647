"""Connections by way of a SOCKS proxy: what stands between the transport and an `SmtpConnection` until the way is open.

The talk with the proxy is `wire.socks`. Afterwards everything is passed through
unseen, so the connection may go on to TLS as any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from twistmail.wire.socks import Refusal, Socks


class NoWay(ConnectError):
    """The proxy does not let us through; `strerror` says why."""

    def __init__(self, why: str) -> None:
        super().__init__(string=why)
        self.strerror = f"by way of the SOCKS proxy: {why}"


@implementer(IHandshakeListener)
class Through(Protocol):
    """`opened` fires with what *make*() returned, once it is connected; or fails with NoWay, after *patience* seconds too."""

    transport: Any

    def __init__(self, socks: Socks, make: Callable[[], Any], clock: Any, patience: float) -> None:
        self.opened: Deferred[Any] = Deferred(self._given_up)
        self._socks = socks
        self._make = make
        self._inner: Any = None
        self._timer = clock.callLater(patience, self._fail, "it takes too long")

    def connectionMade(self) -> None:
        self.transport.write(self._socks.begin())

    def dataReceived(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.dataReceived(data)
            return
        try:
            answer = self._socks.feed(data)
        except Refusal as refusal:
            self._fail(str(refusal))
            return
        if answer:
            self.transport.write(answer)
        if self._socks.is_open:
            self._open()

    def _open(self) -> None:
        self._timer.cancel()
        self._inner = self._make()
        self._inner.makeConnection(self.transport)
        self.opened.callback(self._inner)
        if rest := self._socks.rest:
            self._inner.dataReceived(rest)

    def _fail(self, why: str) -> None:
        if self._timer.active():
            self._timer.cancel()
        if not self.opened.called:
            self.opened.errback(NoWay(why))
        if self.transport is not None:
            self.transport.abortConnection()

    def _given_up(self, _: Deferred[Any]) -> None:
        self._fail("nobody waits for it any more")

    def handshakeCompleted(self) -> None:
        self._inner.handshakeCompleted()

    def connectionLost(self, reason: Failure | None = None) -> None:
        if self._inner is not None:
            self._inner.connectionLost(reason)
        else:
            self._fail("it has closed the connection")
