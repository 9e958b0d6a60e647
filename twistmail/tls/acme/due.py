"""When a certificate is to be renewed, and how long to wait after a failure. Pure."""

from __future__ import annotations

from twistmail.mail.values import frozen

HOUR, DAY = 3600.0, 86400.0
#: A certificate that holds for no longer is renewed after half of its time, others after two thirds.
SHORT = 10 * DAY
#: Seconds after the first failure and at most; in between they double. Authorities count failures by the hour.
FIRST_WAIT, LONGEST_WAIT = HOUR, DAY


@frozen
class Past:
    """How it has gone: failures in a row, and when the last was (POSIX seconds); `trouble` says why."""

    failures: int = 0
    tried: float = 0.0
    trouble: str = ""

    def failed(self, now: float, trouble: str) -> Past:
        return Past(self.failures + 1, now, trouble)

    @property
    def not_before(self) -> float:
        """When the next try may be, in POSIX seconds."""
        if not self.failures:
            return 0.0
        return self.tried + min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(self.failures - 1, 10))


def renewal_time(begins: float, expires: float, suggested: float | None = None) -> float:
    """When to renew what holds from *begins* to *expires*; *suggested* by the authority (RFC 9773). All in POSIX seconds."""
    lifetime = expires - begins
    usual = begins + lifetime * (0.5 if lifetime <= SHORT else 2 / 3)
    return usual if suggested is None else min(suggested, expires - lifetime / 10)
