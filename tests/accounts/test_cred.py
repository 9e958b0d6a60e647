"""Checkers of twisted.cred as the judges of passwords."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.cred.checkers import ANONYMOUS
from twisted.cred.credentials import IAnonymous, IUsernamePassword
from twisted.internet.defer import fail, succeed

from tests.helpers import result_of
from twistmail.accounts.cred import CredSource
from twistmail.accounts.secrets import AppPassword, Entry
from twistmail.accounts.table import FixedTable, TableSource
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.tasks import Inline

ANN = Account("ann@here.example")
TABLE = TableSource(FixedTable([Entry(ANN, "{PLAIN}elsewhere")]), Inline())


class Checker:
    """Answers with what it is given; keeps what it was asked."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[bytes] = []

    def requestAvatarId(self, credentials: Any) -> Any:
        self.asked.append(credentials.username)
        return self.answer() if callable(self.answer) else succeed(self.answer)


def test_a_system_is_asked_for_the_local_part() -> None:
    checker = Checker(b"ann")
    assert result_of(CredSource(checker, TABLE, full_address=False).verify(Entry(ANN), "x"))
    assert checker.asked == [b"ann"]


def test_whom_the_checker_knows_but_has_no_mailbox_is_nobody() -> None:
    assert result_of(CredSource(Checker(b"root"), TABLE).lookup("root@here.example")) is None


def test_the_password_that_the_other_source_keeps_counts_for_nothing() -> None:
    source = CredSource(Checker(b"ann"), TABLE)
    assert result_of(source.lookup(ANN.name)) == Entry(ANN)
    assert result_of(source.namesakes("ann")) == (Entry(ANN),)
    assert result_of(source.list()) == (ANN,)


def test_whom_the_checker_has_shut_out_comes_in_by_no_app_password_either() -> None:
    one = AppPassword("telephone", "{PLAIN}elsewhere")
    table = TableSource(FixedTable([Entry(ANN, "{PLAIN}elsewhere", app_passwords=(one,))]), Inline())
    assert result_of(CredSource(Checker(b""), table).lookup(ANN.name)).app_passwords == ()


def test_the_anonymous_stay_outside() -> None:
    assert not result_of(CredSource(Checker(ANONYMOUS), TABLE).verify(Entry(ANN), "x"))


def test_a_checker_that_is_away_is_weather() -> None:
    source = CredSource(Checker(lambda: fail(ConnectionRefusedError("no LDAP"))), TABLE)
    with pytest.raises(Unavailable):
        result_of(source.verify(Entry(ANN), "x"))


def test_a_checker_of_something_else_is_refused_at_once() -> None:
    checker = Checker(b"")
    checker.credentialInterfaces = (IAnonymous,)
    with pytest.raises(TypeError):
        CredSource(checker, TABLE)
