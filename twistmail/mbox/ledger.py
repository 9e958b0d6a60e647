"""What an mbox file cannot say of itself, in an SQLite file per account: UIDs, modification sequences, subscriptions, annotations.

It can be deleted at any time: then UIDs begin anew with another UIDVALIDITY, and
no mail and no flag is lost. It also remembers where messages lie, so that a file
which has not changed is not read again. Blocking; methods may be called from
several threads.
"""

from __future__ import annotations

import errno
import sqlite3
import threading
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from twisted.logger import Logger

from twistmail.mail.annotations import SERVERS_OWN
from twistmail.mbox.listing import Listing, Row, Stamp

log = Logger()

FILE = "twistmail-mbox.sqlite"
VERSION = 1
PATIENCE = 5.0
#: Expunged messages that are remembered for a mailbox.
MOST_EXPUNGED = 20_000
SCHEMA = """
CREATE TABLE mailboxes (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, uidvalidity INTEGER NOT NULL, uidnext INTEGER NOT NULL,
    generation INTEGER NOT NULL, inode INTEGER, size INTEGER, mtime INTEGER, probe BLOB, octets INTEGER NOT NULL, messages INTEGER NOT NULL,
    highest INTEGER NOT NULL, forgotten INTEGER NOT NULL, unsaved INTEGER NOT NULL, recent INTEGER NOT NULL, keywords TEXT NOT NULL);
CREATE TABLE messages (mailbox INTEGER, uid INTEGER, start INTEGER, content INTEGER, ends INTEGER, stop INTEGER, size INTEGER,
    date REAL, saved REAL, key INTEGER, flags TEXT, modseq INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (mailbox, uid)) WITHOUT ROWID;
CREATE TABLE expunged (mailbox INTEGER, uid INTEGER, modseq INTEGER, PRIMARY KEY (mailbox, uid)) WITHOUT ROWID;
CREATE TABLE subscriptions (name TEXT PRIMARY KEY);
CREATE TABLE uses (name TEXT, use TEXT PRIMARY KEY);
CREATE TABLE annotations (name TEXT, entry TEXT, value BLOB, PRIMARY KEY (name, entry));
CREATE TABLE settings (uidvalidity INTEGER NOT NULL);
INSERT INTO settings VALUES (0)
"""


@dataclass
class Numbers:
    """Modification sequences of a mailbox. `modseqs` goes with the UIDs; 0: a change that was seen and has got no number yet.

    `forgotten`: up to this one, expunged messages may not be remembered. `recent`: UIDs from here on are nobody's yet.
    `unnumbered`: expunged messages of which the same holds. `unsaved`: it was in use and did not end in an orderly way, so some
    numbers may have been told that are not here.
    """

    highest: int = 1
    forgotten: int = 0
    recent: int = 1
    unsaved: bool = False
    keywords: list[str] = field(default_factory=list)
    unnumbered: list[int] = field(default_factory=list)
    modseqs: array[int] = field(default_factory=lambda: array("Q"))


