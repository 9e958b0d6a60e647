"""CRAM-MD5."""

from __future__ import annotations

import pytest

from twistmail.mail.evidence import Clear
from twistmail.wire.sasl.cram import CramMd5
from twistmail.wire.sasl.exchange import Challenge, Disproved, Malformed, NeedsEvidence, Proven

CHALLENGE = b"<1896.697170952@postoffice.reston.mci.net>"
RIGHT = b"tim b913a602c7eda7a495b4e6e7334d3890"


def asked() -> CramMd5:
    exchange = CramMd5(CHALLENGE)
    assert exchange.step(None) == Challenge(CHALLENGE)
    return exchange


def test_the_example_of_the_rfc() -> None:
    exchange = asked()
    assert exchange.step(RIGHT) == NeedsEvidence("tim", "PLAIN")
    assert exchange.given(Clear("tanstaaftanstaaf")) == Proven("tim", guessable=True)


def test_a_wrong_password_proves_nothing() -> None:
    exchange = asked()
    exchange.step(RIGHT)
    assert exchange.given(Clear("tanstaaf")) == Disproved("tim")


def test_whose_password_is_not_kept_in_clear_cannot_prove_anything() -> None:
    exchange = asked()
    exchange.step(RIGHT)
    assert exchange.given(None) == Disproved("tim")


def test_a_login_may_hold_spaces() -> None:
    assert asked().step(b"tim the second b913a602c7eda7a495b4e6e7334d3890") == NeedsEvidence("tim the second", "PLAIN")


@pytest.mark.parametrize("response", [
    pytest.param(b"", id="nothing"),
    pytest.param(b"b913a602c7eda7a495b4e6e7334d3890", id="no-login"),
    pytest.param(b" b913a602c7eda7a495b4e6e7334d3890", id="an-empty-login"),
    pytest.param(b"tim B913A602C7EDA7A495B4E6E7334D3890", id="capital-digits"),
    pytest.param(b"tim b913a602c7eda7a495b4e6e7334d389", id="too-short"),
    pytest.param(b"tim b913a602c7eda7a495b4e6e7334d3890\n", id="a-line-end-behind"),
    pytest.param(b"t\0m b913a602c7eda7a495b4e6e7334d3890", id="nul"),
    pytest.param(b"\xff b913a602c7eda7a495b4e6e7334d3890", id="not-utf-8"),
    pytest.param(b"t" * 5000 + b" b913a602c7eda7a495b4e6e7334d3890", id="too-long"),
])
def test_what_is_none_of_it_is_malformed(response: bytes) -> None:
    assert isinstance(asked().step(response), Malformed)


def test_the_server_speaks_first() -> None:
    assert isinstance(CramMd5(CHALLENGE).step(RIGHT), Malformed)
