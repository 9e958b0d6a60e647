"""The database of one account's index: its tables, who may use it when, and that it may be deleted at any time.

Reads of a few rows go over one connection, on the reactor thread, because a
point select costs less than a thread hop; writes, and reads of many rows, go over
another one, in threads, one at a time. Rows are keyed `mailbox << 32 | uid`.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twistmail.store.trouble import Trouble

FILE = "twistmail-index.sqlite"
#: A database with another number is thrown away and built anew. The arrays lie in it as this machine has them in memory.
SCHEMA_VERSION = 17 + (sys.byteorder == "big")

_SCHEMA = """
CREATE TABLE mailbox (id INTEGER PRIMARY KEY, directory TEXT NOT NULL UNIQUE, uidvalidity INTEGER NOT NULL,
    uidnext INTEGER NOT NULL, modseq INTEGER NOT NULL, forgotten INTEGER NOT NULL, boot TEXT NOT NULL, clean INTEGER NOT NULL,
    messages INTEGER NOT NULL, new_changed INTEGER NOT NULL, cur_changed INTEGER NOT NULL);
CREATE TABLE block (id INTEGER PRIMARY KEY, uids BLOB NOT NULL, sizes BLOB NOT NULL, dates BLOB NOT NULL, entries BLOB NOT NULL);
CREATE TABLE flags (id INTEGER PRIMARY KEY, bits BLOB NOT NULL, named BLOB NOT NULL, modseqs BLOB NOT NULL);
CREATE TABLE expunged (id INTEGER PRIMARY KEY, modseq INTEGER NOT NULL);
CREATE TABLE rendered (id INTEGER PRIMARY KEY, envelope BLOB NOT NULL, body BLOB NOT NULL, bodystructure BLOB NOT NULL,
    listed BLOB NOT NULL, header BLOB NOT NULL);
CREATE TABLE summary (id INTEGER PRIMARY KEY, sent REAL, subject TEXT NOT NULL, sender TEXT NOT NULL, "to" TEXT NOT NULL,
    cc TEXT NOT NULL, bcc TEXT NOT NULL, base_subject TEXT NOT NULL, reply INTEGER NOT NULL, sort_from TEXT NOT NULL, sort_to TEXT NOT NULL,
    sort_cc TEXT NOT NULL, display_from TEXT NOT NULL, display_to TEXT NOT NULL, threading TEXT NOT NULL,
    emailid TEXT NOT NULL, threadid TEXT NOT NULL, preview TEXT NOT NULL);
"""
#: Those whose rows are messages, or blocks of them.
TABLES = ("block", "flags", "expunged", "rendered", "summary")
#: What SQLite says of a file that is no database of ours, or not any more. All else is weather: in use, disk full or failing, no rights.
_DAMAGE = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_MISMATCH,
           sqlite3.SQLITE_CONSTRAINT}  # fmt: skip


class Database:
    """See the module note. Opened at first use, and again after `close`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.trouble = Trouble(f"the index {self.path} cannot be used, so mailboxes are slower")
        self.age = 0  # how often all of it was thrown away
        self._writing = threading.RLock()
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._numbers: dict[str, int] = {}

    @property
    def reader(self) -> sqlite3.Connection:
        """For quick selects on the reactor thread. Raises sqlite3.Error."""
        return self._reader or self._open_reader()

    def number(self, directory: str) -> int:
        """The number of the mailbox in *directory*, on the reactor thread. LookupError where it has none."""
        found = self._numbers.get(directory)
        if found is None:
            try:
                row = self.reader.execute("SELECT id FROM mailbox WHERE directory = ?", (directory,)).fetchone()
            except sqlite3.Error as error:
                raise LookupError(str(error)) from error
            if row is None:
                raise LookupError(f"nothing is known of {directory!r}")
            found = self._numbers[directory] = row[0]
        return found

    def _open_reader(self) -> sqlite3.Connection:
        with self._writing:
            self._connection()
            self._reader = _connected(self.path)
            return self._reader

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The connection that writes, in a transaction of its own, for one thread at a time. Raises sqlite3.Error."""
        with self._writing:
            database = self._connection()
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                self._numbers.clear()
                if database.in_transaction:  # a full or failing disk may have ended it
                    database.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self, directory: str) -> Iterator[tuple[sqlite3.Connection, int]]:
        """The same connection for reading only, which a full disk and a lock allow; and the number of a mailbox, 0 where it has none."""
        with self._writing:
            database = self._connection()
            row = database.execute("SELECT id FROM mailbox WHERE directory = ?", (directory,)).fetchone()
            yield database, row[0] if row else 0

    def numbered(self, database: sqlite3.Connection, directory: str) -> int:
        """As `number`, in a transaction; the mailbox gets one where it has none."""
        number = self._numbers.get(directory)
        if number is None:
            database.execute("INSERT OR IGNORE INTO mailbox VALUES (NULL, ?, 0, 1, 1, 0, '', 0, 0, 0, 0)", (directory,))
            number = database.execute("SELECT id FROM mailbox WHERE directory = ?", (directory,)).fetchone()[0]
            self._numbers[directory] = number
        return number

    def start_again(self) -> None:
        """It is damaged: throw it away."""
        self.close()
        with self._writing:
            self.age += 1
            delete(self.path)

    def close(self) -> None:
        """Let go; what was saved stays. The next use opens it again."""
        with self._writing:
            for connection in (self._reader, self._writer):
                if connection is not None:
                    connection.close()
            self._reader = self._writer = None
            self._numbers.clear()

    def _connection(self) -> sqlite3.Connection:
        if self._writer is None:
            try:
                self._writer = prepared(self.path, _SCHEMA, SCHEMA_VERSION)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self.age += 1
                delete(self.path)
                self._writer = prepared(self.path, _SCHEMA, SCHEMA_VERSION)
        return self._writer


def is_damage(error: Exception) -> bool:
    """Whether *error* says that what the database holds cannot be believed. Else it may pass, and nothing is wrong with the database."""
    return not isinstance(error, sqlite3.Error) or getattr(error, "sqlite_errorcode", -1) & 0xFF in _DAMAGE


def span(number: int) -> tuple[int, int]:
    """The keys of all messages of a mailbox."""
    return number << 32, number << 32 | 0xFFFFFFFF


def _connected(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    with _closed_on_error(database):
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")  # the last seconds may be lost, the maildir is the truth; it must not be corrupt
    return database


def prepared(path: Path, schema: str, version: int) -> sqlite3.Connection:
    """The database at *path* with the tables of *schema*; one of another *version* gives way. Raises sqlite3.Error."""
    database = _connected(path)
    with _closed_on_error(database):
        found = database.execute("PRAGMA user_version").fetchone()[0]
        if found == version:
            return database
        is_new = not found and not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if is_new:
            database.executescript(f"BEGIN; {schema} PRAGMA user_version = {version}; COMMIT")
            return database
    database.close()
    delete(path)
    return prepared(path, schema, version)


@contextmanager
def _closed_on_error(database: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        database.close()
        raise


def delete(path: Path) -> None:
    """The database at *path* and the files that belong to it."""
    for name in (path.name, path.name + "-wal", path.name + "-shm"):
        path.with_name(name).unlink(missing_ok=True)
