"""Connections of one address and of one network: at a time, and a minute."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from tests.helpers import result_of
from tests.servers.smtp.house import SmtpHouse
from twistmail.mail.envelope import Peer
from twistmail.policy.limits import ConnectionLimits
from twistmail.policy.rates import Rate
from twistmail.servers import pump as pumps


def peer(connection: str = "c1", address: str = "192.0.2.7") -> Peer:
    return Peer(connection, address, 4711)


Pair = tuple[int | None, int | None]  # of an address, of a network


def limits(most: int | None = None, network: int | None = None, rates: Pair = (None, None), clock: Any = None) -> ConnectionLimits:
    now = (clock or Clock()).seconds
    own, network_s = (None if rate is None else Rate(rate, now) for rate in rates)
    return ConnectionLimits((most, network), (own, network_s))


def codes(stage: ConnectionLimits, *peers: Peer) -> list[int]:
    verdicts = [result_of(stage.judge(one)) for one in peers]
    return [verdict.status.code if verdict else 0 for verdict in verdicts]


def test_one_address_has_so_many_connections_and_gets_them_back() -> None:
    stage = limits(2)
    assert codes(stage, peer("a"), peer("b"), peer("c"), peer("d", "192.0.2.8")) == [0, 0, 421, 0]
    stage.left(peer("c"))
    stage.left(peer("c"))
    assert codes(stage, peer("e")) == [421]
    for connection in "abe":
        stage.left(peer(connection))
    assert codes(stage, peer("f"), peer("g")) == [0, 0]


def test_a_network_has_so_many_whatever_address_they_come_from() -> None:
    stage = limits(2, 3)
    peers = [peer(str(number), f"192.0.2.{number}") for number in range(4)]
    assert codes(stage, *peers) == [0, 0, 0, 421]
    assert codes(stage, peer("elsewhere", "192.0.3.1")) == [0]
    for one in peers:
        stage.left(one)
    assert codes(stage, peer("again", "192.0.2.9")) == [0]


def test_the_rule_names_who_was_counted() -> None:
    stage = limits(1, 2, (3, None))
    assert result_of(stage.judge(peer("a"))) is None
    assert result_of(stage.judge(peer("b"))).rule == "192.0.2.7: 1 connections"
    assert result_of(stage.judge(peer("c", "192.0.2.8"))).rule == "192.0.2.0/24: 2 connections"
    result_of(stage.judge(peer("d")))
    assert result_of(stage.judge(peer("e"))).rule == "192.0.2.7: 3 connections a minute"


@pytest.mark.parametrize(
    ("most", "addresses", "expected"),
    [
        pytest.param((1, None), ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"), [0, 421, 0], id="a-64-counts-as-one"),
        pytest.param((None, 2), ("2001:db8:0:1::1", "2001:db8:0:ffff::1", "2001:db8:0:7::", "2001:db8:1::"), [0, 0, 421, 0], id="a-48"),
        pytest.param((1, None), ("192.0.2.9", "::ffff:192.0.2.9"), [0, 421], id="mapped"),
        pytest.param((None, 1), ("192.0.2.9", "::ffff:192.0.2.10"), [0, 421], id="mapped-in-its-network"),
        pytest.param((1, None), ("fe80::1%eth0", "fe80::1%eth1"), [0, 421], id="without-the-zone"),
    ],
)
def test_what_counts_together(most: Pair, addresses: tuple[str, ...], expected: list[int]) -> None:
    assert codes(limits(*most), *(peer(str(at), address) for at, address in enumerate(addresses))) == expected


@pytest.mark.parametrize(
    ("rates", "second"),
    [pytest.param((2, None), "192.0.2.7", id="address"), pytest.param((None, 2), "192.0.2.99", id="network")],
)
def test_a_rate_is_over_after_a_minute(rates: Pair, second: str) -> None:
    clock = Clock()
    stage = limits(rates=rates, clock=clock)
    assert codes(stage, peer("a"), peer("b", second), peer("c", second)) == [0, 0, 421]
    clock.advance(60)
    assert codes(stage, peer("d"), peer("e", second), peer("f")) == [0, 0, 421]


def test_whoever_is_too_fast_for_his_network_does_not_use_up_his_own_rate() -> None:
    clock = Clock()
    stage = limits(rates=(3, 2), clock=clock)
    assert codes(stage, peer("a"), peer("b", "192.0.2.8"), *(peer(str(n)) for n in range(9))) == [0, 0, *[421] * 9]
    clock.advance(60)
    assert codes(stage, peer("c"), peer("d")) == [0, 0]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "unix"])
def test_this_machine_is_not_counted(address: str) -> None:
    stage = limits(1, 1, (1, 1))
    assert codes(stage, *(peer(str(number), address) for number in range(3))) == [0, 0, 0]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20), st.integers(0, 5)), max_size=60))
def test_after_all_have_left_nothing_is_remembered(steps: list[tuple[bool, int, int]]) -> None:
    stage = limits(2, 4)
    here: set[int] = set()
    for comes, number, host in steps:
        if comes and number not in here:
            codes(stage, peer(str(number), f"192.0.2.{host}"))
            here.add(number)
        elif not comes:
            stage.left(peer(str(number)))
            here.discard(number)
    for number in here:
        stage.left(peer(str(number)))
    assert (stage._open, stage._counts) == ({}, {})


def test_a_connection_that_is_gone_is_counted_no_more_by_the_service() -> None:
    house = SmtpHouse()
    service = house.service(max_connections_per_ip=1)
    first = house.player(service)
    second = house.player(service)
    assert second.heard()[0].startswith("421 4.7.0")
    first.leave()
    second.leave()
    assert house.player(service).heard()[0].startswith("220")


def test_a_connection_counts_until_its_descriptor_is_free() -> None:
    """QUIT, and then no answer to our farewell: a hundred such peers would have a hundred descriptors and no connection."""
    house = SmtpHouse()
    service = house.service(max_connections_per_ip=1)
    first = house.player(service)
    first.say("QUIT")
    assert first.pump.ended
    second = house.player(service)
    assert second.heard()[0].startswith("421 4.7.0")
    second.leave()
    aborted: list[bool] = []
    first.transport.abortConnection = lambda: aborted.append(True)  # type: ignore[method-assign]
    house.clock.advance(pumps.FAREWELL)
    assert aborted, "we do not wait for ever"
    first.leave()
    assert house.player(service).heard()[0].startswith("220")
