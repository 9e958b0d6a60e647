"""The index of one account: what is quicker asked of SQLite than of a directory.

What changes stands in `flags`, what does not in `block`: a row for each 1,024
messages, whose columns are the arrays of the Snapshot as they lie in memory. So
a million messages are read in the time of a thousand rows, and ten thousand
flags are written with ten. `expunged` is the log that QRESYNC asks for (RFC 7162).
What messages say is in `descriptions`; `mailbox` tells when the directories and
the UID list were as the index knows them.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, fields, replace
from typing import NamedTuple

from twistmail.mail.values import frozen
from twistmail.store.database import TABLES, Database, span
from twistmail.store.namebook import unpacked
from twistmail.store.pigeonholes import Book, book

#: Expunged messages that are remembered for each mailbox.
MOST_EXPUNGED = 50_000


@frozen
class Known:
    """What the index believes of a mailbox. Times are nanoseconds.

    `forgotten`: the modification sequence up to which `expunged` may lack messages; `boot`: that of the machine in which
    this was saved, and `clean`: whether nothing followed; then how many messages there are, and the times that new/ and
    cur/ keep until somebody changes them, or until `Index.doubt`; 0 where that is not certain.
    """

    uidvalidity: int
    uidnext: int
    modseq: int
    forgotten: int = 0
    boot: str = ""
    clean: bool = False
    messages: int = 0
    new_changed: int = 0
    cur_changed: int = 0


#: The columns of `mailbox` that a Known is made of.
KNOWN = ", ".join(field.name for field in fields(Known))


class Flags(NamedTuple):
    """The columns of a block that change, as octets."""

    bits: bytes
    named: bytes
    modseqs: bytes


class Names(NamedTuple):
    """Those that do not; `entries` are the name book's, joined by newlines."""

    uids: bytes
    sizes: bytes
    dates: bytes
    entries: bytes


class StoredBlock(NamedTuple):
    """A block to be written; without `names` only its flags have changed."""

    start: int
    flags: Flags
    names: Names | None


class News(NamedTuple):
    """What is to be saved of a mailbox: `blocks`, the starts of those `dropped`, messages `expunged` (uid, modseq), and what is `known`.

    `begun`: the index has all other blocks already. Else what it has is not to be trusted.
    """

    known: Known
    blocks: Sequence[StoredBlock]
    dropped: Sequence[int]
    expunged: Sequence[tuple[int, int]]
    begun: bool


class Forgotten(Exception):
    """The index has lost what it is believed to know of a mailbox."""


