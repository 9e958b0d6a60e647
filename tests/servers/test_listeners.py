"""Who is let in: as many as the service may have, and as the whole process has room for."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from itertools import count
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import formatEvent, globalLogPublisher

from tests.servers.test_pump import EchoSession, LineWire
from twistmail.facts import Closed, Connected, Facts, Refused
from twistmail.servers.listeners import Born, Listener, Pool
from twistmail.servers.pump import Pump
from twistmail.servers.refusal import BANNED, FULL, NO_ROOM, Refusal

PEER = IPv4Address("TCP", "192.0.2.7", 40_000)


def born(most: int | None = None, service: str = "mx", **more: Any) -> Born:
    def begin(identifier: str, address: str, port: int, via: str) -> Any:
        return LineWire(), EchoSession()

    return Born(service, begin, map(str, count()), lambda: 0.0, Facts(), most=most, **more)


def test_nobody_is_let_in_before_there_is_something_to_be_born_of() -> None:
    assert Listener(Pool(), Clock()).buildProtocol(PEER) is None


def test_a_service_has_its_most_connections_whatever_port_they_come_in_by() -> None:
    pool = Pool()
    listeners = [Listener(pool, Clock()), Listener(pool, Clock())]
    for listener in listeners:
        listener.adopt(born(most=2))
    assert all(listener.buildProtocol(PEER) for listener in listeners)
    assert isinstance(listeners[0].buildProtocol(PEER), Refusal)
    pool.pumps.pop()
    assert isinstance(listeners[0].buildProtocol(PEER), Pump)


@pytest.mark.parametrize("room", [pytest.param(True, id="room"), pytest.param(False, id="none")])
def test_where_the_process_has_no_room_nobody_is_let_in(room: bool) -> None:
    listener = Listener(Pool(), Clock(), lambda: room)
    listener.adopt(born())
    assert isinstance(listener.buildProtocol(PEER), Pump if room else Refusal)


@pytest.mark.parametrize(
    ("service", "words"),
    [
        pytest.param("mx", b"421 4.3.2 ", id="mx"),
        pytest.param("submission", b"421 4.3.2 ", id="submission"),
        pytest.param("lmtp", b"421 4.3.2 ", id="lmtp"),
        pytest.param("imap", b"* BYE [UNAVAILABLE] ", id="imap"),
        pytest.param("pop3", b"-ERR [SYS/TEMP] ", id="pop3"),
    ],
)
def test_who_is_sent_away_is_told_why_and_keeps_nothing(service: str, words: bytes) -> None:
    clock, pool, transport = Clock(), Pool(), StringTransport()
    listener = Listener(pool, clock, lambda: False)
    listener.adopt(born(service=service))
    listener.buildProtocol(PEER).makeConnection(transport)
    assert transport.value().startswith(words)
    assert transport.value().endswith(b"\r\n")
    assert transport.disconnecting
    assert not pool.pumps


def test_that_somebody_was_sent_away_is_told_with_the_reason() -> None:
    told: list[Any] = []
    facts = Facts()
    facts.listen(lambda fact: told.append((fact.about, fact.what)))
    listener = Listener(Pool(), Clock())
    listener.adopt(replace(born(most=0), facts=facts))
    listener.buildProtocol(PEER)
    assert told == [
        ("0", Connected("mx", "192.0.2.7", 40_000)),
        ("0", Refused("connections", NO_ROOM, "0", rule="0 connections, no more are taken")),
        ("0", Closed("refused", 0, len(FULL["mx"]))),
    ]


def test_where_tls_would_have_to_come_first_nothing_is_said() -> None:
    transport = StringTransport()
    listener = Listener(Pool(), Clock(), lambda: False)
    listener.adopt(born(implicit=True))
    listener.buildProtocol(PEER).makeConnection(transport)
    assert transport.value() == b""
    assert transport.disconnecting


def test_the_log_hears_of_those_sent_away_once_a_minute_with_their_number() -> None:
    clock, said = Clock(), []
    listener = Listener(Pool(), clock, lambda: False)
    listener.adopt(born())

    def hear(event: Any) -> None:
        if event["log_namespace"] == "twistmail.servers.refusal":
            said.append(formatEvent(event))

    globalLogPublisher.addObserver(hear)
    try:
        for _ in range(1000):
            listener.buildProtocol(PEER)
        assert len(said) == 1
        clock.advance(60)
        assert len(said) == 2
        assert "999 times" in said[1]
        clock.advance(60)
        assert len(said) == 2
        listener.buildProtocol(PEER)
        assert len(said) == 3
    finally:
        globalLogPublisher.removeObserver(hear)


# ----- the banned


@pytest.mark.parametrize("service", ["mx", "submission", "lmtp", "imap", "pop3"])
def test_whoever_is_banned_is_sent_away_with_a_word_of_the_protocol_and_costs_no_fact(service: str) -> None:
    made = born(service=service, turns_away=lambda address, service: address == PEER.host)
    told: list[Any] = []
    made.facts.listen(told.append)
    listener = Listener(Pool(), Clock())
    listener.adopt(made)
    refused, transport = listener.buildProtocol(PEER), StringTransport()
    assert isinstance(refused, Refusal)
    refused.makeConnection(transport)
    assert transport.value() == BANNED[service]
    assert transport.disconnecting
    assert told == []
    assert isinstance(listener.buildProtocol(IPv4Address("TCP", "192.0.2.8", 1)), Pump)


def test_where_tls_comes_first_the_banned_hear_nothing() -> None:
    listener = Listener(Pool(), Clock())
    listener.adopt(born(implicit=True, turns_away=lambda address, service: True))
    refused, transport = listener.buildProtocol(PEER), StringTransport()
    assert refused is not None
    refused.makeConnection(transport)
    assert transport.value() == b""
    assert transport.disconnecting


def test_whom_a_proxy_brings_is_banned_by_his_own_address() -> None:
    asked: list[str] = []

    def turns_away(address: str, service: str) -> bool:
        asked.append(address)
        return address == "203.0.113.9"

    listener = Listener(Pool(), Clock())
    listener.adopt(born(service="imap", turns_away=turns_away, proxy_from=(ip_network("192.0.2.7"),)))
    waiting, transport = listener.buildProtocol(PEER), StringTransport()
    assert waiting is not None
    transport.protocol = waiting
    waiting.makeConnection(transport)
    waiting.dataReceived(b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 143\r\n")
    assert transport.value() == BANNED["imap"]
    assert transport.disconnecting
    assert asked == ["203.0.113.9"]
    assert not listener.pool.pumps
