"""Reports on their way: who is told of a failure or a delay, and the items that tell him (RFC 5321 §6.1, spec D4).

How a report reads is `mail/bounce.py`; this module reads the original, finds the
recipient's targets and puts the report into the same queue. Called by
`queue.runner` alone. The order is crash-safe: a report is durable before the
original is marked as reported, so the worst that a crash does is a second report.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from twisted.logger import Logger

from twistmail.interfaces import IQueue
from twistmail.mail import bounce
from twistmail.mail.address import Address
from twistmail.mail.content import Content, Memory
from twistmail.mail.envelope import Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Reported, SenderWarned

log = Logger()

Follow = Callable[[Address], Awaitable[tuple[Target, ...]]]


@dataclass(frozen=True, slots=True)
class House:
    """Who we are when we write: `host` names us, `postmaster` hears of double bounces.

    `follow` finds the targets of an address (`Expansion.follow`; may raise Unavailable), `identifiers` makes ids,
    `threads` reads files.
    """

    host: str
    postmaster: Address
    follow: Follow
    identifiers: Iterator[str]
    threads: Any


class Reports:
    """Tells senders. `clock` is IReactorTime; `random` gives floats (random.Random().random) for boundaries."""

    def __init__(self, queue: IQueue, house: House, clock: Any, random: Callable[[], float]) -> None:
        self._queue = queue
        self._house = house
        self._clock = clock
        self._random = random

    async def failures(self, item: Item) -> tuple[Reported, Item | None]:
        """Make the report about the unreported failures of *item* durable; the event to record, and the report's item.

        No report (None) where nobody is left who could be told. Raises OSError and Unavailable: try again later.
        """
        failed = item.unreported
        addresses = tuple(errand.target.address for errand in failed)
        report = None
        if item.sender is not None:
            report = await self._send(item.sender, lambda letter, original: bounce.failure_report(item, failed, original, letter), item)
        if report is None:
            report = await self._tell_postmaster(item, failed)
        return Reported(report.id if report else "", addresses), report

    async def warning(self, item: Item, give_up_at: float) -> tuple[SenderWarned, Item | None]:
        """The same for a message that is late. Never for one without a sender."""
        report = None
        if item.sender is not None:
            waiting = item.pending
            report = await self._send(
                item.sender, lambda letter, original: bounce.delay_warning(item, waiting, original, letter, give_up_at), item)
        return SenderWarned(), report

    async def _tell_postmaster(self, item: Item, failed: tuple[Errand, ...]) -> Item | None:
        """A message that cannot even be returned (R40). What cannot reach the postmaster ends here, in the log."""
        postmaster = self._house.postmaster
        report = None
        if item.sender is not None or any(errand.target.original != postmaster for errand in failed):
            report = await self._send(
                postmaster, lambda letter, original: bounce.double_bounce(item, failed, original, letter, postmaster), item)
        if report is None:
            log.error("queue: {id} cannot be delivered or returned, and is dropped: {why}", id=item.id,
                      why="; ".join(f"<{errand.target.address}>: {errand.status}" for errand in failed))
        return report

    async def _send(self, to: Address, write: Callable[[bounce.Letterhead, bytes], bytes], item: Item) -> Item | None:
        """The report that *write* makes, durable in the queue; None where *to* leads nowhere."""
        targets = await self._house.follow(to)
        if not targets:
            return None
        original = await self._house.threads.run(_beginning, item, self._queue.content(item.id))
        identifier = next(self._house.identifiers)
        now = self._clock.seconds()
        boundary = f"{identifier}.{self._random() * 1e17:017.0f}"
        content = Memory(write(bounce.Letterhead(self._house.host, now, identifier, boundary), original))
        report = Item(identifier, None, tuple(Errand(target) for target in targets), now, content.size)
        await self._queue.add(report, content)
        return report


def _beginning(item: Item, content: Content) -> bytes:
    """Enough of the original to quote: one octet more than the limit tells that it is longer."""
    return item.prefix + content.beginning(bounce.LONGEST_QUOTE + 1)
