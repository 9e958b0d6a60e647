"""The MTA-STS policy and the records that we publish ourselves."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.helpers import result_of
from tests.tls.authority import Authority, key_pem, pem
from twistmail import own_sts
from twistmail.certificate_views import certificates_of
from twistmail.config.load import load
from twistmail.domain_records import check, host_records, records
from twistmail.memory.lookup import MemoryLookup
from twistmail.plugins import discover
from twistmail.relay.dane import key_of
from twistmail.relay.mtasts import identifier, parse
from twistmail.sections import everything
from twistmail.servers.challenges import ChallengeSession
from twistmail.servers.pages import PageSession
from twistmail.wire.http import Bad, Get


@pytest.fixture
def settled(tmp_path):
    """A function that makes a configuration of the lines of [mta_sts], and more sections."""

    def make(sts: str = "", rest: str = ""):
        path = tmp_path / "config.ini"
        path.write_text(f"[server]\nhostname = mail.blue.example\ndata_dir = {tmp_path}\n[mta_sts]\n{sts}\n{rest}\n")
        loaded = load(everything(discover()), path, ())
        assert loaded.config is not None, loaded.problems
        return loaded.config

    return make


@pytest.mark.parametrize(("lines", "mode", "servers", "age"), [
    pytest.param("mode = testing", "testing", ("mail.blue.example",), 604800, id="our-own-name"),
    pytest.param("mode = enforce\nmx = MX1.blue.example *.net.example\nmax_age = 40d", "enforce", ("mx1.blue.example", "*.net.example"),
                 3456000, id="names-and-an-age"),
    pytest.param("mode = none\nmax_age = 9999d", "none", ("mail.blue.example",), 31557600, id="a-year-at-most"),
])
def test_what_we_publish_is_understood(settled, lines, mode, servers, age):
    policy = parse(own_sts.text(settled(lines)).encode())
    assert (policy.mode, policy.patterns, policy.max_age) == (mode, servers, age)


def test_another_policy_has_another_id(settled):
    ids = [identifier((own_sts.record(settled(f"mode = {mode}")).encode(),)) for mode in ("testing", "enforce", "testing")]
    assert all(ids)
    assert ids[0] == ids[2] != ids[1]


def said(session, event):
    async def all_of():
        return [(page.code, page.kind, page.body) async for page in session.answer(event)]

    (page,) = result_of(all_of())
    return page


def test_it_is_a_page_where_it_is_looked_for_and_beside_the_pages_of_acme(settled):
    config = settled("mode = enforce")
    pages, policy = own_sts.pages(config), own_sts.text(config).encode()
    for session in (PageSession(pages), ChallengeSession({"token": "answer"}, pages)):
        assert said(session, Get(own_sts.PATH)) == (200, "text/plain", policy)
        assert said(session, Get("/"))[0] == 404
        assert said(session, Bad(405))[0] == 405
    assert said(session, Get("/.well-known/acme-challenge/token"))[2] == b"answer"
    assert said(session, Get("/.well-known/acme-challenge/other"))[0] == 404


def test_without_a_policy_there_is_no_page_and_no_record(settled):
    config = settled()
    assert own_sts.pages(config) == {}
    assert not [one for one in records("blue.example", config) if "sts" in one.name or "_tls" in one.name]


def test_the_key_of_our_certificate_makes_a_record_for_signed_zones(settled, tmp_path):
    """RFC 7672 §3.1: what others compare with what we show."""
    now = time.time()
    config = settled(rest="[tls]\ndirectory = certs\n[acme]\nenabled = yes")
    key, root = ec.generate_private_key(ec.SECP256R1()), Authority(now=now)
    from cryptography import x509

    certificate = root.sign(key, "mail.blue.example", x509.DNSName("mail.blue.example"))
    Path(tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "mail.pem").write_bytes(pem(certificate) + key_pem(key))
    certificates = certificates_of(config, lambda: now, self_sign=False)
    tlsa, caa = host_records(config, certificates)
    assert (tlsa.name, tlsa.value) == ("_25._tcp.mail.blue.example", f"3 1 1 {hashlib.sha256(key_of(certificate)).hexdigest()}")
    assert (caa.name, caa.zone_value) == ("mail.blue.example", '0 issue "letsencrypt.org"')


@pytest.mark.parametrize(("names", "verdict", "advice"), [
    pytest.param({}, False, "_mta-sts.blue.example should be: TXT v=STSv1; id=", id="no-record"),
    pytest.param({"_mta-sts.blue.example": {"TXT": [b"v=STSv1; id=old;"]}}, False, "should be", id="that-of-an-older-policy"),
    pytest.param({"_mta-sts.blue.example": "ours"}, False, "add mta-sts.blue.example", id="no-web-server"),
    pytest.param({"_mta-sts.blue.example": "ours", "mta-sts.blue.example": {"A": ["192.0.2.1"]}}, True, "", id="all-is-there"),
])
def test_what_the_dns_says_of_it_is_checked(settled, names, verdict, advice):
    config = settled("mode = enforce")
    ours = {"TXT": [own_sts.record(config).encode()]}
    zone = {name: ours if value == "ours" else value for name, value in names.items()} | {"blue.example": {}}
    finding = next(one for one in result_of(check("blue.example", config, MemoryLookup(zone))) if one.what == "MTA-STS")
    assert (finding.is_right, finding.advice.startswith(advice) or advice in finding.advice) == (verdict, True)
