"""When a pool is nearly full, strangers get less: begun, ended and said once."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure

from tests.servers.smtp.house import SmtpHouse
from tests.servers.test_listeners import PEER, born
from twistmail.servers.listeners import Listener, Pool
from twistmail.servers.stress import TIMEOUT, Stress


@pytest.fixture
def said() -> Any:
    """What the log hears of stress."""
    lines: list[str] = []

    def hear(event: Any) -> None:
        if event["log_namespace"] == "twistmail.servers.stress":
            lines.append(formatEvent(event))

    globalLogPublisher.addObserver(hear)
    yield lines
    globalLogPublisher.removeObserver(hear)


def test_it_begins_at_the_edge_and_ends_some_way_below_it(said: list[str]) -> None:
    stress = Stress("mx", 80)
    states = []
    for present in (79, 80, 79, 80, 73, 72, 71, 72, 79):
        stress.look(present, 100)
        states.append(stress.on)
    assert states == [False, True, True, True, True, True, False, False, False]
    assert len(said) == 2
    assert said[0].startswith("mx: 80 of 100 connections")


@pytest.mark.parametrize(
    ("percent", "most", "calm", "stressed"),
    [
        pytest.param(80, 5, 3, 4, id="few-places"),
        pytest.param(80, 1, 0, 1, id="one-place"),
        pytest.param(100, 10, 9, 10, id="only-when-full"),
        pytest.param(0, 10, 0, 1, id="always"),
    ],
)
def test_the_edge_of_small_pools(percent: int, most: int, calm: int, stressed: int) -> None:
    stress = Stress("mx", percent)
    stress.look(calm, most)
    assert not stress.on
    stress.look(stressed, most)
    assert stress.on
    stress.look(0, most)
    assert not stress.on


def test_a_pool_without_limit_knows_no_stress() -> None:
    stress = Stress("mx", 80)
    stress.look(10_000, None)
    assert not stress.on


def test_the_listener_tells_of_all_who_come_and_go() -> None:
    house = SmtpHouse()
    stress = Stress("mx", 80)
    listener = Listener(Pool(), house.clock)
    listener.adopt(born(most=5, stress=stress))
    pumps: list[Any] = []
    for _ in range(4):
        assert not stress.on
        pumps.append(listener.buildProtocol(PEER))
        pumps[-1].makeConnection(StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.7", 4711)))
    assert stress.on
    for pump in pumps[:1]:
        pump.connectionLost(Failure(ConnectionDone()))
    assert not stress.on


def test_strangers_have_to_hurry_and_those_who_wait_already_keep_their_time() -> None:
    house = SmtpHouse()
    service = house.service()
    early = house.player(service)
    service.stress.on = True
    late = house.player(service)
    house.clock.advance(TIMEOUT + 1)
    assert late.heard()[-1].startswith("421 4.4.2")
    assert not early.transport.closed
    early.say("EHLO peer.example")
    house.clock.advance(TIMEOUT + 1)
    assert early.heard()[-1].startswith("421 4.4.2")


def test_afterwards_everybody_has_the_usual_time() -> None:
    house = SmtpHouse()
    service = house.service()
    service.stress.on = True
    player = house.player(service)
    service.stress.on = False
    player.say("EHLO peer.example")
    house.clock.advance(299)
    assert not player.transport.closed


@pytest.mark.parametrize("line", [pytest.param("NONSENSE", id="errors"), pytest.param("NOOP", id="junk")])
def test_under_stress_one_mistake_is_enough(line: str) -> None:
    house = SmtpHouse()
    service = house.service()
    player = house.player(service)
    for _ in range(2):
        assert not player.say(line)[-1].startswith("421")
    service.stress.on = True
    assert player.say(line)[-1].startswith("421 4.7.0")
