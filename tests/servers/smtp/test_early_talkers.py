"""Peers that talk before they are greeted, and peers that do not wait for answers."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.dialogues.player import FakeTransport
from tests.helpers import result_of
from tests.servers.smtp.house import SmtpHouse
from twistmail.interfaces import Point
from twistmail.mail.envelope import Peer, Role
from twistmail.mail.status import Status
from twistmail.networks import NETWORKS
from twistmail.servers.pump import Pump
from twistmail.servers.smtp.session import open_connection
from twistmail.tasks import sleep
from twistmail.wire.smtp.commands import XClient


class Early(FakeTransport):
    """A connection on which the peer has talked before anybody has looked."""

    def __init__(self, pump: Pump, said: bytes) -> None:
        super().__init__()
        self.pump = pump
        self.said = said

    def doRead(self) -> None:
        if self.said:
            self.pump.dataReceived(self.said)


def greeted(house: SmtpHouse, said: bytes = b"", *, look_first: bool = True, role: Role = Role.MX, **settings: Any) -> Early:
    """What a peer hears who has *said* something before we had a chance to greet."""
    pump = house.pump(house.service(role, **settings))
    pump._look_first = look_first
    transport = Early(pump, said)
    pump.makeConnection(transport)
    return transport


def test_who_has_talked_before_the_greeting_gets_another_one() -> None:
    house = SmtpHouse()
    transport = greeted(house, b"EHLO spam.example\r\n")
    assert transport.value().startswith(b"554 5.5.1 ")
    assert transport.value().count(b"\r\n") == 1
    assert transport.closed
    assert house.refused == [("early_talker", 554)]


def test_options_of_telnet_are_no_talk_where_people_type() -> None:
    house = SmtpHouse()
    transport = greeted(house, b"\xff\xfb\x1f\xff\xfd\x01", lone_lf=True)
    assert transport.value().startswith(b"220 ")
    assert house.refused == []
    for said, settings in ((b"\xff\xfb\x1fEHLO a\n", {"lone_lf": True}), (b"\xff\xfb\x1f", {})):
        assert greeted(house, said, **settings).value().startswith(b"554 5.5.1 ")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({}, b"", id="silent"),
        pytest.param({"early_talker": "off"}, b"EHLO spam.example\r\n", id="off"),
        pytest.param({"early_talker": "log"}, b"EHLO spam.example\r\n", id="logged-only"),
    ],
)
def test_others_are_greeted(settings: dict[str, str], said: bytes) -> None:
    house = SmtpHouse()
    transport = greeted(house, said, **settings)
    assert transport.value().startswith(b"220 ")
    assert transport.value().count(b"250 ") == (1 if said else 0)
    assert house.refused == []


def test_users_may_be_hasty() -> None:
    assert greeted(SmtpHouse(), b"EHLO pc.example\r\n", role=Role.SUBMISSION).value().startswith(b"220 ")


def test_who_talks_while_we_ask_others_about_him_has_not_waited() -> None:
    class Slow:
        name, point = "slow", Point.CONNECT

        async def judge(self, peer: Any) -> None:
            await sleep(house.clock, 3)

    house = SmtpHouse(stages=[Slow()])
    transport = greeted(house)
    transport.pump.dataReceived(b"EHLO spam.example\r\n")
    assert transport.value() == b""
    house.clock.advance(3)
    assert transport.value().startswith(b"554 5.5.1 ")


def test_a_delay_of_our_own_finds_those_who_cannot_wait() -> None:
    house = SmtpHouse(Clock())
    patient, hasty = (greeted(house, look_first=False, greeting_delay=2.0) for _ in range(2))
    house.clock.advance(1)
    hasty.pump.dataReceived(b"E")
    assert patient.value() == hasty.value() == b""
    house.clock.advance(1)
    assert patient.value().startswith(b"220 ")
    assert hasty.value().startswith(b"554 ")
    patient.pump.dataReceived(b"EHLO peer.example\r\n")
    assert b"\r\n250 " in patient.value()


def test_who_leaves_during_the_delay_leaves_nothing_behind() -> None:
    house = SmtpHouse(Clock())
    transport = greeted(house, greeting_delay=2.0)
    transport.pump.connectionLost(Failure(ConnectionDone()))
    house.clock.advance(2)
    assert transport.pump.ended
    assert house.clock.getDelayedCalls() == []


def test_who_does_not_wait_for_answers_is_sent_away_and_that_is_told() -> None:
    house = SmtpHouse()
    player = house.player(house.service(unauth_pipelining="reject"))
    player.heard()
    assert [line[:9] for line in player.say("EHLO spam.example", "MAIL FROM:<a@spam.example>")] == ["503 5.5.0"]
    assert player.transport.closed
    assert house.refused == [("protocol", 503)]


def test_the_client_of_a_proxy_is_asked_about_though_the_proxy_was_let_in_before_the_handshake() -> None:
    class Door:
        name, point = "door", Point.CONNECT

        async def judge(self, peer: Peer) -> Status | None:
            return Status(550, "5.7.1", "Not you") if peer.address == "203.0.113.9" else None

    house = SmtpHouse(stages=[Door()])
    _, session = open_connection(house.service(xclient_from=NETWORKS.read("192.0.2.7")), "c1", "192.0.2.7", 4711)
    assert result_of(session.admit())
    assert result_of(session._xclient(XClient({"ADDR": "203.0.113.9"}))).code == 554


def test_a_group_of_commands_is_answered_in_order() -> None:
    house = SmtpHouse()
    player = house.player(house.service(unauth_pipelining="reject"))
    player.say("EHLO peer.example")
    group = ("MAIL FROM:<a@far.example>", "RCPT TO:<fred@here.example>", "RCPT TO:<nobody@here.example>", "DATA")
    assert [line[:3] for line in player.say(*group)] == ["250", "250", "550", "354"]
    assert [line[:3] for line in player.say("Subject: x", "", "x", ".", "QUIT")] == ["250", "221"]
