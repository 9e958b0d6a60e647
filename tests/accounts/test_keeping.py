"""What is kept of passwords becomes what we would keep now, when their owners log in or change them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import argon2
import pytest

from tests.helpers import result_of
from twistmail.accounts import app_passwords, fresh, passwords
from twistmail.accounts.people import People
from twistmail.accounts.secrets import Entry
from twistmail.accounts.sqlite import AccountDatabase, DatabaseSource
from twistmail.accounts.table import FixedTable, TableSource
from twistmail.accounts.verified import Verifier
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.mail.evidence import Clear, ScramKeys, scram_keys
from twistmail.tasks import Inline

ANN = Account("ann@here.example")
SCRAM = "SCRAM-SHA-256"
APP = "k3wd-9fhx-2mqa-t7vn"
NOW = 1_800_000_000.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hashes and keys that cost nothing; what we keep now is recognized by its parameters."""
    quick = argon2.PasswordHasher(1, 8, 1)
    monkeypatch.setattr(passwords, "HASHER", quick)
    monkeypatch.setattr(passwords, "_OURS", "$argon2id$v=19$m=8,t=1,p=1$")
    monkeypatch.setattr(passwords, "NOBODYS", quick.hash("nobody"))
    monkeypatch.setattr(fresh, "ITERATIONS", 4)
    return


@pytest.fixture
def database(tmp_path: Path) -> AccountDatabase:
    return AccountDatabase(tmp_path / "accounts.db")


def people(*sources: object, kinds: tuple[str, ...] = ()) -> People:
    verifier = Verifier(Inline(), lambda: 0.0, b"k" * 32)
    return People(sources, verifier, Inline(), secret=b"s" * 32, kinds=kinds, epoch=lambda: NOW)


def of(database: AccountDatabase, *kinds: str) -> People:
    return people(DatabaseSource(database, Inline()), kinds=kinds)


@pytest.mark.parametrize("scheme", ["PLAIN", "SSHA", "MD5-CRYPT", "SHA512-CRYPT", "BLF-CRYPT", "PBKDF2", "SCRAM-SHA-256", "DIGEST-MD5",
                                    "CRAM-MD5", "ARGON2I", "SCRYPT"])  # fmt: skip
def test_what_others_have_kept_becomes_argon2id_at_the_first_login(database: AccountDatabase, scheme: str) -> None:
    stored = "$1$o91j3pER$lnbX.Za4S3eKbQRLmj6vJ/" if scheme == "MD5-CRYPT" else passwords.hash_password("se cret:42ä", scheme, ANN.name)
    database.put(ANN, stored)
    assert result_of(of(database).authenticate(ANN.name, "se cret:42")) is None
    assert database.entry(ANN.name).secret == stored
    assert result_of(of(database).authenticate(ANN.name, "se cret:42ä")) == ANN
    renewed = database.entry(ANN.name).secret
    assert renewed.startswith("$argon2id$")
    assert result_of(of(database).authenticate(ANN.name, "se cret:42ä")) == ANN
    assert database.entry(ANN.name).secret == renewed


def test_keys_are_made_at_the_first_login_where_a_mechanism_wants_them(database: AccountDatabase) -> None:
    database.put(ANN, passwords.hash_password("secret"))
    assert database.entry(ANN.name).keys == ()
    result_of(of(database, SCRAM).authenticate(ANN.name, "secret"))
    (keys,) = database.entry(ANN.name).keys
    assert keys == scram_keys(SCRAM, "secret", keys.salt, keys.iterations)
    assert result_of(of(database, SCRAM).evidence(ANN.name, SCRAM)) == keys


def test_keys_are_forgotten_where_no_mechanism_wants_them_any_more(database: AccountDatabase) -> None:
    database.put(ANN, *fresh.keep("secret", [SCRAM]))
    result_of(of(database).authenticate(ANN.name, "secret"))
    assert database.entry(ANN.name).keys == ()


def test_nothing_is_renewed_for_who_fails_or_may_not(database: AccountDatabase) -> None:
    off = Account("off@here.example", enabled=False)
    stored = passwords.hash_password("secret", "SSHA")
    database.put(off, stored)
    assert result_of(of(database, SCRAM).authenticate(off.name, "secret")) is None
    assert database.entry(off.name).secret == stored


