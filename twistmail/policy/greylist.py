"""Greylisting (RFC 6647): the first letter of a stranger is sent away for a while. A mail server comes again, many a spammer does not.

A letter is network, sender and recipient. It is refused with a 451 until it has
waited (`[mx] greylist`), and taken where it comes again within a day. From then
on its network is known, and nothing from there waits any more, for as long as
something comes every few weeks (RFC 6647 §5). Off by default: it makes every
first letter late, and servers that come from many networks much later.

Nobody waits who has logged in, who is near or has just read his mail
(`Neighbours`), or who writes to our postmaster, who is to hear of it. Stages that
refuse for good stand before this one: an unknown recipient is told so at once.

The memory is one for the server; it outlives reloads and restarts (`greybook`).
A book that cannot be read or written holds up no mail: that is logged, once.
"""

from __future__ import annotations

import math
import sqlite3
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from twistmail.interfaces import IPolicyStage, IPolicyStageFactory, Point, Verdict
from twistmail.mail.address import Address
from twistmail.mail.envelope import Role, Transaction
from twistmail.mail.status import Status
from twistmail.options import Kind, Option, Reload, Settings, duration_or
from twistmail.policy.greybook import Greybook
from twistmail.policy.neighbours import Neighbours, is_postmaster
from twistmail.policy.pipeline import House
from twistmail.policy.rates import Groups

log = Logger()

#: RFC 6647 §5: a letter may come again within a day; a day is also the longest that it can be made to wait.
WINDOW = 86400.0
#: How long a network stays known that sends nothing: somewhat longer than a monthly letter takes.
REMEMBERED = 36 * 86400.0
#: Letters and networks that are remembered; those that were quiet for longest are forgotten first. Some 10 MB when full.
MOST_LETTERS, MOST_NETWORKS = 50_000, 50_000
#: Seconds between two notes that a network is still there, and between two looks for what is outdated.
SELDOM = 6 * 3600.0
TROUBLE = (sqlite3.Error, OSError)

_OR_OFF = duration_or("off")


def _read(text: str) -> float | None:
    seconds: float | None = _OR_OFF.read(text)
    if seconds is not None and not 0 < seconds <= WINDOW:
        raise ValueError(f"{text} is no time that a letter can wait\nwrite a time up to 24h such as 5m, or the word off")
    return seconds


#: In [mx].
OPTIONS = (
    Option("greylist", Kind("a length of time up to 24h, or off", _read, _OR_OFF.write), "off", "How long the first letter of a stranger "
           "is sent away; mail servers come again, many senders of spam do not. The usual: 5m.", Reload.NEW),
)  # fmt: skip


