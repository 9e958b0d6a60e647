"""What lists have to remember: who has subscribed or left, whose mail came back, what waits to be confirmed, what was let in at the
door, and what was sent. Blocking.

One SQLite file for all lists. The server and the command may have it open at the same time.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import astuple
from enum import Enum

from twistmail.lists.notes import DAY, Note
from twistmail.mail.address import Address
from twistmail.mail.values import frozen
from twistmail.sqlite_book import PATIENCE, SqliteBook

#: The file below the data folder.
FILE = "lists"
#: How long (seconds) a request may be confirmed; within ASK_AGAIN nobody is written to about the same a second time.
CONFIRM_WITHIN, ASK_AGAIN = 3 * DAY, DAY
SUBSCRIBE, UNSUBSCRIBE, HELP = "subscribe", "unsubscribe", "help"


@frozen
class Pot:
    """Letters about one matter that one list writes within ASK_AGAIN: to all the world, and to one domain of it."""

    most: int
    most_of_domain: int


#: More is not answered, so nobody can use us to write to the world. Who unsubscribes is on the list, which is cap enough: no
#: crowd of strangers shall keep a member from leaving.
POTS = {SUBSCRIBE: Pot(500, 50), HELP: Pot(200, 20)}
#: How long it is remembered what was sent: longer than the queue keeps anything.
REMEMBERED = 60 * DAY

_COLUMNS = "subscribed, left, since, bounces, bounced, suspended, tried, why"


class Sent(Enum):
    """How far the copy of a message for a list has come."""

    NEW = 0  # nobody has begun with it
    BEGUN = 1  # it may be in the queue, or not
    DONE = 2  # it is, or was, in the queue


class Book(SqliteBook):
    """Addresses are kept folded, as text; lists by their addresses. sqlite3.Error, OSError."""

    version = 2
    schema = f"""
        CREATE TABLE IF NOT EXISTS members (list TEXT, address TEXT, {_COLUMNS}, PRIMARY KEY (list, address)) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS
            asked (list TEXT, address TEXT, action TEXT, token TEXT, at REAL, PRIMARY KEY (list, address, action)) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS sent (id TEXT PRIMARY KEY, at REAL, done INTEGER) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS let_in (id TEXT, list TEXT, at REAL, PRIMARY KEY (id, list)) WITHOUT ROWID
    """

    def connect(self, patience: float = PATIENCE) -> sqlite3.Connection:
        """As any book, but what is written is on the disk: a member who has left must not be one again, nothing is sent twice."""
        connection = super().connect(patience)
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    # ----- members

    def notes(self, name: Address) -> dict[str, Note]:
        """All that is known about members of the list: address -> Note."""
        rows = self.rows(f"SELECT address, {_COLUMNS} FROM members WHERE list = ?", str(name))
        return {address: _note(values) for address, *values in rows}

    def note(self, name: Address, member: str) -> Note | None:
        """The same of one."""
        rows = self.rows(f"SELECT {_COLUMNS} FROM members WHERE list = ? AND address = ?", str(name), member)
        return _note(rows[0]) if rows else None

    def keep(self, name: Address, notes: Iterable[tuple[str, Note]]) -> None:
        """From now on this is known of them."""
        with self.writing() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                ((str(name), member, *astuple(note)) for member, note in notes),
            )

    def forget(self, name: Address, member: str) -> None:
        """Nothing is known of him any more."""
        with self.writing() as connection:
            connection.execute("DELETE FROM members WHERE list = ? AND address = ?", (str(name), member))

    # ----- requests

    def ask(self, name: Address, member: str, action: str, now: float) -> str | None:
        """The token by which *member* may confirm *action*; None where he must not be written to (again) now."""
        with self.writing() as connection:
            connection.execute("DELETE FROM asked WHERE at < ? OR (action = ? AND at < ?)", (now - CONFIRM_WITHIN, HELP, now - ASK_AGAIN))
            key = (str(name), member, action)
            last = connection.execute("SELECT at FROM asked WHERE list = ? AND address = ? AND action = ?", key).fetchone()
            if (last is not None and now - last[0] < ASK_AGAIN) or (action in POTS and _is_full(connection, POTS[action], key, now)):
                return None
            token = secrets.token_hex(8)
            connection.execute("INSERT OR REPLACE INTO asked VALUES (?, ?, ?, ?, ?)", (*key, token, now))
            return token

    def confirmed(self, name: Address, token: str, now: float) -> tuple[str, str] | None:
        """(address, action) of the request that *token* was given out for, once; None where there is none (any more)."""
        with self.writing() as connection:
            found = connection.execute(
                "SELECT address, action FROM asked WHERE list = ? AND token = ? AND at >= ?", (str(name), token, now - CONFIRM_WITHIN)
            ).fetchone()
            if found is not None:
                connection.execute("DELETE FROM asked WHERE list = ? AND address = ?", (str(name), found[0]))
            return found  # type: ignore[no-any-return]

    # ----- what was let in

    def let_in(self, identifier: str, name: Address, now: float) -> None:
        """The message *identifier* may be sent to the list, by what was said at the door."""
        with self.writing() as connection:
            connection.execute("DELETE FROM let_in WHERE at < ?", (now - REMEMBERED,))
            connection.execute("INSERT OR REPLACE INTO let_in VALUES (?, ?, ?)", (identifier, str(name), now))

    def was_let_in(self, identifier: str, name: Address) -> bool:
        """Whether that was said of it."""
        return bool(self.rows("SELECT 1 FROM let_in WHERE id = ? AND list = ?", identifier, str(name)))

    # ----- what was sent

    def begin(self, identifier: str, now: float) -> Sent:
        """The copy *identifier* is about to be put into the queue; how far it had come before."""
        with self.writing() as connection:
            connection.execute("DELETE FROM sent WHERE at < ?", (now - REMEMBERED,))
            row = connection.execute("SELECT done FROM sent WHERE id = ?", (identifier,)).fetchone()
            if row is not None:
                return Sent.DONE if row[0] else Sent.BEGUN
            connection.execute("INSERT INTO sent VALUES (?, ?, 0)", (identifier, now))
            return Sent.NEW

    def done(self, identifiers: Iterable[str]) -> None:
        """These copies are in the queue."""
        with self.writing() as connection:
            connection.executemany("UPDATE sent SET done = 1 WHERE id = ?", ((one,) for one in identifiers))

    def doubtful(self) -> list[str]:
        """The copies that were begun with, of which nobody has said that they are in the queue."""
        return [identifier for (identifier,) in self.rows("SELECT id FROM sent WHERE NOT done")]


def _is_full(connection: sqlite3.Connection, pot: Pot, key: tuple[str, str, str], now: float) -> bool:
    """Whether the one of *key* (list, address, action) must not be written to because of what was written to others: or to
    himself, by another suffix of his name."""
    name, member, action = key
    found = connection.execute("SELECT address FROM asked WHERE list = ? AND action = ? AND at > ?", (name, action, now - ASK_AGAIN))
    others = [_person(address) for (address,) in found]
    person = _person(member)
    return len(others) >= pot.most or person in others or sum(domain == person[1] for _, domain in others) >= pot.most_of_domain


def _person(address: str) -> tuple[str, str]:
    """(local part, domain) of *address*, without what stands behind a plus sign: all that is one mailbox."""
    local, _, domain = address.rpartition("@")
    return local.partition("+")[0], domain


def _note(values: Iterable[object]) -> Note:
    subscribed, left, *rest = values
    return Note(bool(subscribed), bool(left), *rest)  # type: ignore[arg-type]
