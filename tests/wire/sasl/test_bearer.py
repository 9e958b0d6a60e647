"""OAUTHBEARER and XOAUTH2."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.wire.sasl.bearer import Bearer, OAuthBearer, XOAuth2
from twistmail.wire.sasl.exchange import Challenge, Disproved, Malformed, NeedsVerdict, Proven

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="


@dataclass(frozen=True)
class Verdict:
    """As much of `interfaces.Verdict` as exchanges look at."""

    login: str = ""
    error: str = ""


#: RFC 7628 §4.1, and the example in Google's description.
RFC = b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer " + TOKEN.encode() + b"\x01\x01"
GOOGLES = b"user=user@example.com\x01auth=Bearer " + TOKEN.encode() + b"\x01\x01"


@pytest.mark.parametrize(("begin", "message", "authzid"), [
    pytest.param(OAuthBearer, RFC, "user@example.com", id="rfc-7628"),
    pytest.param(OAuthBearer, b"n,,\x01auth=bEaReR " + TOKEN.encode() + b"\x01\x01", "", id="only-the-token"),
    pytest.param(OAuthBearer, b"y,,\x01auth=Bearer " + TOKEN.encode() + b"\x01\x01", "", id="could-bind-a-channel"),
    pytest.param(XOAuth2, GOOGLES, "user@example.com", id="xoauth2"),
    pytest.param(XOAuth2, GOOGLES.replace(b"user@example.com", b""), "", id="xoauth2-of-nobody-named"),
])
def test_the_token_tells_who_it_is(begin: type[Bearer], message: bytes, authzid: str) -> None:
    exchange = begin()
    assert exchange.step(None) == Challenge(b"")
    assert exchange.step(message) == NeedsVerdict(TOKEN)
    assert exchange.given(Verdict("ann@here.example")) == Proven("ann@here.example", authzid)


def test_a_token_is_not_shown() -> None:
    assert TOKEN not in repr(NeedsVerdict(TOKEN))


@pytest.mark.parametrize(("begin", "message", "told"), [
    pytest.param(OAuthBearer, RFC, {"status": "invalid_token", "scope": "mail", "openid-configuration": "https://issuer.example"},
                 id="oauthbearer"),
    pytest.param(XOAuth2, GOOGLES, {"status": "401", "schemes": "bearer", "scope": "mail"}, id="xoauth2"),
])
def test_a_refusal_is_told_in_json_and_ends_with_the_next_word(begin: type[Bearer], message: bytes, told: dict[str, str]) -> None:
    exchange = begin("https://issuer.example", "mail")
    exchange.step(message)
    challenge = exchange.given(Verdict(error="invalid_token"))
    assert isinstance(challenge, Challenge)
    assert json.loads(challenge.data) == told
    assert exchange.step(b"\x01") == Disproved("user@example.com", guessable=False)


@pytest.mark.parametrize("authorization", [b"Basic YW5uOnNlY3JldA==", b"Bearer", b"Bearer  ", b"Bearer a b", b"Bearer t\xc3\xb6ken", b""])
def test_other_credentials_than_a_bearer_token_are_an_invalid_request(authorization: bytes) -> None:
    challenge = OAuthBearer().step(b"n,,\x01auth=" + authorization + b"\x01\x01")
    assert isinstance(challenge, Challenge)
    assert json.loads(challenge.data) == {"status": "invalid_request"}


@pytest.mark.parametrize(("begin", "message"), [
    pytest.param(OAuthBearer, b"", id="nothing"),
    pytest.param(OAuthBearer, b"n,,", id="only-a-header"),
    pytest.param(OAuthBearer, b"n,,\x01", id="no-pairs-and-no-end"),
    pytest.param(OAuthBearer, b"n,,\x01auth=Bearer x\x01", id="no-end"),
    pytest.param(OAuthBearer, b"n,,auth=Bearer x\x01\x01", id="no-beginning"),
    pytest.param(OAuthBearer, b"n,,\x01auth\x01\x01", id="a-key-without-value"),
    pytest.param(OAuthBearer, b"n,,\x011=2\x01\x01", id="a-key-that-is-none"),
    pytest.param(OAuthBearer, b"n,," + b"\x01a=b" * 17 + b"\x01\x01", id="too-many-pairs"),
    pytest.param(OAuthBearer, b"n,," + b"\x01a=b" * 5000 + b"\x01\x01", id="too-long"),
    pytest.param(OAuthBearer, b"p=tls-unique,,\x01auth=Bearer x\x01\x01", id="binds-a-channel"),
    pytest.param(OAuthBearer, b"n,a=\xff,\x01auth=Bearer x\x01\x01", id="for-a-name-that-is-not-utf-8"),
    pytest.param(XOAuth2, b"", id="xoauth2-nothing"),
    pytest.param(XOAuth2, b"user=ann\x01auth=Bearer x\x01", id="xoauth2-no-end"),
    pytest.param(XOAuth2, b"user=a\0n\x01auth=Bearer x\x01\x01", id="xoauth2-nul"),
])
def test_what_is_none_of_it_is_malformed(begin: type[Bearer], message: bytes) -> None:
    assert isinstance(begin().step(message), Malformed)


@given(st.sampled_from([OAuthBearer, XOAuth2]), st.binary(max_size=80))
def test_no_octets_break_it(begin: type[Bearer], data: bytes) -> None:
    for message in (data, b"n,,\x01auth=" + data + b"\x01\x01", b"user=" + data + b"\x01\x01"):
        assert isinstance(begin().step(message), Challenge | NeedsVerdict | Malformed)
