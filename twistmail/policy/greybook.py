"""The grey book: what the greylist remembers over a restart, in a SQLite file. Blocking, and plain Python without Twisted.

Letters that were sent away are kept as digests: who writes to whom is nobody's business who reads the file.
"""

from __future__ import annotations

from collections.abc import Mapping

from twistmail.sqlite_book import SqliteBook

#: Below the data folder.
FILE = "greylist.sqlite"
VERSION = 1
SCHEMA = """
    CREATE TABLE waiting (
        letter BLOB PRIMARY KEY,          -- a digest of network, sender and recipient
        since REAL NOT NULL               -- POSIX seconds: sent away for the first time
    ) WITHOUT ROWID;
    CREATE TABLE known (
        network TEXT PRIMARY KEY,         -- 192.0.2.0/24
        last REAL NOT NULL                -- seen for the last time
    ) WITHOUT ROWID;
"""


class Greybook(SqliteBook):
    """The book at *path*, made at the first writing. sqlite3.Error, OSError."""

    version, schema = VERSION, SCHEMA

    def waiting(self, since: float, most: int) -> list[tuple[bytes, float]]:
        """At most the last *most* letters that were sent away after *since*, in their order."""
        return self.rows("SELECT letter, since FROM waiting WHERE since > ? ORDER BY since DESC LIMIT ?", since, most)[::-1]

    def known(self, since: float, most: int) -> list[tuple[str, float]]:
        """At most the last *most* networks that were seen after *since*, in their order."""
        return self.rows("SELECT network, last FROM known WHERE last > ? ORDER BY last DESC LIMIT ?", since, most)[::-1]

    def write(self, waiting: Mapping[bytes, float | None], known: Mapping[str, float]) -> None:
        """Note what is new; a letter at None waits no longer."""
        with self.writing() as connection:
            connection.executemany("DELETE FROM waiting WHERE letter = ?", [(letter,) for letter, at in waiting.items() if at is None])
            kept = [(letter, at) for letter, at in waiting.items() if at is not None]
            connection.executemany("INSERT OR REPLACE INTO waiting (letter, since) VALUES (?, ?)", kept)
            connection.executemany("INSERT OR REPLACE INTO known (network, last) VALUES (?, ?)", list(known.items()))

    def prune(self, waiting_since: float, known_since: float) -> None:
        """Take out what was sent away, or seen last, before these."""
        if not self.path.exists():
            return
        with self.writing() as connection:
            connection.execute("DELETE FROM waiting WHERE since <= ?", (waiting_since,))
            connection.execute("DELETE FROM known WHERE last <= ?", (known_since,))