class Index(Database):
    """See the module note. Methods that write may be called in any thread."""

    # ----- on the reactor thread

    def entries(self, directory: str, start: int) -> dict[int, bytes]:
        """The name book of one block. LookupError where there is none, or where it cannot be read."""
        number = self.number(directory)
        try:
            row = self.reader.execute("SELECT uids, entries FROM block WHERE id = ?", (number << 32 | start,)).fetchone()
            return unpacked(*row) if row else _no_block(start)
        except (sqlite3.Error, ValueError) as error:
            raise LookupError(str(error)) from error

    def vanished(self, directory: str, modseq: int) -> list[int]:
        """UIDs in the log of expunged messages, above *modseq*. LookupError where there is no log; sqlite3.Error."""
        number = self.number(directory)
        if not self.reader.execute("SELECT uidvalidity FROM mailbox WHERE id = ?", (number,)).fetchone()[0]:
            raise LookupError(f"nothing is known of {directory!r}")
        found = self.reader.execute("SELECT id & 0xffffffff FROM expunged WHERE id BETWEEN ? AND ? AND modseq > ?", (*span(number), modseq))
        return [uid for (uid,) in found]

    # ----- in threads

    def glance(self, directories: Mapping[str, str]) -> dict[str, tuple[Known, list[tuple[bytes, bytes, bytes]]]]:
        """{name: (Known, the columns sizes, bits and named of each block)} of mailboxes, {name: directory}. Raises sqlite3.Error."""
        found = {}
        with self._writing:
            database = self._connection()
            for name, directory in directories.items():
                row = database.execute(f"SELECT id, {KNOWN} FROM mailbox WHERE directory = ?", (directory,)).fetchone()
                if row and row[1]:
                    blocks = "SELECT sizes, bits, named FROM block JOIN flags USING (id) WHERE id BETWEEN ? AND ?"
                    found[name] = Known(*row[1:]), database.execute(blocks, span(row[0])).fetchall()
        return found

    def load(self, directory: str, expect: Callable[[int], None], take: Callable[..., None]) -> Known | None:
        """What is known of the mailbox in *directory*, None where nothing is. From now on it is not `clean`.

        *expect* hears how many messages there are. Then the blocks are given to *take*, one after another: (start, uids,
        sizes, dates, bits, named, modseqs), as octets.
        """
        with self.transaction() as database:
            number = self.numbered(database, directory)
            known = _read(database, number, expect, take)
            if known is None:
                _clear(database, number, TABLES)  # said of one that was deleted, by somebody who was late
            database.execute("UPDATE mailbox SET clean = 0 WHERE id = ?", (number,))
            return known

    def look(self, directory: str, expect: Callable[[int], None], take: Callable[..., None]) -> Known | None:
        """As `load`, where nothing can be written: as of a mailbox that is not `clean`."""
        with self._reading(directory) as (database, number):
            known = _read(database, number, expect, take)
            return known and replace(known, clean=False)

    def doubt(self, directory: str) -> None:
        """Something is about to be said of the mailbox that its directories do not show yet: they must be looked at after a crash."""
        with self.transaction() as database:
            number = self.numbered(database, directory)
            database.execute("UPDATE mailbox SET new_changed = 0, cur_changed = 0 WHERE id = ?", (number,))

    def all_entries(self, directory: str) -> Book[int, bytes]:
        """The whole name book of a mailbox. Raises sqlite3.Error; ValueError where it is damaged."""
        with self._reading(directory) as (database, number):
            block = "FROM block WHERE id BETWEEN ? AND ?"
            [octets] = database.execute(f"SELECT COALESCE(SUM(LENGTH(uids)), 0) {block}", span(number)).fetchone()
            found: Book[int, bytes] = book(octets // array("I").itemsize)
            for row in database.execute(f"SELECT uids, entries {block}", span(number)):
                found.update(unpacked(*row))
        return found

    def save(self, directory: str, news: News) -> None:
        """Write down *news*, in one transaction. Raises Forgotten, sqlite3.Error."""
        known, blocks, dropped, expunged, begun = news
        with self.transaction() as database:
            number = self.numbered(database, directory)
            base = number << 32
            [uidvalidity] = database.execute("SELECT uidvalidity FROM mailbox WHERE id = ?", (number,)).fetchone()
            if begun and uidvalidity != known.uidvalidity:
                raise Forgotten(directory)
            if not begun:
                _clear(database, number, ("block", "flags") if uidvalidity in (0, known.uidvalidity) else TABLES)
            whole = [(base | start, *names) for start, _, names in blocks if names]
            database.executemany("INSERT OR REPLACE INTO block VALUES (?, ?, ?, ?, ?)", whole)
            database.executemany("INSERT OR REPLACE INTO flags VALUES (?, ?, ?, ?)", [(base | start, *flags) for start, flags, _ in blocks])
            for table in ("block", "flags"):
                database.executemany(f"DELETE FROM {table} WHERE id = ?", [(base | start,) for start in dropped])
            if expunged:
                database.executemany("INSERT OR REPLACE INTO expunged VALUES (?, ?)", [(base | uid, modseq) for uid, modseq in expunged])
                for table in ("rendered", "summary"):
                    database.executemany(f"DELETE FROM {table} WHERE id = ?", [(base | uid,) for uid, _ in expunged])
            database.execute(f"UPDATE mailbox SET ({KNOWN}) = (?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?", (*astuple(known), number))

    def prune(self, directory: str) -> int:
        """Keep the log of expunged messages in bounds: the modification sequence up to which it lacks some now, or 0."""
        with self.transaction() as database:
            number = self.numbered(database, directory)
            count = database.execute("SELECT count(*) FROM expunged WHERE id BETWEEN ? AND ?", span(number)).fetchone()[0]
            if count <= MOST_EXPUNGED:
                return 0
            border: int = database.execute(
                "SELECT modseq FROM expunged WHERE id BETWEEN ? AND ? ORDER BY modseq DESC LIMIT 1 OFFSET ?",
                (*span(number), MOST_EXPUNGED // 2),
            ).fetchone()[0]
            database.execute("DELETE FROM expunged WHERE id BETWEEN ? AND ? AND modseq <= ?", (*span(number), border))
            return border

    def forget(self, directory: str) -> None:
        """Nothing that is known of the mailbox in *directory* is true any more."""
        with self.transaction() as database:
            number = self.numbered(database, directory)
            _clear(database, number, TABLES)
            database.execute("DELETE FROM mailbox WHERE id = ?", (number,))
            self._numbers.pop(directory, None)

    def rename(self, moves: Iterable[tuple[str, str]]) -> None:
        """Mailboxes have moved: pairs (old directory, new directory)."""
        for old, new in moves:
            self.forget(new)
            with self.transaction() as database:
                database.execute("UPDATE mailbox SET directory = ? WHERE directory = ?", (new, old))
                self._numbers.pop(old, None)


def _no_block(start: int) -> dict[int, bytes]:
    raise LookupError(f"no block {start}")


def _read(database: sqlite3.Connection, number: int, expect: Callable[[int], None], take: Callable[..., None]) -> Known | None:
    """See `Index.load`."""
    row = database.execute(f"SELECT {KNOWN} FROM mailbox WHERE id = ?", (number,)).fetchone()
    if not (row and row[0]):
        return None
    octets = database.execute("SELECT total(length(uids)) FROM block WHERE id BETWEEN ? AND ?", span(number)).fetchone()[0]
    expect(int(octets) // array("I").itemsize)
    blocks = database.execute(
        "SELECT id & 0xffffffff, uids, sizes, dates, bits, named, modseqs FROM block JOIN flags USING (id)"
        " WHERE id BETWEEN ? AND ? ORDER BY id", span(number),
    )  # fmt: skip
    for block in blocks:
        take(*block)
    return Known(*row)


def _clear(database: sqlite3.Connection, number: int, tables: Iterable[str]) -> None:
    for table in tables:
        database.execute(f"DELETE FROM {table} WHERE id BETWEEN ? AND ?", span(number))
