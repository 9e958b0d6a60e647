"""The index of one account: what is quicker asked of SQLite than of a directory. It may be deleted while nobody runs.

Three tables. `mailbox`: when its directories and its UID list were as the index
knows them. `message`: what changes (path, flags, modseq), and size and date;
`unsettled` marks a row whose flags have not reached the file name yet.
`rendered`: what never changes, as it goes over the wire, filled at first use.

Reads go over one connection, on the reactor thread, because a point select
costs less than a thread hop; writes go over another one, in threads, one at a
time. Rows are keyed `mailbox << 32 | uid`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "twistmail-index.sqlite"
#: A database with another number is thrown away and built anew.
SCHEMA_VERSION = 1
RENDERED = ("envelope", "body", "bodystructure", "header")

_SCHEMA = """
CREATE TABLE mailbox (id INTEGER PRIMARY KEY, directory TEXT NOT NULL UNIQUE, uidvalidity INTEGER NOT NULL,
    uidnext INTEGER NOT NULL, modseq INTEGER NOT NULL, new_changed INTEGER NOT NULL, cur_changed INTEGER NOT NULL,
    looked INTEGER NOT NULL);
CREATE TABLE message (id INTEGER PRIMARY KEY, path BLOB NOT NULL, bits INTEGER NOT NULL, modseq INTEGER NOT NULL,
    size INTEGER NOT NULL, date REAL NOT NULL, unsettled INTEGER NOT NULL);
CREATE TABLE rendered (id INTEGER PRIMARY KEY, envelope BLOB NOT NULL, body BLOB NOT NULL, bodystructure BLOB NOT NULL,
    header BLOB NOT NULL);
