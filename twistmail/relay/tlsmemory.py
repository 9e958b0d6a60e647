"""What we remember of how others encrypt: answers at once, and brings what is new into the TLS book (`tlsbook`) behind that.

One for the whole server; it outlives reloads. `service` calls `write` once a
second. A book that cannot be read or written holds up no mail: that is logged,
once, and the news are kept for the next time.

A server that we know keeps the level that it has shown. One that we have not met
has to be as good as the weakest that we know of its domain: else whoever forges
the answer of a DNS server would only have to invent a new name.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from twistmail import tasks
from twistmail.relay.route import Host
from twistmail.relay.terms import Finding, Level, Policy
from twistmail.relay.tlsbook import KeptPolicy, News, Result, Seen, TlsBook

log = Logger()

DAY = 86400.0
#: Seconds between two notes that a server is still as good as it was, or that a policy is still in use.
SELDOM = 6 * 3600.0
#: Seconds after which what was not seen again is forgotten: longer than any policy holds.
UNSEEN = 400 * DAY
#: MTA-STS policies that are kept.
MOST_POLICIES = 10_000
#: Kinds of results that wait to be written, domains of a day whose results are counted: what is beyond is not told.
MOST_WAITING = 20_000
LONGEST_REASON = 200
#: Seconds that a question on the reactor's thread waits for somebody who has locked the book; then it counts as unknown.
PROMPT = 0.05
TROUBLE = (sqlite3.Error, OSError)


class TlsMemory:
    """Over *book*. *epoch*() gives POSIX seconds."""

    def __init__(self, book: TlsBook, epoch: Callable[[], float]) -> None:
        self.book = book
        self._epoch = epoch
        self._news = News()
        self._writing = News()
        self._turn = tasks.Limit(1)
        self._reader: sqlite3.Connection | None = None
        self._is_troubled = False
        self._pruned = epoch()
        self._policies = {kept.domain: kept for kept in self._carefully(self.book.policies, ())}

    # ----- levels

    def seen(self, domain: str) -> tuple[Seen, ...]:
        """The servers of *domain* that have encrypted, with the best that each has shown."""
        found = {one.host: one for one in self._known(domain)}
        for news in (self._writing, self._news):
            found |= {host: one for (of, host), one in news.levels.items() if of == domain}
        return tuple(found.values())

    def owed(self, domain: str, host: str) -> Level:
        """What server *host* of *domain* has to show to be no worse than it was."""
        levels = {one.host: one.level for one in self.seen(domain)}
        return levels[host] if host in levels else min(levels.values(), default=Level.PLAIN)

    def saw(self, domain: str, host: str, level: Level) -> None:
        """Server *host* of *domain* has shown *level*."""
        if level is Level.PLAIN:
            return
        now = self._epoch()
        known = next((one for one in self.seen(domain) if one.host == host), None)
        if known is None:
            self._news.levels[domain, host] = Seen(domain, host, level, now, now)
        elif level > known.level or (level == known.level and now - known.last > SELDOM):
            self._news.levels[domain, host] = Seen(domain, host, level, now if level > known.level else known.since, now)

    def _known(self, domain: str) -> tuple[Seen, ...]:
        """From the book: a question of some 10 microseconds by a connection that stays open."""
        if self._reader is None and not self.book.path.exists():
            return ()
        return self._carefully(lambda: self._read(domain), ())

    def _read(self, domain: str) -> tuple[Seen, ...]:
        if self._reader is None:
            self._reader = self.book.connect(PROMPT)
        rows = self._reader.execute("SELECT domain, host, level, since, last FROM levels WHERE domain = ?", (domain,))
        return tuple(Seen(of, host, Level(min(level, Level.VERIFIED)), since, last) for of, host, level, since, last in rows)

    # ----- policies

    def policy(self, domain: str) -> KeptPolicy | None:
        """The MTA-STS policy of *domain*, as long as it holds."""
        kept = self._policies.get(domain)
        now = self._epoch()
        if kept is None or not kept.holds(now):
            return None
        if now - kept.used > SELDOM:
            self.keep(KeptPolicy(domain, kept.id, kept.policy, kept.fetched, now))
        return self._policies[domain]

    def policies(self) -> tuple[KeptPolicy, ...]:
        """All that hold."""
        now = self._epoch()
        return tuple(kept for kept in self._policies.values() if kept.holds(now))

    def keep(self, kept: KeptPolicy) -> None:
        """Where there are very many, the one that was not used for longest goes."""
        if len(self._policies) >= MOST_POLICIES and kept.domain not in self._policies:
            self.drop(min(self._policies.values(), key=lambda one: one.used).domain)
        self._policies[kept.domain] = self._news.policies[kept.domain] = kept

    def drop(self, domain: str) -> None:
        """*domain* has no policy any more (RFC 8461 §8.3: mode none says so)."""
        if self._policies.pop(domain, None) is not None:
            self._news.policies[domain] = None

    # ----- results

    def count(self, policy: Policy, host: Host, finding: Finding, kind: str) -> None:
        """One more connection to *host* under *policy*. *kind*: what went wrong (RFC 8460 §4.3); empty: nothing."""
        published = json.dumps((policy.kind, policy.lines, policy.patterns))
        day = time.strftime("%Y-%m-%d", time.gmtime(self._epoch()))
        told = Result(day, policy.domain, published)
        if kind:
            told = Result(day, policy.domain, published, kind, host.name, host.address, finding.source, finding.fault[:LONGEST_REASON])
        if told in self._news.results or len(self._news.results) < MOST_WAITING:
            self._news.results[told] = self._news.results.get(told, 0) + 1

    # ----- the book

    async def forget(self, domains: tuple[str, ...], threads: Any) -> int:
        """Forget what was seen of *domains*, and their policies; of how many something was known. sqlite3.Error, OSError."""
        async with self._turn:
            await threads.run(self.book.write, self._take())
            self._writing = News()
            for domain in domains:
                self._policies.pop(domain, None)
            return await threads.run(self.book.forget, domains)  # type: ignore[no-any-return]

    async def write(self, threads: Any, keep_results: float) -> None:
        """Write down what is new; once a day, take out results older than *keep_results* seconds and what is outdated."""
        now = self._epoch()
        if self._news and not self._turn.held:
            async with self._turn:
                if await self._in_thread(threads, self.book.write, self._take()):
                    self._is_troubled = False
                else:
                    self._news = _merged(self._writing, self._news)
                self._writing = News()
        if now - self._pruned > DAY:
            self._pruned = now
            first_day = time.strftime("%Y-%m-%d", time.gmtime(now - keep_results))
            self._policies = {kept.domain: kept for kept in self.policies()}
            await self._in_thread(threads, self.book.prune, first_day, now - UNSEEN, now)

    def _take(self) -> News:
        self._writing, self._news = self._news, News()
        return self._writing

    async def _in_thread(self, threads: Any, work: Callable[..., None], *arguments: Any) -> bool:
        try:
            await threads.run(work, *arguments)
        except TROUBLE as trouble:
            self._complain(trouble)
            return False
        return True

    def close(self) -> None:
        """Write down what is new. Blocking; at shutdown."""
        self._carefully(self._flush, None)
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _flush(self) -> None:
        if self._news:
            self.book.write(self._news)
            self._news = News()

    def _carefully(self, work: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return work()
        except TROUBLE as trouble:
            self._complain(trouble)
            return otherwise

    def _complain(self, trouble: Exception) -> None:
        """Once, until it was well again. The next question opens the book anew."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if not self._is_troubled:
            log.error("{path} cannot be used: {trouble}", path=str(self.book.path), trouble=str(trouble))
        self._is_troubled = True


def _merged(older: News, newer: News) -> News:
    results = dict(older.results)
    for result, count in newer.results.items():
        results[result] = results.get(result, 0) + count
    return News(older.policies | newer.policies, older.levels | newer.levels, results)
