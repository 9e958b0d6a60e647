"""Reports on their way: who is told of a failure, a delay or a success, and the items that tell him (RFC 5321 §6.1, RFC 3461 §5.2).

Which recipients a report is due for is the item's own knowledge (`mail/item.py`),
how a report reads is `mail/bounce.py`; this module reads the original, finds the
recipient's targets and puts the report into the same queue. Called by
`queue.runner` alone. The order is crash-safe: a report is durable before the
original is marked as reported, so the worst that a crash does is a second report.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from twisted.logger import Logger

from twistmail.interfaces import IQueue
from twistmail.mail import bounce
from twistmail.mail.address import Address
from twistmail.mail.content import Content, Memory
from twistmail.mail.envelope import Notify, Target, Wishes
from twistmail.mail.headers import split
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Reported
from twistmail.options import SIZE, Option, Section, Settings, choice

log = Logger()

OPTIONS = Section(
    "dsn", "Reports about what became of a message, to its sender.",
    Option("max_original", SIZE, "50000", "Longer messages, and longer headers, are not quoted whole."),
    Option("original", choice("headers", "full"), "headers", "What comes back of a message that failed, where its sender has not said."),
)  # fmt: skip

#: "unlimited", as a number of octets.
_ALL = 1 << 62

Follow = Callable[[Address], Awaitable[tuple[Target, ...]]]


@dataclass(frozen=True, slots=True)
class House:
    """Who we are when we write: `host` names us, `postmaster` hears of double bounces.

    `follow` finds the targets of an address (`Expansion.follow`; may raise Unavailable), `identifiers` makes ids,
    `threads` reads files. `settings`: Settings of OPTIONS.
    """

    host: str
    postmaster: Address
    follow: Follow
    identifiers: Iterator[str]
    threads: Any
    settings: Settings = field(default_factory=OPTIONS.defaults)


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
        report = None
        if item.sender is not None:
            report = await self._send(item.sender, lambda letter, original: bounce.failure_report(item, failed, original, letter), item)
        if report is None:
            report = await self._tell_postmaster(item, failed)
        return Reported(report.id if report else "", _addresses(failed)), report

    async def successes(self, item: Item) -> tuple[Reported, Item | None]:
        """The same about what has ended well, for a sender who asked for it; nobody else is told where he cannot be."""
        done, report = item.unconfirmed, None
        if item.sender is not None:
            report = await self._send(item.sender, lambda letter, original: bounce.success_report(item, done, original, letter), item)
        return Reported(report.id if report else "", _addresses(done), success=True), report

    async def warning(self, item: Item, give_up_at: float) -> Item | None:
        """The report's item about what still waits and whose delay the sender wants to hear of. Never without a sender."""
        waiting = tuple(errand for errand in item.pending if errand.wants(Notify.DELAY))
        if item.sender is None or not waiting:
            return None
        return await self._send(
            item.sender, lambda letter, original: bounce.delay_warning(item, waiting, original, letter, give_up_at), item)

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
        longest = self._house.settings.max_original
        original = await self._house.threads.run(_beginning, item, self._queue.content(item.id), longest)
        identifier = next(self._house.identifiers)
        now = self._clock.seconds()
        boundary = f"{identifier}.{self._random() * 1e17:017.0f}"
        letter = bounce.Letterhead(
            self._house.host, now, identifier, boundary, _ALL if longest is None else longest, self._house.settings.original == "full")
        text = write(letter, original)
        report = replace(
            Item(identifier, None, tuple(Errand(target) for target in targets), now, len(text)),
            body="" if text.isascii() else "8BITMIME", wishes=_wishes(item, text))
        await self._queue.add(report, Memory(text))
        return report


def _wishes(item: Item, report: bytes) -> Wishes:
    """A report travels as its message did: as protected (RFC 8689 §5), as urgent (RFC 6710 §4.6)."""
    return Wishes(
        utf8=not split(report)[0].isascii(), require_tls=item.wishes.require_tls, priority=item.wishes.priority)


def _addresses(errands: tuple[Errand, ...]) -> tuple[Address, ...]:
    return tuple(errand.target.address for errand in errands)


def _beginning(item: Item, content: Content, longest: int | None) -> bytes:
    """Enough of the original to quote: one octet more than the limit tells that it is longer."""
    return item.prefix + content.beginning(content.size if longest is None else longest + 1)
