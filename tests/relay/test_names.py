from __future__ import annotations

import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tests.tls.authority import Authority
from twistmail.relay.names import fits, matches

ROOT, KEY = Authority(), ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(("pattern", "name", "fit"), [
    pytest.param("mx.far.test", "mx.far.test", True, id="the-same"),
    pytest.param("MX.far.TEST.", "mx.Far.test", True, id="case-and-a-final-dot-are-nothing"),
    pytest.param("far.test", "mx.far.test", False, id="a-name-below"),
    pytest.param("*.far.test", "mx.far.test", True, id="an-asterisk"),
    pytest.param("*.far.test", "a.mx.far.test", False, id="an-asterisk-is-one-label"),
    pytest.param("*.far.test", "far.test", False, id="and-not-none"),
    pytest.param("m*.far.test", "mx.far.test", False, id="an-asterisk-within-a-label"),
    pytest.param("*.test", "far.test", False, id="an-asterisk-above-a-domain"),
    pytest.param("*", "far.test", False, id="an-asterisk-alone"),
    pytest.param("mx.far.test", ".far.test", True, id="anything-below"),
    pytest.param("*.far.test", ".far.test", True, id="an-asterisk-is-below"),
    pytest.param("far.test", ".far.test", False, id="what-is-not-below"),
    pytest.param("mx.sofar.test", ".far.test", False, id="the-end-of-a-label"),
    pytest.param("", "far.test", False, id="nothing"),
])
def test_whether_a_name_stands_for_another(pattern, name, fit):
    assert matches(pattern, name) == fit


@pytest.mark.parametrize(("alternatives", "name", "fit"), [
    pytest.param([x509.DNSName("mx.far.test")], "mx.far.test", True, id="host"),
    pytest.param([x509.IPAddress(ipaddress.ip_address("192.0.2.1"))], "192.0.2.1", True, id="address"),
    pytest.param([x509.IPAddress(ipaddress.ip_address("192.0.2.1"))], "[192.0.2.1]", True, id="literal"),
    pytest.param([x509.DNSName("192.0.2.1")], "192.0.2.1", False, id="an-address-is-no-host"),
    pytest.param([], "common.test", False, id="the-common-name-does-not-count"),
])
def test_for_whom_a_certificate_is(alternatives, name, fit):
    assert fits(ROOT.sign(KEY, "common.test", *alternatives), name) == fit


def test_a_common_name_counts_only_where_it_may_and_nothing_else_is_said():
    assert fits(ROOT.sign(KEY, "common.test"), "common.test", common_name=True)
    assert not fits(ROOT.sign(KEY, "common.test", x509.DNSName("mx.far.test")), "common.test", common_name=True)
