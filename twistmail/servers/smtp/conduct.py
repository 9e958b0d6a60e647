"""How a peer behaves: errors, junk and transactions are counted, and at some point we have had enough."""

from __future__ import annotations

from collections.abc import Callable

from twistmail.mail.status import Status
from twistmail.options import Settings
from twistmail.servers import stress
from twistmail.servers.smtp.service import TOO_MANY_ERRORS, TOO_MANY_RECIPIENTS, TOO_MANY_TRANSACTIONS, TOO_MUCH_JUNK

#: Seconds that each error beyond the soft limit waits for its answer.
ERROR_DELAY = 1.0
#: Recipients too many that are no error yet: a client pipelines its whole list before it sees the first 452.
OVERSHOOT = 1000


class Conduct:
    """The counters of one connection; they survive STARTTLS. An accepted message forgives errors and junk.

    While the peer *is_pressed*(), errors and junk have the limits that `servers.stress` knows.
    """

    __slots__ = ("_errors", "_is_pressed", "_junk", "_overshoot", "_settings", "_transactions")

    def __init__(self, settings: Settings, is_pressed: Callable[[], bool]) -> None:
        self._settings = settings
        self._is_pressed = is_pressed
        self._errors = 0
        self._junk = 0
        self._overshoot = 0
        self._transactions = 0

    def error(self, status: Status) -> tuple[Status, float]:
        """What to answer instead of (mostly: as) the refusal *status*, and how many seconds later."""
        if status is TOO_MANY_RECIPIENTS and self._overshoot < OVERSHOOT:
            self._overshoot += 1
            return status, 0.0
        self._errors += 1
        hard = self._settings.hard_errors
        if self._errors > (min(hard, stress.HARD_ERRORS) if self._is_pressed() else hard):
            return TOO_MANY_ERRORS, 0.0
        return status, ERROR_DELAY if self._errors > self._settings.soft_errors else 0.0

    def junk(self) -> Status | None:
        """One more command that brings no mail nearer: None, or the last word."""
        self._junk += 1
        most = self._settings.max_junk_commands
        return TOO_MUCH_JUNK if self._junk > (min(most, stress.JUNK_COMMANDS) if self._is_pressed() else most) else None

    def transaction(self) -> Status | None:
        """One more MAIL: None, or the last word."""
        self._transactions += 1
        return TOO_MANY_TRANSACTIONS if self._transactions > self._settings.max_transactions else None

    def accepted(self) -> None:
        """A message was accepted."""
        self._errors = self._junk = self._overshoot = 0
