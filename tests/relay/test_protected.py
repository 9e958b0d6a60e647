"""The whole way of encryption: DNS and policies in memory, servers on loopback with certificates of all kinds, nothing decided by hand."""

from __future__ import annotations

import hashlib
import time

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.relay.tlsserver import serving
from tests.tls.authority import Authority, pem
from twistmail import tasks
from twistmail.mail.status import Status
from twistmail.memory.lookup import MemoryLookup
from twistmail.relay.client import Patience
from twistmail.relay.connect import Dialer, open_route
from twistmail.relay.exchange import Manners, leave
from twistmail.relay.handshake import TlsClients
from twistmail.relay.route import Host, Route
from twistmail.relay.stspolicies import StsPolicies
from twistmail.relay.tlsbook import TlsBook
from twistmail.relay.tlsmemory import TlsMemory
from twistmail.relay.tlspolicy import Rules, TlsPolicies

NOW = time.time()
ROOT, OTHER = Authority("Known", now=NOW), Authority("Unknown", now=NOW)
KEY = ec.generate_private_key(ec.SECP256R1())
GOOD = ROOT.sign(KEY, "a", x509.DNSName("*.far.test"))
FOREIGN = OTHER.sign(KEY, "a", x509.DNSName("*.far.test"))
TLSA = (3, 0, 1, hashlib.sha256(FOREIGN.public_bytes(Encoding.DER)).digest())
HOSTS = (Host("a.far.test", "192.0.2.1", 25), Host("b.far.test", "192.0.2.2", 25))
ZONE = {
    "far.test": {"MX": [(10, "a.far.test"), (20, "b.far.test")]}, "a.far.test": {"A": ["192.0.2.1"]}, "b.far.test": {"A": ["192.0.2.2"]},
    "_mta-sts.far.test": {"TXT": [b"v=STSv1; id=1;"]},
}


class World:
    """Two servers of far.test; what is published of them is in `lookup` and `policy`."""

    def __init__(self, reactor, folder, servers):
        self.servers, self.policy = servers, b""
        self.lookup = MemoryLookup(ZONE)
        self.memory = TlsMemory(TlsBook(folder / "tls.sqlite"), time.time)
        (folder / "ca.pem").write_bytes(pem(ROOT.certificate))
        policies = TlsPolicies(self.lookup, self.memory, Rules(), StsPolicies(self.lookup, self.fetch, self.memory, time.time))
        patience = Patience(greeting=5, hello=5, tls=5, quit=2)
        self.manners = Manners("us.example", TlsClients(folder / "ca.pem"), patience, policies)
        self.network = Dialer(reactor, timeout=2.0)

    async def fetch(self, domain):
        return self.policy

    def dial(self, address, port):
        return self.network("127.0.0.1", self.servers[address].port)

    def shows(self, *certificates):
        """Server a shows the first of *certificates*, b the second; None: it offers no encryption."""
        for server, certificate in zip(self.servers.values(), certificates, strict=True):
            server.chain = (certificate,) if certificate else ()

    def enforces(self, mode, *names):
        lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {name}" for name in names), "max_age: 86400"]
        self.policy = "\n".join(lines).encode()

    def publishes(self, *hosts):
        self.lookup.signed = {"far.test"}
        self.lookup.names |= {f"_25._tcp.{host}.far.test": {"TLSA": [TLSA]} for host in hosts}

    async def send(self):
        """(server, how it was secured), or (None, why not)."""
        session = await open_route(Route("far.test"), HOSTS, self.dial, self.manners)
        if isinstance(session, Status):
            return None, str(session)
        await leave(session)
        return session.host.name, session.secured

    async def results(self):
        await self.memory.write(tasks.Inline(), 1e9)
        return {(one.result, one.host): count for one, count in self.memory.book.results("")}


@pytest.fixture
def world(tmp_path):
    from twisted.internet import reactor

    with serving(reactor, KEY) as a, serving(reactor, KEY) as b:
        made = World(reactor, tmp_path, {"192.0.2.1": a, "192.0.2.2": b})
        yield made
        made.memory.close()


