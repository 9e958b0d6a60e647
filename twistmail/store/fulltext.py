"""The full-text index of one account: a SQLite database beside its maildir that may be deleted at any time. Blocking; in threads.

`text` holds what people read of each message, decoded and case folded, and
`trigram` says which messages hold which three characters in a row (FTS5,
`detail=none`: it names messages, not places). A needle's trigrams choose the
messages, and a look at their texts decides. Measured on 18.9 MB of text, against
an index of places (`detail=full`): a third of the time to write, half of the
octets, and no slower.

Mailboxes are filled in the order of their UIDs, so that one number, `complete`,
says what is indexed: all messages up to it. Whatever is above, or has no whole
text here, the caller has to read; so answers are right while the index is
incomplete, old, or gone. What is above comes from `textsearch`.

Rows are keyed `mailbox << 32 | uid`. A mailbox that is renamed keeps its number;
one that is deleted, or has a new UIDVALIDITY, gets one that was never used, and
the rows of the old go by and by (`sweep`), as do those of expunged messages.
"""

from __future__ import annotations

import sqlite3
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from twistmail.store.database import delete, prepared, span
from twistmail.store.searching import Sought, Texts

FILE = "twistmail-text.sqlite"
SCHEMA_VERSION = 2

_SCHEMA = """
CREATE TABLE mailbox (id INTEGER PRIMARY KEY AUTOINCREMENT, directory TEXT NOT NULL UNIQUE, uidvalidity INTEGER NOT NULL,
    complete INTEGER NOT NULL);
CREATE TABLE text (id INTEGER PRIMARY KEY, header TEXT NOT NULL, body TEXT, whole INTEGER NOT NULL);
CREATE INDEX whole ON text (whole);
CREATE VIRTUAL TABLE trigram USING fts5 (header, body, content = 'text', content_rowid = 'id', detail = none, columnsize = 0,
    tokenize = 'trigram case_sensitive 1');
"""
#: Trigrams of a needle that are asked for; the texts tell the rest.
MOST_TRIGRAMS = 16
#: Rows that one `sweep` looks at, and that it removes.
SWEEP_OVER = 2000
SWEEP_AWAY = 50

_IN_BODY = "instr(text.body, :plain)"
_ANYWHERE = "(instr(text.header, :plain) OR instr(text.body, :plain))"
_BY_TRIGRAMS = (
    "SELECT text.id FROM trigram JOIN text ON text.id = trigram.rowid"
    " WHERE trigram MATCH :trigrams AND trigram.rowid BETWEEN :first AND :last AND "
)
_BY_TEXTS = "SELECT text.id FROM text WHERE text.id BETWEEN :first AND :last AND "
_CUT = "SELECT id FROM text WHERE whole = 0 AND id BETWEEN :first AND :last"
_ALL = "SELECT id FROM text INDEXED BY whole WHERE whole IN (0, 1) AND id BETWEEN :first AND :last"


class Place(NamedTuple):
    """Which mailbox, and its UIDVALIDITY: with another one, nothing that is known here is believed."""

    directory: str
    uidvalidity: int


class Answer(NamedTuple):
    """What the index says of a range of messages: those with UIDs up to `complete` that hold what is sought are in `hits`.

    `unsure`: those whose text has to be read to know. Above `complete` nothing is known.
    """

    complete: int
    hits: set[int]
    unsure: set[int]


