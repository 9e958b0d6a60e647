"""The door book: what the door remembers over a restart, in a SQLite file: who is banned, and when each account was last used.

Blocking, and plain Python without Twisted: the server writes in a thread, once
a second at most (`doorkeeper`); the command line reads while the server runs,
and writes bans when it does not. What a crash of the machine can cost is the
last second of it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from twistmail.bans import Ban, network_in
from twistmail.networks import Network

#: Below the data folder.
FILE = "door.sqlite"
VERSION = 1
SCHEMA = """
    CREATE TABLE bans (
        network TEXT PRIMARY KEY,         -- 192.0.2.7/32
        since REAL NOT NULL,              -- POSIX seconds
        until REAL,                       -- NULL: for ever
        reason TEXT NOT NULL,
        by TEXT NOT NULL,                 -- server, operator
        times INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE last_logins (
        account TEXT PRIMARY KEY,
        at REAL NOT NULL,
        service TEXT NOT NULL,
        address TEXT NOT NULL,
        mechanism TEXT NOT NULL
    ) WITHOUT ROWID;
"""
#: Seconds that one who writes waits for another.
PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class LastLogin:
    """When `account` was last used (POSIX seconds), from which address, by which service and mechanism."""

    account: str
    at: float
    service: str
    address: str
    mechanism: str


class Doorbook:
    """The book at *path*, made at the first writing. sqlite3.Error, OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def bans(self) -> tuple[Ban, ...]:
        """All, in the order in which they were made. A line that cannot be understood is left out."""
        if not self.path.exists():
            return ()
        with closing(self._connect()) as connection:
            rows = connection.execute("SELECT network, since, until, reason, by, times FROM bans ORDER BY since").fetchall()
        return tuple(_readable(rows))

    def last_login(self, account: str) -> LastLogin | None:
        """The last login of the account called *account*."""
        return next(iter(self._logins("WHERE account = ?", account)), None)

    def last_logins(self) -> tuple[LastLogin, ...]:
        """Of all accounts, by name."""
        return self._logins("ORDER BY account")

    def write(self, bans: Mapping[Network, Ban | None], logins: Iterable[LastLogin]) -> None:
        """Note what has changed; None: the network is banned no longer."""
        with self._writing() as connection:
            connection.executemany("DELETE FROM bans WHERE network = ?", [(str(network),) for network in bans])
            connection.executemany(
                "INSERT INTO bans (network, since, until, reason, by, times) VALUES (?, ?, ?, ?, ?, ?)",
                [(str(b.network), b.since, b.until, b.reason, b.by, b.times) for b in bans.values() if b is not None],
            )
            connection.executemany(
                "INSERT OR REPLACE INTO last_logins (account, at, service, address, mechanism) VALUES (?, ?, ?, ?, ?)",
                [(one.account, one.at, one.service, one.address, one.mechanism) for one in logins],
            )

    def _logins(self, which: str, *values: str) -> tuple[LastLogin, ...]:
        if not self.path.exists():
            return ()
        with closing(self._connect()) as connection:
            rows = connection.execute(f"SELECT account, at, service, address, mechanism FROM last_logins {which}", values)
            return tuple(LastLogin(*row) for row in rows)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        if not self.path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        with closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                _upgrade(connection, self.path)
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _connect(self) -> sqlite3.Connection:
        """WAL, without a sync for every second's news: a crash of the machine may cost the last ones, never the book."""
        connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=rw", timeout=PATIENCE, isolation_level=None, uri=True)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection


def _upgrade(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables where there are none; refuse what a later version has made."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise sqlite3.DatabaseError(f"{path} was made by a later twistmail (its version is {version}, ours {VERSION})")
    if version < VERSION:
        for statement in SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _readable(rows: Iterable[tuple[str, float, float | None, str, str, int]]) -> Iterator[Ban]:
    for network, since, until, reason, by, times in rows:
        try:
            yield Ban(network_in(network), since, until, reason, by, times)
        except ValueError:
            continue
