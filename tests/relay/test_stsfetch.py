"""Fetching policies from a real HTTPS server on loopback."""

from __future__ import annotations

import time

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.internet.ssl import KeyPair, PrivateCertificate
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from tests.tls.authority import Authority, pem
from twistmail.memory.lookup import MemoryLookup
from twistmail.relay import stsfetch
from twistmail.relay.stsfetch import BAD_CERTIFICATE, INVALID, NOT_FETCHED, PolicyFetcher, Unfetched

POLICY = b"version: STSv1\nmode: enforce\nmx: mx.far.test\nmax_age: 604800\n"
ROOT, OTHER = Authority("Web", now=time.time()), Authority("Other", now=time.time())


class Answer(Resource):
    isLeaf = True

    def __init__(self):
        super().__init__()
        self.asked, self.code, self.kind, self.body, self.location = [], 200, b"text/plain; charset=utf-8", POLICY, None
        self.fields = 0

    def render_GET(self, request):
        self.asked.append((request.getHeader(b"host"), request.uri))
        request.setResponseCode(self.code)
        if self.kind:
            request.setHeader(b"content-type", self.kind)
        else:
            request.responseHeaders.removeHeader(b"content-type")
            request.defaultContentType = None
        if self.location:
            request.setHeader(b"location", self.location)
        for number in range(self.fields):
            request.responseHeaders.addRawHeader(b"x-%d" % number, b"y" * 1000)
        if self.body is None:
            request.write(b"version: ")
            return NOT_DONE_YET
        return self.body


def options(authority, name, **more):
    chain, key = authority.issue(name, **more)
    return PrivateCertificate.load(x509.load_pem_x509_certificate(chain).public_bytes(Encoding.DER), KeyPair.load(key, 1), 2).options()


class World:
    def __init__(self, folder, tls):
        from twisted.internet import reactor

        self.answer = Answer()
        site = Site(self.answer)
        site.noisy = False
        self.port = reactor.listenSSL(0, site, tls, interface="127.0.0.1")
        authorities = folder / "ca.pem"
        authorities.write_bytes(pem(ROOT.certificate))
        lookup = MemoryLookup({"mta-sts.far.test": {"A": ["127.0.0.1"], "AAAA": ["::1"]}, "mta-sts.nobody.test": {"A": []}})
        self.fetch = PolicyFetcher(reactor, lookup, authorities, self.port.getHost().port)


@pytest.fixture
def opened(tmp_path):
    made = []

    def begin(tls=None):
        made.append(World(tmp_path, tls or options(ROOT, "mta-sts.far.test")))
        return made[-1]

    yield begin
    for one in made:
        pytest_twisted.blockon(one.port.stopListening())


@pytest_twisted.ensureDeferred
async def test_a_policy_comes_from_its_well_known_place(opened):
    world = opened()
    assert await world.fetch("far.test") == POLICY
    assert world.answer.asked == [(b"mta-sts.far.test", b"/.well-known/mta-sts.txt")]


@pytest.mark.parametrize(("answer", "kind", "words"), [
    pytest.param({"code": 404}, NOT_FETCHED, "answers 404", id="not-there"),
    pytest.param({"code": 302, "location": b"https://elsewhere.test/"}, NOT_FETCHED, "answers 302", id="a-redirection-is-not-followed"),
    pytest.param({"kind": b"text/html"}, INVALID, "text/html", id="a-web-page"),
    pytest.param({"kind": b""}, INVALID, "not text/plain", id="nothing-is-said-of-its-kind"),
    pytest.param({"body": b"x" * 70_000}, INVALID, "64 KiB", id="too-much"),
    pytest.param({"body": None}, NOT_FETCHED, "longer than", id="it-never-ends"),
    pytest.param({"fields": 500}, NOT_FETCHED, "lost", id="a-flood-of-header"),
])
@pytest_twisted.ensureDeferred
async def test_what_is_no_policy(opened, monkeypatch, answer, kind, words):
    monkeypatch.setattr(stsfetch, "PATIENCE", 0.5)
    world = opened()
    vars(world.answer).update(answer)
    with pytest.raises(Unfetched, match=words) as trouble:
        await world.fetch("far.test")
    assert trouble.value.kind == kind
    assert len(world.answer.asked) == 1


@pytest_twisted.ensureDeferred
async def test_who_gives_up_while_it_connects_leaves_no_connection(opened, monkeypatch):
    monkeypatch.setattr(stsfetch, "PATIENCE", 0.0)
    world = opened()
    with pytest.raises(Unfetched, match="longer than"):
        await world.fetch("far.test")
    assert world.answer.asked == []


@pytest.mark.parametrize(("authority", "name", "more"), [
    pytest.param(OTHER, "mta-sts.far.test", {}, id="nobody-knows-who-signed-it"),
    pytest.param(ROOT, "www.far.test", {}, id="another-name"),
    pytest.param(ROOT, "mta-sts.far.test", {"begins": -90, "days": -1}, id="expired"),
    pytest.param(ROOT, "mta-sts.far.test", {"common_name_only": True}, id="a-common-name-is-not-enough"),
])
@pytest_twisted.ensureDeferred
async def test_a_web_server_must_show_a_certificate_in_order(opened, authority, name, more):
    """RFC 8461 §3.3."""
    world = opened(options(authority, name, **more))
    with pytest.raises(Unfetched) as trouble:
        await world.fetch("far.test")
    assert trouble.value.kind == BAD_CERTIFICATE, trouble.value
    assert world.answer.asked == []


@pytest.mark.parametrize("domain", ["nobody.test", "gone.test", "bücher.test"])
@pytest_twisted.ensureDeferred
async def test_without_a_web_server_there_is_no_policy(opened, domain):
    with pytest.raises(Unfetched) as trouble:
        await opened().fetch(domain)
    assert trouble.value.kind == NOT_FETCHED


def test_a_file_without_authorities_is_no_trust(tmp_path):
    (tmp_path / "ca.pem").write_text("hello")
    with pytest.raises(SSL.Error):
        PolicyFetcher(None, MemoryLookup(), tmp_path / "ca.pem")
    with pytest.raises(OSError):
        PolicyFetcher(None, MemoryLookup(), tmp_path / "none.pem")