class FullText:
    """See the module note. *folder*: the account's maildir. Opened at first use, and again after `close`. Methods raise sqlite3.Error."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._lock = threading.RLock()
        self._database: sqlite3.Connection | None = None
        self._inode = 0

    # ----- asking

    def search(self, place: Place, first: int, last: int, what: Sought) -> Answer:
        """Which of the messages *first* to *last* hold *what*. A mailbox that was never asked for is begun."""
        with self._reading() as database:
            if found := _found(database, place):
                return _answer(database, *found, (first, last), what)
        self.add(place, 0, 0, ())
        return Answer(0, set(), set())

    def complete(self, place: Place) -> int | None:
        """The UID up to which all is indexed; None for a mailbox that nobody has searched yet."""
        if self._database is None and not self.path.exists():
            return None
        with self._reading() as database:
            found = _found(database, place)
        return found[1] if found else None

    def lacking(self, place: Place, uids: Sequence[int]) -> set[int]:
        """Those of *uids* (ascending, not empty) that should be here and are not: their files had gone when they were to be read."""
        with self._reading() as database:
            found = _found(database, place)
            if found is None:
                return set()
            base, end = found[0] << 32, min(uids[-1], found[1])
            there = _uids(database.execute(_ALL, {"first": base | uids[0], "last": base | end}))
        return set(uids[: bisect_right(uids, end)]) - there

    # ----- filling

    def add(self, place: Place, after: int, upto: int, texts: Sequence[tuple[int, Texts]]) -> int:
        """The *texts* (by ascending UID) of all messages above *after*, up to *upto*: up to where all is indexed now.

        What would leave a gap is not taken, nor what is there already.
        """
        with self._transaction() as database:
            number, complete = _found(database, place) or self._begin(database, place)
            if after > complete or upto <= complete:
                return complete
            rows = [(number << 32 | uid, *its) for uid, its in texts if uid > complete]
            database.executemany("INSERT INTO text VALUES (?, ?, ?, ?)", rows)
            database.executemany("INSERT INTO trigram (rowid, header, body) VALUES (?, ?, ?)", [row[:3] for row in rows])
            database.execute("UPDATE mailbox SET complete = ? WHERE id = ?", (upto, number))
        return upto

    def _begin(self, database: sqlite3.Connection, place: Place) -> tuple[int, int]:
        """Another mailbox in this directory is not the one that was known."""
        database.execute("DELETE FROM mailbox WHERE directory = ?", (place.directory,))
        row = database.execute("INSERT INTO mailbox VALUES (NULL, ?, ?, 0)", place)
        assert row.lastrowid is not None
        return row.lastrowid, 0

    # ----- what has gone

    def forget(self, directory: str) -> None:
        """The mailbox in *directory* is no more."""
        if self._is_there:
            with self._transaction() as database:
                database.execute("DELETE FROM mailbox WHERE directory = ?", (directory,))

    def rename(self, moves: Iterable[tuple[str, str]]) -> None:
        """Mailboxes have moved: pairs (old directory, new directory)."""
        if self._is_there:
            with self._transaction() as database:
                for old, new in moves:
                    database.execute("DELETE FROM mailbox WHERE directory = ?", (new,))
                    database.execute("UPDATE mailbox SET directory = ? WHERE directory = ?", (new, old))

    def sweep(self, place: Place, above: int, uids: Sequence[int]) -> int | None:
        """Remove rows of messages above UID *above* that are not among *uids* (ascending), a few.

        From where to go on, None at the end. Not to be asked where the mailbox may have changed its UIDVALIDITY.
        """
        with self._transaction() as database:
            found = _found(database, place)
            if found is None:
                return None
            base, end = span(found[0])
            rows = database.execute("SELECT id FROM text WHERE id > ? AND id <= ? LIMIT ?", (base | above, end, SWEEP_OVER)).fetchall()
            known = [key & 0xFFFFFFFF for (key,) in rows]
            if not known:
                return None
            there = set(uids[bisect_right(uids, above) : bisect_right(uids, known[-1])])
            gone = [uid for uid in known if uid not in there]
            _remove(database, [base | uid for uid in gone[:SWEEP_AWAY]])
        return gone[SWEEP_AWAY - 1] if len(gone) > SWEEP_AWAY else known[-1]

    def sweep_strays(self) -> bool:
        """Remove a few rows of mailboxes that are no more; whether there were any."""
        with self._transaction() as database:
            numbers = [number for (number,) in database.execute("SELECT id FROM mailbox ORDER BY id")]
            strays = _strays(database, numbers)
            _remove(database, strays)
        return bool(strays)

    # ----- the database

    @property
    def _is_there(self) -> bool:
        return self._database is not None or self.path.exists()

    def _transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._within("BEGIN IMMEDIATE")

    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that waits for nobody who writes."""
        return self._within("BEGIN")

    @contextmanager
    def _within(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock:
            database = self._connection()
            try:
                database.execute(begin)
                yield database
                database.execute("COMMIT")
            except BaseException as error:
                with suppress(sqlite3.Error):
                    database.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error) and _is_damage(error):
                    self.start_again()
                raise

    def _connection(self) -> sqlite3.Connection:
        """Somebody may have deleted the file, or put another one there."""
        if self._database is not None and self._inode != _inode(self.path):
            self.close()
        if self._database is None:
            try:
                self._database = prepared(self.path, _SCHEMA, SCHEMA_VERSION)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                delete(self.path)
                self._database = prepared(self.path, _SCHEMA, SCHEMA_VERSION)
            self._inode = _inode(self.path)
        return self._database

    def start_again(self) -> None:
        """It is damaged: throw it away."""
        self.close()
        with self._lock, suppress(OSError):
            delete(self.path)

    def close(self) -> None:
        """Let go; what is there stays. The next use opens it again."""
        with self._lock:
            if self._database is not None:
                self._database.close()
            self._database = None


