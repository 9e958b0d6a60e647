"""Transcripts: who said what on a connection, kept for all of them or for those that ended badly.

Listens to facts with their lines (secrets are masked before they become facts,
mail is counted and not quoted). Lines of a connection wait here until it ends;
only then it is known whether anybody will want to read them. They go to a
journal of their own, which forgets sooner than the other.
"""

from __future__ import annotations

from collections import deque

from twistmail.facts import Closed, Fact, Line, LoginFailed, Refused
from twistmail.journal import Journal

#: Lines of one connection that are kept: the last ones.
MOST_LINES = 500
#: Ends of a connection that somebody will want to understand.
BAD_ENDS = frozenset({"timed out", "bug", "data behind STARTTLS", "TLS failed", "no certificate"})


class Transcripts:
    """`note` is a listener of `facts.Facts` that wants lines. *only_failures*: keep what ended badly, forget the rest."""

    def __init__(self, journal: Journal, *, only_failures: bool) -> None:
        self._journal = journal
        self._only_failures = only_failures
        self._lines: dict[str, deque[Fact]] = {}
        self._failed: set[str] = set()

    def note(self, fact: Fact) -> None:
        what = fact.what
        if isinstance(what, Line):
            self._lines.setdefault(fact.about, deque(maxlen=MOST_LINES)).append(fact)
        elif isinstance(what, Refused):
            self._failed.add(what.connection)
        elif isinstance(what, LoginFailed):
            self._failed.add(fact.about)
        elif isinstance(what, Closed):
            self._end(fact.about, what.why)

    def _end(self, connection: str, why: str) -> None:
        lines = self._lines.pop(connection, ())
        failed = connection in self._failed or why in BAD_ENDS
        self._failed.discard(connection)
        if failed or not self._only_failures:
            for line in lines:
                self._journal.note(line)