"""

#: uid, path, bits, modseq, size, date, unsettled
Row = tuple[int, bytes, int, int, int, float, int]
#: uid, and the RENDERED columns
Rendering = tuple[int, bytes, bytes, bytes, bytes]


@dataclass(frozen=True, slots=True)
class Known:
    """What the index believes of a mailbox: the times of new/ and cur/ (nanoseconds) and when we had last looked at them."""

    uidvalidity: int
    uidnext: int
    modseq: int
    new_changed: int = 0
    cur_changed: int = 0
    looked: int = 0


class Index:
    """See the module note. Opened at first use; methods that write may be called in any thread."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._writing = threading.RLock()
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._numbers: dict[str, int] = {}

    # ----- reading, on the reactor thread

    def rendered(self, directory: str, uids: Sequence[int], columns: Sequence[str]) -> dict[int, tuple[bytes, ...]]:
        """{uid: values} of the RENDERED *columns* for those of *uids* (ascending, not empty) that have been rendered."""
        number = self._numbers.get(directory)
        if number is None:
            return {}
        try:
            found = self._select(number << 32, uids, ", ".join(columns))
        except sqlite3.DatabaseError:
            return {}
        return {row[0] & 0xFFFFFFFF: row[1:] for row in found}

    def _select(self, number: int, uids: Sequence[int], columns: str) -> list[tuple[Any, ...]]:
        reader = self._reader or self._open_reader()
        if uids[-1] - uids[0] < 4 * len(uids):
            ends = (number | uids[0], number | uids[-1])
            return reader.execute(f"SELECT id, {columns} FROM rendered WHERE id BETWEEN ? AND ?", ends).fetchall()
        marks = ", ".join(["?"] * len(uids))
        return reader.execute(f"SELECT id, {columns} FROM rendered WHERE id IN ({marks})", [number | uid for uid in uids]).fetchall()

    def _open_reader(self) -> sqlite3.Connection:
        with self._writing:
            self._connection()
            self._reader = _connected(self.path)
            return self._reader

    # ----- reading and writing, in threads

    def load(self, directory: str) -> tuple[Known | None, list[Row]]:
        """What is known of the mailbox in *directory* and its rows, ascending; (None, []) where nothing is."""
        with self._transaction() as database:
            number = self._number(database, directory)
            known = database.execute(
                "SELECT uidvalidity, uidnext, modseq, new_changed, cur_changed, looked FROM mailbox WHERE id = ?", (number,)
            ).fetchone()
            if not known[0]:
                return None, []
            rows = database.execute(
                "SELECT id & 0xffffffff, path, bits, modseq, size, date, unsettled FROM message WHERE id BETWEEN ? AND ? ORDER BY id",
                _range(number),
            ).fetchall()
        return Known(*known), rows

    def save(self, directory: str, known: Known, rows: Iterable[Row], expunged: Iterable[int] = ()) -> None:
        """Write *rows* over what stood there, forget the *expunged* UIDs, and remember *known*: one transaction."""
        with self._transaction() as database:
            number = self._number(database, directory)
            database.executemany(
                "INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?, ?, ?, ?)", [(number << 32 | row[0], *row[1:]) for row in rows]
            )
            gone = [(number << 32 | uid,) for uid in expunged]
            database.executemany("DELETE FROM message WHERE id = ?", gone)
            database.executemany("DELETE FROM rendered WHERE id = ?", gone)
            database.execute(
                "UPDATE mailbox SET uidvalidity = ?, uidnext = ?, modseq = ?, new_changed = ?, cur_changed = ?, looked = ? WHERE id = ?",
                (known.uidvalidity, known.uidnext, known.modseq, known.new_changed, known.cur_changed, known.looked, number),
            )

    def save_rendered(self, directory: str, renderings: Iterable[Rendering]) -> None:
        with self._transaction() as database:
            number = self._number(database, directory)
            database.executemany(
                "INSERT OR REPLACE INTO rendered VALUES (?, ?, ?, ?, ?)", [(number << 32 | row[0], *row[1:]) for row in renderings]
            )

    def forget(self, directory: str) -> None:
        """Nothing that is known of the mailbox in *directory* is true any more."""
        with self._transaction() as database:
            number = self._number(database, directory)
            database.execute("DELETE FROM message WHERE id BETWEEN ? AND ?", _range(number))
            database.execute("DELETE FROM rendered WHERE id BETWEEN ? AND ?", _range(number))
            database.execute("DELETE FROM mailbox WHERE id = ?", (number,))
            del self._numbers[directory]

    def rename(self, moves: Iterable[tuple[str, str]]) -> None:
        """Mailboxes have moved: pairs (old directory, new directory)."""
        for old, new in moves:
            self.forget(new)
            with self._transaction() as database:
                database.execute("UPDATE mailbox SET directory = ? WHERE directory = ?", (new, old))
                self._numbers.clear()

    def start_again(self) -> None:
        """It is damaged: throw it away."""
        self.close()
        with self._writing:
            _delete(self.path)

    def close(self) -> None:
        """Let go; what was saved stays. The next use opens it again."""
        with self._writing:
            for connection in (self._reader, self._writer):
                if connection is not None:
                    connection.close()
            self._reader = self._writer = None
            self._numbers.clear()

    # ----- inside

    def _number(self, database: sqlite3.Connection, directory: str) -> int:
        number = self._numbers.get(directory)
        if number is None:
            database.execute("INSERT OR IGNORE INTO mailbox VALUES (NULL, ?, 0, 1, 1, 0, 0, 0)", (directory,))
            number = database.execute("SELECT id FROM mailbox WHERE directory = ?", (directory,)).fetchone()[0]
            self._numbers[directory] = number
        return number

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._writing:
            database = self._connection()
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                database.execute("ROLLBACK")
                self._numbers.clear()
                raise

    def _connection(self) -> sqlite3.Connection:
        if self._writer is None:
            try:
                self._writer = _prepared(self.path)
            except sqlite3.DatabaseError:
                _delete(self.path)
                self._writer = _prepared(self.path)
        return self._writer


def _range(number: int) -> tuple[int, int]:
    return number << 32, number << 32 | 0xFFFFFFFF


def _connected(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")  # the last seconds may be lost, the maildir is the truth; it must not be corrupt
    return database


def _prepared(path: Path) -> sqlite3.Connection:
    """The database with our tables; one of another version gives way."""
    database = _connected(path)
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA_VERSION:
        if version or database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            database.close()
            _delete(path)
            database = _connected(path)
        database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT")
    return database


def _delete(path: Path) -> None:
    for name in (path.name, path.name + "-wal", path.name + "-shm"):
        path.with_name(name).unlink(missing_ok=True)