def _found(database: sqlite3.Connection, place: Place) -> tuple[int, int] | None:
    """The number of a mailbox, and up to where it is complete; None where it is not known, or with another UIDVALIDITY."""
    row: tuple[int, int] | None = database.execute(
        "SELECT id, complete FROM mailbox WHERE directory = ? AND uidvalidity = ?", place
    ).fetchone()
    return row


def _answer(database: sqlite3.Connection, number: int, complete: int, asked: tuple[int, int], what: Sought) -> Answer:
    first, last = asked[0], min(asked[1], complete)
    if first > last:
        return Answer(complete, set(), set())
    ends = {"first": number << 32 | first, "last": number << 32 | last}
    query = (_BY_TRIGRAMS if len(what.plain) > 2 else _BY_TEXTS) + (_ANYWHERE if what.headers else _IN_BODY)
    hits = _uids(database.execute(query, {**ends, "plain": what.plain, "trigrams": _trigrams(what.plain)}))
    cut = _uids(database.execute(_CUT, ends))
    return Answer(complete, hits, cut - hits) if what.exact else Answer(complete, set(), cut | hits)


def _uids(rows: Iterable[tuple[int]]) -> set[int]:
    return {key & 0xFFFFFFFF for (key,) in rows}


def _trigrams(needle: str) -> str:
    """A query for those who hold every trigram of *needle*; of a long one, some from all over it."""
    found = list(dict.fromkeys(needle[at : at + 3] for at in range(len(needle) - 2)))
    chosen = found if len(found) <= MOST_TRIGRAMS else [found[at * len(found) // MOST_TRIGRAMS] for at in range(MOST_TRIGRAMS)]
    return " AND ".join('"' + trigram.replace('"', '""') + '"' for trigram in chosen)


def _strays(database: sqlite3.Connection, numbers: Sequence[int]) -> list[int]:
    """The keys of a few rows whose mailbox has none of these *numbers* (ascending)."""
    start = 0
    while True:
        rows = database.execute("SELECT id FROM text WHERE id >= ? LIMIT ?", (start, SWEEP_AWAY)).fetchall()
        if not rows:
            return []
        number = rows[0][0] >> 32
        at = bisect_left(numbers, number)
        if at == len(numbers) or numbers[at] != number:
            return [key for (key,) in rows if key >> 32 == number]
        start = number + 1 << 32


def _remove(database: sqlite3.Connection, keys: Iterable[int]) -> None:
    for key in keys:
        database.execute(
            "INSERT INTO trigram (trigram, rowid, header, body) SELECT 'delete', id, header, body FROM text WHERE id = ?", (key,)
        )
        database.execute("DELETE FROM text WHERE id = ?", (key,))


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


#: Other errors pass: the disk is full, the file is locked or not ours to read.
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH}


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether the database is to be thrown away."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE
