"""Reports on their way: who is told of a failure, a delay or a success, and the items that tell him (RFC 5321 §6.1, RFC 3461 §5.2).

Which recipients a report is due for is the item's own knowledge (`mail/item.py`),
how a report reads is `mail/bounce.py`; this module reads the original, finds the
recipient's targets and puts the report into the same queue. Called by
`queue.runner` alone. The order is crash-safe: a report is durable before the
original is marked as reported, so the worst that a crash does is a second report.

Who must not be told (`mail/answerable.py`), and strangers who would be told too
often, are not; so nobody can use us to fill a third one's mailbox (RFC 5321 §6.2).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import field, replace
from functools import partial
from typing import Any

from twisted.logger import Logger

from twistmail.interfaces import IQueue
from twistmail.mail import answerable, bounce
from twistmail.mail.address import Address
from twistmail.mail.content import Content, Memory
from twistmail.mail.envelope import Notify, Target, Wishes
from twistmail.mail.headers import split
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Frozen, Reported
from twistmail.mail.values import frozen
from twistmail.options import RATES_OR_UNLIMITED, SIZE, SWITCH, TEXT, Option, Section, Settings, choice
from twistmail.policy.ledger import Ledger

log = Logger()

OPTIONS = Section(
    "dsn", "Reports about what became of a message, to its sender.",
    Option("max_original", SIZE, "50000", "Longer messages, and longer headers, are not quoted whole."),
    Option("original", choice("headers", "full"), "headers", "What comes back of a message that failed, where its sender has not said."),
    Option("double_bounce", choice("postmaster", "discard", "freeze"), "postmaster",
           "What becomes of a message that can neither be delivered nor returned: the postmaster gets it, it is thrown away (the "
           "journal tells), or it waits on hold for an operator (twistmail queue release, or delete)."),
    Option("limit", RATES_OR_UNLIMITED, "60/1h 300/1d",
           "Reports to one address about mail that came without a login; about more, nobody is told."),
    Option("to_forged", SWITCH, "no", "Whether a sender is told of mail that SPF or DMARC say he did not send."),
    Option("contact", TEXT, "", "Whom people may ask about a report, as a sentence; empty: the postmaster.",
           example="Call the help desk, extension 12."),
)  # fmt: skip

#: "unlimited", as a number of octets.
_ALL = 1 << 62

Follow = Callable[[Address], Awaitable[tuple[Target, ...]]]


@frozen
class House:
    """Who we are when we write: `host` names us, `postmaster` hears of double bounces.

    `follow` finds the targets of an address (`Expansion.follow`; may raise Unavailable), `identifiers` makes ids,
    `threads` reads files. `settings`: Settings of OPTIONS. `author`: whom answers to reports reach. `ledger` counts reports.
    """

    host: str
    postmaster: Address
    follow: Follow
    identifiers: Iterator[str]
    threads: Any
    settings: Settings = field(default_factory=OPTIONS.defaults)
    author: Address | None = None
    ledger: Ledger = field(default_factory=Ledger)


class Reports:
    """Tells senders. `clock` is IReactorTime; `random` gives floats (random.Random().random) for boundaries."""

    def __init__(self, queue: IQueue, house: House, clock: Any, random: Callable[[], float]) -> None:
        self._queue = queue
        self._house = house
        self._clock = clock
        self._random = random

    @property
    def ledger(self) -> Ledger:
        """The reports of late, for whoever makes the next Reports."""
        return self._house.ledger

    async def failures(self, item: Item) -> tuple[Reported | Frozen, Item | None]:
        """Make the report about the unreported failures of *item* durable; the event to record, and the report's item.

        No report (None) where nobody may be told, or nobody is left who could be. Raises OSError and Unavailable: try again later.
        """
        failed, original = item.unreported, await self._original(item)
        if why := self._unwelcome(item):
            return self._untold(item, failed, why), None
        why = answerable.no_answer_to(item, split(original)[0], self._house.host)
        if not why and item.sender is not None:
            write = partial(bounce.failure_report, item, failed, original)
            if report := await self._send(item.sender, write, item):
                return Reported(report.id, _addresses(failed)), report
            why = "the address of its sender leads nowhere"
        return await self._not_returned(item, failed, original, why)

    async def successes(self, item: Item) -> tuple[Reported, Item | None]:
        """The same about what has ended well, for a sender who asked for it; nobody else is told where he cannot be."""
        done, report, why = item.unconfirmed, None, self._unwelcome(item)
        if item.sender is not None and not why:
            original = await self._original(item)
            report = await self._send(item.sender, partial(bounce.success_report, item, done, original), item)
        return Reported(report.id if report else "", _addresses(done), success=True, why=why), report

    async def warning(self, item: Item, give_up_at: float) -> Item | None:
        """The report's item about what still waits and whose delay the sender wants to hear of. Never without a sender.

        Whoever sends to many, or is a program, hears of it only where he has asked for that (NOTIFY=DELAY).
        """
        waiting = tuple(errand for errand in item.pending if errand.wants(Notify.DELAY))
        if item.sender is None or not waiting or self._unwelcome(item):
            return None
        original = await self._original(item)
        header = split(original)[0]
        if answerable.no_answer_to(item, header, self._house.host):
            return None
        if answerable.is_automatic(header) and not any(errand.notify for errand in waiting):
            return None
        return await self._send(
            item.sender, lambda letter: bounce.delay_warning(item, waiting, original, letter, give_up_at), item)

    # ----- who is not told

    def _unwelcome(self, item: Item) -> str:
        """Why a report to the sender of *item* would only be a nuisance, in words; empty: it would not."""
        settings = self._house.settings
        if item.sender is None or item.account:
            return ""
        if not settings.to_forged and (forged := answerable.forgery(item, self._house.host)):
            return f"its sender is forged ({forged})"
        return "its sender got so many reports already" if self._has_enough(item.sender) else ""

    def _has_enough(self, address: Address) -> bool:
        rates, now = self._house.settings.limit, self._clock.seconds()
        return rates is not None and self._house.ledger.exceeded(str(address.folded), "reports", rates, 1, now) is not None

    def _untold(self, item: Item, failed: tuple[Errand, ...], why: str) -> Reported:
        log.warn("queue: {id} has failed, and nobody is told: {why}: {failed}", id=item.id, why=why, failed=_in_words(failed))
        return Reported("", _addresses(failed), why=why)

    async def _not_returned(
        self, item: Item, failed: tuple[Errand, ...], original: bytes, why: str
    ) -> tuple[Reported | Frozen, Item | None]:
        """A message that cannot even be returned (R40). What cannot reach the postmaster ends here, in the log."""
        choice, postmaster = self._house.settings.double_bounce, self._house.postmaster
        if choice == "discard":
            return self._untold(item, failed, why), None
        if choice == "freeze":
            return Frozen(f"it can be neither delivered nor returned: {why}"), None
        report = None
        if item.sender is None and all(errand.target.original == postmaster for errand in failed):
            why = "it was for the postmaster himself"
        elif self._has_enough(postmaster):
            why = "the postmaster got so many reports already"
        else:
            write = partial(bounce.double_bounce, item, failed, original, postmaster=postmaster)
            report = await self._send(postmaster, write, item)
        if report is None:
            log.error("queue: {id} cannot be delivered or returned, and is dropped: {why}", id=item.id, why=_in_words(failed))
        return Reported(report.id if report else "", _addresses(failed), why="" if report else why), report

    # ----- putting it on its way

    async def _original(self, item: Item) -> bytes:
        """Enough of the message to quote: one octet more than the limit tells that it is longer."""
        longest = self._house.settings.max_original
        return await self._house.threads.run(_beginning, item, self._queue.content(item.id), longest)  # type: ignore[no-any-return]

    async def _send(self, to: Address, write: Callable[[bounce.Letterhead], bytes], item: Item) -> Item | None:
        """The report that *write* makes, durable in the queue; None where *to* leads nowhere."""
        targets = await self._house.follow(to)
        if not targets:
            return None
        now, identifier = self._clock.seconds(), next(self._house.identifiers)
        text = await self._house.threads.run(write, self._letterhead(identifier, now))  # half a millisecond for each recipient
        report = replace(
            Item(identifier, None, tuple(Errand(target) for target in targets), now, len(text)),
            body="" if text.isascii() else "8BITMIME", wishes=_wishes(item, text))
        await self._queue.add(report, Memory(text))
        if not item.account and (rates := self._house.settings.limit) is not None:
            self._house.ledger.add(str(to.folded), "reports", rates, 1, now)
        return report

    def _letterhead(self, identifier: str, now: float) -> bounce.Letterhead:
        house, settings = self._house, self._house.settings
        return bounce.Letterhead(
            house.host, now, identifier, boundary=f"{identifier}.{self._random() * 1e17:017.0f}",
            longest_quote=_ALL if settings.max_original is None else settings.max_original,
            returns_full=settings.original == "full", postmaster=house.author, contact=settings.contact)


def _in_words(errands: tuple[Errand, ...]) -> str:
    return "; ".join(f"<{errand.target.address}>: {errand.status}" for errand in errands[:10])


def _wishes(item: Item, report: bytes) -> Wishes:
    """A report travels as its message did: as protected (RFC 8689 §5), as urgent (RFC 6710 §4.6)."""
    return Wishes(
        utf8=not split(report)[0].isascii(), require_tls=item.wishes.require_tls, priority=item.wishes.priority)


def _addresses(errands: tuple[Errand, ...]) -> tuple[Address, ...]:
    return tuple(errand.target.address for errand in errands)


def _beginning(item: Item, content: Content, longest: int | None) -> bytes:
    return item.prefix + content.beginning(content.size if longest is None else longest + 1)
