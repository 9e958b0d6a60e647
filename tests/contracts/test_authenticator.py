"""What every IAuthenticator promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from tests.contracts.people import ANN, BOB, MAKERS, NOBODYS, PASSWORD
from tests.helpers import result_of
from twistmail.accounts import passwords
from twistmail.interfaces import IAuthenticator
from twistmail.mail.evidence import Clear, ScramKeys


@pytest.fixture(autouse=True)
def quick_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "NOBODYS", NOBODYS)


@pytest.fixture(params=MAKERS, ids=lambda maker: maker.__name__)
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


@pytest.mark.parametrize("kind", ["SCRAM-SHA-256", "SCRAM-SHA-1"])
@pytest.mark.parametrize("login", ["carol@here.example", "off@here.example", "", "no address@@"])
def test_who_does_not_exist_or_may_not_has_keys_all_the_same_and_always_the_same(authenticator: Any, login: str, kind: str) -> None:
    first, second = (result_of(authenticator.evidence(login, kind)) for _ in range(2))
    assert isinstance(first, ScramKeys)
    assert first == second
    assert first.mechanism == kind


def test_a_clear_password_is_given_to_nobody_who_does_not_exist(authenticator: Any) -> None:
    assert result_of(authenticator.evidence("carol@here.example", "PLAIN")) is None


def test_evidence_of_the_living_is_of_a_known_form(authenticator: Any) -> None:
    assert isinstance(result_of(authenticator.evidence("bob", "SCRAM-SHA-256")), Clear | ScramKeys)
