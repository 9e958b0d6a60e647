"""Which addresses a ban covers, how long it holds, and that asking is cheap however many there are."""

from __future__ import annotations

import time
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.bans import LONGEST, MEMORY, OPERATOR, SERVER, Ban, Bans, home_of, network_in

NOW = 1_800_000_000.0


def ban(network: str, until: float | None = NOW + 900, by: str = SERVER, times: int = 1) -> Ban:
    return Ban(network_in(network), NOW, until, "why", by, times)


@pytest.mark.parametrize(("network", "address", "is_covered"), [
    pytest.param("192.0.2.7", "192.0.2.7", True, id="the-address"),
    pytest.param("192.0.2.7", "192.0.2.8", False, id="its-neighbour"),
    pytest.param("192.0.2.0/24", "192.0.2.255", True, id="the-last-of-a-network"),
    pytest.param("192.0.2.0/24", "192.0.3.0", False, id="behind-the-last"),
    pytest.param("0.0.0.0/0", "198.51.100.1", True, id="everybody"),
    pytest.param("0.0.0.0/0", "2001:db8::1", False, id="everybody-of-ipv4-only"),
    pytest.param("192.0.2.7", "::ffff:192.0.2.7", True, id="ipv4-in-ipv6"),
    pytest.param("::ffff:192.0.2.0/120", "192.0.2.9", True, id="a-network-that-is-written-as-ipv6"),
    pytest.param("2001:db8:1:2::/64", "2001:db8:1:2:3::4", True, id="an-ipv6-network"),
    pytest.param("2001:db8:1:2::/64", "2001:db8:1:3::4", False, id="another-ipv6-network"),
    pytest.param("fe80::/64", "fe80::1%eth0", True, id="an-address-with-a-scope"),
    pytest.param("0.0.0.0/0", "unix", False, id="no-address"),
])
def test_whom_a_ban_covers(network: str, address: str, is_covered: bool) -> None:
    assert (Bans([ban(network)]).covering(address, NOW) is not None) is is_covered


@given(st.lists(st.tuples(st.ip_addresses(v=4), st.integers(0, 32)), max_size=8), st.ip_addresses(v=4))
def test_it_is_the_same_as_asking_every_network(networks: list, address) -> None:
    banned = {ip_network((one, length), strict=False) for one, length in networks}
    found = Bans(Ban(one, NOW, None, "") for one in banned).covering(str(address), NOW)
    assert (found is not None) == any(address in one for one in banned)
    assert found is None or address in found.network


def test_a_ban_ends_by_itself_and_one_without_an_end_does_not() -> None:
    bans = Bans([ban("192.0.2.7"), ban("192.0.2.8", None)])
    assert bans.covering("192.0.2.7", NOW + 899) is not None
    assert bans.covering("192.0.2.7", NOW + 900) is None
    assert [one.place for one in bans.in_force(NOW + 10 * 86_400)] == ["192.0.2.8"]


def test_an_operators_ban_comes_before_the_servers_own() -> None:
    bans = Bans([ban("192.0.2.7"), ban("192.0.2.0/24", None, OPERATOR)])
    found = bans.covering("192.0.2.7", NOW)
    assert found is not None
    assert found.by == OPERATOR


def test_each_ban_is_twice_as_long_as_the_last_up_to_a_day() -> None:
    bans, network, at, lengths = Bans(), network_in("192.0.2.7"), NOW, []
    for _ in range(9):
        made = bans.ban(network, "guessing", at, 900.0)
        assert made.until is not None
        lengths.append(made.until - at)
        at = made.until
    assert lengths == [900, 1800, 3600, 7200, 14400, 28800, 57600, LONGEST, LONGEST]


def test_who_was_left_in_peace_for_a_day_begins_anew() -> None:
    bans, network = Bans(), network_in("192.0.2.7")
    bans.ban(network, "guessing", NOW, 900.0)
    bans.expire(NOW + 900 + MEMORY - 1)
    assert len(bans) == 1
    bans.expire(NOW + 900 + MEMORY)
    assert len(bans) == 0
    assert bans.ban(network, "guessing", NOW, 900.0).times == 1


def test_the_server_does_not_shorten_what_an_operator_has_said() -> None:
    bans = Bans([ban("192.0.2.7", None, OPERATOR)])
    assert bans.ban(network_in("192.0.2.7"), "guessing", NOW, 900.0).until is None
    assert bans.changed == {}


def test_what_changed_is_told_once() -> None:
    bans = Bans([ban("192.0.2.1")])
    bans.put(ban("192.0.2.2"))
    assert bans.lift(network_in("192.0.2.1")) is not None
    assert bans.lift(network_in("192.0.2.3")) is None
    assert bans.take_changes() == {network_in("192.0.2.2"): ban("192.0.2.2"), network_in("192.0.2.1"): None}
    assert bans.take_changes() == {}


def test_of_too_many_the_servers_oldest_are_forgotten_and_never_an_operators() -> None:
    bans = Bans([ban("198.51.100.1", None, OPERATOR)], most=4)
    for number in range(10):
        bans.put(ban(f"192.0.2.{number}"))
    assert [one.place for one in bans.in_force(NOW)] == ["198.51.100.1", "192.0.2.7", "192.0.2.8", "192.0.2.9"]


def test_asking_costs_the_same_whether_one_or_fifty_thousand_are_banned() -> None:
    many = Bans(Ban(ip_network(int(ip_address("10.0.0.0")) + number), NOW, None, "") for number in range(50_000))
    began = time.process_time()
    for _ in range(2_000):
        many.covering("192.0.2.7", NOW)
    assert (time.process_time() - began) / 2_000 < 0.0002


@pytest.mark.parametrize("text", [
    pytest.param("192.0.2.256", id="no-address"),
    pytest.param("192.0.2.0/33", id="no-network"),
    pytest.param("mail.blue.example", id="a-name"),
    pytest.param("", id="nothing"),
    pytest.param("' OR 1=1 --", id="nonsense"),
])
def test_what_is_no_network_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="no address and no network"):
        network_in(text)


@pytest.mark.parametrize(("address", "home"), [
    pytest.param("192.0.2.7", "192.0.2.7/32", id="ipv4"),
    pytest.param("::ffff:192.0.2.7", "192.0.2.7/32", id="ipv4-in-ipv6"),
    pytest.param("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", id="ipv6-by-its-network"),
])
def test_what_is_banned_where_somebody_has_guessed(address: str, home: str) -> None:
    assert str(home_of(address)) == home


def test_a_socket_of_this_machine_has_no_network() -> None:
    assert home_of("unix") is None
