"""Something that may fail again and again: the log hears when it begins, and when it is over, not each time."""

from __future__ import annotations

from twisted.logger import Logger

log = Logger()


class Trouble:
    """*what* is a sentence about what goes wrong, with its path."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._lasts = False

    def begins(self, error: Exception) -> None:
        """It has failed, perhaps not for the first time."""
        if not self._lasts:
            self._lasts = True
            log.warn("{what}: {error}", what=self._what, error=error)

    def ends(self) -> None:
        """It has worked."""
        if self._lasts:
            self._lasts = False
            log.info("{what}: this is over", what=self._what)
