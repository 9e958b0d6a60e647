"""APOP: the example of its standard, and what proves nothing."""

from __future__ import annotations

from typing import Any

import pytest

from twistmail.mail.evidence import Clear, ScramKeys
from twistmail.wire.pop3.apop import ApopExchange
from twistmail.wire.sasl.exchange import Disproved, Malformed, NeedsEvidence, Proven

TIMESTAMP = b"<1896.697170952@dbc.mtview.ca.us>"
DIGEST = b"c4c9334bac560ecc979e58001b3e22fb"


def asked(login: bytes = b"mrose", digest: bytes = DIGEST) -> tuple[ApopExchange, Any]:
    exchange = ApopExchange(TIMESTAMP, login, digest)
    return exchange, exchange.step(None)


def test_the_example_of_rfc_1939() -> None:
    exchange, need = asked()
    assert need == NeedsEvidence("mrose", "PLAIN")
    assert exchange.given(Clear("tanstaaf")) == Proven("mrose", guessable=True)


@pytest.mark.parametrize("evidence", [
    pytest.param(Clear("tanstaa"), id="another-password"),
    pytest.param(None, id="none"),
    pytest.param(ScramKeys("SCRAM-SHA-256", b"salt", 4096, b"", b""), id="keys"),
])
def test_what_proves_nothing(evidence: Any) -> None:
    exchange, _ = asked()
    assert exchange.given(evidence) == Disproved("mrose")


@pytest.mark.parametrize("login", [b"", b"a" * 256, b"gr\xfc\xdfe", b"a\0b"])
def test_what_is_no_name(login: bytes) -> None:
    assert isinstance(asked(login)[1], Malformed)


def test_passwords_are_prepared_and_names_too() -> None:
    """RFC 6856 §2.2."""
    exchange, need = asked("I\u00adX".encode(), b"66c4a97371d9a2b6ea04a1e7a41d5e2e")
    assert need == NeedsEvidence("IX", "PLAIN")
    exchange, _ = asked(digest=DIGEST)
    assert exchange.given(Clear("tan\u00adstaaf")) == Proven("mrose", guessable=True)
