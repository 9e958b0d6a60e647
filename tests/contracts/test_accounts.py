"""What every IAccounts promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from tests.contracts.people import ANN, BOB, MAKERS
from tests.helpers import result_of
from twistmail.interfaces import IAccounts
from twistmail.mail.address import Address


@pytest.fixture(params=MAKERS, ids=lambda maker: maker.__name__)
def accounts(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    make: Callable[[Path], Any] = request.param
    return make(tmp_path)


def test_it_provides_the_interface(accounts: Any) -> None:
    verifyObject(IAccounts, accounts)


def test_an_address_finds_its_account(accounts: Any) -> None:
    assert result_of(accounts.find(Address("ann", "here.example"))) == ANN
    assert result_of(accounts.find(Address("bob", "blue.example"))) == BOB


@pytest.mark.parametrize("address", [
    pytest.param(Address("carol", "here.example"), id="unknown-name"),
    pytest.param(Address("ann", "blue.example"), id="of-another-domain"),
    pytest.param(Address("ann"), id="without-domain"),
    pytest.param(Address("ann+x", "here.example"), id="with-a-suffix"),
    pytest.param(Address("a' OR '1'='1", "here.example"), id="that-would-be-sql"),
    pytest.param(Address("%", "here.example"), id="that-would-be-a-pattern"),
])
def test_another_address_finds_nobody(accounts: Any, address: Address) -> None:
    assert result_of(accounts.find(address)) is None


def test_all_accounts_are_listed_by_name(accounts: Any) -> None:
    listed = result_of(accounts.list())
    assert isinstance(listed, tuple)
    assert [account.name for account in listed] == ["ann@here.example", "bob@blue.example", "off@here.example"]
    assert listed[0] == ANN
