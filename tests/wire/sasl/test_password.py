"""PLAIN and LOGIN, in which the password is sent, and EXTERNAL, in which nothing is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.wire.sasl.exchange import LONGEST_NAME, LONGEST_RESPONSE, Answer, Challenge, Credentials, Exchange, Malformed, Proven
from twistmail.wire.sasl.external import External
from twistmail.wire.sasl.password import LoginExchange, Plain

EXCHANGES = [Plain, LoginExchange]


@pytest.mark.parametrize(("response", "credentials"), [
    pytest.param(b"\0ann\0secret", Credentials("ann", "secret"), id="for-himself"),
    pytest.param(b"ann\0ann\0secret", Credentials("ann", "secret", "ann"), id="acts-for-himself-by-name"),
    pytest.param(b"bob\0ann\0secret", Credentials("ann", "secret", "bob"), id="acts-for-another"),
    pytest.param("\0järg\0pässwörd ".encode(), Credentials("järg", "pässwörd "), id="utf-8"),
])
def test_plain_takes_one_message(response: bytes, credentials: Credentials) -> None:
    assert Plain().step(response) == credentials


@pytest.mark.parametrize(("response", "answer"), [
    pytest.param(None, Challenge(b""), id="nothing-yet"),
    pytest.param(b"", Proven("ann"), id="as-himself"),
    pytest.param(b"bob@here.example", Proven("ann", "bob@here.example"), id="for-another"),
    pytest.param("järg".encode(), Proven("ann", "järg"), id="utf-8"),
    pytest.param(b"\xff", Malformed("The name must be UTF-8"), id="not-utf-8"),
    pytest.param(b"a\0b", Malformed("The name must not hold control characters"), id="nul"),
    pytest.param(b"a" * (LONGEST_NAME + 1), Malformed("The name is too long"), id="too-long"),
])
def test_external_takes_a_name_to_act_for_or_nothing(response: bytes | None, answer: Answer) -> None:
    assert External("ann").step(response) == answer


def test_plain_without_initial_response_asks_with_an_empty_challenge() -> None:
    exchange = Plain()
    assert exchange.step(None) == Challenge(b"")
    assert exchange.step(b"\0ann\0secret") == Credentials("ann", "secret")


@pytest.mark.parametrize("response", [
    pytest.param(b"", id="empty"),
    pytest.param(b"ann\0secret", id="one-nul"),
    pytest.param(b"\0ann\0sec\0ret", id="three-nuls"),
    pytest.param(b"\0\0secret", id="no-login"),
    pytest.param(b"\0ann\0", id="no-password"),
    pytest.param(b"\0\xff\0secret", id="login-is-not-utf-8"),
    pytest.param(b"\0ann\0\xff", id="password-is-not-utf-8"),
    pytest.param(b"\0ann\r\nroot\0secret", id="line-end-in-login"),
    pytest.param(b"a\x1bnn\0ann\0secret", id="control-in-authorization"),
    pytest.param(b"\0" + b"a" * (LONGEST_NAME + 1) + b"\0secret", id="login-too-long"),
    pytest.param(b"\0ann\0" + b"a" * 1025, id="password-too-long"),
    pytest.param(b"x" * (LONGEST_RESPONSE + 1), id="response-too-long"),
])
def test_what_is_not_plain_is_malformed(response: bytes) -> None:
    answer = Plain().step(response)
    assert isinstance(answer, Malformed)
    assert "secret" not in answer.text


def test_login_asks_twice() -> None:
    exchange = LoginExchange()
    assert exchange.step(None) == Challenge(b"Username:")
    assert exchange.step(b"ann") == Challenge(b"Password:")
    assert exchange.step(b"secret") == Credentials("ann", "secret")


def test_login_takes_the_name_as_initial_response() -> None:
    exchange = LoginExchange()
    assert exchange.step(b"ann") == Challenge(b"Password:")
    assert exchange.step(b"secret") == Credentials("ann", "secret")


def test_login_with_an_empty_name_is_malformed() -> None:
    exchange = LoginExchange()
    exchange.step(None)
    exchange.step(b"")
    assert isinstance(exchange.step(b"secret"), Malformed)


def test_credentials_do_not_show_their_password() -> None:
    assert "hunter2" not in repr(Credentials("ann", "hunter2"))


@given(st.sampled_from(EXCHANGES), st.lists(st.binary(max_size=40), max_size=4))
def test_no_response_breaks_an_exchange(begin: type[Plain] | type[LoginExchange], responses: list[bytes]) -> None:
    exchange: Exchange = begin()
    answer = exchange.step(None)
    for response in responses:
        if not isinstance(answer, Challenge):
            break
        answer = exchange.step(response)
        assert isinstance(answer, Challenge | Credentials | Malformed)
