"""The TLS book: what outlives a restart of how others encrypt, in a SQLite file.

Three tables: the MTA-STS policies that hold (RFC 8461 §3.3), the best level that
each server of each domain has shown (`levels`), and what came of connections, a
row for each day and kind of result (RFC 8460 §4.3).

Blocking, and plain Python without Twisted. The server writes in a thread, once a
second at most (`tlsmemory`); the command line reads while it runs, and changes
things when it does not. A crash of the machine costs at most the last second.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from twistmail.mail.values import frozen
from twistmail.relay.mtasts import StsPolicy
from twistmail.relay.terms import Level
from twistmail.sqlite_book import SqliteBook

#: Below the data folder.
FILE = "tls.sqlite"
VERSION = 1
SCHEMA = """
    CREATE TABLE policies (
        domain TEXT PRIMARY KEY,
        id TEXT NOT NULL,                 -- of the record in the DNS
        mode TEXT NOT NULL,
        patterns TEXT NOT NULL,           -- JSON: the names of its servers
        max_age REAL NOT NULL,            -- seconds
        lines TEXT NOT NULL,              -- JSON: as it was published
        fetched REAL NOT NULL,            -- POSIX seconds
        used REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE levels (
        domain TEXT NOT NULL,
        host TEXT NOT NULL,
        level INTEGER NOT NULL,           -- the best: 1 encrypted, 2 with a certificate in order
        since REAL NOT NULL,              -- seen for the first time
        last REAL NOT NULL,
        PRIMARY KEY (domain, host)
    ) WITHOUT ROWID;
    CREATE TABLE results (
        day TEXT NOT NULL,                -- 2026-11-21, UTC
        domain TEXT NOT NULL,
        policy TEXT NOT NULL,             -- JSON: kind, lines, patterns
        result TEXT NOT NULL,             -- empty: all was well
        host TEXT NOT NULL,
        address TEXT NOT NULL,
        source TEXT NOT NULL,             -- our own address
        reason TEXT NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (day, domain, policy, result, host, address, source, reason)
    ) WITHOUT ROWID;
"""


@frozen
class KeptPolicy:
    """The policy of `domain`, with the `id` of its record, when it was `fetched` and last `used` (POSIX seconds)."""

    domain: str
    id: str
    policy: StsPolicy
    fetched: float
    used: float

    def holds(self, now: float) -> bool:
        return self.fetched <= now + 300 and now < self.fetched + self.policy.max_age


@frozen
class Seen:
    """The best `level` that server `host` of `domain` has shown, `since` when, and when it was `last` reached so."""

    domain: str
    host: str
    level: Level
    since: float
    last: float


@frozen
class Result:
    """What came of connections on one day. `policy`: JSON of (kind, lines, patterns); `result`: empty where all was well."""

    day: str
    domain: str
    policy: str
    result: str = ""
    host: str = ""
    address: str = ""
    source: str = ""
    reason: str = ""


@dataclass(slots=True)
class News:
    """What is not written yet. A policy of None is one to forget."""

    policies: dict[str, KeptPolicy | None] = field(default_factory=dict)
    levels: dict[tuple[str, str], Seen] = field(default_factory=dict)
    results: dict[Result, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.policies or self.levels or self.results)


class TlsBook(SqliteBook):
    """The book at *path*, made at the first writing. sqlite3.Error, OSError."""

    version, schema = VERSION, SCHEMA

    # ----- reading

    def policies(self) -> tuple[KeptPolicy, ...]:
        """All, by domain. One that cannot be understood is left out."""
        rows = self.rows("SELECT domain, id, mode, patterns, max_age, lines, fetched, used FROM policies ORDER BY domain")
        return tuple(_readable(rows))

    def seen(self, domain: str = "") -> tuple[Seen, ...]:
        """What was seen of *domain*; empty: of all, by domain and server."""
        which, values = ("WHERE domain = ?", (domain,)) if domain else ("", ())
        rows = self.rows(f"SELECT domain, host, level, since, last FROM levels {which} ORDER BY domain, host", *values)
        return tuple(Seen(domain, host, Level(min(level, Level.VERIFIED)), since, last) for domain, host, level, since, last in rows)

    def results(self, first_day: str, domain: str = "") -> tuple[tuple[Result, int], ...]:
        """The results from *first_day* on, with their numbers, of *domain* or (empty) of all."""
        which, values = ("AND domain = ?", (domain,)) if domain else ("", ())
        rows = self.rows(
            f"SELECT day, domain, policy, result, host, address, source, reason, count FROM results WHERE day >= ? {which} "
            "ORDER BY day, domain, policy, result", first_day, *values)
        return tuple((Result(*row[:-1]), row[-1]) for row in rows)

    # ----- writing

    def write(self, news: News) -> None:
        """Note what is new. What another process has seen meanwhile is not lost: the better level stays, numbers add up."""
        with self.writing() as connection:
            connection.executemany("DELETE FROM policies WHERE domain = ?", [(domain,) for domain in news.policies])
            connection.executemany(
                "INSERT INTO policies (domain, id, mode, patterns, max_age, lines, fetched, used) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [_row(kept) for kept in news.policies.values() if kept is not None])
            connection.executemany(
                "INSERT INTO levels (domain, host, level, since, last) VALUES (?, ?, ?, ?, ?) ON CONFLICT (domain, host) DO UPDATE "
                "SET level = max(level, excluded.level), last = max(last, excluded.last)",
                [(one.domain, one.host, int(one.level), one.since, one.last) for one in news.levels.values()])
            connection.executemany(
                "INSERT INTO results (day, domain, policy, result, host, address, source, reason, count) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
                [(*_fields(result), count) for result, count in news.results.items()])

    def forget(self, domains: Iterable[str]) -> int:
        """Forget levels and policies of *domains*; of how many something was known."""
        count = 0
        with self.writing() as connection:
            for domain in domains:
                gone = connection.execute("DELETE FROM levels WHERE domain = ?", (domain,)).rowcount
                count += bool(gone + connection.execute("DELETE FROM policies WHERE domain = ?", (domain,)).rowcount)
        return count

    def prune(self, first_day: str, unseen_since: float, now: float) -> None:
        """Take out results before *first_day*, servers not reached since *unseen_since*, and policies that hold no longer."""
        if not self.path.exists():
            return
        with self.writing() as connection:
            connection.execute("DELETE FROM results WHERE day < ?", (first_day,))
            connection.execute("DELETE FROM levels WHERE last < ?", (unseen_since,))
            connection.execute("DELETE FROM policies WHERE fetched + max_age < ?", (now,))


def _fields(result: Result) -> tuple[str, ...]:
    return result.day, result.domain, result.policy, result.result, result.host, result.address, result.source, result.reason


def _row(kept: KeptPolicy) -> tuple[object, ...]:
    policy = kept.policy
    patterns, lines = json.dumps(policy.patterns), json.dumps(policy.lines)
    return kept.domain, kept.id, policy.mode, patterns, policy.max_age, lines, kept.fetched, kept.used


def _readable(rows: Iterable[tuple]) -> Iterator[KeptPolicy]:  # type: ignore[type-arg]
    for domain, identifier, mode, patterns, max_age, lines, fetched, used in rows:
        try:
            policy = StsPolicy(mode, tuple(json.loads(patterns)), max_age, tuple(json.loads(lines)))
        except ValueError:
            continue
        yield KeptPolicy(domain, identifier, policy, fetched, used)


def summed(results: Iterable[tuple[Result, int]]) -> Mapping[str, tuple[int, int]]:
    """By domain: how many connections went well, and how many not."""
    found: dict[str, tuple[int, int]] = {}
    for result, count in results:
        good, bad = found.get(result.domain, (0, 0))
        found[result.domain] = (good, bad + count) if result.result else (good + count, bad)
    return found
