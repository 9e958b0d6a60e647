"""What every IAuthenticator promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from tests.contracts.people import ANN, AUTHENTICATORS, BOB, NOBODYS, PASSWORD
from tests.helpers import result_of
from twistmail.accounts import passwords
from twistmail.interfaces import IAuthenticator


@pytest.fixture(autouse=True)
def quick_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "NOBODYS", NOBODYS)


@pytest.fixture(params=AUTHENTICATORS, ids=lambda maker: maker.__name__)
def authenticator(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    make: Callable[[Path], Any] = request.param
    return make(tmp_path)


def test_it_provides_the_interface(authenticator: Any) -> None:
    verifyObject(IAuthenticator, authenticator)


@pytest.mark.parametrize(("login", "account"), [
    pytest.param("ann@here.example", ANN, id="full-address"),
    pytest.param("Ann@HERE.example", ANN, id="in-any-case"),
    pytest.param("ann", ANN, id="name-in-the-default-domain"),
    pytest.param("bob@blue.example", BOB, id="address-in-another-domain"),
])
def test_the_right_password_opens_the_account_again_and_again(authenticator: Any, login: str, account: Any) -> None:
    assert result_of(authenticator.authenticate(login, PASSWORD)) == account
    assert result_of(authenticator.authenticate(login, PASSWORD)) == account


@pytest.mark.parametrize(("login", "password"), [
    pytest.param("ann@here.example", "wrong", id="wrong-password"),
    pytest.param("ann@here.example", "", id="no-password"),
    pytest.param("ann@here.example", PASSWORD + "x", id="one-letter-more"),
    pytest.param("ann@here.example", "other", id="what-a-later-source-has"),
    pytest.param("ann@blue.example", PASSWORD, id="wrong-domain"),
    pytest.param("carol@here.example", PASSWORD, id="unknown"),
    pytest.param("carol", PASSWORD, id="unknown-bare-name"),
    pytest.param("", PASSWORD, id="nobody"),
    pytest.param("", "", id="nothing-at-all"),
    pytest.param("ann@here.example@x", PASSWORD, id="no-address"),
    pytest.param("a" * 5000, PASSWORD, id="very-long"),
    pytest.param("off@here.example", PASSWORD, id="disabled"),
])
def test_everything_else_opens_nothing(authenticator: Any, login: str, password: str) -> None:
    assert result_of(authenticator.authenticate(login, password)) is None
