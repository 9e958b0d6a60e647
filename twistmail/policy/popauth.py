"""POP before SMTP (R50): whoever has just read his mail from an address may send through us from the same address, for a while.

For programs that cannot log in when they send. It is weak, and off by default:
everybody behind the same address may send too, and so may whoever has the address
next. So an entry is one address, never a network, lasts as long as the operator
says, counted from the last login, and opens the MX only; on submission everybody
logs in. Each use is told as a fact with the name of the account.

The list outlives a reload, not a restart. RFC 6409 §3.3 warns of the practice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twistmail.facts import Fact, Facts, LoggedIn, Vouched
from twistmail.mail.address import Address
from twistmail.mail.envelope import Peer, Transaction
from twistmail.mail.values import frozen
from twistmail.networks import address_of

#: Where a login is reading mail.
SERVICES = frozenset({"pop3", "imap"})
#: Addresses that are remembered; the one that has been there longest goes first.
MOST_REMEMBERED = 10_000


@frozen
class Reader:
    """Who has read mail last from an address, by which service, and when (seconds of the reactor's clock)."""

    account: str
    service: str
    at: float


class PopAuth:
    """From which addresses mail has been read lately, learned from *facts*. *now* gives seconds. Remembers nothing until `keep_for`."""

    def __init__(self, facts: Facts, now: Callable[[], float]) -> None:
        self._facts = facts
        self._now = now
        self._period = 0.0
        self._readers: dict[str, Reader] = {}  # by address, the latest last
        self._stop: Callable[[], None] | None = None

    def keep_for(self, seconds: float | None) -> None:
        """From now on an address stays open for *seconds* after a login; None or 0: nobody's does, and all are forgotten."""
        self._period = seconds or 0.0
        if self._period and self._stop is None:
            self._stop = self._facts.listen(self._note, of=(LoggedIn,))
        elif not self._period and self._stop is not None:
            self._stop()
            self._stop = None
            self._readers.clear()

    def reader(self, text: str) -> Reader | None:
        """Who has read mail from this address lately enough."""
        found = self._readers.get(str(address_of(text))) if self._readers else None
        return found if found is not None and self._left(found) > 0 else None

    def readers(self) -> Iterator[tuple[str, Reader, float]]:
        """(address, reader, seconds left) of all that are open now, the oldest first."""
        for address, reader in tuple(self._readers.items()):
            if (left := self._left(reader)) > 0:
                yield address, reader, left

    def _left(self, reader: Reader) -> float:
        return reader.at + self._period - self._now()

    def _note(self, fact: Fact) -> None:
        what = fact.what
        if type(what) is not LoggedIn or what.app_password or what.service not in SERVICES or (address := address_of(what.address)) is None:
            return
        self._readers.pop(str(address), None)
        self._forget()
        self._readers[str(address)] = Reader(what.account, what.service, self._now())

    def _forget(self) -> None:
        """What is over, or too much. The dict is in order of logins, so only its beginning is looked at."""
        while self._readers:
            oldest = next(iter(self._readers))
            if self._left(self._readers[oldest]) > 0 and len(self._readers) < MOST_REMEMBERED:
                return
            del self._readers[oldest]


class AfterLogin:
    """The door of `relaying` for those who have just read their mail."""

    def __init__(self, popauth: PopAuth, facts: Facts, epoch: Callable[[], float]) -> None:
        self._popauth = popauth
        self._facts = facts
        self._epoch = epoch

    async def lets_through(self, transaction: Transaction, recipient: Address) -> str:
        """The rule, with the account's name; "" where the door is shut."""
        address = transaction.peer.address
        reader = self._popauth.reader(address)
        if reader is None:
            return ""
        if self._facts.listened:
            self._facts.tell(Fact(self._epoch(), transaction.id, Vouched(reader.account, reader.service, address, recipient)))
        return f"pop_before_smtp ({reader.account})"

    def left(self, peer: Peer) -> None:
        """Nothing is known of single connections."""


def as_json(popauth: PopAuth) -> list[dict[str, Any]]:
    """The list, for `twistmail popauth`."""
    return [
        {"address": address, "account": reader.account, "service": reader.service, "left_s": int(left)}
        for address, reader, left in popauth.readers()
    ]
