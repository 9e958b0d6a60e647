"""Dictionary attacks cost the attacker's time, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.servers.smtp.house import SmtpHouse
from twistmail.facts import Refused
from twistmail.mail.address import parse
from twistmail.mail.envelope import Peer, Role, Transaction
from twistmail.mail.status import UNAVAILABLE
from twistmail.networks import NETWORKS
from twistmail.policy.tarpit import TarpitFactory

FEW = {"tarpit_after": 2, "tarpit_delay": 3.0, "tarpit_close": 4, "tarpit_connections": 2, "soft_errors": 1000, "hard_errors": 1000}
NOBODY, FRED = "RCPT TO:<nobody@here.example>", "RCPT TO:<fred@here.example>"


class World:
    def __init__(self, **settings: Any) -> None:
        self.house = SmtpHouse()
        self.service = self.house.service(**FEW | settings)

    def player(self, *lines: str, address: str = "192.0.2.7") -> Any:
        player = self.house.player(self.service, address)
        player.say("EHLO peer.example", "MAIL FROM:<eve@away.example>", *lines)
        return player


def codes(lines: list[str]) -> list[str]:
    return [line[:9] for line in lines]


def test_the_first_refusals_cost_nothing_and_each_further_one_makes_the_next_answer_wait() -> None:
    player = World().player()
    assert codes(player.say(NOBODY, NOBODY)) == ["550 5.1.1"] * 2
    assert player.say(NOBODY) == []
    player.advance(2.9)
    assert player.heard() == []
    player.advance(0.1)
    assert codes(player.heard()) == ["550 5.1.1"]


def test_who_has_waited_for_his_mistake_need_not_wait_again() -> None:
    player = World().player(NOBODY, NOBODY, FRED)
    player.advance(3)
    assert codes(player.heard()) == ["250 2.1.5"]
    assert codes(player.say("RCPT TO:<ann@here.example>")) == ["250 2.1.5"]


def test_after_many_the_connection_is_closed() -> None:
    world = World()
    player = world.player(*[NOBODY] * 10)
    for _ in range(3):
        player.advance(3)
    assert codes(player.heard())[-1] == "421 4.7.0"
    assert player.transport.closed
    refused = [fact.what for fact in world.house.told if isinstance(fact.what, Refused)]
    assert [one.stage for one in refused] == ["recipients"] * 4 + ["tarpit"]
    assert refused[-1].rule == "4 refused recipients"


def test_pipelined_commands_are_answered_in_order_and_nobody_else_waits() -> None:
    world = World()
    player, other = world.player(), world.player()
    assert codes(player.say(NOBODY, NOBODY, NOBODY, FRED, "NOOP")) == ["550 5.1.1"] * 2
    assert codes(other.say(FRED)) == ["250 2.1.5"]
    player.advance(3)
    assert codes(player.heard()) == ["550 5.1.1"]
    player.advance(3)
    assert codes(player.heard()) == ["250 2.1.5", "250 2.0.0"]


def test_only_so_many_are_kept_waiting() -> None:
    world = World()
    first, second, third = (world.player(NOBODY, NOBODY, NOBODY) for _ in range(3))
    assert (first.heard(), second.heard()) == ([], [])
    assert third.transport.closed
    assert [fact.what.rule for fact in world.house.told if isinstance(fact.what, Refused)][-1] == "2 connections wait already"
    first.advance(3)
    assert codes(first.heard()) == codes(second.heard()) == ["550 5.1.1"]
    assert world.player(NOBODY, NOBODY, NOBODY).heard() == []  # there is room again


def test_a_peer_that_goes_while_it_waits_makes_room() -> None:
    world = World(tarpit_connections=1)
    player = world.player(NOBODY, NOBODY, NOBODY)
    player.leave()
    world.house.clock.advance(3)
    (stage,) = [stage for stage in world.service.policy._counting if stage.name == "tarpit"]
    assert (stage._waiting, len(stage._guessers)) == (0, 0)


@pytest.mark.parametrize("address", ["127.0.0.1", "unix", "203.0.113.4"])
def test_neighbours_do_not_wait(address: str) -> None:
    player = World(relay_networks=NETWORKS.read("203.0.113.0/24")).player(address=address)
    assert codes(player.say(*[NOBODY] * 10)) == ["550 5.1.1"] * 10


def test_weather_is_no_mistake_of_the_peer_s() -> None:
    (tarpit,) = TarpitFactory().build(None, SmtpHouse().house())
    transaction = Transaction(Peer("c", "192.0.2.7", 1), "i", 0.0, None)
    for _ in range(100):
        tarpit.refused(transaction, parse("fred@here.example"), UNAVAILABLE)
    assert len(tarpit._guessers) == 0


@pytest.mark.parametrize(
    ("role", "settings"),
    [
        pytest.param(Role.MX, {"tarpit_after": None}, id="switched-off"),
        pytest.param(Role.SUBMISSION, {}, id="for-users"),
    ],
)
def test_where_nobody_waits_there_is_no_stage(role: Role, settings: dict[str, Any]) -> None:
    assert TarpitFactory().build(None, SmtpHouse().house(role, **settings)) == ()
