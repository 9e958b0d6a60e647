"""The host name of a client: for Received, or demanded."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from tests.policy.slow_lookup import SlowLookup
from tests.servers.smtp.house import SmtpHouse
from twistmail.mail.envelope import Role
from twistmail.networks import NETWORKS
from twistmail.policy.reverse import ReverseFactory

NAMED, FORGED, NAMELESS = "192.0.2.7", "192.0.2.8", "192.0.2.9"
ZONE: dict[str, Any] = {
    NAMED: {"PTR": ["other.example", "mail.peer.example"]},
    "mail.peer.example": {"A": [NAMED], "AAAA": ["2001:db8::7"]},
    "other.example": {"A": ["192.0.2.200"]},
    "2001:db8::7": {"PTR": ["mail.peer.example"]},
    FORGED: {"PTR": ["other.example", "gone.example"]},
}
MAIL = ("EHLO peer.example", "MAIL FROM:<eve@away.example>")
RCPT = "RCPT TO:<fred@here.example>"
CONTENT = ("DATA", "A: b", "", "text", ".")


class World:
    def __init__(self, reverse_dns: str = "require", **settings: Any) -> None:
        clock = Clock()
        self.lookup = SlowLookup(clock, ZONE)
        self.house = SmtpHouse(clock=clock, lookup=self.lookup)
        self.service = self.house.service(reverse_dns=reverse_dns, **settings)

    def player(self, address: str) -> Any:
        player = self.house.player(self.service, address)
        player.heard()
        return player


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        pytest.param(NAMED, "250 2.1.5 Recipient ok", id="a-name-that-leads-back"),
        pytest.param("2001:db8::7", "250 2.1.5 Recipient ok", id="over-IPv6"),
        pytest.param("::ffff:192.0.2.7", "250 2.1.5 Recipient ok", id="IPv4-written-as-IPv6"),
        pytest.param(FORGED, "550 5.7.25 Your address has no name in the DNS that leads back to it", id="names-that-lead-elsewhere"),
        pytest.param(NAMELESS, "550 5.7.25 Your address has no name in the DNS that leads back to it", id="no-name"),
    ],
)
def test_a_name_is_demanded(address: str, answer: str) -> None:
    player = World().player(address)
    player.say(*MAIL)
    assert player.say(RCPT) == [answer]


@pytest.mark.parametrize("broken", [NAMED, "mail.peer.example"])
def test_a_name_that_cannot_be_looked_up_is_weather(broken: str) -> None:
    world = World()
    world.lookup.broken.add(broken)
    player = world.player(NAMED)
    player.say(*MAIL)
    assert player.say(RCPT)[0].startswith("450 4.7.25 ")


def test_so_is_a_DNS_that_takes_too_long() -> None:
    world = World()
    world.lookup.delays[NAMED] = 1000.0
    player = world.player(NAMED)
    player.say(*MAIL, RCPT)
    player.advance(10)
    assert player.heard()[0].startswith("450 4.7.25 ")


def test_postmaster_is_reached_without_a_name() -> None:
    player = World().player(NAMELESS)
    player.say(*MAIL)
    assert player.say("RCPT TO:<postmaster>", RCPT)[0] == "250 2.1.5 Recipient ok"


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "unix", "203.0.113.4"])
def test_neighbours_need_no_name(address: str) -> None:
    world = World(relay_networks=NETWORKS.read("203.0.113.0/24"))
    player = world.player(address)
    player.say(*MAIL)
    assert player.say(RCPT) == ["250 2.1.5 Recipient ok"]
    assert world.lookup.asked == []


@pytest.mark.parametrize("reverse_dns", ["log", "require"])
def test_the_name_stands_in_Received(reverse_dns: str) -> None:
    world = World(reverse_dns)
    player = world.player(NAMED)
    assert player.say(*MAIL, RCPT, *CONTENT)[-1].startswith("250")
    assert world.house.contents[0].startswith(b"Received: from peer.example (mail.peer.example [192.0.2.7])")


def test_without_a_demand_nobody_is_refused() -> None:
    world = World("log")
    player = world.player(NAMELESS)
    assert player.say(*MAIL, RCPT, *CONTENT)[-1].startswith("250")
    assert world.house.contents[0].startswith(b"Received: from peer.example ([192.0.2.9])")


def test_one_look_up_a_connection_and_none_left_behind() -> None:
    world = World()
    player = world.player(NAMELESS)
    player.say(*MAIL, RCPT, "RSET", *MAIL, RCPT)
    assert [name for name, _ in world.lookup.asked] == [NAMELESS]
    player.leave()
    (connect,) = [stage for stage in world.service.policy._counting if stage.name == "reverse"]
    assert len(connect._names._names) == 0


def test_the_question_is_put_when_the_peer_connects_and_awaited_in_order() -> None:
    world = World()
    world.lookup.delays[NAMED] = 2.0
    player, other = world.player(NAMED), world.player("10.0.0.1")
    player.advance(1)
    assert [line[:9] for line in player.say(*MAIL, RCPT, "NOOP")][-1] == "250 2.1.0"
    assert other.say(*MAIL, RCPT)[-1] == "250 2.1.5 Recipient ok"
    player.advance(1)
    assert [line[:9] for line in player.heard()] == ["250 2.1.5", "250 2.0.0"]


@pytest.mark.parametrize(
    ("role", "settings"), [pytest.param(Role.MX, {}, id="by-default"), pytest.param(Role.SUBMISSION, {}, id="for-users")]
)
def test_where_no_name_is_wanted_there_is_no_stage(role: Role, settings: dict[str, Any]) -> None:
    assert ReverseFactory().build(None, SmtpHouse().house(role, **settings)) == ()