def test_a_new_password_counts_at_once_and_the_old_one_no_more(database: AccountDatabase) -> None:
    database.put(ANN, *fresh.keep("secret", [SCRAM]))
    ours = of(database, SCRAM)
    assert result_of(ours.authenticate(ANN.name, "secret")) == ANN, "it is remembered now"
    assert result_of(ours.set_password(ANN.name, "another secret"))
    assert result_of(ours.authenticate(ANN.name, "secret")) is None
    assert result_of(ours.authenticate(ANN.name, "another secret")) == ANN
    keys = result_of(ours.evidence(ANN.name, SCRAM))
    assert keys == scram_keys(SCRAM, "another secret", keys.salt, keys.iterations)


def test_passwords_of_a_source_that_cannot_change_them_stay(database: AccountDatabase) -> None:
    ours = people(TableSource(FixedTable([Entry(ANN, "{PLAIN}secret")]), Inline()))
    assert not result_of(ours.set_password(ANN.name, "another"))
    with pytest.raises(KeyError):
        result_of(ours.set_password("bob@here.example", "another"))


def test_an_app_password_opens_what_it_is_for_and_renews_nothing(database: AccountDatabase) -> None:
    stored = passwords.hash_password("secret", "SSHA")
    database.put(ANN, stored)
    database.add_app_password(ANN.name, app_passwords.make("telephone", APP, ["imap"], NOW + 60))
    ours = of(database, SCRAM)
    assert result_of(ours.authenticate(ANN.name, APP, "imap")) == ANN
    assert result_of(ours.authenticate(ANN.name, APP, "pop3")) is None
    assert result_of(ours.authenticate(ANN.name, APP.replace("k", "m"), "imap")) is None
    assert database.entry(ANN.name).secret == stored
    database.remove_app_password(ANN.name, "telephone")
    assert result_of(ours.authenticate(ANN.name, APP, "imap")) is None


def test_an_app_password_of_who_may_not_log_in_opens_nothing(database: AccountDatabase) -> None:
    database.put(Account("off@here.example", enabled=False), passwords.hash_password("secret"))
    database.add_app_password("off@here.example", app_passwords.make("telephone", APP))
    assert result_of(of(database).authenticate("off@here.example", APP, "imap")) is None


@pytest.mark.parametrize(("kind", "stored"), [
    (SCRAM, "{SCRAM-SHA-256}4096,Ik2MqQZo63gpfPAdC3x1Nw==,Us7cVUbp8PfRlkWNtfe6aHN/EmS7xgZjLj98O5rd5f8=,"
            "VnWVb8IrPMhzuqGuc05C90tj6LOHaB0lWzu0wysFTh0="),
    ("SCRAM-SHA-1", "{SCRAM-SHA-1}4096,cCvGPIso3ZpxmhZXnep1pg==,WHFOj8VGkQmmAKzOR1/1iUEJ3rw=,hGGIxKztAqtznZv8nXDRABBFhmk="),
])  # fmt: skip
def test_keys_that_dovecot_has_kept_are_evidence(kind: str, stored: str) -> None:
    ours = people(TableSource(FixedTable([Entry(ANN, stored)]), Inline()))
    keys = result_of(ours.evidence(ANN.name, kind))
    assert isinstance(keys, ScramKeys)
    assert keys.encoded == stored
    assert keys == scram_keys(kind, "se cret:42ä", keys.salt, keys.iterations)


def test_a_password_that_is_kept_in_clear_is_evidence_for_everything() -> None:
    ours = people(TableSource(FixedTable([Entry(ANN, "{PLAIN.b64}c2VjcmV0")]), Inline()))
    assert result_of(ours.evidence(ANN.name, "PLAIN")) == Clear("secret")


def test_a_hash_that_nobody_knows_is_a_temporary_failure_and_no_evidence() -> None:
    ours = people(TableSource(FixedTable([Entry(ANN, "{ROT13}frperg")]), Inline()))
    with pytest.raises(Unavailable, match="unknown way"):
        result_of(ours.authenticate(ANN.name, "secret"))
    assert result_of(ours.evidence(ANN.name, "PLAIN")) is None
    assert isinstance(result_of(ours.evidence(ANN.name, SCRAM)), ScramKeys)


def test_only_mechanisms_that_prove_without_sending_have_keys() -> None:
    assert fresh.kinds(["PLAIN", "scram-sha-256", "LOGIN", "EXTERNAL"]) == ("SCRAM-SHA-256",)
    assert fresh.kinds(["SCRAM-SHA-1-PLUS", "SCRAM-SHA-256"]) == ("SCRAM-SHA-256", "SCRAM-SHA-1")
    assert fresh.kinds(["PLAIN"]) == ()
