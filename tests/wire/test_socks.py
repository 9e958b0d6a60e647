"""SOCKS 5 from the client's side: a proxy that agrees, however its words are cut, and proxies that do not."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.wire.socks import Refusal, Socks

V4 = b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x19"
V6 = b"\x05\x01\x00\x04\x20\x01\x0d\xb8" + b"\x00" * 11 + b"\x01\x00\x19"
OPEN = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38"


def talk(socks: Socks, *said: bytes) -> list[bytes]:
    return [socks.feed(one) for one in said]


@pytest.mark.parametrize(("address", "request_"), [("192.0.2.1", V4), ("2001:db8::1", V6)])
def test_the_way_opens_without_a_login(address, request_):
    socks = Socks(address, 25)
    assert socks.begin() == b"\x05\x01\x00"
    assert talk(socks, b"\x05\x00", OPEN + b"220 ready") == [request_, b""]
    assert (socks.is_open, socks.rest) == (True, b"220 ready")


def test_the_way_opens_with_a_login():
    socks = Socks("192.0.2.1", 25, "ann", "secret")
    assert socks.begin() == b"\x05\x02\x00\x02"
    assert talk(socks, b"\x05\x02", b"\x01\x00", OPEN) == [b"\x01\x03ann\x06secret", V4, b""]
    assert socks.is_open


@pytest.mark.parametrize("bound", [
    pytest.param(b"\x01" + b"\0" * 6, id="IPv4"),
    pytest.param(b"\x04" + b"\0" * 18, id="IPv6"),
    pytest.param(b"\x03\x05proxy\0\0", id="a-name"),
])
def test_what_the_proxy_is_bound_to_may_be_of_any_kind(bound):
    socks = Socks("192.0.2.1", 25)
    talk(socks, b"\x05\x00", b"\x05\x00\x00" + bound)
    assert (socks.is_open, socks.rest) == (True, b"")


@pytest.mark.parametrize(("said", "why"), [
    pytest.param([b"HTTP/1.1 400 Bad Request\r\n"], "no SOCKS proxy", id="a-web-proxy"),
    pytest.param([b"\x04\x5a"], "no SOCKS proxy", id="version-4"),
    pytest.param([b"\x05\xff"], "wants a login", id="none-of-our-methods"),
    pytest.param([b"\x05\x02"], "wants a login", id="a-login-that-we-do-not-have"),
    pytest.param([b"\x05\x01"], "another kind", id="GSSAPI"),
    pytest.param([b"\x05\x00", b"\x05\x02\x00\x01\0\0\0\0\0\0"], "do not allow", id="forbidden"),
    pytest.param([b"\x05\x00", b"\x05\x05\x00\x01\0\0\0\0\0\0"], "refused", id="refused"),
    pytest.param([b"\x05\x00", b"\x05\x63\x00\x01\0\0\0\0\0\0"], "refuses", id="a-code-of-nobody"),
    pytest.param([b"\x05\x00", b"\x05\x00\x00\x09\0\0\0\0\0\0"], "no SOCKS proxy", id="an-address-of-no-kind"),
])
def test_a_proxy_that_does_not_let_us_through(said, why):
    socks = Socks("192.0.2.1", 25)
    with pytest.raises(Refusal, match=why):
        talk(socks, *said)
    assert not socks.is_open


def test_a_wrong_login():
    with pytest.raises(Refusal, match="does not accept"):
        talk(Socks("192.0.2.1", 25, "ann", "wrong"), b"\x05\x02", b"\x01\x01")


@given(st.lists(st.integers(0, 40), max_size=12))
def test_however_the_proxys_words_are_cut(cuts):
    said = b"\x05\x02" + b"\x01\x00" + OPEN + b"220 ready\r\n"
    edges = sorted({0, len(said), *(cut for cut in cuts if cut < len(said))})
    socks = Socks("192.0.2.1", 25, "ann", "secret")
    answers = talk(socks, *(said[start:end] for start, end in pairwise(edges)))
    assert b"".join(answers) == b"\x01\x03ann\x06secret" + V4
    assert socks.rest == b"220 ready\r\n"


@given(st.binary(max_size=400))
def test_noise_opens_a_way_or_is_refused_and_nothing_is_hoarded(octets):
    socks = Socks("192.0.2.1", 25, "ann", "secret")
    try:
        socks.feed(octets)
    except Refusal:
        return
    assert socks.is_open or len(socks._data) < 4 + 256 + 2
