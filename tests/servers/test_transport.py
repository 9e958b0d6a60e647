"""The transport that sends at once says the same bytes as Twisted's own, whether or not the peer keeps up."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol

from twistmail.servers.transport import listen

BLOCKS = [bytes([65 + n % 26]) * size for n, size in enumerate((1, 10, 100_000, 3, 1_000_000, 7, 300_000, 9_000_000, 2))]


class Sender(Protocol):
    """Says all blocks, one write each, when it hears anything; then closes."""

    paused = 0

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)

    def pauseProducing(self) -> None:
        type(self).paused += 1

    def resumeProducing(self) -> None:
        pass

    stopProducing = resumeProducing

    def dataReceived(self, data: bytes) -> None:
        for block in BLOCKS:
            self.transport.write(block)
        self.transport.unregisterProducer()
        self.transport.loseConnection()


class Reader(Protocol):
    def __init__(self) -> None:
        self.heard = b""
        self.done: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        self.transport.write(b"go")

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Any = None) -> None:
        self.done.callback(self.heard)


@pytest.mark.parametrize("prompt", [pytest.param(True, id="at-once"), pytest.param(False, id="twisteds-own")])
@pytest_twisted.inlineCallbacks
def test_every_byte_arrives_in_order(prompt: bool) -> Any:
    from twisted.internet import reactor

    Sender.paused = 0
    port = listen(reactor, 0, Factory.forProtocol(Sender), "127.0.0.1", prompt=prompt)
    try:
        reader = Reader()
        yield connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), reader)
        heard = yield reader.done
    finally:
        yield port.stopListening()
    assert heard == b"".join(BLOCKS)
    assert Sender.paused, "a producer is told when the transport is full"
