"""SCRAM: the RFCs' own examples, every combination with a client made from RFC 5802 §3, and what must fail."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.sasl.clients import ScramClient, keys
from twistmail.mail.evidence import Clear
from twistmail.wire.sasl.exchange import Answer, Challenge, Disproved, Malformed, NeedsEvidence, NeedsWork, Proven
from twistmail.wire.sasl.scram import MOST_ATTRIBUTES, Scram

BINDINGS = {"tls-exporter": b"e" * 32, "tls-server-end-point": b"s" * 32}
KINDS = ["SCRAM-SHA-256", "SCRAM-SHA-1"]
FIRST = b"n,,n=ann,r=abc"
FINAL = b"c=biws,r=abcdef,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
ANNS = keys("SCRAM-SHA-256", "secret")


def scram(mechanism: str = "SCRAM-SHA-256", nonce: str = "server", bindings: Mapping[str, bytes] = BINDINGS, offered: bool = True) -> Scram:
    return Scram(mechanism, nonce, bindings, binding_offered=offered)


@pytest.mark.parametrize(("mechanism", "salt", "theirs", "ours", "first", "said", "final", "verifier"), [
    pytest.param("SCRAM-SHA-1", b"QSXCR+Q6sek8bf92", "fyko+d2lbbFgONRv9qkxdawL", "3rfcNHYJY1ZVvWVs7j",
                 b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
                 b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                 b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
                 b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", id="rfc-5802-section-5"),
    pytest.param("SCRAM-SHA-256", b"W22ZaJ0SNY7soEsUEjb6gQ==", "rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
                 b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
                 b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                 b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                 b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", id="rfc-7677-section-3"),
])  # fmt: skip
def test_the_examples_of_the_rfcs(
    mechanism: str, salt: bytes, theirs: str, ours: str, first: bytes, said: bytes, final: bytes, verifier: bytes
) -> None:
    exchange = scram(mechanism, ours, {}, offered=False)
    assert exchange.step(first) == NeedsEvidence("user", mechanism)
    assert exchange.given(keys(mechanism, "pencil", b64decode(salt))) == Challenge(said)
    assert exchange.step(final) == Proven("user", "", verifier, guessable=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("plus", "header", "binding", "authzid"), [
    pytest.param("", b"n,,", b"", "", id="without-binding"),
    pytest.param("", b"n,a=bob=2C=3D,", b"", "bob,=", id="for-another"),
    pytest.param("-PLUS", b"p=tls-exporter,,", b"e" * 32, "", id="bound-by-exporter"),
    pytest.param("-PLUS", b"p=tls-server-end-point,a=bob,", b"s" * 32, "bob", id="bound-to-the-certificate"),
])
@pytest.mark.parametrize("login", ["ann@here.example", "a,n=n", "jäö"])
def test_who_knows_the_password_is_believed_and_can_believe_us(
    kind: str, plus: str, header: bytes, binding: bytes, authzid: str, login: str
) -> None:
    client = ScramClient(kind, login, "pässword", header=header, binding=binding)
    exchange = scram(kind + plus)
    assert exchange.step(None) == Challenge(b"")
    assert exchange.step(client.first) == NeedsEvidence(login, kind)
    said = exchange.given(keys(kind, "pässword"))
    assert isinstance(said, Challenge)
    proven = exchange.step(client.final(said.data))
    assert isinstance(proven, Proven)
    assert (proven.login, proven.authzid, proven.guessable) == (login, authzid, True)
    assert client.believes(proven.final)


def ended(client: ScramClient, exchange: Scram, **changes: bytes) -> Answer:
    """The answer to the last message of *client*."""
    assert isinstance(exchange.step(client.first), NeedsEvidence)
    said = exchange.given(keys(client.kind, "secret"))
    assert isinstance(said, Challenge)
    return exchange.step(client.final(said.data, **changes))


def test_who_does_not_know_it_is_not() -> None:
    assert ended(ScramClient("SCRAM-SHA-256", "ann", "wrong"), scram()) == Disproved("ann")


def test_keys_are_made_of_a_password_that_is_kept_in_clear() -> None:
    client, exchange = ScramClient("SCRAM-SHA-256", "ann", "secret"), scram()
    exchange.step(client.first)
    need = exchange.given(Clear("secret"))
    assert isinstance(need, NeedsWork)
    said = exchange.given(need.work())
    assert isinstance(said, Challenge)
    assert isinstance(exchange.step(client.final(said.data)), Proven)


def test_what_was_bound_to_another_connection_proves_nothing_here() -> None:
    client = ScramClient("SCRAM-SHA-256", "ann", "secret", header=b"p=tls-exporter,,", binding=b"E" * 32)
    assert ended(client, scram("SCRAM-SHA-256-PLUS")) == Disproved("ann")


def test_a_binding_of_which_the_header_says_nothing_proves_nothing() -> None:
    assert ended(ScramClient("SCRAM-SHA-256", "ann", "secret", binding=b"e" * 32), scram()) == Disproved("ann")


@pytest.mark.parametrize("nonce", [b"client", b"clientserveX", b"clientserver2", b"other"])
def test_another_nonce_proves_nothing(nonce: bytes) -> None:
    assert ended(ScramClient("SCRAM-SHA-256", "ann", "secret"), scram(), nonce=nonce) == Disproved("ann")


def test_extensions_that_need_not_be_understood_are_part_of_the_proof_and_ignored() -> None:
    client = ScramClient("SCRAM-SHA-256", "ann", "secret")
    client.bare += b",x=y,Z=1=2"
    assert isinstance(ended(client, scram(), extra=b",q=1"), Proven)


@pytest.mark.parametrize(("first", "mechanism", "offered"), [
    pytest.param(b"", "SCRAM-SHA-256", True, id="nothing"),
    pytest.param(b"n=ann,r=abc", "SCRAM-SHA-256", True, id="no-header"),
    pytest.param(b"x,,n=ann,r=abc", "SCRAM-SHA-256", True, id="an-unknown-flag"),
    pytest.param(b"n,n=ann,r=abc", "SCRAM-SHA-256", True, id="half-a-header"),
    pytest.param(b"n,a=,n=ann,r=abc", "SCRAM-SHA-256", True, id="for-nobody"),
    pytest.param(b"n,,r=abc", "SCRAM-SHA-256", True, id="no-name"),
    pytest.param(b"n,,n=,r=abc", "SCRAM-SHA-256", True, id="an-empty-name"),
    pytest.param(b"n,,r=abc,n=ann", "SCRAM-SHA-256", True, id="in-another-order"),
    pytest.param(b"n,,n=ann", "SCRAM-SHA-256", True, id="no-nonce"),
    pytest.param(b"n,,n=ann,r=", "SCRAM-SHA-256", True, id="an-empty-nonce"),
    pytest.param(b"n,,n=ann,r=a c", "SCRAM-SHA-256", True, id="a-space-in-the-nonce"),
    pytest.param(b"n,,n=ann,r=\xc3\xa4", "SCRAM-SHA-256", True, id="a-nonce-beyond-ascii"),
    pytest.param(b"n,,n=ann,r=" + b"a" * 513, "SCRAM-SHA-256", True, id="a-long-nonce"),
    pytest.param(b"n,,n=" + b"a" * 256 + b",r=abc", "SCRAM-SHA-256", True, id="a-long-name"),
    pytest.param(b"n,,n=a=n,r=abc", "SCRAM-SHA-256", True, id="a-bare-equals-sign"),
    pytest.param(b"n,,n=a=2cn,r=abc", "SCRAM-SHA-256", True, id="a-comma-in-small-letters"),
    pytest.param(b"n,,n=\xff,r=abc", "SCRAM-SHA-256", True, id="a-name-that-is-not-utf-8"),
    pytest.param(b"n,,n=a\0n,r=abc", "SCRAM-SHA-256", True, id="nul-in-the-name"),
    pytest.param(b"n,,n=a\r\nb,r=abc", "SCRAM-SHA-256", True, id="line-end-in-the-name"),
    pytest.param("n,,n=a\u200fb,r=abc".encode(), "SCRAM-SHA-256", True, id="saslprep-forbids-it"),
    pytest.param("n,,n=\u00ad,r=abc".encode(), "SCRAM-SHA-256", True, id="saslprep-leaves-nothing"),
    pytest.param(b"n,,m=x,n=ann,r=abc", "SCRAM-SHA-256", True, id="an-extension-that-must-be-known"),
    pytest.param(b"n,,n=ann,r=abc,m=x", "SCRAM-SHA-256", True, id="one-behind"),
    pytest.param(b"n,,n=ann,r=abc,", "SCRAM-SHA-256", True, id="a-comma-too-many"),
    pytest.param(b"n,,n=ann,r=abc,x", "SCRAM-SHA-256", True, id="an-attribute-without-value"),
    pytest.param(b"n,,n=ann,r=abc" + b",x=1" * MOST_ATTRIBUTES, "SCRAM-SHA-256", True, id="too-many-attributes"),
    pytest.param(b"n,,n=ann,r=abc" + b"c" * 9300, "SCRAM-SHA-256", True, id="too-long"),
    pytest.param(b"y,,n=ann,r=abc", "SCRAM-SHA-256", True, id="the-offer-of-binding-was-hidden"),
    pytest.param(b"p=tls-exporter,,n=ann,r=abc", "SCRAM-SHA-256", True, id="binding-without-plus"),
    pytest.param(b"n,,n=ann,r=abc", "SCRAM-SHA-256-PLUS", True, id="plus-without-binding"),
    pytest.param(b"y,,n=ann,r=abc", "SCRAM-SHA-256-PLUS", True, id="plus-with-y"),
    pytest.param(b"p=tls-unique,,n=ann,r=abc", "SCRAM-SHA-256-PLUS", True, id="a-binding-that-the-connection-has-not"),
    pytest.param(b"p=,,n=ann,r=abc", "SCRAM-SHA-256-PLUS", True, id="a-binding-without-name"),
])
def test_a_first_message_that_must_fail(first: bytes, mechanism: str, offered: bool) -> None:
    assert isinstance(scram(mechanism, offered=offered).step(first), Malformed)


def test_a_client_that_could_bind_is_right_where_we_cannot() -> None:
    client = ScramClient("SCRAM-SHA-256", "ann", "secret", header=b"y,,")
    assert isinstance(ended(client, scram(bindings={}, offered=False)), Proven)


def test_names_are_prepared() -> None:
    assert scram().step("n,,n=\u2168\u00ad,r=abc".encode()) == NeedsEvidence("IX", "SCRAM-SHA-256")


@pytest.mark.parametrize("final", [
    pytest.param(b"", id="nothing"),
    pytest.param(b"c=biws,r=abcserver", id="no-proof"),
    pytest.param(b"c=biws,p=AAAA", id="no-nonce"),
    pytest.param(b"r=abcserver,c=biws,p=AAAA", id="in-another-order"),
    pytest.param(b"c=biws,r=abcserver,p=AAAA,x=1", id="something-behind-the-proof"),
    pytest.param(b"c=biws,r=abcserver,p=AAA", id="the-proof-is-not-base64"),
    pytest.param(b"c=b!ws,r=abcserver,p=AAAA", id="the-channel-is-not-base64"),
    pytest.param(b"c=,r=abcserver,p=AAAA", id="an-empty-channel"),
    pytest.param(b"c=biws,r=abcserver,m=x,p=AAAA", id="an-extension-that-must-be-known"),
    pytest.param(b"c=biws,r=abcserver,p=" + b"A" * 10000, id="too-long"),
])
def test_a_last_message_that_is_none(final: bytes) -> None:
    exchange = scram()
    exchange.step(FIRST)
    exchange.given(ANNS)
    assert isinstance(exchange.step(final), Malformed)


@pytest.mark.parametrize("proof", [b"AAAA", b"A" * 44, b"A" * 400])
def test_a_proof_of_any_length_is_only_wrong(proof: bytes) -> None:
    exchange = scram()
    exchange.step(FIRST)
    exchange.given(ANNS)
    not_base64 = Malformed("The channel binding or the proof is not base64")
    assert exchange.step(b"c=biws,r=abcserver,p=" + proof) in (Disproved("ann"), not_base64)


def test_no_answer_at_all_to_our_message_is_malformed() -> None:
    exchange = scram()
    exchange.step(FIRST)
    exchange.given(ANNS)
    assert isinstance(exchange.step(None), Malformed)


@given(st.one_of(st.binary(max_size=80), st.binary(max_size=60).map(lambda tail: b"n,,n=" + tail)), st.binary(max_size=80))
@settings(max_examples=200)
def test_no_octets_break_it_or_prove_anything(first: bytes, final: bytes) -> None:
    exchange = scram()
    answer = exchange.step(first)
    if isinstance(answer, NeedsEvidence):
        assert isinstance(exchange.given(ANNS), Challenge)
        answer = exchange.step(final)
    assert isinstance(answer, Malformed | Disproved)


@given(st.integers(0, len(FINAL) - 1), st.integers(0, 255))
def test_no_single_octet_may_differ(place: int, octet: int) -> None:
    client = ScramClient("SCRAM-SHA-256", "ann", "secret")
    exchange = scram()
    exchange.step(client.first)
    said = exchange.given(ANNS)
    assert isinstance(said, Challenge)
    right = client.final(said.data)
    changed = right[:place] + bytes([octet]) + right[place + 1 :]
    assert isinstance(exchange.step(changed), Proven) is (changed == right)
