"""The senders of forwarded messages, there and back (SRS), and what keeps strangers from making use of that.

`mail/srs.py` knows how such an address is spelled; here is which day it is, who
may use one, and how often. Whoever guesses addresses is told that there is
nobody of that name, and the stage `rates` counts him.
"""

from __future__ import annotations

from collections.abc import Callable

from twistmail.mail.address import Address
from twistmail.mail.srs import Expired, Forged, Srs, is_srs
from twistmail.mail.status import Status
from twistmail.policy.rates import Rate

DAY = 86400.0

UNKNOWN = Status(550, "5.1.1", "There is no mailbox of that name here")
EXPIRED = Status(550, "5.1.1", "That address was made for reports about a forwarded message, and is too old")
REPORTS_ONLY = Status(550, "5.7.1", "That address is for reports about a forwarded message only; write to its author instead")
TOO_MANY = Status(451, "4.7.1", "Too many reports to that address at once, please try again later")


class Forwarding:
    """*epoch* gives POSIX seconds. *rate*: messages to one such address; *everybody*: not from the null sender only."""

    def __init__(self, srs: Srs, epoch: Callable[[], float], rate: Rate, *, everybody: bool = False) -> None:
        self._srs = srs
        self._epoch = epoch
        self._rate = rate
        self._everybody = everybody

    @property
    def domain(self) -> str:
        return self._srs.domain

    def forward(self, sender: Address) -> Address | None:
        """What a forwarded message of *sender* has as its sender; None where that would be too long."""
        return self._srs.forward(sender, self._today())

    def back(self, address: Address) -> Address | Status | None:
        """Whom *address* stands for, or why it leads nowhere; None where it is no address of this kind."""
        if address.domain != self._srs.domain or not is_srs(address):
            return None
        try:
            return self._srs.back(address, self._today())
        except Expired:
            return EXPIRED
        except Forged:
            return UNKNOWN

    def objection(self, sender: Address | None, recipient: Address) -> Status | None:
        """Why mail of *sender* for *recipient*, one of these addresses that leads somewhere, is not taken now; it counts if it is."""
        if sender is not None and not self._everybody:
            return REPORTS_ONLY
        key = str(recipient.folded)
        if self._rate.is_full(key):
            return TOO_MANY
        self._rate.count(key)
        return None

    def _today(self) -> int:
        return int(self._epoch() // DAY)
