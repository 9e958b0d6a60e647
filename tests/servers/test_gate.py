"""Who is sent away at the door."""

from __future__ import annotations

import pytest

from twistmail.bans import OPERATOR, SERVER, Ban, Bans, network_in
from twistmail.facts import Banned, Fact, Facts
from twistmail.servers.gate import Gate, Terms

NOW = 1_800_000_000.0
SPARED = (network_in("127.0.0.0/8"), network_in("::1"))
GUESSER = "198.51.100.7"


class Door:
    """A gate, and what it told."""

    def __init__(self, terms: Terms = Terms(900.0, SPARED)) -> None:  # noqa: B008 - a value
        self.facts, self.told = Facts(), []
        self.facts.listen(self.told.append)
        self.bans = Bans()
        self.gate = Gate(self.bans, self.facts, lambda: NOW, terms)


def test_who_has_guessed_is_sent_away_where_one_logs_in_and_may_still_bring_mail() -> None:
    door = Door()
    door.gate.shut_out(GUESSER, "too many failed logins", "c1")
    services = ("mx", "lmtp", "submission", "imap", "pop3")
    assert [service for service in services if door.gate.turns_away(GUESSER, service)] == ["submission", "imap", "pop3"]
    assert door.gate.is_shut_to(GUESSER)
    assert not door.gate.turns_away("198.51.100.8", "imap")


def test_whom_an_operator_has_banned_comes_in_nowhere() -> None:
    door = Door()
    door.bans.put(Ban(network_in("198.51.100.0/24"), NOW, None, "", OPERATOR))
    assert all(door.gate.turns_away(GUESSER, service) for service in ("mx", "lmtp", "submission", "imap", "pop3"))


@pytest.mark.parametrize("address", [
    pytest.param("127.0.0.1", id="loopback"),
    pytest.param("127.8.9.10", id="all-of-it"),
    pytest.param("::1", id="ipv6"),
    pytest.param("::ffff:127.0.0.1", id="written-as-ipv6"),
    pytest.param("unix", id="a-socket"),
])
def test_this_machine_is_never_banned_by_itself(address: str) -> None:
    door = Door()
    door.gate.shut_out(address, "too many failed logins", "c1")
    assert len(door.bans) == 0
    assert not door.gate.is_shut_to(address)


def test_but_where_an_operator_says_so() -> None:
    door = Door()
    door.bans.put(Ban(network_in("127.0.0.1"), NOW, None, "", OPERATOR))
    assert door.gate.turns_away("127.0.0.1", "mx")
    assert door.gate.is_shut_to("127.0.0.1")


def test_whoever_is_spared_from_now_on_is_let_in_though_he_was_banned() -> None:
    door = Door()
    door.gate.shut_out(GUESSER, "too many failed logins", "c1")
    door.gate.adopt(Terms(900.0, (network_in(GUESSER),)))
    assert not door.gate.turns_away(GUESSER, "imap")
    assert not door.gate.is_shut_to(GUESSER)


def test_where_bans_are_off_nobody_is_banned() -> None:
    door = Door(Terms(None, SPARED))
    door.gate.shut_out(GUESSER, "too many failed logins", "c1")
    assert len(door.bans) == 0


def test_a_ban_is_told_once_with_the_connection_that_earned_it() -> None:
    door = Door()
    for _ in range(3):
        door.gate.shut_out("2001:db8:1:2:3:4:5:6", "too many failed logins", "c1")
    assert door.told == [Fact(NOW, "c1", Banned("2001:db8:1:2::/64", NOW + 900, "too many failed logins"))]
    (ban,) = door.bans.in_force(NOW)
    assert (ban.by, ban.times) == (SERVER, 1)


def test_it_counts_who_was_sent_away() -> None:
    door = Door()
    door.gate.shut_out(GUESSER, "too many failed logins", "c1")
    for service in ("imap", "mx", "pop3"):
        door.gate.turns_away(GUESSER, service)
    assert door.bans.turned_away == {network_in(GUESSER): 2}
