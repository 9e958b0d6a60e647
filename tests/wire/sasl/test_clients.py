"""How we log in elsewhere: the RFCs' own examples, our own server's side as the other end, and servers that lie."""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.sasl.clients import keys
from twistmail.wire.sasl import scram
from twistmail.wire.sasl.clients import FEWEST_ITERATIONS, MOST_ITERATIONS, AskedFor, Plain, Scram, Unfit, Work, begin
from twistmail.wire.sasl.exchange import Challenge, NeedsEvidence, Proven

FIRST = b"r=clientserver,s=c2FsdA==,i=4096"


def answered(login, challenge):
    answer = login.answer(challenge)
    return answer.work() if isinstance(answer, Work) else answer


@pytest.mark.parametrize(("mechanism", "nonce", "first", "said", "final", "verifier"), [
    pytest.param("SCRAM-SHA-1", "fyko+d2lbbFgONRv9qkxdawL", b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
                 b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                 b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
                 b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", id="rfc-5802-section-5"),
    pytest.param("SCRAM-SHA-256", "rOprNGfwEbeRWgbNEkqO", b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
                 b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                 b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                 b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", id="rfc-7677-section-3"),
])  # fmt: skip
def test_the_examples_of_the_rfcs_from_the_clients_side(mechanism, nonce, first, said, final, verifier):
    login = Scram(mechanism, "user", "pencil", nonce)
    assert login.initial == first
    assert answered(login, said) == final
    assert not login.believed
    assert answered(login, verifier) == b""
    assert login.believed


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["SCRAM-SHA-256", "SCRAM-SHA-1"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20),
)
def test_our_own_server_lets_us_in(mechanism, login, password):
    client = Scram(mechanism, login, password, "client")
    server = scram.Scram(mechanism, "server", {}, binding_offered=False)
    assert server.step(client.initial) == NeedsEvidence(login, mechanism)
    said = server.given(keys(mechanism, password))
    assert isinstance(said, Challenge)
    proven = server.step(answered(client, said.data))
    assert isinstance(proven, Proven)
    answered(client, proven.final)
    assert client.believed


@pytest.mark.parametrize("challenge", [
    pytest.param(b"", id="nothing"),
    pytest.param(b"r=elseserver,s=c2FsdA==,i=4096", id="somebody-elses-nonce"),
    pytest.param(b"r=client,s=c2FsdA==,i=4096", id="no-nonce-of-its-own"),
    pytest.param(b"r=clientserver,s=,i=4096", id="no-salt"),
    pytest.param(b"r=clientserver,s=%%,i=4096", id="salt-is-not-base64"),
    pytest.param(b"r=clientserver,s=c2FsdA==,i=many", id="iterations-in-words"),
    pytest.param(b"r=clientserver,s=c2FsdA==,i=%d" % (FEWEST_ITERATIONS - 1), id="too-few-iterations"),
    pytest.param(b"r=clientserver,s=c2FsdA==,i=%d" % (MOST_ITERATIONS + 1), id="too-many-iterations"),
    pytest.param(b"r=clientserver,s=c2FsdA==,i=" + b"9" * 5000, id="endless-number"),
    pytest.param(b"m=new,r=clientserver,s=c2FsdA==,i=4096", id="an-extension-that-must-be-understood"),
    pytest.param(b"r=client" + b"x" * 10_000 + b",s=c2FsdA==,i=4096", id="too-long"),
])
def test_a_challenge_that_is_none_is_not_answered(challenge):
    with pytest.raises(Unfit):
        answered(Scram("SCRAM-SHA-256", "user", "secret", "client"), challenge)


@pytest.mark.parametrize("last", [
    pytest.param(b"v=" + b64encode(b"x" * 32), id="a-wrong-signature"),
    pytest.param(b"v=", id="an-empty-one"),
    pytest.param(b"e=other-error", id="an-error"),
    pytest.param(b"", id="nothing"),
])
def test_a_server_that_does_not_know_the_password_is_not_believed(last):
    login = Scram("SCRAM-SHA-256", "user", "secret", "client")
    answered(login, FIRST)
    with pytest.raises(Unfit):
        login.answer(last)
    assert not login.believed


def test_a_server_cannot_begin_with_its_last_word():
    login = Scram("SCRAM-SHA-256", "user", "secret", "client")
    with pytest.raises(Unfit):
        login.answer(b"")
    assert not login.believed


@pytest.mark.parametrize(("offered", "mechanism"), [
    pytest.param({"PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2"}, "SCRAM-SHA-256", id="the-strongest"),
    pytest.param({"PLAIN", "LOGIN", "SCRAM-SHA-1"}, "SCRAM-SHA-1", id="the-old-hash-before-the-password-itself"),
    pytest.param({"PLAIN", "LOGIN"}, "PLAIN", id="one-round-trip-less"),
    pytest.param({"LOGIN"}, "LOGIN", id="what-is-left"),
    pytest.param({"SCRAM-SHA-256-PLUS", "GSSAPI", "CRAM-MD5"}, None, id="nothing-that-we-know"),
])
def test_the_strongest_mechanism_is_chosen(offered, mechanism):
    login = begin(offered, "user", "pass", lambda: "nonce")
    assert (login.mechanism if login else None) == mechanism


def test_plain_and_login_say_the_password_once():
    plain, asked = Plain("jäö", "p"), AskedFor("user", "pass")
    assert plain.initial == "\0jäö\0p".encode()
    assert (asked.initial, asked.answer(b"Username:"), asked.answer(b"whatever")) == (None, b"user", b"pass")
    for spent in (plain, asked):
        with pytest.raises(Unfit):
            spent.answer(b"more?")


@given(st.binary(max_size=300))
def test_whatever_a_server_says_is_an_answer_or_unfit(octets):
    for challenge in (octets, b"r=client" + octets, FIRST + octets):
        login = Scram("SCRAM-SHA-256", "user", "secret", "client")
        with suppress(Unfit):
            assert isinstance(login.answer(challenge), Work)
