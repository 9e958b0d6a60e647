from __future__ import annotations

import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import result_of
from tests.tls.authority import NOW, Authority
from twistmail.interfaces import DnsTrouble
from twistmail.memory.lookup import MemoryLookup
from twistmail.relay.dane import Mismatch, Published, Tlsa, check, key_of, published

ROOT, OTHER = Authority("Far Authority"), Authority("Other Authority")
KEY = ec.generate_private_key(ec.SECP256R1())
LEAF = ROOT.sign(KEY, "mx.far.test", x509.DNSName("mx.far.test"))
ROOT_CERT, OTHER_CERT = ROOT.certificate, OTHER.certificate  # signed anew at each look
CHAIN = (LEAF, ROOT_CERT)
NAMES = ("mx.far.test", "far.test")


def record(usage: int, selector: int, matching: int, certificate: x509.Certificate) -> Tlsa:
    whole = key_of(certificate) if selector else certificate.public_bytes(Encoding.DER)
    return Tlsa(usage, selector, matching, {0: whole, 1: hashlib.sha256(whole).digest(), 2: hashlib.sha512(whole).digest()}[matching])


EVERY = [(selector, matching) for selector in (0, 1) for matching in (0, 1, 2)]


@pytest.mark.parametrize(("selector", "matching"), EVERY)
def test_a_published_certificate_needs_neither_name_nor_date_nor_authority(selector, matching):
    """RFC 7672 §3.1.1."""
    expired = OTHER.sign(KEY, "elsewhere.test", x509.DNSName("elsewhere.test"), begins=-100, days=-50)
    wanted = record(3, selector, matching, expired)
    assert check((expired,), (wanted,), NAMES, NOW) == wanted


@pytest.mark.parametrize(("selector", "matching"), EVERY)
def test_an_authority_that_is_published_vouches_for_the_server_of_that_name(selector, matching):
    assert check(CHAIN, (record(2, selector, matching, ROOT_CERT),), NAMES, NOW).usage == 2


@pytest.mark.parametrize("selector", [0, 1])
def test_an_authority_that_stands_whole_in_the_record_need_not_be_shown(selector):
    """RFC 7671 §5.2.2, §5.2.3."""
    assert check((LEAF,), (record(2, selector, 0, ROOT_CERT),), NAMES, NOW).usage == 2


@pytest.mark.parametrize("key", [
    pytest.param(rsa.generate_private_key(65537, 2048), id="rsa"), pytest.param(ed25519.Ed25519PrivateKey.generate(), id="ed25519"),
])
def test_bare_keys_of_all_kinds_are_understood(key):
    authority = Authority("Bare")
    authority.key = key
    if isinstance(key, ed25519.Ed25519PrivateKey):
        leaf = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(authority.name).public_key(KEY.public_key())
        leaf = leaf.serial_number(7).not_valid_before(LEAF.not_valid_before_utc).not_valid_after(LEAF.not_valid_after_utc)
        leaf = leaf.add_extension(x509.SubjectAlternativeName([x509.DNSName("far.test")]), critical=False).sign(key, None)
    else:
        leaf = authority.sign(KEY, "mx.far.test", x509.DNSName("mx.far.test"))
    from cryptography.hazmat.primitives.serialization import PublicFormat

    bare = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert check((leaf,), (Tlsa(2, 1, 0, bare),), NAMES, NOW).usage == 2
    with pytest.raises(Mismatch):
        check((LEAF,), (Tlsa(2, 1, 0, bare),), NAMES, NOW)


FOREIGN = OTHER.sign(KEY, "mx.far.test", x509.DNSName("mx.far.test"))
LATE = ROOT.sign(KEY, "mx.far.test", x509.DNSName("mx.far.test"), begins=-100, days=-50)
MISNAMED = ROOT.sign(KEY, "www.far.test", x509.DNSName("www.far.test"))


@pytest.mark.parametrize(("chain", "records", "kind"), [
    pytest.param((), (record(3, 1, 1, LEAF),), "validation-failure", id="nothing-shown"),
    pytest.param(CHAIN, (Tlsa(3, 1, 1, bytes(32)),), "certificate-not-trusted", id="another-certificate"),
    pytest.param(CHAIN, (), "certificate-not-trusted", id="no-records"),
    pytest.param((LEAF,), (record(2, 1, 1, ROOT_CERT),), "certificate-not-trusted", id="the-authority-is-not-shown"),
    pytest.param((FOREIGN, ROOT_CERT), (record(2, 1, 1, ROOT_CERT),), "certificate-not-trusted",
                 id="the-authority-is-shown-and-has-not-signed"),
    pytest.param((LATE, ROOT_CERT), (record(2, 0, 1, ROOT_CERT),), "certificate-expired", id="expired"),
    pytest.param((MISNAMED, ROOT_CERT), (record(2, 0, 1, ROOT_CERT),), "certificate-host-mismatch", id="another-name"),
    pytest.param(CHAIN, (record(2, 0, 1, LEAF),), "certificate-not-trusted", id="a-server-is-not-its-own-authority"),
    pytest.param(CHAIN, (Tlsa(2, 0, 0, b"\x30\x03nonsense"), Tlsa(2, 1, 0, b"\x30")), "certificate-not-trusted",
                 id="nonsense-in-the-record"),
])
def test_what_does_not_fit(chain, records, kind):
    with pytest.raises(Mismatch) as found:
        check(chain, records, NAMES, NOW)
    assert found.value.kind == kind
    assert found.value.why


