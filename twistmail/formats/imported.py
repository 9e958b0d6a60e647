"""What an import has brought already, so that one which was interrupted, or is done again, doubles nothing.

A small SQLite file beside the mail has, for each source and folder, the
fingerprint of every message that was brought, and how often. Before a batch is
given to the store the mailbox's UIDNEXT is noted; what an interrupted run has
left unnoted is found among the messages from that UID on. Of what is pulled
from another server its last UID is enough. Blocking.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from twistmail.mail.content import Content

#: Seconds to wait for another import into the same account.
PATIENCE = 60.0

_TABLES = """
CREATE TABLE IF NOT EXISTS imported (
    source TEXT, folder TEXT, fingerprint BLOB, copies INTEGER, PRIMARY KEY (source, folder, fingerprint)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS under_way (
    source TEXT, folder TEXT, uidvalidity INTEGER, uidnext INTEGER, PRIMARY KEY (source, folder)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pulled (
    source TEXT, folder TEXT, uidvalidity INTEGER, uid INTEGER, PRIMARY KEY (source, folder)) WITHOUT ROWID;
CREATE TEMPORARY TABLE seen (
    folder TEXT, fingerprint BLOB, copies INTEGER, PRIMARY KEY (folder, fingerprint)) WITHOUT ROWID;
"""


def fingerprint(content: Content) -> bytes:
    """16 octets that stand for *content*, whatever its line ends are."""
    digest = hashlib.sha256()
    for chunk in content.chunks():
        digest.update(chunk.replace(b"\r", b""))
    return digest.digest()[:16]


class Imported:
    """One run of an import of *source*. Raises sqlite3.Error."""

    def __init__(self, path: Path, source: str) -> None:
        self._source = source
        self._database = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
        self._database.executescript(_TABLES)

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _change(self) -> Iterator[None]:
        """One transaction; it waits for those of others before it has read anything, so it cannot be told too late."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def forget(self) -> None:
        """As if nothing had ever been brought from this source."""
        with self._change():
            for table in ("imported", "under_way", "pulled"):
                self._database.execute(f"DELETE FROM {table} WHERE source = ?", (self._source,))

    def has(self, folder: str, mark: bytes) -> bool:
        """Whether the message that comes now was brought by an earlier run. Counts: the second of two equal ones may be new."""
        (seen,) = self._database.execute(
            "INSERT INTO seen VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET copies = copies + 1 RETURNING copies", (folder, mark)
        ).fetchone()
        query = "SELECT copies FROM imported WHERE source = ? AND folder = ? AND fingerprint = ?"
        brought = self._database.execute(query, (self._source, folder, mark)).fetchone()
        return brought is not None and seen <= brought[0]

    def begin_batch(self, folder: str, uidvalidity: int, uidnext: int) -> None:
        """A batch is given to the store: whatever gets a UID from *uidnext* on may be of it."""
        with self._change():
            self._database.execute("INSERT OR REPLACE INTO under_way VALUES (?, ?, ?, ?)", (self._source, folder, uidvalidity, uidnext))

    def interrupted(self, folder: str) -> tuple[int, int] | None:
        """(UIDVALIDITY, UIDNEXT) before the batch that an earlier run has begun and not ended."""
        query = "SELECT uidvalidity, uidnext FROM under_way WHERE source = ? AND folder = ?"
        return self._database.execute(query, (self._source, folder)).fetchone()

    def end_batch(self, folder: str, marks: Iterable[bytes]) -> None:
        """The messages with these fingerprints are in the store, durably."""
        with self._change():
            self._database.executemany(
                "INSERT INTO imported VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET copies = copies + 1",
                [(self._source, folder, mark) for mark in marks],
            )
            self._database.execute("DELETE FROM under_way WHERE source = ? AND folder = ?", (self._source, folder))

    # ----- from a server, whose UIDs tell how far we are

    def pulled(self, folder: str, uidvalidity: int) -> int:
        """The last UID of the remote folder that is here, 0 where nothing is."""
        query = "SELECT uid FROM pulled WHERE source = ? AND folder = ? AND uidvalidity = ?"
        found = self._database.execute(query, (self._source, folder, uidvalidity)).fetchone()
        return found[0] if found else 0

    def end_pull(self, folder: str, uidvalidity: int, uid: int) -> None:
        """All messages up to *uid* are in the store, durably."""
        with self._change():
            self._database.execute("INSERT OR REPLACE INTO pulled VALUES (?, ?, ?, ?)", (self._source, folder, uidvalidity, uid))
            self._database.execute("DELETE FROM under_way WHERE source = ? AND folder = ?", (self._source, folder))
