"""The door book: what the door remembers over a restart, in a SQLite file: who is banned, and when each account was last used.

Blocking, and plain Python without Twisted: the server writes in a thread, once
a second at most (`doorkeeper`); the command line reads while the server runs,
and writes bans when it does not. What a crash of the machine can cost is the
last second of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from twistmail.bans import Ban, network_in
from twistmail.mail.values import frozen
from twistmail.networks import Network
from twistmail.sqlite_book import SqliteBook

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


@frozen
class LastLogin:
    """When `account` was last used (POSIX seconds), from which address, by which service and mechanism."""

    account: str
    at: float
    service: str
    address: str
    mechanism: str


class Doorbook(SqliteBook):
    """The book at *path*, made at the first writing. sqlite3.Error, OSError."""

    version, schema = VERSION, SCHEMA

    def bans(self) -> tuple[Ban, ...]:
        """All, in the order in which they were made. A line that cannot be understood is left out."""
        return tuple(_readable(self.rows("SELECT network, since, until, reason, by, times FROM bans ORDER BY since")))

    def last_login(self, account: str) -> LastLogin | None:
        """The last login of the account called *account*."""
        return next(iter(self._logins("WHERE account = ?", account)), None)

    def last_logins(self) -> tuple[LastLogin, ...]:
        """Of all accounts, by name."""
        return self._logins("ORDER BY account")

    def write(self, bans: Mapping[Network, Ban | None], logins: Iterable[LastLogin]) -> None:
        """Note what has changed; None: the network is banned no longer."""
        with self.writing() as connection:
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
        rows = self.rows(f"SELECT account, at, service, address, mechanism FROM last_logins {which}", *values)
        return tuple(LastLogin(*row) for row in rows)


def _readable(rows: Iterable[tuple[str, float, float | None, str, str, int]]) -> Iterator[Ban]:
    for network, since, until, reason, by, times in rows:
        try:
            yield Ban(network_in(network), since, until, reason, by, times)
        except ValueError:
            continue
