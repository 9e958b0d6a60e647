"""Checkers of twisted.cred behind the house's interface."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.cred.checkers import ANONYMOUS
from twisted.cred.credentials import IAnonymous, IUsernamePassword
from twisted.internet.defer import fail, succeed

from tests.helpers import result_of
from twistmail.accounts.cred import CredAuthenticator
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.memory.people import MemoryPeople


class Checker:
    """Answers with what it is given; keeps what it was asked."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[bytes] = []

    def requestAvatarId(self, credentials: Any) -> Any:
        self.asked.append(credentials.username)
        return self.answer() if callable(self.answer) else succeed(self.answer)


PEOPLE = MemoryPeople({"ann@here.example": "elsewhere"}, "here.example")


def test_a_system_is_asked_for_the_local_part() -> None:
    checker = Checker(b"ann")
    authenticator = CredAuthenticator(checker, PEOPLE, default_domain="here.example", full_address=False)
    assert result_of(authenticator.authenticate("Ann@here.example", "x")) == Account("ann@here.example")
    assert checker.asked == [b"ann"]


def test_whom_the_checker_knows_but_has_no_mailbox_stays_outside() -> None:
    assert result_of(CredAuthenticator(Checker(b"root"), PEOPLE, default_domain="here.example").authenticate("root", "x")) is None


def test_the_anonymous_stay_outside() -> None:
    assert result_of(CredAuthenticator(Checker(ANONYMOUS), PEOPLE).authenticate("ann@here.example", "x")) is None


def test_a_checker_that_is_away_is_weather() -> None:
    authenticator = CredAuthenticator(Checker(lambda: fail(ConnectionRefusedError("no LDAP"))), PEOPLE)
    with pytest.raises(Unavailable):
        result_of(authenticator.authenticate("ann@here.example", "x"))


def test_a_checker_of_something_else_is_refused_at_once() -> None:
    checker = Checker(b"")
    checker.credentialInterfaces = (IAnonymous,)
    with pytest.raises(TypeError):
        CredAuthenticator(checker, PEOPLE)
