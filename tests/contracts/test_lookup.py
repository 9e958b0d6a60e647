"""What every INameLookup keeps to: one zone, asked in memory, and over the network of a server on loopback."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.task import Clock
from twisted.names import authority, common, dns, server
from zope.interface.verify import verifyObject

from twistmail.interfaces import DnsTrouble, INameLookup, NoSuchDomain, Proved
from twistmail.lookup.resolver import DnsLookup
from twistmail.memory.lookup import MemoryLookup

LONG = [b"x" * 250] * 8
ZONE = {
    "far.test": {"MX": [(10, "a.far.test"), (20, "b.far.test")], "TXT": [b"v=spf1 -all"]},
    "a.far.test": {"A": ["192.0.2.1", "192.0.2.2"], "AAAA": ["2001:db8::1"]},
    "b.far.test": {"A": ["192.0.2.3"]},
    "alias.far.test": {"CNAME": "b.far.test"},
    "null.far.test": {"MX": [(0, "")]},
    "long.far.test": {"TXT": [b"%d" % number + text for number, text in enumerate(LONG)]},
}


class Zone(authority.BindAuthority):
    """ZONE as twisted.names serves it; notes the questions."""

    def __init__(self):
        common.ResolverBase.__init__(self)
        soa = dns.Record_SOA(mname="ns.far.test", rname="root.far.test", serial=1, refresh=60, retry=60, expire=60, minimum=60, ttl=60)
        self.soa = (b"far.test", soa)
        self.records = {b"far.test": [soa], b"2.0.192.in-addr.arpa": [soa]}
        self.asked = []
        for name, records in ZONE.items():
            self.records.setdefault(name.encode(), []).extend(_records(records))
        self.records[b"1.2.0.192.in-addr.arpa"] = [dns.Record_PTR("a.far.test", 60)]

    def _lookup(self, name, cls, type, timeout=None):
        self.asked.append((name, type))
        if name == b"broken.far.test":
            raise dns.DomainError(name)
        return super()._lookup(name, cls, type, timeout)


class Server(server.DNSServerFactory):
    """Answers SERVFAIL to every question about broken.far.test."""

    noisy = False

    def gotResolverError(self, failure, protocol, message, address):
        if message.queries[0].name.name.lower() == b"broken.far.test":
            self.sendReply(protocol, self._responseFromMessage(message=message, rCode=dns.ESERVER), address)
        else:
            super().gotResolverError(failure, protocol, message, address)


def _records(records):
    for preference, host in records.get("MX", ()):
        yield dns.Record_MX(preference, host, 60)
    for address in records.get("A", ()):
        yield dns.Record_A(address, 60)
    for address in records.get("AAAA", ()):
        yield dns.Record_AAAA(address, 60)
    for text in records.get("TXT", ()):
        yield dns.Record_TXT(text, ttl=60)
    if "CNAME" in records:
        yield dns.Record_CNAME(records["CNAME"], 60)


class World:
    def __init__(self, lookup, asked):
        self.lookup, self.asked = lookup, asked


@pytest.fixture(params=["memory", "dns"])
def world(request):
    if request.param == "memory":
        lookup = MemoryLookup(ZONE | {"192.0.2.1": {"PTR": ["a.far.test"]}})
        lookup.broken.add("broken.far.test")
        yield World(lookup, lookup.asked)
        return
    from twisted.internet import reactor

    zone = Zone()
    factory = Server(authorities=[zone])
    tcp = reactor.listenTCP(0, factory, interface="127.0.0.1")
    udp = reactor.listenUDP(tcp.getHost().port, dns.DNSDatagramProtocol(factory), interface="127.0.0.1")
    lookup = DnsLookup(reactor, [f"127.0.0.1:{tcp.getHost().port}"], timeout=2.0)
    yield World(lookup, zone.asked)
    pytest_twisted.blockon(tcp.stopListening())
    pytest_twisted.blockon(udp.stopListening())


def test_it_is_a_lookup(world):
    verifyObject(INameLookup, world.lookup)


@pytest_twisted.ensureDeferred
async def test_mail_servers_with_their_preferences(world):
    assert sorted(await world.lookup.mx("far.test")) == [(10, "a.far.test"), (20, "b.far.test")]
    assert sorted(await world.lookup.mx("FAR.TEST")) == [(10, "a.far.test"), (20, "b.far.test")]


@pytest_twisted.ensureDeferred
async def test_a_domain_without_mail_servers_has_none(world):
    assert await world.lookup.mx("a.far.test") == ()


@pytest_twisted.ensureDeferred
async def test_a_null_mx_is_an_empty_name(world):
    assert await world.lookup.mx("null.far.test") == ((0, ""),)


@pytest_twisted.ensureDeferred
async def test_addresses_of_both_families_ipv6_first(world):
    found = await world.lookup.addresses("a.far.test")
    assert found[0] == "2001:db8::1"
    assert sorted(found[1:]) == ["192.0.2.1", "192.0.2.2"]


@pytest_twisted.ensureDeferred
async def test_addresses_of_the_old_family_alone_take_one_question(world):
    assert sorted(await world.lookup.ipv4("a.far.test")) == ["192.0.2.1", "192.0.2.2"]
    assert await world.lookup.ipv4("far.test") == ()
    assert len(world.asked) == 2
    with pytest.raises(NoSuchDomain):
        await world.lookup.ipv4("gone.far.test")


@pytest_twisted.ensureDeferred
async def test_aliases_are_followed(world):
    assert await world.lookup.addresses("alias.far.test") == ("192.0.2.3",)


@pytest_twisted.ensureDeferred
async def test_a_name_that_does_not_exist(world):
    with pytest.raises(NoSuchDomain):
        await world.lookup.mx("gone.far.test")
    with pytest.raises(NoSuchDomain):
        await world.lookup.addresses("gone.far.test")
    assert await world.lookup.txt("gone.far.test") == ()
    assert await world.lookup.pointer("192.0.2.77") == ()


@pytest_twisted.ensureDeferred
async def test_a_server_that_fails_is_trouble_not_absence(world):
    for ask in (world.lookup.mx, world.lookup.addresses, world.lookup.ipv4, world.lookup.txt):
        with pytest.raises(DnsTrouble):
            await ask("broken.far.test")


@pytest_twisted.ensureDeferred
async def test_without_dnssec_nothing_is_proved(world):
    found = await world.lookup.proved("alias.far.test", "A")
    assert (found.values, found.secure, found.name) == (("192.0.2.3",), False, "b.far.test")
    assert sorted((await world.lookup.proved("far.test", "MX")).values) == [(10, "a.far.test"), (20, "b.far.test")]
    assert not (await world.lookup.proved("gone.far.test", "TLSA")).values
    assert (await world.lookup.proved("alias.far.test", "CNAME")).values == ("b.far.test",)
    with pytest.raises(DnsTrouble):
        await world.lookup.proved("broken.far.test", "TLSA")


@pytest_twisted.ensureDeferred
async def test_texts_and_pointers(world):
    assert await world.lookup.txt("far.test") == (b"v=spf1 -all",)
    assert await world.lookup.txt("b.far.test") == ()
    assert await world.lookup.pointer("192.0.2.1") == ("a.far.test",)


@pytest_twisted.ensureDeferred
async def test_an_answer_too_long_for_a_datagram_comes_all_the_same(world):
    assert sorted(await world.lookup.txt("long.far.test")) == sorted(ZONE["long.far.test"]["TXT"])


@pytest_twisted.ensureDeferred
async def test_localhost_and_literals_are_known_without_asking(world):
    assert set(await world.lookup.addresses("localhost")) == {"::1", "127.0.0.1"}
    assert await world.lookup.addresses("192.0.2.9") == ("192.0.2.9",)
    assert await world.lookup.addresses("[192.0.2.9]") == ("192.0.2.9",)
    assert await world.lookup.mx("localhost") == ()
    assert await world.lookup.proved("localhost", "A") == Proved((), False, "localhost")
    assert await world.lookup.proved("192.0.2.9", "A") == Proved((), False, "192.0.2.9")
    assert world.asked == []


def test_building_asks_nothing_and_needs_no_resolv_conf(monkeypatch):
    """R58."""
    monkeypatch.setattr("twistmail.lookup.resolver.RESOLV_CONF", "/nonexistent/resolv.conf")
    clock = Clock()
    lookup = DnsLookup(clock)
    assert [str(server) for server in lookup._resolver.nameservers] == ["127.0.0.1"]
    assert clock.getDelayedCalls() == []
