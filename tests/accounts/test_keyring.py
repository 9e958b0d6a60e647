"""The app passwords in the database, as operators and their owners handle them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from twistmail.accounts import app_passwords
from twistmail.accounts.app_passwords import opens
from twistmail.accounts.keyring import Keyring
from twistmail.accounts.passwords import NOBODYS
from twistmail.accounts.sqlite import AccountDatabase
from twistmail.mail.account import Account

ANN = "ann@here.example"
NOW = 1_800_000_000.0


@pytest.fixture
def database(tmp_path: Path) -> AccountDatabase:
    made = AccountDatabase(tmp_path / "accounts.db")
    made.put(Account(ANN), NOBODYS)
    return made


@pytest.fixture
def keyring(database: AccountDatabase) -> Keyring:
    return Keyring(database, lambda: NOW)


def test_what_is_made_opens_and_is_told_without_itself(keyring: Keyring, database: AccountDatabase) -> None:
    made = keyring.add(ANN, "telephone", ["pop3", "imap"], NOW + 60)
    password = made.pop("password")
    assert made == {"user": ANN, "label": "telephone", "services": ["imap", "pop3"], "expires": "2027-01-15T08:01:00Z",
                    "expires_s": NOW + 60, "expired": False}  # fmt: skip
    assert keyring.rows(ANN) == [made]
    known = database.entry(ANN).app_passwords
    assert opens(known, password, "imap", NOW)
    assert not opens(known, password, "submission", NOW)


def test_what_has_ended_is_told_to_have(keyring: Keyring, database: AccountDatabase) -> None:
    keyring.add(ANN, "telephone", [], NOW + 60)
    (row,) = Keyring(database, lambda: NOW + 61).rows(ANN)
    assert row["expired"]


def test_what_is_taken_away_is_gone(keyring: Keyring) -> None:
    keyring.add(ANN, "telephone", [], None)
    keyring.add(ANN, "laptop", [], None)
    assert keyring.remove(ANN, "telephone")["label"] == "telephone"
    assert [row["label"] for row in keyring.rows(ANN)] == ["laptop"]
    with pytest.raises(LookupError, match="has no app password telephone\nthere are: laptop"):
        keyring.remove(ANN, "telephone")


@pytest.mark.parametrize(("label", "services", "expires", "said"), [
    pytest.param("telephone", [], None, "already\n", id="twice"),
    pytest.param("x", ["ftp"], None, "there is no service ftp\nthere are: imap", id="unknown-service"),
    pytest.param("x", [], NOW, "over already\n", id="in-the-past"),
    pytest.param("x", [], float("inf"), "never over\n", id="at-no-time"),
    pytest.param("x", [], float("nan"), "never over\n", id="at-what-is-no-time"),
    pytest.param("x", [], 1e300, "never over\n", id="when-there-are-no-years-any-more"),
    pytest.param("", [], None, "such as: telephone", id="without-a-label"),
])
def test_what_cannot_be_made_is_refused(keyring: Keyring, label: str, services: list[str], expires: float | None, said: str) -> None:
    keyring.add(ANN, "telephone", [], None)
    with pytest.raises(ValueError, match=said):
        keyring.add(ANN, label, services, expires)
    assert len(keyring.rows(ANN)) == 1


def test_there_is_an_end_to_them(keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_passwords, "MOST", 2)
    for label in ("one", "two"):
        keyring.add(ANN, label, [], None)
    with pytest.raises(ValueError, match="2 app passwords\n"):
        keyring.add(ANN, "three", [], None)


def test_who_is_not_in_the_database_has_none(keyring: Keyring) -> None:
    with pytest.raises(LookupError, match="not in the database\n"):
        keyring.rows("bob@here.example")


def test_any_thread_may_ask(keyring: Keyring, database: AccountDatabase) -> None:
    assert database.entry(ANN) is not None, "this thread keeps a connection now"
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(keyring.add(ANN, "telephone", [], None)["label"]))
    thread.start()
    thread.join(10)
    assert found == ["telephone"]