def test_one_record_that_fits_is_enough_while_keys_are_changed():
    assert check(CHAIN, (Tlsa(3, 1, 1, bytes(32)), record(3, 1, 1, LEAF), record(2, 0, 1, OTHER_CERT)), NAMES, NOW)
    wild = ROOT.sign(KEY, "x", x509.DNSName("*.far.test"))
    assert check((wild, ROOT_CERT), (record(2, 1, 2, ROOT_CERT),), NAMES, NOW)


def test_a_certificate_without_alternative_names_is_believed_by_its_common_name():
    """RFC 7672 §3.2.3."""
    old = ROOT.sign(KEY, "mx.far.test")
    assert check((old, ROOT_CERT), (record(2, 0, 1, ROOT_CERT),), NAMES, NOW)


@pytest.mark.parametrize(("records", "usable"), [
    pytest.param([(0, 0, 1, bytes(32)), (1, 1, 1, bytes(32))], [], id="public-authorities-do-not-count-here"),
    pytest.param([(4, 1, 1, bytes(32)), (3, 2, 1, bytes(32)), (3, 1, 3, bytes(32))], [], id="unknown-numbers"),
    pytest.param([(3, 1, 1, bytes(31)), (3, 1, 2, bytes(32)), (3, 1, 0, b"")], [], id="wrong-lengths"),
    pytest.param([(3, 1, 1, bytes(32)), (3, 1, 2, bytes(64))], [(3, 1, 2)], id="the-strongest-digest-alone-counts"),
    pytest.param([(3, 1, 1, bytes(32)), (3, 0, 2, bytes(64)), (3, 1, 0, b"x")], [(3, 0, 2), (3, 1, 0), (3, 1, 1)],
                 id="of-each-kind-and-whole-ones-always"),
])
def test_which_records_can_be_used(records, usable):
    found = Published("mx.far.test", tuple(Tlsa(*one) for one in records)).usable
    assert [(one.usage, one.selector, one.matching) for one in found] == usable


# ----- asking


GOOD = (3, 1, 1, bytes(32))
ZONE = {
    "mx.far.test": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]}, "_25._tcp.mx.far.test": {"TLSA": [GOOD]},
    "alias.far.test": {"CNAME": "host.net.test"}, "host.net.test": {"A": ["192.0.2.2"]},
    "_25._tcp.host.net.test": {"TLSA": [(3, 0, 1, bytes(32))]}, "_25._tcp.alias.far.test": {"TLSA": [GOOD]},
    "bare.far.test": {"A": ["192.0.2.3"]},
}


@pytest.mark.parametrize(("signed", "host", "base", "count"), [
    pytest.param(("far.test",), "mx.far.test", "mx.far.test", 1, id="signed"),
    pytest.param((), "mx.far.test", "mx.far.test", 0, id="not-signed"),
    pytest.param(("far.test",), "bare.far.test", "bare.far.test", 0, id="no-record"),
    pytest.param(("far.test", "net.test"), "alias.far.test", "host.net.test", 1, id="where-an-alias-leads"),
    pytest.param(("far.test",), "alias.far.test", "alias.far.test", 1, id="an-alias-that-leads-into-an-unsigned-zone"),
    pytest.param(("net.test",), "alias.far.test", "alias.far.test", 0, id="an-unsigned-alias"),
])
def test_what_is_published_of_a_server(signed, host, base, count):
    lookup = MemoryLookup(ZONE)
    lookup.signed = set(signed)
    found = result_of(published(lookup.proved, host, 25, "A"))
    assert (found.base, len(found.records)) == (base, count)


def test_a_server_whose_address_is_not_proved_is_not_asked_for_records():
    """RFC 7672 §2.2.2: some name servers stumble over them."""
    lookup = MemoryLookup(ZONE)
    result_of(published(lookup.proved, "mx.far.test", 25, "AAAA"))
    assert ("_25._tcp.mx.far.test", "TLSA") not in lookup.asked


def test_records_that_cannot_be_had_are_trouble_not_absence():
    lookup = MemoryLookup(ZONE)
    lookup.signed, lookup.broken = {"far.test"}, {"_25._tcp.mx.far.test"}
    with pytest.raises(DnsTrouble):
        result_of(published(lookup.proved, "mx.far.test", 25, "A"))


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.binary(max_size=70)), max_size=40))
@settings(max_examples=100, deadline=None)
def test_whatever_is_published_is_compared_or_left_out(records):
    found = Published("mx.far.test", tuple(Tlsa(*one) for one in records))
    assert set(found.usable) <= set(found.records)
    with pytest.raises(Mismatch):
        check(CHAIN, found.usable, NAMES, NOW)
