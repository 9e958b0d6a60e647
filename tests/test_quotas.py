"""Who may hold how much: the account's own quota, else that for all."""

from __future__ import annotations

import pytest

from tests.helpers import result_of
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.quotas import REMEMBERED, Quotas
from twistmail.store.mailstore import OPTIONS

ALICE = "alice@blue.test"


class Accounts:
    """IAccounts with one account, which counts how often it is asked."""

    def __init__(self, quota):
        self.quota, self.asked, self.is_down = quota, 0, False

    async def find(self, address):
        self.asked += 1
        if self.is_down:
            raise Unavailable("down")
        return Account(ALICE, quota=self.quota) if str(address) == ALICE else None


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def quotas(clock):
    return Quotas(OPTIONS.defaults(quota=1000, quota_messages=7), lambda: clock[0])


def test_an_account_s_own_quota_wins(quotas):
    assert result_of(quotas.of(ALICE)) == (1000, 7)
    quotas.accounts = Accounts(50)
    assert result_of(quotas.of(ALICE)) == (50, 7)
    assert result_of(quotas.of("bob@blue.test")) == (1000, 7)


def test_an_answer_holds_for_a_while(quotas, clock):
    quotas.accounts = accounts = Accounts(50)
    for _ in range(5):
        result_of(quotas.of(ALICE))
    assert accounts.asked == 1
    accounts.quota = 60
    clock[0] += REMEMBERED
    assert result_of(quotas.of(ALICE)) == (60, 7)


def test_a_source_that_is_down_refuses_nobody(quotas):
    quotas.accounts = accounts = Accounts(50)
    accounts.is_down = True
    assert result_of(quotas.of(ALICE)) == (1000, 7)


def test_an_operator_is_not_limited():
    assert result_of(Quotas().of(ALICE)) == (None, None)
