"""The tables of the database of accounts, and how older ones become what we want. Every change of them is a step here."""

from __future__ import annotations

import sqlite3
from pathlib import Path

_FIRST = """
    CREATE TABLE accounts (
        name TEXT PRIMARY KEY,            -- full address, lower case
        local TEXT NOT NULL,              -- what stands before the @
        display_name TEXT NOT NULL DEFAULT '',
        secret TEXT NOT NULL,             -- $argon2id$..., or empty: no login
        quota INTEGER,                    -- bytes, NULL: unlimited
        enabled INTEGER NOT NULL DEFAULT 1
    ) WITHOUT ROWID;
    CREATE INDEX accounts_by_local ON accounts (local)
"""
_SECOND = """
    -- ScramKeys.encoded, one a line
    ALTER TABLE accounts ADD COLUMN keys TEXT NOT NULL DEFAULT '';
    -- JSON: keys of a [user:NAME] section, and their texts
    ALTER TABLE accounts ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
    CREATE TABLE addresses (
        address TEXT PRIMARY KEY,         -- full, lower case; its mail goes to the account
        account TEXT NOT NULL REFERENCES accounts (name) ON DELETE CASCADE ON UPDATE CASCADE
    ) WITHOUT ROWID;
    CREATE INDEX addresses_by_account ON addresses (account);
    CREATE TABLE app_passwords (
        account TEXT NOT NULL REFERENCES accounts (name) ON DELETE CASCADE ON UPDATE CASCADE,
        label TEXT NOT NULL,
        secret TEXT NOT NULL,
        services TEXT NOT NULL DEFAULT '',    -- words divided by spaces, empty: all
        expires REAL,                         -- POSIX seconds, NULL: never
        PRIMARY KEY (account, label)
    ) WITHOUT ROWID;
    CREATE TABLE domains (
        name TEXT PRIMARY KEY,            -- lower case, A-labels
        same_as TEXT NOT NULL DEFAULT '', -- the domain whose users it has
        catchall TEXT NOT NULL DEFAULT '',
        description TEXT NOT NULL DEFAULT ''
    ) WITHOUT ROWID
"""
#: What makes version n + 1 of version n.
STEPS = (_FIRST, _SECOND)
VERSION = len(STEPS)


def upgrade(connection: sqlite3.Connection, path: Path) -> None:
    """Inside a transaction: make the tables what they are now; refuse what a later version has made. sqlite3.Error."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise sqlite3.DatabaseError(f"{path} was made by a later twistmail (its version is {version}, ours {VERSION})")
    for step in STEPS[version:]:
        for statement in step.split(";\n"):
            connection.execute(statement)
    if version < VERSION:
        connection.execute(f"PRAGMA user_version = {VERSION}")
