"""Peers that read nothing, and peers that say an octet now and then: what each protocol lets them have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.dialogues.imap_house import ImapHouse
from tests.dialogues.player import FakeTransport
from tests.dialogues.pop3_house import PopHouse
from tests.servers.smtp.house import SmtpHouse
from twistmail.mail.envelope import Role
from twistmail.servers import pump as pumps
from twistmail.servers.pump import Pump

FULL = 64 * 1024  # octets that wait when Twisted says that it takes no more
#: What one peer may cost: what waits to be written, what was gathered meanwhile, and what waits to be understood.
BOUND = FULL + 2 * pumps.COALESCE + pumps.READ_AHEAD + 64 * 1024


class Unread(FakeTransport):
    """A transport whose peer takes nothing: everything written stays."""

    pump: Pump

    def write(self, data: bytes) -> None:
        super().write(data)
        if len(self.value()) > FULL:
            self.pump.pauseProducing()


def _smtp(role: Role) -> Callable[[], tuple[Any, Pump]]:
    def begin() -> tuple[Any, Pump]:
        house = SmtpHouse()
        return house.clock, house.pump(house.service(role, max_junk_commands=10**9))  # not sent away for chatting

    return begin


def _imap() -> tuple[Any, Pump]:
    house = ImapHouse()
    return house.clock, house.pump()


def _pop3() -> tuple[Any, Pump]:
    house = PopHouse()
    return house.clock, house.pump()


PROTOCOLS = [
    pytest.param(_smtp(Role.MX), b"EHLO peer.example\r\n", id="mx"),
    pytest.param(_smtp(Role.SUBMISSION), b"EHLO pc.example\r\n", id="submission"),
    pytest.param(_smtp(Role.LMTP), b"LHLO mx.example\r\n", id="lmtp"),
    pytest.param(_imap, b"a CAPABILITY\r\n", id="imap"),
    pytest.param(_pop3, b"CAPA\r\n", id="pop3"),
]


@pytest.mark.parametrize("at_a_time", [pytest.param(1, id="one-command-at-a-time"), pytest.param(2000, id="many-at-a-time")])
@pytest.mark.parametrize(("begin", "command"), PROTOCOLS)
def test_a_peer_that_never_reads_costs_a_bounded_buffer_and_is_dropped(begin: Any, command: bytes, at_a_time: int) -> None:
    clock, pump = begin()
    transport = Unread()
    transport.pump = pump
    pump.makeConnection(transport)
    said = 0
    while said < 40 * BOUND // 10 and transport.producerState == "producing":
        pump.dataReceived(command * at_a_time)
        said += len(command) * at_a_time
        clock.advance(0)
        held = len(transport.value()) + pump._out_size + pump.wire.buffered
        assert held < BOUND + len(command) * at_a_time
        assert not transport.closed
    assert transport.producerState == "paused", "we have stopped listening"
    clock.advance(pumps.STALL + 1)
    assert transport.closed


@pytest.mark.parametrize(("begin", "command"), PROTOCOLS)
def test_an_octet_now_and_then_buys_no_time(begin: Any, command: bytes) -> None:
    """Slowloris: a command has to end within the time-out, counted from when we began to wait for it."""
    clock, pump = begin()
    transport = FakeTransport()
    pump.makeConnection(transport)
    patience, began = pump.session.patience, clock.seconds()
    while not transport.closed:
        pump.dataReceived(b"x")
        clock.advance(10)
        assert clock.seconds() - began <= patience + 10
    assert clock.seconds() - began >= patience


def test_each_command_has_its_own_time() -> None:
    house = SmtpHouse()
    pump, transport = house.pump(house.service()), FakeTransport()
    pump.makeConnection(transport)
    for _ in range(10):
        for octet in b"NOOP\r\n":
            house.clock.advance(40)
            pump.dataReceived(bytes([octet]))
    assert not transport.closed
    assert transport.value().count(b"250 ") == 10


def test_content_may_take_longer_than_a_command_as_long_as_it_flows() -> None:
    house = SmtpHouse()
    pump, transport = house.pump(house.service()), FakeTransport()
    pump.makeConnection(transport)
    pump.dataReceived(b"EHLO p.example\r\nMAIL FROM:<a@far.example>\r\nRCPT TO:<fred@here.example>\r\nDATA\r\n")
    for _ in range(100):
        house.clock.advance(10)
        pump.dataReceived(b"x" * 998 + b"\r\n" + b"y" * 9000)
    assert not transport.closed
    pump.dataReceived(b"\r\n.\r\n")
    assert transport.value().endswith(b"\r\n")
    assert b"\r\n250 2.0.0 " in transport.value()


def test_news_for_a_peer_that_never_reads_waits_until_he_does() -> None:
    """IDLE: updates are said when there is room, once, however often they were announced."""
    house = ImapHouse()
    pump, transport = house.pump(), Unread()
    transport.pump = pump
    pump.makeConnection(transport)
    pump.dataReceived(b"l LOGIN ann secret\r\n")
    pump.dataReceived(b"s SELECT INBOX\r\n")
    pump.dataReceived(b"i IDLE\r\n")
    pump.pauseProducing()
    before = len(transport.value())
    house.put(b"Subject: one\r\n\r\n", b"Subject: two\r\n\r\n")
    assert len(transport.value()) == before
    pump.resumeProducing()
    house.clock.advance(0)
    assert b"* 2 EXISTS" in transport.value()[before:]
