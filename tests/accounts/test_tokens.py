"""Whose tokens are: JWTs of an issuer on loopback, and tokens that it is asked about."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from twisted.internet.task import Clock

pytest.importorskip("jwt", reason="an extra")

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.accounts.issuer import Issuer
from tests.helpers import result_of
from twistmail.accounts import tokens
from twistmail.accounts.tokens import OPTIONS, Tokens
from twistmail.interfaces import Unavailable
from twistmail.lasting import inline
from twistmail.mail.evidence import TokenOwner

ANN = TokenOwner("ann@here.example")
INVALID = TokenOwner(error="invalid_token")
NOW = 1_000.0


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.close()


class House:
    """A judge with a clock of its own."""

    def __init__(self, issuer: Issuer, **settings: Any) -> None:
        self.now = NOW
        texts = {"issuer": issuer.url, "audience": "mail", "scope": "mail"} | settings
        values = {option.key: option.kind.read(texts[option.key]) for option in OPTIONS.options if option.key in texts}
        self.settings = OPTIONS.defaults(**values)
        self.judge: Tokens = tokens.build(self.settings, Clock(), inline(), str, lambda: self.now)

    def owner(self, token: str) -> TokenOwner:
        return result_of(self.judge.judge(token))


def test_a_token_of_the_issuer_is_its_owners(issuer: Issuer) -> None:
    house = House(issuer)
    assert house.owner(issuer.token()) == ANN
    assert house.owner(issuer.token(aud=["other", "mail"], scope=["mail", "more"])) == ANN
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]


@cache
def other_key() -> Any:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.mark.parametrize(("changes", "owner"), [
    pytest.param({"exp": 900}, INVALID, id="expired"),
    pytest.param({"exp": 990}, ANN, id="expired-a-moment-ago"),
    pytest.param({"exp": None}, INVALID, id="without-end"),
    pytest.param({"exp": "2000"}, INVALID, id="an-end-that-is-no-number"),
    pytest.param({"nbf": 1_100}, INVALID, id="not-yet"),
    pytest.param({"iss": "https://another.example"}, INVALID, id="of-another-issuer"),
    pytest.param({"iss": None}, INVALID, id="of-nobody"),
    pytest.param({"aud": "calendar"}, INVALID, id="for-another-service"),
    pytest.param({"aud": None}, INVALID, id="for-nobody"),
    pytest.param({"aud": {"mail": 1}}, INVALID, id="an-audience-that-is-none"),
    pytest.param({"scope": "openid"}, TokenOwner(error="insufficient_scope"), id="too-little-scope"),
    pytest.param({"email": None}, INVALID, id="names-nobody"),
    pytest.param({"email": ["ann@here.example"]}, INVALID, id="a-list-of-names"),
    pytest.param({"email": "ann@here.example\n"}, INVALID, id="a-line-end-in-the-name"),
    pytest.param({"email_verified": False}, INVALID, id="an-address-that-nobody-has-verified"),
    pytest.param({"key": "one", "signed_with": other_key()}, INVALID, id="signed-by-somebody-else"),
    pytest.param({"headers": {"kid": "two"}}, INVALID, id="a-key-that-there-is-not"),
    pytest.param({"headers": {}}, ANN, id="the-only-key-needs-no-name"),
])
def test_what_must_stand_in_a_token(issuer: Issuer, changes: dict[str, Any], owner: TokenOwner) -> None:
    assert House(issuer).owner(issuer.token(**changes)) == owner


def unsigned(issuer: Issuer, algorithm: str) -> str:
    _, payload, _ = issuer.token().split(".")
    header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "typ": "JWT", "kid": "one"}).encode()).rstrip(b"=").decode()
    return f"{header}.{payload}."


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "..", "e30.e30.e30", "a" * 9000, "e30." * 3000])
def test_what_is_no_token_is_nobodys(issuer: Issuer, token: str) -> None:
    assert House(issuer).owner(token) == INVALID


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256"])
def test_a_token_without_a_signature_of_two_keys_is_nobodys(issuer: Issuer, algorithm: str) -> None:
    assert House(issuer).owner(unsigned(issuer, algorithm)) == INVALID


def test_a_secret_among_the_keys_is_no_key(issuer: Issuer) -> None:
    issuer.keys["secret"] = b"s" * 32
    assert House(issuer).owner(issuer.token(key="secret", algorithm="HS256")) == INVALID


def test_elliptic_curves_are_known(issuer: Issuer) -> None:
    issuer.keys["curve"] = ec.generate_private_key(ec.SECP256R1())
    assert House(issuer).owner(issuer.token(key="curve", algorithm="ES256")) == ANN


def test_a_new_key_is_fetched_but_not_for_every_name_that_somebody_makes_up(issuer: Issuer) -> None:
    house = House(issuer)
    assert house.owner(issuer.token()) == ANN
    issuer.keys["two"] = other_key()
    assert house.owner(issuer.token(key="two")) == INVALID
    house.now += 61
    assert house.owner(issuer.token(key="two")) == ANN
    for number in range(20):
        house.owner(issuer.token(headers={"kid": f"made-up-{number}"}))
    assert issuer.asked.count("/keys") == 2


def test_a_key_that_was_withdrawn_ends_within_the_hour(issuer: Issuer) -> None:
    house = House(issuer)
    token = issuer.token(exp=9_000)
    assert house.owner(token) == ANN
    issuer.keys = {"two": other_key()}
    house.now += 3_601
    assert house.owner(token) == INVALID


def test_an_issuer_that_is_down_is_weather(issuer: Issuer) -> None:
    house = House(issuer)
    issuer.broken = True
    with pytest.raises(Unavailable):
        house.owner(issuer.token())
    issuer.broken = False
    assert house.owner(issuer.token()) == ANN


# ----- introspection


def asking(issuer: Issuer) -> House:
    return House(issuer, introspection=f"{issuer.url}/introspect", client_id="mail server", client_secret="s:ecret", login="username")


def test_any_token_can_be_asked_about(issuer: Issuer) -> None:
    issuer.active["opaque"] = {"active": True, "username": "ann@here.example", "aud": "mail", "scope": "mail"}
    house = asking(issuer)
    assert house.owner("opaque") == ANN
    assert base64.b64decode(issuer.authorizations[0].removeprefix("Basic ")) == b"mail%20server:s%3Aecret"
    assert house.owner("another") == INVALID


@pytest.mark.parametrize(("said", "owner"), [
    pytest.param({"active": "true"}, INVALID, id="active-in-words"),
    pytest.param({"active": True, "aud": "calendar"}, INVALID, id="for-another-service"),
    pytest.param({"active": True, "iss": "https://another.example"}, INVALID, id="of-another-issuer"),
    pytest.param({"active": True, "iss": ["https://issuer.example"]}, INVALID, id="of-a-list-of-issuers"),
    pytest.param({"active": True, "scope": "x"}, TokenOwner(error="insufficient_scope"), id="too-little-scope"),
])
def test_what_is_said_of_a_token_is_looked_at(issuer: Issuer, said: dict[str, Any], owner: TokenOwner) -> None:
    issuer.active["opaque"] = {"username": "ann@here.example", "aud": "mail", "scope": "mail"} | said
    assert asking(issuer).owner("opaque") == owner


def test_what_was_said_holds_for_a_minute_and_never_beyond_the_end_of_the_token(issuer: Issuer) -> None:
    issuer.active["opaque"] = {"active": True, "username": "ann@here.example", "aud": "mail", "scope": "mail", "exp": NOW + 30}
    house = asking(issuer)
    for _ in range(3):
        assert house.owner("opaque") == ANN
    assert len(issuer.asked) == 1
    house.now += 31
    issuer.active.clear()
    assert house.owner("opaque") == INVALID


# ----- settings


@pytest.mark.parametrize(("settings", "key"), [
    pytest.param({"issuer": "http://login.blue.example", "audience": "mail"}, "issuer", id="in-clear"),
    pytest.param({"audience": "mail"}, "issuer", id="no-issuer"),
    pytest.param({"issuer": "https://login.blue.example"}, "audience", id="for-anything"),
    pytest.param({"introspection": "https://login.blue.example/i"}, "audience", id="asked-about-anything"),
])
def test_settings_that_would_not_be_safe(settings: dict[str, str], key: str) -> None:
    values = {name: OPTIONS.option(name).kind.read(text) for name, text in settings.items()}  # type: ignore[union-attr]
    assert key in [found for found, _, _ in tokens.check(OPTIONS.defaults(**values))]
