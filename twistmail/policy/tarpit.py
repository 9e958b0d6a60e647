"""Whoever tries many recipients that are refused has to wait for each answer: a dictionary becomes a long read.

The first few refusals of a connection cost nothing; each further one makes the
next answer to RCPT wait; after many the connection is closed. Only so many
connections are kept waiting at a time, whoever comes then is sent away: the
tarpit is there for the attacker's time, not for our memory. Errors of every
kind are counted by the session itself (`soft_errors`, `hard_errors`).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from zope.interface import implementer

from twistmail import tasks
from twistmail.interfaces import IPolicyStage, IPolicyStageFactory, Point, Verdict
from twistmail.mail.address import Address
from twistmail.mail.envelope import Peer, Role, Transaction
from twistmail.mail.status import Status
from twistmail.options import COUNT, COUNT_OR_UNLIMITED, DURATION, Option, Reload, Settings
from twistmail.policy.neighbours import Neighbours
from twistmail.policy.pipeline import House

#: Seconds that one answer waits at most; the pipeline calls a stage that takes 30 too slow.
LONGEST_DELAY = 20.0

#: In [mx].
OPTIONS = (
    Option("tarpit_after", COUNT_OR_UNLIMITED, "5", "Refused recipients on one connection after which further ones cost time.", Reload.NEW),
    Option("tarpit_delay", DURATION, "2s", f"The time that each of them costs; at most {LONGEST_DELAY:g}s.", Reload.NEW),
    Option("tarpit_close", COUNT, "20", "Refused recipients after which the connection is closed.", Reload.NEW),
    Option("tarpit_connections", COUNT, "100", "Connections that are kept waiting at a time; more are closed.", Reload.NEW),
)

ENOUGH = Status(421, "4.7.0", "Too many refused recipients; closing")

MOST_REMEMBERED = 20_000  # connections; each is forgotten when it closes


class _Guesser:
    """A connection: `refused` recipients, and whether it `owes` a wait for the last of them."""

    __slots__ = ("owes", "refused")

    def __init__(self) -> None:
        self.refused = 0
        self.owes = False


@implementer(IPolicyStage)
class Tarpit:
    """`after` and `close`: refusals; `delay`: seconds; `most`: connections kept waiting at a time."""

    name = "tarpit"
    point = Point.RECIPIENT

    def __init__(self, settings: Settings, neighbours: Neighbours, clock: Any) -> None:
        self._after: int = settings.tarpit_after
        self._delay: float = min(settings.tarpit_delay, LONGEST_DELAY)
        self._close: int = settings.tarpit_close
        self._most: int = settings.tarpit_connections
        self._neighbours = neighbours
        self._clock = clock
        self._waiting = 0
        self._guessers: OrderedDict[str, _Guesser] = OrderedDict()

    async def judge(self, transaction: Transaction, recipient: Address) -> Verdict | None:
        guesser = self._guessers.get(transaction.peer.connection)
        if guesser is None or not guesser.owes:
            return None
        guesser.owes = False
        if guesser.refused >= self._close:
            return Verdict(ENOUGH, f"{guesser.refused} refused recipients")
        if self._waiting >= self._most:
            return Verdict(ENOUGH, f"{self._most} connections wait already")
        self._waiting += 1
        try:
            await tasks.sleep(self._clock, self._delay)
        finally:
            self._waiting -= 1
        return None

    def refused(self, transaction: Transaction, recipient: Address, status: Status) -> None:
        """Somebody has refused *recipient* (called by the pipeline)."""
        peer = transaction.peer
        if not status.is_permanent or peer.account is not None or self._neighbours.trusted(peer.address):
            return
        guesser = self._guessers.setdefault(peer.connection, _Guesser())
        guesser.refused += 1
        guesser.owes = guesser.refused >= self._after
        if len(self._guessers) > MOST_REMEMBERED:
            self._guessers.popitem(last=False)

    def left(self, peer: Peer) -> None:
        """The connection is gone (called by the pipeline)."""
        self._guessers.pop(peer.connection, None)


@implementer(IPolicyStageFactory)
class TarpitFactory:
    name = "tarpit"
    options = None

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        if house.role is not Role.MX or house.settings.tarpit_after is None:
            return ()
        return (Tarpit(house.settings, Neighbours(house), house.clock),)
