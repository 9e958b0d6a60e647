"""The cache and the patience of DnsLookup; its answers are in tests/contracts/test_lookup.py."""

from __future__ import annotations

import pytest
import pytest_twisted

from tests.contracts import test_lookup as contract
from twistmail import tasks
from twistmail.interfaces import DnsTrouble, NoSuchDomain
from twistmail.lookup import resolver
from twistmail.lookup.resolver import DnsLookup, _Kept


class Late:
    """A reactor whose clock can be set forward."""

    def __init__(self, reactor):
        self._reactor, self.ahead = reactor, 0.0

    def seconds(self):
        return self._reactor.seconds() + self.ahead

    def __getattr__(self, name):
        return getattr(self._reactor, name)


@pytest.fixture
def world():
    from twisted.internet import reactor
    from twisted.names import dns

    zone = contract.Zone()
    port = reactor.listenUDP(0, dns.DNSDatagramProtocol(contract.Server(authorities=[zone])), interface="127.0.0.1")
    late = Late(reactor)
    made = contract.World(DnsLookup(late, [f"127.0.0.1:{port.getHost().port}"], 2.0), zone.asked)
    made.late = late
    yield made
    pytest_twisted.blockon(port.stopListening())


@pytest_twisted.ensureDeferred
async def test_an_answer_is_kept_as_long_as_its_ttl(world):
    for _ in range(3):
        await world.lookup.mx("far.test")
    assert len(world.asked) == 1
    world.late.ahead = 61
    await world.lookup.mx("far.test")
    assert len(world.asked) == 2


@pytest_twisted.ensureDeferred
async def test_absence_is_kept_too(world):
    for _ in range(3):
        with pytest.raises(NoSuchDomain):
            await world.lookup.mx("gone.far.test")
        assert await world.lookup.mx("b.far.test") == ()
    assert len(world.asked) == 2


@pytest_twisted.ensureDeferred
async def test_trouble_is_not_kept(world):
    for _ in range(2):
        with pytest.raises(DnsTrouble):
            await world.lookup.mx("broken.far.test")
    assert len(world.asked) >= 2


@pytest_twisted.ensureDeferred
async def test_equal_questions_share_one_answer(world):
    answers = await tasks.gather(*(world.lookup.mx("far.test") for _ in range(20)))
    assert len({tuple(sorted(answer)) for answer in answers}) == 1
    assert len(world.asked) == 1


@pytest_twisted.ensureDeferred
async def test_a_server_that_is_not_there_is_trouble():
    from twisted.internet import reactor

    with pytest.raises(DnsTrouble, match=r"far\.test"):
        await DnsLookup(reactor, ["127.0.0.1:9"], timeout=0.3).mx("far.test")


@pytest_twisted.ensureDeferred
async def test_a_silent_server_is_trouble_after_the_time_out():
    from twisted.internet import reactor
    from twisted.internet.protocol import DatagramProtocol

    port = reactor.listenUDP(0, DatagramProtocol(), interface="127.0.0.1")
    before = reactor.seconds()
    with pytest.raises(DnsTrouble):
        await DnsLookup(reactor, [f"127.0.0.1:{port.getHost().port}"], timeout=0.3).mx("far.test")
    assert reactor.seconds() - before < 2
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_a_name_does_not_exist(world):
    for name in ("a..b", "x" * 70 + ".test", ""):
        with pytest.raises(NoSuchDomain):
            await world.lookup.mx(name or ".".join(["x" * 60] * 6))
    assert world.asked == []


def test_the_cache_is_bounded(world, monkeypatch):
    monkeypatch.setattr(resolver, "MOST_KEPT", 10)
    now = world.late.seconds()
    for number in range(50):
        world.lookup._keep((f"{number}", "A"), _Kept(now + (100 if number % 2 else -1), ()))
    assert len(world.lookup._kept) <= 10
    assert ("49", "A") in world.lookup._kept


@pytest.mark.parametrize(("text", "expected"), [
    ("192.0.2.53", "Do53:192.0.2.53@53"), ("192.0.2.53:5353", "Do53:192.0.2.53@5353"),
    ("2001:db8::53", "Do53:2001:db8::53@53"), ("[2001:db8::53]:5353", "Do53:2001:db8::53@5353"),
])
def test_how_servers_are_written(text, expected):
    assert str(resolver._server(text)) == expected


@pytest.mark.parametrize("text", ["dns.example", "192.0.2.53:x", "192.0.2.53:0", "[::1]:99999"])
def test_what_is_no_server_is_refused(text):
    with pytest.raises(ValueError):
        resolver._server(text)


@pytest.mark.parametrize(("v6", "v4", "expected"), [
    pytest.param(DnsTrouble(), ("192.0.2.1",), ("192.0.2.1",), id="trouble-with-one-family-hides-nothing"),
    pytest.param(NoSuchDomain(), ("192.0.2.1",), ("192.0.2.1",), id="nor-does-a-wrong-NXDOMAIN"),
    pytest.param(NoSuchDomain(), DnsTrouble(), DnsTrouble, id="trouble-outweighs-absence"),
    pytest.param(NoSuchDomain(), NoSuchDomain(), NoSuchDomain, id="absent-for-both"),
    pytest.param(NoSuchDomain(), (), (), id="absent-for-one-and-empty-for-the-other"),
])
@pytest_twisted.ensureDeferred
async def test_two_families_make_one_answer(world, monkeypatch, v6, v4, expected):
    async def ask(name, kind, read):
        answer = v6 if kind == "AAAA" else v4
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(world.lookup, "_ask", ask)
    if isinstance(expected, tuple):
        assert await world.lookup.addresses("a.far.test") == expected
    else:
        with pytest.raises(expected):
            await world.lookup.addresses("a.far.test")