class Ledger:
    """The file of one account in *folder*. *durable* False: for tests. What goes wrong is an OSError."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.path = folder / FILE
        self._durable = durable
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                connection = self._opened()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                self.close()
                code = errno.ENOSPC if "full" in str(error) else errno.EIO
                raise OSError(code, str(error), str(self.path)) from error

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = self._connect()
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError as error:
                aside = self.path.with_name(FILE + ".broken")
                self.path.replace(aside)
                log.error("{path} cannot be read, it is {aside} now: {error}", path=str(self.path), aside=aside.name, error=error)
                self._connection = self._connect()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={'FULL' if self._durable else 'OFF'}")
            connection.execute("BEGIN IMMEDIATE")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                raise sqlite3.DatabaseError(f"its version is {version}, ours {VERSION}")
            if version == 0:
                for statement in SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection

    # ----- one mailbox

    def latest(self, name: str, known: Listing | None, now: float) -> Listing:
        """What is in mailbox *name*: *known*, unless another has written since. A new one gets its UIDVALIDITY (*now*: POSIX seconds)."""
        with self._transaction() as connection:
            row = connection.execute("SELECT generation, uidvalidity FROM mailboxes WHERE name = ?", (name,)).fetchone()
            if row is None:
                return _made(connection, name, now)
            return known if known is not None and row == (known.generation, known.uidvalidity) else _listed(connection, name)

    def write(self, name: str, before: Listing, after: Listing) -> Listing:
        """Write *after* down where *before* was; *after* with its generation."""
        with self._transaction() as connection:
            mailbox = _id(connection, name)
            first = _first_difference(before, after)
            gone = [uid for uid in before.uids if after.place(uid) is None] if first < len(before) else []
            connection.executemany("DELETE FROM messages WHERE mailbox = ? AND uid = ?", [(mailbox, uid) for uid in gone])
            connection.executemany("INSERT OR REPLACE INTO expunged VALUES (?, ?, 0)", [(mailbox, uid) for uid in gone])
            connection.executemany(
                "INSERT INTO messages (mailbox, uid, start, content, ends, stop, size, date, saved, key, flags)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET start = excluded.start, content = excluded.content,"
                " ends = excluded.ends, stop = excluded.stop, size = excluded.size, date = excluded.date, key = excluded.key,"
                " modseq = CASE WHEN flags = excluded.flags THEN modseq ELSE 0 END, flags = excluded.flags",
                ((mailbox, *after.row(place)) for place in range(first, len(after))),
            )
            connection.execute(
                "UPDATE mailboxes SET generation = generation + 1, uidnext = ?, inode = ?, size = ?, mtime = ?, probe = ?, octets = ?,"
                " messages = ? WHERE id = ?",
                (after.uidnext, *after.stamp, after.probe, after.octets, len(after), mailbox),
            )
            (generation,) = connection.execute("SELECT generation FROM mailboxes WHERE id = ?", (mailbox,)).fetchone()
        return after.of_generation(generation)

    def counted(self, name: str, stamp: Stamp) -> tuple[int, int] | None:
        """(octets, messages) of mailbox *name*, None where its file is not the one with *stamp* any more."""
        with self._transaction() as connection:
            row = connection.execute("SELECT octets, messages, inode, size, mtime FROM mailboxes WHERE name = ?", (name,)).fetchone()
        return row[:2] if row and row[2:] == tuple(stamp) else None

    def numbers(self, name: str) -> Numbers:
        with self._transaction() as connection:
            mailbox = _id(connection, name)
            highest, forgotten, recent, unsaved, keywords = connection.execute(
                "SELECT highest, forgotten, recent, unsaved, keywords FROM mailboxes WHERE id = ?", (mailbox,)
            ).fetchone()
            modseqs = connection.execute("SELECT modseq FROM messages WHERE mailbox = ? ORDER BY uid", (mailbox,))
            expunged = connection.execute("SELECT uid FROM expunged WHERE mailbox = ? AND modseq = 0", (mailbox,))
            numbers = array("Q", [modseq for (modseq,) in modseqs])
            return Numbers(highest, forgotten, recent, bool(unsaved), keywords.split(), [uid for (uid,) in expunged], numbers)

    def unsaved(self, name: str) -> None:
        """From now on numbers may be told that are not written down: those of flags that are not in the file yet."""
        with self._transaction() as connection:
            connection.execute("UPDATE mailboxes SET unsaved = 1 WHERE name = ?", (name,))

    def save(self, name: str, numbers: Numbers, changed: Iterable[tuple[int, int]], expunged: Iterable[tuple[int, int]]) -> None:
        """Write numbers down: pairs (modseq, UID) of messages that have *changed* or were *expunged* since the last time."""
        with self._transaction() as connection:
            mailbox = _id(connection, name)
            connection.executemany(
                "UPDATE messages SET modseq = ? WHERE mailbox = ? AND uid = ?", [(modseq, mailbox, uid) for modseq, uid in changed]
            )
            connection.executemany("INSERT OR REPLACE INTO expunged VALUES (?, ?, ?)", [(mailbox, uid, modseq) for modseq, uid in expunged])
            connection.execute("UPDATE expunged SET modseq = ? WHERE mailbox = ? AND modseq = 0", (numbers.highest, mailbox))
            forgotten = max(numbers.forgotten, _forget_oldest(connection, mailbox))
            connection.execute(
                "UPDATE mailboxes SET highest = ?, forgotten = ?, recent = ?, unsaved = ?, keywords = ? WHERE id = ?",
                (numbers.highest, forgotten, numbers.recent, numbers.unsaved, " ".join(numbers.keywords), mailbox),
            )

    def vanished(self, name: str, modseq: int) -> list[int]:
        """UIDs of messages that were expunged after *modseq*, as far as that is written down."""
        with self._transaction() as connection:
            found = connection.execute("SELECT uid FROM expunged WHERE mailbox = ? AND modseq > ?", (_id(connection, name), modseq))
            return [uid for (uid,) in found]

    # ----- the tree

    def forget(self, name: str) -> None:
        """A mailbox has gone, with all but its subscription."""
        with self._transaction() as connection:
            for table in ("messages", "expunged"):
                connection.execute(f"DELETE FROM {table} WHERE mailbox = (SELECT id FROM mailboxes WHERE name = ?)", (name,))
            for table in ("mailboxes", "uses", "annotations"):
                connection.execute(f"DELETE FROM {table} WHERE name = ?", (name,))

    def renamed(self, moves: Sequence[tuple[str, str]]) -> None:
        """Mailboxes have got other names: pairs (old, new)."""
        with self._transaction() as connection:
            for old, new in moves:
                for table in ("mailboxes", "uses", "annotations"):
                    connection.execute(f"UPDATE {table} SET name = ? WHERE name = ?", (new, old))

    def subscribe(self, names: Iterable[str], *, subscribed: bool = True) -> None:
        with self._transaction() as connection:
            statement = "INSERT OR IGNORE INTO subscriptions VALUES (?)" if subscribed else "DELETE FROM subscriptions WHERE name = ?"
            connection.executemany(statement, [(name,) for name in names])

    def subscriptions(self) -> tuple[str, ...]:
        with self._transaction() as connection:
            return tuple(name for (name,) in connection.execute("SELECT name FROM subscriptions ORDER BY name"))

    def uses(self) -> dict[str, tuple[str, ...]]:
        """{mailbox name: its special uses}."""
        found: dict[str, tuple[str, ...]] = {}
        with self._transaction() as connection:
            for name, use in connection.execute("SELECT name, use FROM uses ORDER BY rowid"):
                found[name] = (*found.get(name, ()), use)
        return found

    def use(self, name: str, uses: Iterable[str]) -> None:
        """These and no others."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM uses WHERE name = ?", (name,))
            connection.executemany("INSERT OR IGNORE INTO uses VALUES (?, ?)", [(name, use) for use in uses])

    def annotations(self, name: str) -> dict[str, bytes]:
        with self._transaction() as connection:
            return dict(connection.execute("SELECT entry, value FROM annotations WHERE name = ?", (name,)))

    def annotations_beside(self, name: str) -> int:
        """Octets of annotations that clients have given to other mailboxes."""
        with self._transaction() as connection:
            what = "SELECT sum(length(entry) + length(value)) FROM annotations WHERE name != ? AND entry NOT LIKE ?"
            return connection.execute(what, (name, SERVERS_OWN + "%")).fetchone()[0] or 0

    def all_annotations(self) -> dict[str, dict[str, bytes]]:
        """{mailbox name: {entry: value}}."""
        found: dict[str, dict[str, bytes]] = {}
        with self._transaction() as connection:
            for name, entry, value in connection.execute("SELECT name, entry, value FROM annotations"):
                found.setdefault(name, {})[entry] = value
        return found

    def annotated(self, entry: str) -> dict[str, bytes]:
        """{mailbox name: value} of those that have *entry*."""
        with self._transaction() as connection:
            return dict(connection.execute("SELECT name, value FROM annotations WHERE entry = ? AND name != ''", (entry,)))

    def annotate(self, name: str, values: Mapping[str, bytes]) -> None:
        """These and no others."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM annotations WHERE name = ?", (name,))
            connection.executemany("INSERT INTO annotations VALUES (?, ?, ?)", [(name, entry, value) for entry, value in values.items()])


def _id(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute("SELECT id FROM mailboxes WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise sqlite3.DataError(f"mailbox {name} is not written down any more")
    return int(row[0])


def _made(connection: sqlite3.Connection, name: str, now: float) -> Listing:
    """A mailbox of which nothing is known. No two of an account ever have the same UIDVALIDITY."""
    connection.execute("UPDATE settings SET uidvalidity = MAX(uidvalidity + 1, ?)", (int(now),))
    (uidvalidity,) = connection.execute("SELECT uidvalidity FROM settings").fetchone()
    connection.execute(
        "INSERT INTO mailboxes (name, uidvalidity, uidnext, generation, octets, messages, highest, forgotten, unsaved, recent, keywords)"
        " VALUES (?, ?, 1, 0, 0, 0, 1, 0, 0, 1, '')",
        (name, uidvalidity),
    )
    return Listing(uidvalidity)


def _listed(connection: sqlite3.Connection, name: str) -> Listing:
    mailbox = _id(connection, name)
    uidvalidity, uidnext, generation, *stamp, probe = connection.execute(
        "SELECT uidvalidity, uidnext, generation, inode, size, mtime, probe FROM mailboxes WHERE id = ?", (mailbox,)
    ).fetchone()
    rows = connection.execute(
        "SELECT uid, start, content, ends, stop, size, date, saved, key, flags FROM messages WHERE mailbox = ? ORDER BY uid", (mailbox,)
    )
    empty = Listing(uidvalidity, uidnext, generation)
    if stamp[0] is None:
        return empty
    return empty.of_file(Stamp(*stamp), probe).holding(map(Row._make, rows), uidnext)


def _first_difference(before: Listing, after: Listing) -> int:
    """Where the rows that must be written begin: behind all when the file has only grown."""
    same = len(before)
    if len(after) < same or any(a[:same] != b for a, b in zip(after.columns, before.columns, strict=True)):
        return 0
    return same if list(after.flags[:same]) == list(before.flags) else 0


def _forget_oldest(connection: sqlite3.Connection, mailbox: int) -> int:
    """The highest number of those that are not remembered any longer; 0 where all are."""
    (count,) = connection.execute("SELECT COUNT(*) FROM expunged WHERE mailbox = ?", (mailbox,)).fetchone()
    if count <= MOST_EXPUNGED:
        return 0
    (border,) = connection.execute(
        "SELECT modseq FROM expunged WHERE mailbox = ? ORDER BY modseq LIMIT 1 OFFSET ?", (mailbox, count - MOST_EXPUNGED // 2)
    ).fetchone()
    connection.execute("DELETE FROM expunged WHERE mailbox = ? AND modseq <= ?", (mailbox, border))
    return int(border)