BY_AUTHORITY, BY_STS, BY_DANE = (f"TLSv1.3, certificate checked by {who}" for who in ("its authority", "MTA-STS", "DANE"))
UNCHECKED = "TLSv1.3, certificate not checked"


@pytest.mark.parametrize(("published", "shown", "server", "secured"), [
    pytest.param(lambda w: None, (None, GOOD), "a.far.test", "", id="nothing-published-nothing-offered"),
    pytest.param(lambda w: None, (GOOD, None), "a.far.test", BY_AUTHORITY, id="nothing-published-and-all-in-order"),
    pytest.param(lambda w: w.enforces("enforce", "*.far.test"), (GOOD, None), "a.far.test", BY_STS, id="mta-sts"),
    pytest.param(lambda w: w.enforces("enforce", "*.far.test"), (FOREIGN, GOOD), "b.far.test", BY_STS, id="mta-sts-next-server"),
    pytest.param(lambda w: w.enforces("enforce", "b.far.test"), (GOOD, GOOD), "b.far.test", BY_STS, id="mta-sts-a-server-not-named"),
    pytest.param(lambda w: w.enforces("testing", "*.far.test"), (FOREIGN, GOOD), "a.far.test", UNCHECKED, id="mta-sts-testing"),
    pytest.param(lambda w: w.publishes("a", "b"), (FOREIGN, GOOD), "a.far.test", BY_DANE, id="dane"),
    pytest.param(lambda w: w.publishes("a", "b"), (None, FOREIGN), "b.far.test", BY_DANE, id="dane-next-server"),
    pytest.param(lambda w: w.publishes("a"), (None, GOOD), "b.far.test", BY_AUTHORITY, id="dane-one-server-without"),
])
@pytest_twisted.ensureDeferred
async def test_mail_goes_to_the_first_server_that_shows_what_it_should(world, published, shown, server, secured):
    published(world)
    world.shows(*shown)
    assert await world.send() == (server, secured)


@pytest.mark.parametrize(("published", "shown", "words"), [
    pytest.param(lambda w: w.enforces("enforce", "*.far.test"), (FOREIGN, None), "(MTA-STS: far.test enforces it)", id="mta-sts"),
    pytest.param(lambda w: w.enforces("enforce", "x.test"), (GOOD, GOOD), "Not one of the mail servers that the domain names",
                 id="not-named"),
    pytest.param(lambda w: w.publishes("a", "b"), (None, None), "(DANE: b.far.test publishes which certificates it shows",
                 id="dane-stripped"),
    pytest.param(lambda w: w.publishes("a", "b"), (OTHER.sign(KEY, "x"), None), "does not offer the encryption", id="dane-the-last-reason"),
])
@pytest_twisted.ensureDeferred
async def test_where_none_does_the_mail_waits_and_the_reason_is_said(world, published, shown, words):
    published(world)
    world.shows(*shown)
    server, why = await world.send()
    assert server is None
    assert why.startswith("451 4.7.5 ")
    assert words in why
    assert not any(b"MAIL" in line for server in world.servers.values() for line in server.said)


@pytest_twisted.ensureDeferred
async def test_who_has_encrypted_is_not_sent_mail_in_clear_until_an_operator_says_so(world):
    """F096."""
    world.shows(FOREIGN, None)
    assert await world.send() == ("a.far.test", UNCHECKED)
    world.shows(None, None)
    server, why = await world.send()
    assert (server, "far.test has encrypted before" in why) == (None, True)
    assert await world.memory.forget(("far.test",), tasks.Inline()) == 1
    assert await world.send() == ("a.far.test", "")


@pytest_twisted.ensureDeferred
async def test_what_came_of_it_can_be_reported(world):
    """RFC 8460 §4.3."""
    world.enforces("enforce", "*.far.test")
    world.shows(FOREIGN, GOOD)
    await world.send()
    await world.send()
    world.shows(FOREIGN, None)
    await world.send()
    assert await world.results() == {
        ("certificate-not-trusted", "a.far.test"): 3, ("", ""): 2, ("starttls-not-supported", "b.far.test"): 1}
