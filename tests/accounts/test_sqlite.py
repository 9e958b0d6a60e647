"""The database of accounts: what is kept, and that others may write at the same time."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import argon2
import pytest

from tests.helpers import result_of
from twistmail.accounts import passwords
from twistmail.accounts.people import People
from twistmail.accounts.sqlite import AccountDatabase, AccountExists, NoSuchAccount
from twistmail.accounts.table import TableSource
from twistmail.accounts.verified import Verifier
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import Address
from twistmail.tasks import Inline

QUICK = argon2.PasswordHasher(1, 8, 1)


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "HASHER", QUICK)


@pytest.fixture
def database(tmp_path: Path) -> AccountDatabase:
    return AccountDatabase(tmp_path / "accounts.db")


def people(database: AccountDatabase, default_domain: str = "") -> People:
    verifier = Verifier(Inline(), lambda: 0.0, b"k" * 32)
    return People([TableSource(database, Inline(), database.renew)], verifier, Inline(), default_domain=default_domain)


def test_an_account_is_kept_as_it_was_added(database: AccountDatabase) -> None:
    added = database.add("Ann@Here.example", "secret", display_name="Ann Other", quota=1000)
    assert added == Account("ann@here.example", "Ann Other", 1000)
    assert AccountDatabase(database.path).get("ANN@here.example") == added
    assert database.list() == (added,)


def test_the_file_is_for_our_eyes_only_and_holds_no_password(database: AccountDatabase) -> None:
    database.add("ann@here.example", "correct horse")
    assert stat.S_IMODE(database.path.stat().st_mode) == 0o600
    assert all(b"correct horse" not in path.read_bytes() for path in database.path.parent.iterdir())


def test_a_second_account_of_that_name_is_refused(database: AccountDatabase) -> None:
    database.add("ann@here.example", "secret")
    with pytest.raises(AccountExists, match=r"ann@here\.example already"):
        database.add("ANN@here.example", "other")
    assert result_of(people(database).authenticate("ann@here.example", "secret")) is not None


@pytest.mark.parametrize("change", [
    pytest.param(lambda database: database.remove("bob@here.example"), id="remove"),
    pytest.param(lambda database: database.set_password("bob@here.example", "x"), id="password"),
    pytest.param(lambda database: database.set_enabled("bob@here.example", False), id="enabled"),
    pytest.param(lambda database: database.set_quota("bob@here.example", None), id="quota"),
    pytest.param(lambda database: database.set_display_name("bob@here.example", ""), id="name"),
])
def test_whom_nobody_knows_cannot_be_changed(database: AccountDatabase, change) -> None:
    with pytest.raises(NoSuchAccount, match=r"no account bob@here\.example"):
        change(database)


@pytest.mark.parametrize("name", ["ann", "@here.example", "ann@", "ann@@x", "two words@here.example"])
def test_a_name_is_a_full_address(database: AccountDatabase, name: str) -> None:
    with pytest.raises(ValueError):
        database.add(name, "secret")


def test_changes_are_seen_by_the_next_question(database: AccountDatabase) -> None:
    ours = people(database)
    database.add("ann@here.example", "secret")
    assert result_of(ours.authenticate("ann@here.example", "secret")) is not None
    database.set_password("ann@here.example", "other")
    assert result_of(ours.authenticate("ann@here.example", "secret")) is None
    assert result_of(ours.authenticate("ann@here.example", "other")) is not None
    database.set_quota("ann@here.example", 5)
    database.set_display_name("ann@here.example", "Ann")
    assert result_of(ours.find(Address("ann", "here.example"))) == Account("ann@here.example", "Ann", 5)
    database.set_enabled("ann@here.example", False)
    assert result_of(ours.authenticate("ann@here.example", "other")) is None
    assert result_of(ours.find(Address("ann", "here.example"))) is not None, "mail still arrives"
    database.remove("ann@here.example")
    assert result_of(ours.find(Address("ann", "here.example"))) is None


def test_another_process_may_write_while_we_read(database: AccountDatabase) -> None:
    database.add("ann@here.example", "secret")
    assert database.get("bob@here.example") is None  # the kept connection is open now
    program = "import sys; from pathlib import Path; from twistmail.accounts.sqlite import AccountDatabase as D\n" \
              "D(Path(sys.argv[1])).add('bob@here.example', 'secret')"
    subprocess.run([sys.executable, "-c", program, str(database.path)], check=True, timeout=30, cwd=Path(__file__).parents[2])
    assert database.get("bob@here.example") is not None


def test_an_unfinished_writer_does_not_stop_readers(database: AccountDatabase) -> None:
    database.add("ann@here.example", "secret")
    with database._writing() as connection:
        connection.execute("DELETE FROM accounts")
        assert database.get("ann@here.example") is not None
        connection.execute("INSERT INTO accounts (name, local, secret) VALUES ('x@y', 'x', '')")
    assert database.get("ann@here.example") is None


def test_a_change_that_fails_changes_nothing(database: AccountDatabase) -> None:
    database.add("ann@here.example", "secret")

    def fail_half_way() -> None:
        with database._writing() as connection:
            connection.execute("DELETE FROM accounts")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert database.get("ann@here.example") is not None


def test_an_old_hash_is_renewed_when_its_owner_logs_in(database: AccountDatabase) -> None:
    database.add("ann@here.example", "secret")
    weak = argon2.PasswordHasher(2, 16, 1).hash("secret")
    with database._writing() as connection:
        connection.execute("UPDATE accounts SET secret = ?", (weak,))
    assert result_of(people(database).authenticate("ann@here.example", "wrong")) is None
    assert database.entry("ann@here.example").secret == weak
    assert result_of(people(database).authenticate("ann@here.example", "secret")) is not None
    renewed = database.entry("ann@here.example").secret
    assert renewed != weak
    assert passwords.verify(renewed, "secret")


def test_a_renewed_hash_never_overwrites_a_new_password(database: AccountDatabase) -> None:
    database.add("ann@here.example", "secret")
    old = database.entry("ann@here.example").secret
    database.set_password("ann@here.example", "other")
    assert not database.renew("ann@here.example", old, passwords.hash_password("secret"))
    assert result_of(people(database).authenticate("ann@here.example", "other")) is not None


def test_a_database_of_a_later_version_is_left_alone(database: AccountDatabase) -> None:
    with sqlite3.connect(database.path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(sqlite3.DatabaseError, match="later twistmail"):
        AccountDatabase(database.path)


def test_a_spoiled_database_is_unavailable_not_empty(database: AccountDatabase) -> None:
    database.path.write_bytes(b"this is no database, but it is long enough to look like one" * 100)
    for path in database.path.parent.glob("*-*"):
        path.unlink()
    with pytest.raises(Unavailable):
        result_of(people(database).find(Address("ann", "here.example")))
    with pytest.raises(Unavailable):
        result_of(people(database).authenticate("ann@here.example", "secret"))
