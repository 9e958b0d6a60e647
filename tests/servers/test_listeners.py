"""Who is let in: as many as the service may have, and as the whole process has room for."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock

from tests.servers.test_pump import EchoSession, LineWire
from twistmail.facts import Facts
from twistmail.servers.listeners import Born, Listener, Pool

PEER = IPv4Address("TCP", "192.0.2.7", 40_000)


def born(most: int | None = None) -> Born:
    def begin(identifier: str, address: str, port: int) -> Any:
        return LineWire(), EchoSession()

    return Born("mx", begin, map(str, count()), lambda: 0.0, Facts(), most=most)


def test_nobody_is_let_in_before_there_is_something_to_be_born_of() -> None:
    assert Listener(Pool(), Clock()).buildProtocol(PEER) is None


def test_a_service_has_its_most_connections_whatever_port_they_come_in_by() -> None:
    pool = Pool()
    listeners = [Listener(pool, Clock()), Listener(pool, Clock())]
    for listener in listeners:
        listener.adopt(born(most=2))
    assert all(listener.buildProtocol(PEER) for listener in listeners)
    assert listeners[0].buildProtocol(PEER) is None
    pool.pumps.pop()
    assert listeners[0].buildProtocol(PEER)


@pytest.mark.parametrize("room", [pytest.param(True, id="room"), pytest.param(False, id="none")])
def test_where_the_process_has_no_room_nobody_is_let_in(room: bool) -> None:
    listener = Listener(Pool(), Clock(), lambda: room)
    listener.adopt(born())
    assert (listener.buildProtocol(PEER) is not None) == room
