"""What servers show over real sockets and real TLS, on loopback, and what is made of it: certificates of all kinds, DANE, MTA-STS."""

from __future__ import annotations

import hashlib
import time

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from tests.relay.tlsserver import serving
from tests.tls.authority import Authority, pem
from twistmail.mail.status import Status
from twistmail.relay.client import Patience
from twistmail.relay.connect import Dialer, open_route
from twistmail.relay.dane import Tlsa, key_of
from twistmail.relay.exchange import Manners, leave
from twistmail.relay.handshake import TlsClients
from twistmail.relay.route import Host, Route, Tls
from twistmail.relay.terms import Decision, Level, Terms

NOW = time.time()
ROOT, OTHER = Authority("Known", now=NOW), Authority("Unknown", now=NOW)
ROOT_CERT, OTHER_CERT = ROOT.certificate, OTHER.certificate
KEY = ec.generate_private_key(ec.SECP256R1())


def issued(authority=ROOT, *names, **more):
    return authority.sign(KEY, "mx", *map(x509.DNSName, names or ("mx.far.test",)), **more)


GOOD, FOREIGN, MISNAMED, LATE = issued(), issued(OTHER), issued(ROOT, "www.far.test"), issued(ROOT, begins=-90, days=-1)


class Deciding:
    """Decides the same for all, and remembers what it was told."""

    def __init__(self, terms):
        self.terms, self.told = terms, []

    async def decide(self, route, hosts):
        return Decision(tuple((host, self.terms) for host in hosts))

    def note(self, route, host, terms, finding):
        self.told.append(finding)


@pytest.fixture
def server(tmp_path):
    from twisted.internet import reactor

    with serving(reactor, KEY) as made:
        made.reactor, made.authorities = reactor, tmp_path / "ca.pem"
        made.authorities.write_bytes(pem(ROOT_CERT))
        yield made


async def met(server, chain, terms):
    """(the session's `secured`, or the status, what was told)."""
    server.chain = chain
    deciding = Deciding(terms)
    manners = Manners("us.example", TlsClients(server.authorities), Patience(greeting=5, hello=5, tls=5, quit=2), deciding)
    host = Host("mx.far.test", "127.0.0.1", server.port)
    session = await open_route(Route("far.test"), (host,), Dialer(server.reactor, timeout=2.0), manners)
    if isinstance(session, Status):
        return session, deciding.told
    await leave(session)
    return session.secured, deciding.told


def terms(want, **more):
    return Terms(want, ("mx.far.test",), **more)


def dane(certificate, usage=3):
    return (Tlsa(usage, 1, 1, hashlib.sha256(key_of(certificate)).digest()),)


CHECKED, STS = terms(Tls.VERIFIED), terms(Tls.VERIFIED, checked_by="MTA-STS")


@pytest.mark.parametrize(("chain", "wanted", "secured"), [
    pytest.param((GOOD,), terms(Tls.OPPORTUNISTIC), "checked by its authority", id="what-is-in-order-is-seen-unasked"),
    pytest.param((FOREIGN,), terms(Tls.OPPORTUNISTIC), "not checked", id="what-is-not-does-not-matter-there"),
    pytest.param((FOREIGN,), terms(Tls.REQUIRED), "not checked", id="nor-where-encryption-is-all-that-is-asked-for"),
    pytest.param((LATE,), terms(Tls.OPPORTUNISTIC, testing=True), "not checked", id="mta-sts-that-is-tried-holds-up-nothing"),
    pytest.param((GOOD,), CHECKED, "checked by its authority", id="verified"),
    pytest.param((GOOD,), STS, "checked by MTA-STS", id="mta-sts"),
    pytest.param((issued(ROOT, "*.far.test"),), STS, "checked by MTA-STS", id="a-wildcard"),
    pytest.param((MISNAMED,), Terms(Tls.VERIFIED, (".far.test",), checked_by="line 1 of /etc/tls"), "checked by line 1 of /etc/tls",
                 id="names-of-the-operators-choice"),
    pytest.param((LATE,), terms(Tls.DANE, records=dane(LATE)), "checked by DANE", id="dane-needs-no-date"),
    pytest.param((FOREIGN, OTHER_CERT), terms(Tls.DANE, records=dane(OTHER_CERT, 2)), "checked by DANE", id="dane-with-an-authority"),
])
@pytest_twisted.ensureDeferred
async def test_what_is_good_enough(server, chain, wanted, secured):
    said, told = await met(server, chain, wanted)
    assert said == f"TLSv1.3, certificate {secured}"
    assert [(one.level is Level.VERIFIED, one.source) for one in told] == [(secured != "not checked", "127.0.0.1")]


@pytest.mark.parametrize(("chain", "wanted", "words", "kind"), [
    pytest.param((FOREIGN,), CHECKED, "leads to no authority that is known here", "certificate-not-trusted",
                 id="nobody-knows-who-signed-it"),
    pytest.param((FOREIGN, OTHER_CERT), CHECKED, "an authority that nobody here knows", "certificate-not-trusted",
                 id="nor-where-he-is-shown"),
    pytest.param((MISNAMED,), STS, "not for mx.far.test", "certificate-host-mismatch", id="another-name"),
    pytest.param((LATE,), STS, "has expired", "certificate-expired", id="expired"),
    pytest.param((GOOD,), terms(Tls.DANE, records=dane(OTHER_CERT)), "not the one that its domain publishes", "certificate-not-trusted",
                 id="not-what-dane-says-whoever-signed-it"),
    pytest.param((MISNAMED, ROOT_CERT), terms(Tls.DANE, records=dane(ROOT_CERT, 2)), "not for mx.far.test", "certificate-host-mismatch",
                 id="the-authority-of-dane-and-another-name"),
])
@pytest_twisted.ensureDeferred
async def test_what_is_not(server, chain, wanted, words, kind):
    said, told = await met(server, chain, wanted)
    assert isinstance(said, Status)
    assert (said.code, said.enhanced) == (451, "4.7.5")
    assert words in said.text
    assert [one.kind for one in told] == [kind]
    assert b"MAIL" not in b" ".join(server.said)
    assert server.connections == 1, "and never in clear"


@pytest_twisted.ensureDeferred
async def test_who_wants_it_is_told(server):
    said, _ = await met(server, (LATE,), terms(Tls.VERIFIED, why="MTA-STS: far.test enforces it"))
    assert said.text == (
        "mx.far.test [127.0.0.1]: The other side does not show the certificate that it should: its certificate has expired "
        "(MTA-STS: far.test enforces it)")


def test_authorities_that_cannot_be_read(tmp_path):
    (tmp_path / "ca.pem").write_text("hello")
    with pytest.raises(SSL.Error):
        TlsClients(tmp_path / "ca.pem")
    with pytest.raises(FileNotFoundError):
        TlsClients(tmp_path / "none.pem")
