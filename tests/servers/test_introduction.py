"""Proxies of ours say for whom they speak, before anything else is said; nobody else is asked, and nobody else is believed."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.servers.test_pump import EchoSession, LineWire
from tests.wire.test_proxy import V4, block
from twistmail.facts import Connected, Facts
from twistmail.networks import NETWORKS
from twistmail.servers.introduction import PATIENCE, Introduction
from twistmail.servers.listeners import Born, Listener, Pool

PROXY = IPv4Address("TCP", "10.0.0.1", 50_000)
HEADER = b"PROXY TCP4 192.0.2.7 192.0.2.25 40000 25\r\n"


class Transport(StringTransport):
    """Hands what comes to whatever protocol stands in front of it now, as Twisted's own do."""

    protocol: Any = None
    tls: Any = None
    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def startTLS(self, context: Any) -> None:
        self.tls = Tls()
        self.protocol = self.tls


class Tls:
    """Stands where TLS would, and keeps what it gets."""

    def __init__(self) -> None:
        self.heard = b""

    def dataReceived(self, data: bytes) -> None:
        self.heard += data


class Door:
    """A listener that trusts the proxies of 10.0.0.0/8; `began` are the peers for whom a conversation has begun."""

    def __init__(self, *, implicit: bool = False, proxy_from: str = "10.0.0.0/8 2001:db8:1::/48") -> None:
        self.clock = Clock()
        self.began: list[tuple[str, int, str]] = []
        self.facts = Facts()
        self.told: list[Any] = []
        self.facts.listen(lambda fact: self.told.append(fact.what))
        self.pool = Pool()
        self.listener = Listener(self.pool, self.clock)
        self.listener.adopt(
            Born(
                "mx",
                self.begin,
                map(str, count()),
                lambda: 0.0,
                self.facts,
                tls=object,
                implicit=implicit,
                proxy_from=NETWORKS.read(proxy_from),
            )
        )

    def begin(self, identifier: str, address: str, port: int, via: str) -> Any:
        self.began.append((address, port, via))
        return LineWire(), EchoSession()

    def connect(self, address: Any = PROXY) -> Transport:
        protocol, transport = self.listener.buildProtocol(address), Transport()
        assert protocol is not None
        transport.protocol = protocol
        protocol.makeConnection(transport)
        return transport


@pytest.mark.parametrize("header", [pytest.param(HEADER, id="v1"), pytest.param(block(V4), id="v2")])
def test_the_client_is_known_before_anything_is_said(header: bytes) -> None:
    door = Door()
    transport = door.connect()
    transport.protocol.dataReceived(header[:-1])
    assert (transport.value(), door.began, door.told) == (b"", [], [])
    transport.protocol.dataReceived(header[-1:])
    assert transport.value() == b"hello\r\n"
    assert door.began == [("192.0.2.7", 40000, "10.0.0.1")]
    assert door.told == [Connected("mx", "192.0.2.7", 40000, "10.0.0.1")]
    transport.protocol.dataReceived(b"one\r\n")
    assert transport.value() == b"hello\r\n.one\r\n"


@pytest.mark.parametrize("header", [pytest.param(b"PROXY UNKNOWN\r\n", id="unknown"), pytest.param(block(b"", 0x20, 0), id="local")])
def test_a_proxy_that_speaks_for_itself_is_the_peer(header: bytes) -> None:
    door = Door()
    door.connect().protocol.dataReceived(header)
    assert door.began == [("10.0.0.1", 50_000, "")]


@pytest.mark.parametrize(
    "address",
    [
        pytest.param(IPv4Address("TCP", "192.0.2.9", 40_000), id="a-stranger"),
        pytest.param(IPv6Address("TCP", "2001:db8:2::1", 40_000), id="another-network"),
        pytest.param(UNIXAddress(b"/run/x"), id="a-socket-of-this-machine"),
    ],
)
def test_others_are_greeted_at_once_and_what_they_claim_is_a_line_like_any_other(address: Any) -> None:
    door = Door()
    transport = door.connect(address)
    assert transport.value() == b"hello\r\n"
    transport.protocol.dataReceived(HEADER)
    assert transport.value() == b"hello\r\n." + HEADER
    assert door.began == [(getattr(address, "host", "unix"), getattr(address, "port", 0), "")]


def test_a_mapped_address_of_a_proxy_is_its_address() -> None:
    door = Door()
    transport = door.connect(IPv6Address("TCP", "::ffff:10.0.0.1", 50_000))
    assert isinstance(transport.protocol, Introduction)
    transport.protocol.dataReceived(HEADER)
    assert door.began == [("192.0.2.7", 40000, "::ffff:10.0.0.1")]


def test_what_the_client_said_behind_the_header_is_heard() -> None:
    door = Door()
    transport = door.connect()
    transport.protocol.dataReceived(HEADER + b"one\r\ntwo\r\n")
    assert transport.value() == b"hello\r\n.one\r\n.two\r\n"


def test_tls_begins_behind_the_header_with_the_octets_that_came_with_it() -> None:
    door = Door(implicit=True)
    transport = door.connect()
    assert transport.tls is None
    transport.protocol.dataReceived(HEADER + b"\x16\x03\x01")
    assert transport.tls.heard == b"\x16\x03\x01"
    assert transport.value() == b""


def test_garbage_from_a_proxy_closes_and_begins_nothing() -> None:
    door = Door()
    transport = door.connect()
    transport.protocol.dataReceived(b"EHLO spam.example\r\n")
    assert transport.aborted
    assert (transport.value(), door.began, door.pool.pumps) == (b"", [], set())


def test_a_header_has_to_come_soon_even_when_it_trickles() -> None:
    door = Door()
    transport = door.connect()
    for octet in HEADER[:9]:
        transport.protocol.dataReceived(bytes([octet]))
        door.clock.advance(PATIENCE / 10)
    assert not transport.aborted
    door.clock.advance(PATIENCE / 10)
    assert transport.aborted
    assert door.pool.pumps == set()


def test_a_proxy_that_waits_takes_a_place_and_its_client_takes_it_over() -> None:
    door = Door()
    transport = door.connect()
    assert len(door.pool.pumps) == 1
    transport.protocol.dataReceived(HEADER)
    assert door.pool.pumps == {transport.protocol}
    transport.protocol.connectionLost(Failure(ConnectionDone()))
    assert door.pool.pumps == set()
    assert door.clock.getDelayedCalls() == []


def test_a_stop_does_not_wait_for_headers() -> None:
    door = Door()
    transport = door.connect()
    (waiting,) = door.pool.pumps
    assert waiting.ended
    waiting.shut_down()
    assert transport.aborted
    assert door.clock.getDelayedCalls() == []
