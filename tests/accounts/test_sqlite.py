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
from twistmail.accounts.schema import STEPS
from twistmail.accounts.secrets import AppPassword
from twistmail.accounts.sqlite import AccountDatabase, AccountExists, DatabaseSource, NoSuchAccount
from twistmail.accounts.verified import Verifier
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import Address
from twistmail.mail.domains import Domain
from twistmail.mail.evidence import ScramKeys
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
    return People([DatabaseSource(database, Inline())], verifier, Inline(), default_domain=default_domain)


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
    pytest.param(lambda database: database.change("bob@here.example", format="mbox"), id="settings"),
    pytest.param(lambda database: database.rename("bob@here.example", "bert@here.example"), id="another-name"),
    pytest.param(lambda database: database.add_app_password("bob@here.example", AppPassword("phone", "x")), id="app-password"),
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


KEYS = ScramKeys("SCRAM-SHA-256", b"salt", 4096, b"s" * 32, b"t" * 32)
ANN = Account("ann@here.example", "Ann Other", 1000, False, "mbox", ((5, 60.0),), (), ("a@here.example", "other@there.example"),
              ("ann@away.example",), False)


def kept(database: AccountDatabase, name: str = "ann@here.example") -> Account | None:
    return AccountDatabase(database.path).get(name)


def test_all_that_an_account_has_is_kept(database: AccountDatabase) -> None:
    database.put(ANN, "{PLAIN}x", [KEYS])
    entry = AccountDatabase(database.path).entry("ann@here.example")
    assert entry is not None
    assert (entry.account, entry.secret, entry.keys) == (ANN, "{PLAIN}x", (KEYS,))
    assert database.list() == (ANN,)


@pytest.mark.parametrize("address", ["a@here.example", "Other@There.example"])
def test_mail_for_a_further_address_is_for_the_account(database: AccountDatabase, address: str) -> None:
    database.put(ANN, "")
    assert database.get(address) == ANN
    assert database.with_local("a") == ()


def test_an_address_has_one_owner(database: AccountDatabase) -> None:
    database.put(ANN, "")
    with pytest.raises(AccountExists, match=r"a@here\.example is an address of ann@here\.example"):
        database.put(Account("a@here.example"), "")
    with pytest.raises(AccountExists, match=r"account ann@here\.example already"):
        database.put(Account("bob@here.example", addresses=("ann@here.example",)), "")
    assert kept(database, "bob@here.example") is None, "all or nothing"
    database.put(Account("bob@here.example"), "")
    with pytest.raises(AccountExists, match=r"is an address of ann"):
        database.change("bob@here.example", addresses=("b@here.example", "a@here.example"))
    assert kept(database, "b@here.example") is None


def test_fields_are_changed_one_by_one(database: AccountDatabase) -> None:
    database.put(ANN, "{PLAIN}x", [KEYS])
    database.change("Ann@here.example", recipient_rate=None, enabled=True)
    database.change("ann@here.example", addresses=("ann.other@here.example", "ann@here.example"))
    assert kept(database) == Account("ann@here.example", "Ann Other", 1000, True, "mbox", ((5, 60.0),), None, ("ann.other@here.example",),
                                      ANN.forward, False)


def test_another_name_takes_everything_along(database: AccountDatabase) -> None:
    database.put(ANN, "{PLAIN}x", [KEYS])
    database.add_app_password("ann@here.example", AppPassword("phone", "{PLAIN}y", frozenset({"imap"}), 5.0))
    database.rename("ann@here.example", "Anna@here.example")
    entry = database.entry("anna@here.example")
    assert entry is not None
    assert (entry.account.addresses, entry.secret, entry.keys) == (ANN.addresses, "{PLAIN}x", (KEYS,))
    assert entry.app_passwords == (AppPassword("phone", "{PLAIN}y", frozenset({"imap"}), 5.0),)
    assert [one.account.name for one in database.with_local("anna")] == ["anna@here.example"]
    assert kept(database) is None


def test_nobody_takes_the_name_or_the_address_of_another(database: AccountDatabase) -> None:
    database.put(ANN, "")
    database.put(Account("bob@here.example"), "")
    for name in ("ann@here.example", "a@here.example"):
        with pytest.raises(AccountExists):
            database.rename("bob@here.example", name)


def test_what_belongs_to_an_account_goes_with_it(database: AccountDatabase) -> None:
    database.put(ANN, "{PLAIN}x")
    database.add_app_password("ann@here.example", AppPassword("phone", "{PLAIN}y"))
    database.remove("ann@here.example")
    database.put(Account("ann@here.example"), "")
    entry = database.entry("ann@here.example")
    assert entry is not None
    assert (entry.account.addresses, entry.app_passwords) == ((), ())


def test_an_app_password_is_known_by_its_label(database: AccountDatabase) -> None:
    database.put(ANN, "")
    for secret in ("{PLAIN}one", "{PLAIN}two"):
        database.add_app_password("ann@here.example", AppPassword("phone", secret))
    entry = database.entry("ann@here.example")
    assert entry is not None
    assert [one.secret for one in entry.app_passwords] == ["{PLAIN}two"]
    assert database.remove_app_password("ann@here.example", "phone")
    assert not database.remove_app_password("ann@here.example", "phone")


def test_a_new_password_takes_the_old_keys_away(database: AccountDatabase) -> None:
    database.put(ANN, "{PLAIN}x", [KEYS])
    database.set_password("ann@here.example", "another")
    entry = database.entry("ann@here.example")
    assert entry is not None
    assert entry.keys == ()


def test_settings_of_a_later_version_are_kept_and_not_understood(database: AccountDatabase) -> None:
    database.put(ANN, "")
    with database._writing() as connection:
        connection.execute("UPDATE accounts SET settings = json_set(settings, '$.colour', 'blue')")
    database.change("ann@here.example", format="maildir")
    assert kept(database) is not None
    with database._writing() as connection:
        assert "blue" in connection.execute("SELECT settings FROM accounts").fetchone()[0]


def test_domains_are_kept_by_name(database: AccountDatabase) -> None:
    database.put_domain(Domain("there.example", "here.example", "", "The other one"))
    database.put_domain(Domain("here.example"))
    database.put_domain(Domain("Here.example", "", "ann@here.example"))
    assert database.domains() == (
        Domain("here.example", "", "ann@here.example", source="database"),
        Domain("there.example", "here.example", "", "The other one", "database"),
    )
    assert database.remove_domain("there.example")
    assert not database.remove_domain("there.example")
    with pytest.raises(ValueError, match="not a domain"):
        database.put_domain(Domain("no domain"))


def test_a_database_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path)
    connection.executescript(STEPS[0] + ";PRAGMA user_version = 1; INSERT INTO accounts (name, local, secret, quota) "
                             "VALUES ('ann@here.example', 'ann', '{PLAIN}x', 7)")
    connection.close()
    database = AccountDatabase(path)
    assert database.get("ann@here.example") == Account("ann@here.example", quota=7)
    database.change("ann@here.example", addresses=("a@here.example",))
    assert kept(database, "a@here.example") is not None
