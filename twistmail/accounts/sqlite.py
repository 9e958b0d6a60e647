"""Accounts in a SQLite database: what people change every day, by the command line or a program of their own.

`AccountDatabase` is plain and blocking. A server reads through one kept
connection (a point select takes microseconds, less than a thread hop); every
writer, of this process or another, opens its own for the moment. WAL mode lets
them go side by side, and what is committed is seen by the next read. The domains
that a command has made are kept here too.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from twistmail.accounts import fresh, passwords
from twistmail.accounts.config import PERSONAL
from twistmail.accounts.schema import upgrade
from twistmail.accounts.secrets import AppPassword, Entry
from twistmail.accounts.table import TableSource, account_name
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import canonical_domain
from twistmail.mail.domains import Domain
from twistmail.mail.evidence import ScramKeys, decode

T = TypeVar("T")

#: An account with everything that belongs to it, in one row.
_SELECT = """
    SELECT name, display_name, quota, enabled, secret, keys, settings,
        (SELECT json_group_array(address) FROM addresses WHERE account = name),
        (SELECT json_group_array(json_array(label, secret, services, expires)) FROM app_passwords WHERE account = name)
    FROM accounts
"""
_BY_NAME = f"{_SELECT} WHERE name = ?1 OR name = (SELECT account FROM addresses WHERE address = ?1)"
_BY_LOCAL = f"{_SELECT} WHERE local = ? ORDER BY name LIMIT 2"
#: Fields of an Account that have a column of their own.
_COLUMNS = {"display_name", "quota", "enabled"}
#: Seconds that a writer waits for another, and that a read on the reactor thread may wait (only while a log is recovered).
WRITE_PATIENCE = 10.0
READ_PATIENCE = 0.2


class AccountExists(Exception):
    """There is an account of that name already, or one that has that address."""


class NoSuchAccount(KeyError):
    """There is no account of that name."""

    def __str__(self) -> str:
        return f"there is no account {self.args[0]}"


class AccountDatabase:
    """The accounts in the file at *path*, which is made, for nobody else's eyes, at the first use. OSError, sqlite3.Error.

    What is read (`entry`, `with_local`, `entries`, `domains`) raises Unavailable instead. Names may be spelled in any case;
    ValueError where one is no address.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reading: sqlite3.Connection | None = None
        with self._writing():
            pass  # made, or found to be one of ours: a mistake shows at start

    @property
    def files(self) -> tuple[Path, ...]:
        """What every commit changes: the log that it is written into, and the database, once the log has been copied there."""
        return self.path, self.path.with_name(f"{self.path.name}-wal")

    # ----- reading

    def entry(self, name: str) -> Entry | None:
        return self._read(lambda rows: _entry(rows(_BY_NAME, (name,)).fetchone()))

    def entry_apart(self, name: str) -> Entry | None:
        """As `entry`, in any thread."""
        return self._read_apart(lambda rows: _entry(rows(_BY_NAME, (name,)).fetchone()))

    def with_local(self, local: str) -> Sequence[Entry]:
        """At most two: more do not make it more ambiguous."""
        return self._read(lambda rows: _entries(rows(_BY_LOCAL, (local,))))

    def entries(self) -> Sequence[Entry]:
        return self._read_apart(lambda rows: _entries(rows(f"{_SELECT} ORDER BY name")))

    async def freshen(self) -> None:
        """Every read sees what was committed."""

    def get(self, name: str) -> Account | None:
        """The account that has the address *name*."""
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

    # ----- accounts

    def add(self, name: str, password: str, *, display_name: str = "", quota: int | None = None, kinds: Iterable[str] = ()) -> Account:
        """Make the account *name* (a full address), with keys of *kinds* (`fresh`); AccountExists, ValueError. Takes its 60 ms."""
        account = Account(account_name(name), display_name, quota)
        self.put(account, *fresh.keep(password, kinds))
        return account

    def put(self, account: Account, secret: str, keys: Iterable[ScramKeys] = ()) -> None:
        """Make *account*, whose password is kept as *secret* (empty: no login). AccountExists."""
        settings = json.dumps(_texts({key: getattr(account, key) for key in PERSONAL}))
        row = (account.name, account.local, account.display_name, secret, account.quota, account.enabled, _written(keys), settings)
        with self._writing() as connection:
            _refuse_taken(connection, account.name)
            connection.execute(
                "INSERT INTO accounts (name, local, display_name, secret, quota, enabled, keys, settings) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            _put_addresses(connection, account.name, account.addresses)

    def remove(self, name: str) -> None:
        """Forget the account; its mail stays. NoSuchAccount."""
        self._change("DELETE FROM accounts WHERE name = :name", name)

    def rename(self, old: str, new: str) -> None:
        """Another name for the account, with all that belongs to it but its mail. NoSuchAccount, AccountExists."""
        name = account_name(new)
        with self._writing() as connection:
            _refuse_taken(connection, name)
            local = name.rpartition("@")[0]
            changed = connection.execute("UPDATE accounts SET name = ?, local = ? WHERE name = ?", (name, local, account_name(old)))
            if changed.rowcount == 0:
                raise NoSuchAccount(account_name(old))

    def change(self, name: str, **fields: Any) -> None:
        """Other values for *fields* of an Account, but its name. NoSuchAccount, AccountExists (an address is somebody else's)."""
        name, columns = account_name(name), {key: value for key, value in fields.items() if key in _COLUMNS}
        with self._writing() as connection:
            row = connection.execute("SELECT settings FROM accounts WHERE name = ?", (name,)).fetchone()
            if row is None:
                raise NoSuchAccount(name)
            columns["settings"] = json.dumps(_loaded(row[0]) | _texts({key: value for key, value in fields.items() if key in PERSONAL}))
            assignments = ", ".join(f"{column} = ?" for column in columns)
            connection.execute(f"UPDATE accounts SET {assignments} WHERE name = ?", (*columns.values(), name))
            if "addresses" in fields:
                connection.execute("DELETE FROM addresses WHERE account = ?", (name,))
                _put_addresses(connection, name, fields["addresses"])

    def set_enabled(self, name: str, enabled: bool) -> None:
        """Let somebody log in, or not; mail arrives either way. NoSuchAccount."""
        self.change(name, enabled=enabled)

    def set_quota(self, name: str, quota: int | None) -> None:
        """Bytes, or None: unlimited. NoSuchAccount."""
        self.change(name, quota=quota)

    def set_display_name(self, name: str, display_name: str) -> None:
        """NoSuchAccount."""
        self.change(name, display_name=display_name)

    # ----- passwords

    def set_password(self, name: str, password: str) -> None:
        """NoSuchAccount. Hashing takes its 60 ms."""
        self.set_secret(name, passwords.hash_password(password))

    def set_secret(self, name: str, secret: str, keys: Iterable[ScramKeys] = ()) -> None:
        """What is kept of a new password: *secret*, and *keys* for mechanisms that send none. NoSuchAccount."""
        self._change("UPDATE accounts SET secret = :value, keys = :keys WHERE name = :name", name, secret, keys=_written(keys))

    def renew(self, name: str, old: str, new: str, keys: Iterable[ScramKeys] = ()) -> bool:
        """Put hash *new* and *keys* where *old* still is; False where somebody was quicker."""
        row = (new, _written(keys), name, old)
        with self._writing() as connection:
            return connection.execute("UPDATE accounts SET secret = ?, keys = ? WHERE name = ? AND secret = ?", row).rowcount == 1

    def add_app_password(self, name: str, made: AppPassword) -> None:
        """One more, or another one with the label of *made*. NoSuchAccount."""
        services = " ".join(sorted(made.services))
        self._change(
            "INSERT OR REPLACE INTO app_passwords (account, label, secret, services, expires) "
            "SELECT name, :label, :value, :services, :expires FROM accounts WHERE name = :name",
            name, made.secret, label=made.label, services=services, expires=made.expires,
        )  # fmt: skip

    def remove_app_password(self, name: str, label: str) -> bool:
        """Whether there was one with that *label*."""
        with self._writing() as connection:
            removed = connection.execute("DELETE FROM app_passwords WHERE account = ? AND label = ?", (account_name(name), label))
            return removed.rowcount == 1

    # ----- domains

    def domains(self) -> Sequence[Domain]:
        """Those that were made here, by name."""
        select = "SELECT name, same_as, catchall, description, 'database' FROM domains ORDER BY name"
        return self._read_apart(lambda rows: tuple(Domain(*row) for row in rows(select)))

    def put_domain(self, domain: Domain) -> None:
        """Make *domain*, or change the one of that name."""
        row = (canonical_domain(domain.name), domain.like, domain.catchall, domain.description)
        with self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO domains (name, same_as, catchall, description) VALUES (?, ?, ?, ?)", row)

    def remove_domain(self, name: str) -> bool:
        """Whether there was one of that name. Its accounts stay, unreachable."""
        with self._writing() as connection:
            return connection.execute("DELETE FROM domains WHERE name = ?", (canonical_domain(name),)).rowcount == 1

    def _change(self, statement: str, name: str, value: object = None, **more: object) -> None:
        name = account_name(name)
        with self._writing() as connection:
            if connection.execute(statement, {"name": name, "value": value, **more}).rowcount == 0:
                raise NoSuchAccount(name)

    # ----- connections

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, durable at its end."""
        if not self.path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        with closing(self._connect(WRITE_PATIENCE)) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("BEGIN IMMEDIATE")
            try:
                upgrade(connection, self.path)
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

    def _read_apart(self, select: Callable[[Callable[..., sqlite3.Cursor]], T]) -> T:
        """For what takes long, or is asked in another thread."""
        try:
            with closing(self._connect(WRITE_PATIENCE)) as connection:
                return select(connection.execute)
        except sqlite3.Error as error:
            raise Unavailable(f"{self.path}: {error}") from error


class DatabaseSource(TableSource):
    """The accounts of *database* as a source that takes every change."""

    def __init__(self, database: AccountDatabase, threads: Any) -> None:
        super().__init__(database, threads, origin="database")
        self._database = database
        self._run = threads.run

    async def add(self, account: Account, secret: str, keys: Iterable[ScramKeys] = ()) -> None:
        """AccountExists."""
        await self._run(self._database.put, account, secret, tuple(keys))

    async def remove(self, name: str) -> None:
        """NoSuchAccount, as with all that follow."""
        await self._run(self._database.remove, name)

    async def change(self, name: str, **fields: Any) -> None:
        """AccountExists."""
        await self._run(self._database.change, name, **fields)

    async def rename(self, old: str, new: str) -> None:
        """AccountExists."""
        await self._run(self._database.rename, old, new)

    async def renew(self, name: str, old: str, new: str, keys: Iterable[ScramKeys] = ()) -> bool:
        """Put *new* and *keys* where *old* still is; False where somebody was quicker."""
        return bool(await self._run(self._database.renew, name, old, new, tuple(keys)))

    async def set_secret(self, name: str, secret: str, keys: Iterable[ScramKeys] = ()) -> None:
        await self._run(self._database.set_secret, name, secret, tuple(keys))

    async def add_app_password(self, name: str, made: AppPassword) -> None:
        await self._run(self._database.add_app_password, name, made)

    async def remove_app_password(self, name: str, label: str) -> bool:
        return await self._run(self._database.remove_app_password, name, label)  # type: ignore[no-any-return]


# ----- rows -------------------------------------------------------------------


def _entry(row: Any) -> Entry | None:
    if row is None:
        return None
    name, display_name, quota, enabled, secret, keys, settings, addresses, app_passwords = row
    personal = {key: PERSONAL[key].read(text) for key, text in _loaded(settings).items() if key in PERSONAL}
    account = Account(name, display_name, quota, bool(enabled), addresses=tuple(sorted(json.loads(addresses))), **personal)
    return Entry(account, secret, tuple(decode(line) for line in keys.split()), tuple(map(_app_password, json.loads(app_passwords))))


def _app_password(row: Sequence[Any]) -> AppPassword:
    label, secret, services, expires = row
    return AppPassword(label, secret, frozenset(services.split()), expires)


def _entries(rows: Any) -> Sequence[Entry]:
    return tuple(entry for row in rows if (entry := _entry(row)) is not None)


def _loaded(settings: str) -> dict[str, str]:
    with suppress(ValueError):
        if isinstance(found := json.loads(settings), dict):
            return found
    return {}


def _texts(values: dict[str, Any]) -> dict[str, str]:
    """As they would stand in a [user:NAME] section."""
    return {key: PERSONAL[key].write(value) for key, value in values.items()}


def _written(keys: Iterable[ScramKeys]) -> str:
    return "\n".join(one.encoded for one in keys)


def _refuse_taken(connection: sqlite3.Connection, address: str) -> None:
    """AccountExists where *address* is somebody's."""
    if connection.execute("SELECT 1 FROM accounts WHERE name = ?", (address,)).fetchone():
        raise AccountExists(f"there is an account {address} already")
    if row := connection.execute("SELECT account FROM addresses WHERE address = ?", (address,)).fetchone():
        raise AccountExists(f"{address} is an address of {row[0]} already")


def _put_addresses(connection: sqlite3.Connection, name: str, addresses: Iterable[str]) -> None:
    for address in dict.fromkeys(map(account_name, addresses)):
        if address != name:
            _refuse_taken(connection, address)
            connection.execute("INSERT INTO addresses (address, account) VALUES (?, ?)", (address, name))
