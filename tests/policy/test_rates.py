"""How much mail an address and its network may bring in a minute."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from tests.servers.smtp.house import SmtpHouse
from twistmail.facts import Refused
from twistmail.mail.envelope import Role
from twistmail.networks import NETWORKS
from twistmail.policy import rates
from twistmail.policy.rates import Rate, RatesFactory
from twistmail.servers.smtp_options import MX

FREE = {"max_mails_per_ip": None, "max_mails_per_network": None, "max_unknown_per_ip": None, "tarpit_after": None}


def mails(house: SmtpHouse, service: Any, *addresses: str) -> list[str]:
    """The answers to MAIL, each on a connection of its own."""
    answers = []
    for address in addresses:
        player = house.player(service, address)
        player.say("EHLO peer.example")
        answers.append(player.say("MAIL FROM:<eve@away.example>")[0][:9])
        player.leave()
    return answers


OK, LATER = "250 2.1.0", "451 4.7.1"


# ----- the rate itself


def test_a_minute_s_worth_may_come_at_once_and_then_at_an_even_pace() -> None:
    clock = Clock()
    rate = Rate(500, clock.seconds)
    for _ in range(500):
        assert not rate.is_full("a")
        rate.count("a")
    assert rate.is_full("a")
    assert not rate.is_full("b")
    clock.advance(60 / 500)
    assert not rate.is_full("a")
    rate.count("a")
    assert rate.is_full("a")
    clock.advance(60)
    assert not rate.is_full("a")


def test_a_limit_of_nothing_lets_nothing_pass() -> None:
    assert Rate(0, Clock().seconds).is_full("a")


@given(st.integers(1, 50), st.lists(st.floats(0, 30), max_size=200))
def test_in_no_minute_come_more_than_twice_as_many(most: int, gaps: list[float]) -> None:
    clock = Clock()
    rate = Rate(most, clock.seconds)
    passed = []
    for gap in gaps:
        clock.advance(gap)
        if not rate.is_full("a"):
            rate.count("a")
            passed.append(clock.seconds())
    assert all(sum(at <= later < at + 59.999 for later in passed) <= 2 * most for at in passed)


def test_the_memory_is_bounded_and_those_who_are_busy_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST_REMEMBERED", 10)
    rate = Rate(5, Clock().seconds)
    for number in range(1000):
        rate.count(f"quiet-{number}")
        if number < 5 or number % 5 == 0:
            rate.count("busy")
    assert len(rate) == 10
    assert rate.is_full("busy")


# ----- mails


def test_an_address_that_sends_too_much_is_told_to_come_later() -> None:
    house = SmtpHouse()
    service = house.service(**FREE | {"max_mails_per_ip": 2})
    assert mails(house, service, "192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.8") == [OK, OK, LATER, OK]
    (refused,) = [fact.what for fact in house.told if isinstance(fact.what, Refused)]
    assert (refused.stage, refused.rule) == ("rates", "192.0.2.7: 2 messages a minute")
    house.clock.advance(30)
    assert mails(house, service, "192.0.2.7", "192.0.2.7") == [OK, LATER]


@pytest.mark.parametrize(
    ("addresses", "answers"),
    [
        pytest.param(("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.3.1"), [OK, OK, LATER, OK], id="ipv4-24"),
        pytest.param(("2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:3::1", "2001:db8:1::1"), [OK, OK, LATER, OK], id="ipv6-48"),
        pytest.param(("192.0.2.1", "::ffff:192.0.2.2", "192.0.2.3"), [OK, OK, LATER], id="ipv4-written-as-ipv6"),
    ],
)
def test_a_network_counts_as_a_whole(addresses: tuple[str, ...], answers: list[str]) -> None:
    house = SmtpHouse()
    assert mails(house, house.service(**FREE | {"max_mails_per_network": 2}), *addresses) == answers


def test_all_of_an_IPv6_64_is_one_address() -> None:
    house = SmtpHouse()
    service = house.service(**FREE | {"max_mails_per_ip": 1})
    assert mails(house, service, "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1") == [OK, LATER, OK]


def test_what_is_refused_for_the_network_does_not_use_up_the_address() -> None:
    house = SmtpHouse()
    service = house.service(**FREE | {"max_mails_per_ip": 2, "max_mails_per_network": 2})
    assert mails(house, service, *["192.0.2.1"] * 2, *["192.0.2.2"] * 5) == [OK, OK, *[LATER] * 5]
    house.clock.advance(60)
    assert mails(house, service, "192.0.2.2", "192.0.2.2") == [OK, OK]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "unix", "203.0.113.4"])
def test_neighbours_are_not_counted(address: str) -> None:
    house = SmtpHouse()
    service = house.service(**FREE | {"max_mails_per_ip": 1, "relay_networks": NETWORKS.read("203.0.113.0/24")})
    assert mails(house, service, *[address] * 3) == [OK] * 3


# ----- unknown recipients


def test_guessing_over_many_connections_ends_for_all_of_them() -> None:
    house = SmtpHouse()
    service = house.service(**FREE | {"max_unknown_per_ip": 3})
    for _ in range(3):
        player = house.player(service)
        player.say("EHLO peer.example", "MAIL FROM:<eve@away.example>")
        assert player.say("RCPT TO:<nobody@here.example>")[0].startswith("550 5.1.1")
        player.leave()
    other = house.player(service)
    other.say("EHLO peer.example", "MAIL FROM:<eve@away.example>")
    assert other.say("RCPT TO:<fred@here.example>")[0].startswith("451 4.7.1 Too many unknown recipients")
    assert [fact.what.rule for fact in house.told if isinstance(fact.what, Refused)][-1] == "192.0.2.7: 3 unknown recipients a minute"
    house.clock.advance(20)
    assert other.say("RCPT TO:<fred@here.example>") == ["250 2.1.5 Recipient ok"]


def test_other_refusals_are_no_guesses() -> None:
    house = SmtpHouse()
    service = house.service(**FREE | {"max_unknown_per_ip": 1})
    player = house.player(service)
    player.say("EHLO peer.example", "MAIL FROM:<eve@away.example>", "RCPT TO:<x@far.example>", "RCPT TO:<y@far.example>")
    assert player.say("RCPT TO:<fred@here.example>") == ["250 2.1.5 Recipient ok"]


def test_the_defaults_are_those_of_the_table_of_limits() -> None:
    assert MX.defaults().max_mails_per_ip == 500


@pytest.mark.parametrize(
    ("role", "settings"), [pytest.param(Role.MX, FREE, id="unlimited"), pytest.param(Role.SUBMISSION, {}, id="for-users")]
)
def test_where_nothing_is_counted_there_is_no_stage(role: Role, settings: dict[str, Any]) -> None:
    assert RatesFactory().build(None, SmtpHouse().house(role, **settings)) == ()
