"""The transport that sends at once says the same bytes as Twisted's own, whether or not the peer keeps up."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread

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


class Pairs(Protocol):
    """Answers every second octet."""

    def __init__(self) -> None:
        self.heard = 0

    def dataReceived(self, data: bytes) -> None:
        before, self.heard = self.heard // 2, self.heard + len(data)
        if answers := self.heard // 2 - before:
            self.transport.write(b"!" * answers)


def _speak_in_pieces(port: int, requests: int) -> float:
    """Seconds that so many requests of two pieces take a peer that uses Nagle's algorithm, as most do."""
    with socket.create_connection(("127.0.0.1", port)) as peer:
        began = time.monotonic()
        for _ in range(requests):
            peer.sendall(b"1")
            peer.sendall(b"2")
            assert peer.recv(1) == b"!"
        return time.monotonic() - began


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="acknowledging at once is Linux's")
@pytest.mark.parametrize("prompt", [pytest.param(True, id="at-once"), pytest.param(False, id="twisteds-own")])
@pytest_twisted.inlineCallbacks
def test_a_peer_that_says_a_request_in_two_pieces_need_not_wait_in_between(prompt: bool) -> Any:
    from twisted.internet import reactor

    port = listen(reactor, 0, Factory.forProtocol(Pairs), "127.0.0.1", prompt=prompt)
    try:
        seconds = yield deferToThread(_speak_in_pieces, port.getHost().port, 100)
    finally:
        yield port.stopListening()
    assert seconds < 2, "a delayed acknowledgement takes 40 ms, and there were a hundred requests"
