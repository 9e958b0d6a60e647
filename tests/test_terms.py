"""Who may hold how much, and in which format: what the account itself says, else what holds for all."""

from __future__ import annotations

import pytest

from tests.helpers import result_of
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.store.mailstore import OPTIONS
from twistmail.terms import REMEMBERED, Terms

ALICE = "alice@blue.test"


class Accounts:
    """IAccounts with one account, which counts how often it is asked."""

    def __init__(self, quota):
        self.quota, self.format, self.asked, self.is_down = quota, "", 0, False

    async def find(self, address):
        self.asked += 1
        if self.is_down:
            raise Unavailable("down")
        return Account(ALICE, quota=self.quota, format=self.format) if str(address) == ALICE else None


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def terms(clock):
    return Terms(OPTIONS.defaults(quota=1000, quota_messages=7), lambda: clock[0])


def test_an_account_s_own_quota_wins(terms):
    assert result_of(terms.quota_of(ALICE)) == (1000, 7)
    terms.accounts = Accounts(50)
    assert result_of(terms.quota_of(ALICE)) == (50, 7)
    assert result_of(terms.quota_of("bob@blue.test")) == (1000, 7)


def test_an_answer_holds_for_a_while(terms, clock):
    terms.accounts = accounts = Accounts(50)
    for _ in range(5):
        result_of(terms.quota_of(ALICE))
    assert accounts.asked == 1
    accounts.quota = 60
    clock[0] += REMEMBERED
    assert result_of(terms.quota_of(ALICE)) == (60, 7)


def test_what_has_just_been_changed_is_asked_again(terms):
    terms.accounts = accounts = Accounts(50)
    result_of(terms.quota_of(ALICE))
    accounts.quota = 60
    terms.forget(ALICE)
    terms.forget("bob@blue.test")
    assert result_of(terms.quota_of(ALICE)) == (60, 7)


def test_a_source_that_is_down_refuses_nobody(terms):
    terms.accounts = accounts = Accounts(50)
    accounts.is_down = True
    assert result_of(terms.quota_of(ALICE)) == (1000, 7)


def test_an_operator_is_not_limited():
    assert result_of(Terms(OPTIONS.defaults(quota=1000), is_limited=False).quota_of(ALICE)) == (None, None)


def test_an_account_s_own_format_wins(terms, clock):
    assert result_of(terms.format_of(ALICE)) == "maildir"
    terms.accounts = accounts = Accounts(None)
    accounts.format = "mbox"
    assert result_of(terms.format_of(ALICE)) == "mbox"
    assert result_of(terms.format_of("bob@blue.test")) == "maildir"
    assert result_of(Terms(OPTIONS.defaults(format="mbox")).format_of("bob@blue.test")) == "mbox"


def test_mail_goes_nowhere_while_nobody_knows_where_it_belongs(terms):
    terms.accounts = accounts = Accounts(None)
    accounts.is_down = True
    with pytest.raises(Unavailable):
        result_of(terms.format_of(ALICE))
