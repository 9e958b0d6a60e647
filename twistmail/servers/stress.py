"""Stress: what a service knows when so many peers are there that it has to be short with them (limits.md net.stress_at).

One `Stress` for the life of the server: the listeners' pool tells it how many
there are, sessions ask `on`, which is an attribute.
"""

from __future__ import annotations

from twisted.logger import Logger

log = Logger()

#: Seconds that a peer has for its next word, and refused and idle commands that it may give, while there is stress.
TIMEOUT = 10.0
HARD_ERRORS = 1
JUNK_COMMANDS = 1
#: It ends when a tenth of those with whom it began have gone: a service at the edge would say so with every peer.
RELIEF = 0.9


class Stress:
    """Whether service `name` is under stress; said in the log when that begins and ends."""

    __slots__ = ("_at", "_name", "on")

    def __init__(self, name: str = "", percent: int = 80) -> None:
        self.on = False
        self._name = name
        self._at = percent / 100

    def adopt(self, percent: int) -> None:
        """From now on it begins when *percent* of the places are taken."""
        self._at = percent / 100

    def look(self, present: int, most: int | None) -> None:
        """*present* peers of *most* are here (None: any number may be)."""
        if most is None:
            return
        begins = max(1.0, self._at * most)
        if not self.on and present >= begins:
            self.on = True
            self._tell("strangers get less time", present, most)
        elif self.on and present < begins * RELIEF:
            self.on = False
            self._tell("everybody has the usual time again", present, most)

    def _tell(self, what: str, present: int, most: int) -> None:
        log.warn("{service}: {present} of {most} connections: {what}", service=self._name, present=present, most=most, what=what)
