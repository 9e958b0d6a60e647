"""Aliases in a SQLite file: those that the command line makes and changes. Blocking, without Twisted.

A server reads through one kept connection (a point select takes microseconds, less
than a thread hop); every writer opens its own for the moment, and what it has
written is there for the next question and after a crash of the machine. What an alias stands
for is kept as it would be written in aliases(5).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from twistmail.aliases import items
from twistmail.aliases.index import key
from twistmail.aliases.items import Item
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address, parse
from twistmail.mail.values import frozen
from twistmail.sqlite_book import PATIENCE, SqliteBook

_KEPT = "SELECT address, items, owner FROM aliases"
#: The full address, and the name for all domains. Which of two rows counts is told in `find`: a sort would cost ten times the question.
_TWO = f"{_KEPT} WHERE name = ? UNION ALL {_KEPT} WHERE name = ?"
#: Seconds that a question on the reactor's thread may wait (only while a log is recovered).
READ_PATIENCE = 0.2
#: Octets of text beyond which what was read of it is remembered, and how many such texts are.
LARGE, MOST_REMEMBERED = 2000, 256


class AliasExists(Exception):
    """There is an alias of that name already."""


@frozen
class Kept:
    """One alias: `address` (its domain empty: in every local domain), what it stands for, and who owns it (None: nobody is named)."""

    address: Address
    items: tuple[Item, ...]
    owner: Address | None = None


class AliasBook(SqliteBook):
    """The aliases in the file at *path*. sqlite3.Error, OSError; what reads (`find`, `all`) raises Unavailable in their place."""

    version = 1
    schema = """
        CREATE TABLE aliases (
            name TEXT PRIMARY KEY,            -- info@blue.example, or info@ for all local domains, in lower case
            address TEXT NOT NULL,            -- the same, as people write it
            items TEXT NOT NULL,              -- fred, "odd, name"@x.example: as in aliases(5)
            owner TEXT NOT NULL               -- an address, or nothing
        ) WITHOUT ROWID
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._reading: sqlite3.Connection | None = None
        self._inode: int | None = None  # of the file that it reads
        self._remembered: dict[str, tuple[Item, ...]] = {}

    # ----- reading

    def find(self, address: Address, *, everywhere: bool) -> Kept | None:
        """The alias *address* (folded); with *everywhere* also the one of that name that holds in all local domains."""
        own = key(address)
        try:
            reading = self._connection()
            if reading is None:
                return None
            rows = reading.execute(_TWO, (own, f"{address.local}@" if everywhere else own)).fetchall()
        except sqlite3.Error as error:
            self.retire()
            raise Unavailable(f"{self.path}: {error}") from error
        return self._kept(max(rows, key=lambda row: "@" in row[0])) if rows else None

    def all(self) -> tuple[Kept, ...]:
        """All, by domain and name. In any thread."""
        try:
            rows = self.rows(_KEPT)
        except sqlite3.Error as error:
            raise Unavailable(f"{self.path}: {error}") from error
        return tuple(sorted(map(self._kept, rows), key=lambda kept: (kept.address.domain, kept.address.local)))

    def _connection(self) -> sqlite3.Connection | None:
        """The kept connection, to the file that is there now; None where there is none, or one without tables."""
        try:
            inode = os.stat(self.path).st_ino
        except FileNotFoundError:
            self.retire()
            return None
        if inode != self._inode:  # somebody has put another in its place
            self.retire()
            connection = self.connect(READ_PATIENCE)
            if not connection.execute("PRAGMA user_version").fetchone()[0]:
                connection.close()  # another is making them
                return None
            self._reading, self._inode = connection, inode
        return self._reading

    def retire(self) -> None:
        """Let go of the kept connection; the next question opens another."""
        if self._reading is not None:
            self._reading.close()
        self._reading = self._inode = None

    def _kept(self, row: tuple[str, str, str]) -> Kept:
        address, text, owner = row
        try:
            return Kept(parse(address), self._items(text), parse(owner) if owner else None)
        except ValueError as error:  # somebody else has written it
            raise Unavailable(f"{self.path}: {address}: {error}") from error

    def _items(self, text: str) -> tuple[Item, ...]:
        if (known := self._remembered.get(text)) is not None:
            return known
        read = tuple(items.read(item) for _, item in items.split(text))
        if len(text) > LARGE:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[text] = read
        return read

    # ----- writing

    def put(self, aliases: Iterable[Kept], *, replace: bool = False) -> None:
        """Make *aliases*, all or none. AliasExists where there is one of that name, unless they are to be replaced."""
        rows = [(key(one.address.folded), str(one.address), ", ".join(map(str, one.items)), str(one.owner or "")) for one in aliases]
        with self.writing() as connection:
            for row in rows:
                if not replace and connection.execute("SELECT 1 FROM aliases WHERE name = ?", row[:1]).fetchone():
                    raise AliasExists(f"there is an alias {row[1]} already")
                connection.execute("INSERT OR REPLACE INTO aliases (name, address, items, owner) VALUES (?, ?, ?, ?)", row)

    def remove(self, address: Address) -> bool:
        """Whether there was such an alias."""
        with self.writing() as connection:
            return connection.execute("DELETE FROM aliases WHERE name = ?", (key(address.folded),)).rowcount == 1

    def connect(self, patience: float = PATIENCE) -> sqlite3.Connection:
        """With a sync for each change: what a command has done is done."""
        connection = super().connect(patience)
        connection.execute("PRAGMA synchronous=FULL")
        return connection
