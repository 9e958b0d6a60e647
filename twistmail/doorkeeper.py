"""The doorkeeper: brings what the door has seen into the door book, and back after a restart.

It learns logins from the facts and bans from `bans.Bans`; `service` calls `write`
once a second. A book that cannot be read or written keeps nobody out and nobody
from logging in: that is logged, and the news are kept for the next time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from twistmail.bans import Ban, Bans
from twistmail.doorbook import Doorbook, LastLogin
from twistmail.facts import Fact, LoggedIn
from twistmail.networks import Network

log = Logger()

#: Accounts whose login waits to be written.
MOST_WAITING = 100_000
#: Seconds between two looks for bans that ended long ago.
CLEARING = 600.0

News = tuple[dict[Network, Ban | None], dict[str, LastLogin]]


class Doorkeeper:
    """Keeps *book*. `bans` are those that were in it. `note` is a listener of `facts.Facts`. *epoch*() gives POSIX seconds."""

    def __init__(self, book: Doorbook, epoch: Callable[[], float]) -> None:
        self.book = book
        self._epoch = epoch
        self._cleared = epoch()
        self._logins: dict[str, LastLogin] = {}
        self._is_troubled = False
        self.bans = Bans(self._known())

    def note(self, fact: Fact) -> None:
        match fact.what:
            case LoggedIn(account, mechanism, service, address) if len(self._logins) < MOST_WAITING or account in self._logins:
                self._logins[account] = LastLogin(account, fact.at, service, address, mechanism)

    async def write(self, threads: Any) -> None:
        """Write down what is new."""
        if (now := self._epoch()) - self._cleared > CLEARING:
            self._cleared = now
            self.bans.expire(now)
        if self._logins or self.bans.changed:
            bans, logins = news = self._take()
            try:
                await threads.run(self.book.write, bans, logins.values())
                self._is_troubled = False
            except (sqlite3.Error, OSError) as trouble:
                self._keep(news, trouble)

    def close(self) -> None:
        """Write down what is new. Blocking; at shutdown."""
        if self._logins or self.bans.changed:
            bans, logins = news = self._take()
            try:
                self.book.write(bans, logins.values())
            except (sqlite3.Error, OSError) as trouble:
                self._keep(news, trouble)

    def _take(self) -> News:
        logins, self._logins = self._logins, {}
        return self.bans.take_changes(), logins

    def _keep(self, news: News, trouble: Exception) -> None:
        """For the next time, behind what has come since."""
        bans, logins = news
        self.bans.changed = bans | self.bans.changed
        self._logins = logins | self._logins
        self._complain("written", trouble)

    def _known(self) -> tuple[Ban, ...]:
        try:
            return self.book.bans()
        except (sqlite3.Error, OSError) as trouble:
            self._complain("read: nobody is banned now", trouble)
            return ()

    def _complain(self, what: str, trouble: Exception) -> None:
        """Once, until it was well again."""
        if not self._is_troubled:
            log.error("{path} cannot be {what}: {trouble}", path=str(self.book.path), what=what, trouble=str(trouble))
        self._is_troubled = True
