"""Accounts in a SQLite database: what people change every day, by the command line or a program of their own.

`AccountDatabase` is plain and blocking. A server reads through one kept
connection (a point select takes microseconds, less than a thread hop); every
writer, of this process or another, opens its own for the moment. WAL mode lets
them go side by side, and what is committed is seen by the next read.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from twistmail.accounts import passwords
from twistmail.accounts.secrets import Entry
from twistmail.accounts.table import account_name
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account

T = TypeVar("T")

VERSION = 1
SCHEMA = """
    CREATE TABLE accounts (
        name TEXT PRIMARY KEY,            -- full address, lower case
        local TEXT NOT NULL,              -- what stands before the @
        display_name TEXT NOT NULL DEFAULT '',
        secret TEXT NOT NULL,             -- $argon2id$..., or empty: no login
        quota INTEGER,                    -- bytes, NULL: unlimited
        enabled INTEGER NOT NULL DEFAULT 1
    ) WITHOUT ROWID;
    CREATE INDEX accounts_by_local ON accounts (local);
"""
COLUMNS = "name, display_name, quota, enabled, secret"
#: Seconds that a writer waits for another, and that a read on the reactor thread may wait (only while a log is recovered).
WRITE_PATIENCE = 10.0
READ_PATIENCE = 0.2


class AccountExists(Exception):
    """There is an account of that name already."""


class NoSuchAccount(KeyError):
    """There is no account of that name."""

    def __str__(self) -> str:
        return f"there is no account {self.args[0]}"


class AccountDatabase:
    """The accounts in the file at *path*, which is made, for nobody else's eyes, at the first use. OSError, sqlite3.Error.

    What is read (`entry`, `with_local`, `entries`) raises Unavailable instead.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reading: sqlite3.Connection | None = None
        with self._writing():
            pass  # made, or found to be one of ours: a mistake shows at start

    # ----- reading

    def entry(self, name: str) -> Entry | None:
        return self._read(lambda rows: _entry(rows(f"SELECT {COLUMNS} FROM accounts WHERE name = ?", (name,)).fetchone()))

    def with_local(self, local: str) -> Sequence[Entry]:
        """At most two: more do not make it more ambiguous."""
        return self._read(lambda rows: _entries(rows(f"SELECT {COLUMNS} FROM accounts WHERE local = ? ORDER BY name LIMIT 2", (local,))))

    def entries(self) -> Sequence[Entry]:
        try:
            with closing(self._connect(WRITE_PATIENCE)) as connection:
                return _entries(connection.execute(f"SELECT {COLUMNS} FROM accounts ORDER BY name"))
        except sqlite3.Error as error:
            raise Unavailable(f"{self.path}: {error}") from error

    async def freshen(self) -> None:
        """Every read sees what was committed."""

    def get(self, name: str) -> Account | None:
        """The account called *name* (an address in any case). ValueError where it is no address."""
        entry = self.entry(account_name(name))
        return entry.account if entry else None

    def list(self) -> Sequence[Account]:
        """All accounts, by name."""
        return tuple(entry.account for entry in self.entries())

    def close(self) -> None:
        """Let go of the kept connection."""
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    # ----- writing

    def add(self, name: str, password: str, *, display_name: str = "", quota: int | None = None) -> Account:
        """Make the account *name* (a full address); AccountExists, ValueError. Hashing takes its 60 ms."""
        account = Account(account_name(name), display_name, quota)
        secret = passwords.hash_password(password)
        with self._writing() as connection:
            try:
                connection.execute("INSERT INTO accounts (name, local, display_name, secret, quota) VALUES (?, ?, ?, ?, ?)",
                                   (account.name, account.local, display_name, secret, quota))
            except sqlite3.IntegrityError:
                raise AccountExists(f"there is an account {account.name} already") from None
        return account

    def remove(self, name: str) -> None:
        """Forget the account; its mail stays. NoSuchAccount."""
        self._change("DELETE FROM accounts WHERE name = :name", name)

    def set_password(self, name: str, password: str) -> None:
        """NoSuchAccount. Hashing takes its 60 ms."""
        self._change("UPDATE accounts SET secret = :value WHERE name = :name", name, passwords.hash_password(password))

    def set_enabled(self, name: str, enabled: bool) -> None:
        """Let somebody log in, or not; mail arrives either way. NoSuchAccount."""
        self._change("UPDATE accounts SET enabled = :value WHERE name = :name", name, int(enabled))

    def set_quota(self, name: str, quota: int | None) -> None:
        """Bytes, or None: unlimited. NoSuchAccount."""
        self._change("UPDATE accounts SET quota = :value WHERE name = :name", name, quota)

    def set_display_name(self, name: str, display_name: str) -> None:
        """NoSuchAccount."""
        self._change("UPDATE accounts SET display_name = :value WHERE name = :name", name, display_name)

    def renew(self, name: str, old: str, new: str) -> bool:
        """Put hash *new* where *old* still is; False where somebody was quicker."""
        with self._writing() as connection:
            return connection.execute("UPDATE accounts SET secret = ? WHERE name = ? AND secret = ?", (new, name, old)).rowcount == 1

    def _change(self, statement: str, name: str, value: object = None) -> None:
        name = account_name(name)
        with self._writing() as connection:
            if connection.execute(statement, {"name": name, "value": value}).rowcount == 0:
                raise NoSuchAccount(name)

    # ----- connections

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, durable at its end."""
        if not self.path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        with closing(self._connect(WRITE_PATIENCE)) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            try:
                _upgrade(connection, self.path)
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _connect(self, patience: float) -> sqlite3.Connection:
        connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=rw", timeout=patience, isolation_level=None, uri=True)
        connection.execute("PRAGMA journal_mode=WAL")
        return connection

    def _read(self, select: Callable[[Callable[..., sqlite3.Cursor]], T]) -> T:
        try:
            if self._reading is None:
                self._reading = self._connect(READ_PATIENCE)
            return select(self._reading.execute)
        except sqlite3.Error as error:
            self.close()
            raise Unavailable(f"{self.path}: {error}") from error


def _upgrade(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables where there are none; refuse what a later version has made."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise sqlite3.DatabaseError(f"{path} was made by a later twistmail (its version is {version}, ours {VERSION})")
    if version < VERSION:
        for statement in SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _entry(row: Any) -> Entry | None:
    if row is None:
        return None
    name, display_name, quota, enabled, secret = row
    return Entry(Account(name, display_name, quota, bool(enabled)), secret)


def _entries(rows: Any) -> Sequence[Entry]:
    return tuple(entry for row in rows if (entry := _entry(row)) is not None)
