"""The gate: who is sent away before a word is said, because he has guessed at passwords or an operator said so.

The server's own bans hold where one logs in (`LOGIN`); a mail server behind the
same address may still bring mail. An operator's hold everywhere. Addresses that
are spared, such as this machine's own, are never banned by the server itself.
One `Gate` for the life of the server; a reload changes its terms (`adopt`).
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from twistmail.bans import OPERATOR, Bans, home_of
from twistmail.facts import Banned, Fact, Facts
from twistmail.mail.values import frozen
from twistmail.networks import Network, covers

log = Logger()

#: Services where one has to log in.
LOGIN = frozenset({"submission", "imap", "pop3"})


@frozen
class Terms:
    """`lasts`: seconds of somebody's first ban (None: nobody is banned). `spared`: networks that are never banned or refused."""

    lasts: float | None = 900.0
    spared: tuple[Network, ...] = ()


TERMS = Terms()


class Gate:
    """Asks *bans* and adds to them. *epoch*() gives POSIX seconds."""

    def __init__(self, bans: Bans, facts: Facts, epoch: Callable[[], float], terms: Terms = TERMS) -> None:
        self.bans = bans
        self._facts = facts
        self._epoch = epoch
        self._terms = terms

    def adopt(self, terms: Terms) -> None:
        """From now on *terms* hold, for those who are banned from now on."""
        self._terms = terms

    def spares(self, address: str) -> bool:
        """Is *address* one that the server never bans?"""
        return covers(self._terms.spared, address)

    def turns_away(self, address: str, service: str) -> bool:
        """Is *address* not to come in to *service*? Counted: ask once for each connection."""
        ban = self.bans.covering(address, self._epoch())
        if ban is None or (ban.by != OPERATOR and (service not in LOGIN or self.spares(address))):
            return False
        self.bans.count(ban)
        return True

    def is_shut_to(self, address: str) -> bool:
        """Is *address*, which is in already, not to log in?"""
        ban = self.bans.covering(address, self._epoch())
        return ban is not None and (ban.by == OPERATOR or not self.spares(address))

    def shut_out(self, address: str, reason: str, connection: str) -> None:
        """*address* has guessed too often, on *connection* for the last time."""
        network = home_of(address)
        now = self._epoch()
        if network is None or self._terms.lasts is None or self.spares(address) or self.bans.covering(address, now) is not None:
            return
        ban = self.bans.ban(network, reason, now, self._terms.lasts)
        assert ban.until is not None
        log.warn("{network} is banned for {minutes:.0f} minutes: {reason}", network=network, minutes=(ban.until - now) / 60, reason=reason)
        if self._facts.listened:
            self._facts.tell(Fact(now, connection, Banned(str(network), ban.until, reason)))
