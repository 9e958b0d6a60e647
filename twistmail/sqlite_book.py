"""A small SQLite file that outlives a restart: made at the first writing, read beside a writer. Blocking, without Twisted.

What is in it, and who writes how often, is the business of `doorbook` and `relay.tlsbook`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

#: Seconds that one who writes waits for another.
PATIENCE = 10.0


class SqliteBook:
    """The book at *path*. sqlite3.Error, OSError. A kind of book has a `version`, and a `schema` for its tables."""

    version: ClassVar[int]
    schema: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self, question: str, *values: str | float) -> list[Any]:
        """What it answers; nothing while it has no tables yet: one who writes makes the file first."""
        if not self.path.exists():
            return []
        with closing(self.connect()) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if not version:
                return []
            if version < self.version:  # of an earlier twistmail
                with self.writing():
                    pass
            return connection.execute(question, values).fetchall()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, in a book that has its tables."""
        if not self.path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        with closing(self.connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._upgrade(connection)
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def connect(self, patience: float = PATIENCE) -> sqlite3.Connection:
        """WAL, without a sync for every second's news: a crash of the machine may cost the last ones, never the book."""
        connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=rw", timeout=patience, isolation_level=None, uri=True)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    def _upgrade(self, connection: sqlite3.Connection) -> None:
        """Make the tables where there are none; refuse what a later version has made."""
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > self.version:
            raise sqlite3.DatabaseError(
                f"{self.path} was made by a later twistmail (its version is {version}, ours {self.version})")
        if version < self.version:
            for statement in self.schema.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {self.version}")