class Greylist:
    """Who has been sent away, and who is known. *book* None: nothing is kept. *epoch*() gives POSIX seconds."""

    def __init__(self, book: Greybook | None, epoch: Callable[[], float]) -> None:
        self._book = book
        self._epoch = epoch
        self._waiting: OrderedDict[bytes, float] = OrderedDict()
        self._known: OrderedDict[str, float] = OrderedDict()
        self._new_waiting: dict[bytes, float | None] = {}
        self._new_known: dict[str, float] = {}
        self._is_read = self._is_troubled = False
        self._pruned = epoch()

    def open(self) -> None:
        """Read the book, once. Blocking for a moment; called where greylisting is on."""
        if self._is_read or self._book is None:
            return
        self._is_read = True
        now = self._epoch()
        try:
            self._waiting.update(self._book.waiting(now - WINDOW, MOST_LETTERS))
            self._known.update(self._book.known(now - REMEMBERED, MOST_NETWORKS))
        except TROUBLE as trouble:
            self._complain("read", trouble)

    def wait(self, network: str, sender: Address | None, recipient: Address, delay: float) -> float:
        """For how many seconds this letter is sent away; 0: it may come in. It is remembered, and so is who may come in."""
        left = self.left(network, sender, recipient, delay)
        letter, now = _letter(network, sender, recipient), self._epoch()
        if left:
            self._send_away(letter, now)
        else:
            self._let_in(network, letter, now)
        return left

    def left(self, network: str, sender: Address | None, recipient: Address, delay: float) -> float:
        """As `wait`, and nothing is remembered."""
        now = self._epoch()
        if now - self._known.get(network, -math.inf) < REMEMBERED:
            return 0.0
        since = self._since(_letter(network, sender, recipient), now)
        return max(0.0, min(since, now) + delay - now)

    def _since(self, letter: bytes, now: float) -> float:
        """When it was sent away for the first time; now, where it was not or is too long ago."""
        since = self._waiting.get(letter, now)
        return now if now - since > WINDOW else since

    def _send_away(self, letter: bytes, now: float) -> None:
        if letter not in self._waiting or now - self._waiting[letter] > WINDOW:
            self._waiting[letter] = self._new_waiting[letter] = now
            self._waiting.move_to_end(letter)
            if len(self._waiting) > MOST_LETTERS:
                oldest, _ = self._waiting.popitem(last=False)
                self._new_waiting[oldest] = None

    def _let_in(self, network: str, letter: bytes, now: float) -> None:
        if self._waiting.pop(letter, None) is not None:
            self._new_waiting[letter] = None
        if now - self._known.get(network, -math.inf) > SELDOM:
            self._known[network] = self._new_known[network] = now
            self._known.move_to_end(network)
            if len(self._known) > MOST_NETWORKS:
                self._known.popitem(last=False)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._known)

    # ----- the book

    async def write(self, threads: Any) -> None:
        """Write down what is new, and now and then take out what is outdated. Called once a second, never twice at a time."""
        if self._book is None:
            return
        if self._new_waiting or self._new_known:
            waiting, self._new_waiting = self._new_waiting, {}
            known, self._new_known = self._new_known, {}
            try:
                await threads.run(self._book.write, waiting, known)
                self._is_troubled = False
            except TROUBLE as trouble:
                self._new_waiting, self._new_known = waiting | self._new_waiting, known | self._new_known
                self._complain("written", trouble)
        if (now := self._epoch()) - self._pruned > SELDOM:
            self._pruned = now
            try:
                await threads.run(self._book.prune, now - WINDOW, now - REMEMBERED)
            except TROUBLE as trouble:
                self._complain("tidied", trouble)

    def close(self) -> None:
        """Write down what is new. Blocking; at shutdown."""
        if self._book is not None and (self._new_waiting or self._new_known):
            try:
                self._book.write(self._new_waiting, self._new_known)
            except TROUBLE as trouble:
                self._complain("written", trouble)

    def _complain(self, what: str, trouble: Exception) -> None:
        """Once, until it was well again."""
        if not self._is_troubled and self._book is not None:
            log.error("{path} cannot be {what}: {trouble}", path=str(self._book.path), what=what, trouble=str(trouble))
        self._is_troubled = True


class Onlooker(Greylist):
    """Sees what *greylist* would say and leaves nothing there: for questions about letters that nobody sends."""

    def __init__(self, greylist: Greylist) -> None:
        super().__init__(None, greylist._epoch)
        self._waiting, self._known = greylist._waiting, greylist._known

    def wait(self, network: str, sender: Address | None, recipient: Address, delay: float) -> float:
        return self.left(network, sender, recipient, delay)


def _letter(network: str, sender: Address | None, recipient: Address) -> bytes:
    """Sender and recipient as they are written, but for the case, which some change from one try to the next."""
    return blake2b("\0".join((network, str(sender or "").lower(), str(recipient).lower())).encode(), digest_size=16).digest()


@implementer(IPolicyStage)
class Greylisting:
    """*delay*: seconds."""

    name = "greylist"
    point = Point.RECIPIENT

    def __init__(self, delay: float, greylist: Greylist, house: House) -> None:
        self._delay = delay
        self._greylist = greylist
        self._groups = Groups(Neighbours(house))
        self._local_domains = house.local_domains
        greylist.open()

    async def judge(self, transaction: Transaction, recipient: Address) -> Verdict | None:
        groups = None if transaction.account else self._groups.of(transaction.peer.address)
        if groups is None or is_postmaster(recipient, self._local_domains):
            return None
        network = groups[1] if "." in groups[1] else groups[0]  # IPv4: its /24; IPv6: its /64
        left = self._greylist.wait(network, transaction.sender, recipient, self._delay)
        if not left:
            return None
        text = f"Greylisted: we do not know you yet, please try again in {math.ceil(left)} seconds"
        return Verdict(Status(451, "4.7.1", text), network)


@implementer(IPolicyStageFactory)
class GreylistFactory:
    name = "greylist"
    options = None

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        if house.role is not Role.MX or house.settings.greylist is None or house.greylist is None:
            return ()
        return (Greylisting(house.settings.greylist, house.greylist, house),)
