"""The cache and the patience of DnsLookup; its answers are in tests/contracts/test_lookup.py."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
import pytest
import pytest_twisted

from tests.contracts import test_lookup as contract
from twistmail import tasks
from twistmail.interfaces import DnsTrouble, NoSuchDomain, Proved
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
    async def ask(name, kind):
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


# ----- what is proved by DNSSEC


class Validating:
    """A DNS server as one on this machine that checks signatures would be. `asked`: the flags of the questions."""

    def __init__(self, reactor, interface="127.0.0.1"):
        from twisted.internet.protocol import DatagramProtocol

        self.asked, self.signed = [], True
        protocol = DatagramProtocol()
        protocol.datagramReceived = lambda octets, address: protocol.transport.write(self.reply(octets), address)
        self.port = reactor.listenUDP(0, protocol, interface=interface)
        self.place = f"{interface}:{self.port.getHost().port}"

    def reply(self, octets):
        question = dns.message.from_wire(octets)
        self.asked.append(question.flags)
        answer = dns.message.make_response(question)
        asked = question.question[0]
        name = asked.name
        if name == dns.name.from_text("mx.far.test."):
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", "host.net.test."))
            name = dns.name.from_text("host.net.test.")
        records = {dns.rdatatype.A: "192.0.2.7", dns.rdatatype.TLSA: "3 1 1 " + "ab" * 32, dns.rdatatype.MX: "10 mx.far.test."}
        if asked.rdtype in records:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", dns.rdatatype.to_text(asked.rdtype), records[asked.rdtype]))
        if self.signed:
            answer.flags |= dns.flags.AD
        return answer.to_wire()


@pytest.fixture
def validating():
    from twisted.internet import reactor

    made = Validating(reactor)
    made.reactor = reactor
    yield made
    pytest_twisted.blockon(made.port.stopListening())


@pytest_twisted.ensureDeferred
async def test_what_a_server_on_this_machine_calls_proved_is_proved(validating):
    lookup = DnsLookup(validating.reactor, [validating.place], 2.0)
    assert await lookup.proved("Mx.Far.Test.", "A") == Proved(("192.0.2.7",), True, "host.net.test")
    assert await lookup.proved("_25._tcp.far.test", "TLSA") == Proved(((3, 1, 1, bytes([0xAB] * 32)),), True, "_25._tcp.far.test")
    assert (await lookup.proved("far.test", "MX")).values == ((10, "mx.far.test"),)
    assert all(flags & dns.flags.AD for flags in validating.asked)


@pytest.mark.parametrize(("trust", "signed", "local", "proved"), [
    pytest.param("auto", True, True, True, id="auto-believes-this-machine"),
    pytest.param("auto", True, False, False, id="auto-believes-nobody-else"),
    pytest.param("yes", True, False, True, id="who-is-told-to-believes-others"),
    pytest.param("no", True, True, False, id="or-nobody"),
    pytest.param("yes", False, True, False, id="without-the-bit-nothing-is-proved"),
])
@pytest_twisted.ensureDeferred
async def test_whose_word_is_proof(validating, monkeypatch, trust, signed, local, proved):
    validating.signed = signed
    if not local:
        monkeypatch.setattr(resolver, "_is_here", lambda server: False)
    lookup = DnsLookup(validating.reactor, [validating.place], 2.0, trust)
    assert (await lookup.proved("far.test", "A")).secure == proved
    assert await lookup.addresses("far.test") == ("192.0.2.7",)


@pytest.mark.parametrize(("server", "here"), [("127.0.0.53", True), ("::1", True), ("192.0.2.53", False), ("fe80::1%eth0", False)])
def test_which_servers_are_on_this_machine(server, here):
    assert resolver._is_here(server) == here
