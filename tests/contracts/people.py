"""Every implementation of IAccounts and IAuthenticator, with the same people in it.

Ann (ann@here.example, 2 GiB) and Bob (bob@blue.example) have the password
"pässword one"; off@here.example cannot log in. The default domain is here.example.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import argon2
import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse

from twistmail.accounts.config import USER, config_table
from twistmail.accounts.cred import CredSource
from twistmail.accounts.file import PasswdFile
from twistmail.accounts.people import People
from twistmail.accounts.secrets import Entry
from twistmail.accounts.sqlite import AccountDatabase, DatabaseSource
from twistmail.accounts.table import AccountTable, FixedTable, TableSource
from twistmail.accounts.verified import Verifier
from twistmail.mail.account import Account
from twistmail.memory.people import MemoryPeople
from twistmail.tasks import Inline

DOMAIN = "here.example"
PASSWORD = "pässword one"
ANN = Account("ann@here.example", quota=2 << 30)
BOB = Account("bob@blue.example")
OFF = Account("off@here.example", enabled=False)
QUICK = argon2.PasswordHasher(1, 8, 1).hash(PASSWORD)
#: In the place of passwords.NOBODYS, which takes its 60 ms.
NOBODYS = argon2.PasswordHasher(1, 8, 1).hash("nobody")


def people(*sources: Any) -> People:
    return People(sources, Verifier(Inline(), lambda: 0.0, b"k" * 32), Inline(), default_domain=DOMAIN, secret=b"s" * 32)


def table(table: AccountTable) -> TableSource:
    return TableSource(table, Inline())


def memory(folder: Path) -> Any:
    made = MemoryPeople(default_domain=DOMAIN)
    for account in (ANN, BOB, OFF):
        made.add(account, PASSWORD)
    return made


def sqlite(folder: Path) -> Any:
    database = AccountDatabase(folder / "accounts.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("twistmail.accounts.passwords.HASHER", argon2.PasswordHasher(1, 8, 1))
        for account in (ANN, BOB, OFF):
            database.add(account.name, PASSWORD, quota=account.quota)
    database.set_enabled(OFF.name, False)
    return people(DatabaseSource(database, Inline()))


def passwd_file(folder: Path) -> Any:
    path = folder / "passwd"
    path.write_text(f"ann:{QUICK}::::::quota=2G\nbob@blue.example:{{PLAIN}}{PASSWORD}\noff:{QUICK}::::::nologin\n", "utf-8")
    return people(table(PasswdFile(path, Inline(), DOMAIN)))


def config(folder: Path) -> Any:
    read = USER.option("password").kind.read  # type: ignore[union-attr]
    return people(table(config_table({
        "ann": USER.defaults(password=read(QUICK), quota=2 << 30),
        "Bob@Blue.example": USER.defaults(password=read(PASSWORD)),
        "off@here.example": USER.defaults(password=read(PASSWORD), enabled=False),
    }, DOMAIN)))


def several(folder: Path) -> Any:
    shadowed = Account(ANN.name, "another", 1)
    first = FixedTable([Entry(ANN, QUICK), Entry(OFF, QUICK)])
    return people(table(first), table(FixedTable([Entry(BOB, QUICK), Entry(shadowed, "{PLAIN}other")])))


def cred(folder: Path) -> Any:
    checker = InMemoryUsernamePasswordDatabaseDontUse(**{account.name: PASSWORD.encode() for account in (ANN, BOB, OFF)})
    return people(CredSource(checker, table(FixedTable(Entry(account, "{PLAIN}other") for account in (ANN, BOB, OFF)))))


MAKERS = [memory, sqlite, passwd_file, config, several, cred]
