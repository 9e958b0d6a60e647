"""The courier into our own mailboxes (ICourier): one call of the store for all targets of an item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from zope.interface import implementer

from twistmail.disk import status_of
from twistmail.facts import Stored, Teller
from twistmail.interfaces import Batch, ICourier
from twistmail.mail.address import Address
from twistmail.mail.content import Content
from twistmail.mail.envelope import Target
from twistmail.mail.item import Item
from twistmail.mail.mailbox import Delivery
from twistmail.mail.outcome import Outcome, outcome_of
from twistmail.mail.status import Status

#: From so many mailboxes on that one address has led to, Delivered-To names that address instead of each of theirs.
LIST_FROM = 20

STORED = Status(250, "2.0.0", "Delivered to the mailbox")


@implementer(ICourier)
class MailboxCourier:
    """For targets of Kind MAILBOX. The final delivery adds Return-Path (RFC 5321 §4.4) and Delivered-To."""

    name = "mailbox"

    def __init__(self, store: Any, teller: Teller | None = None) -> None:
        """*teller*: who is told where each copy lies."""
        self._store = store
        self._teller = teller

    def batches(self, item: Item, targets: Sequence[Target]) -> tuple[Batch, ...]:
        return (Batch("", tuple(targets)),)

    async def carry(self, item: Item, targets: Sequence[Target], content: Content) -> list[Outcome]:
        senders = {item.sender_for(target) for target in targets}
        returned = {sender: b"Return-Path: <%s>\r\n" % (bytes(sender) if sender else b"") for sender in senders}
        lists, landed = _lists(targets), self._landing(item)
        errors = await self._store.deliver(
            [
                Delivery(
                    target.account,
                    b"%sDelivered-To: %s\r\n%s%s" % (
                        returned[item.sender_for(target)],
                        bytes(target.original if target.original in lists else target.address),
                        item.prefix,
                        target.front,
                    ),
                    content,
                    target.folder or "INBOX",
                    item.id,
                    target.seen,
                    landed(target),
                )
                for target in targets
            ]
        )
        return [_outcome(target, error) for target, error in zip(targets, errors, strict=True)]

    def _landing(self, item: Item) -> Callable[[Target], Callable[[str, int, str], None] | None]:
        """For a target, what hears where its copy of *item* lies."""
        teller = self._teller
        if teller is None or not teller.listened:
            return lambda target: None

        def told(account: str, mailbox: str, uid: int, file: str) -> None:
            teller.tell(item.id, Stored(account, mailbox, uid, file))

        return lambda target: partial(told, target.account)


def _lists(targets: Sequence[Target]) -> frozenset[Address]:
    """The addresses by which so many got it that their copies say so, each the same to the octet: the store writes them once."""
    if len(targets) < LIST_FROM:
        return frozenset()
    counts = Counter(target.original for target in targets if target.original != target.address)
    return frozenset(address for address, count in counts.items() if count >= LIST_FROM)


def _outcome(target: Target, error: BaseException | None) -> Outcome:
    return outcome_of(target, STORED if error is None else status_of(error), f"mailbox {target.account}", local=True)
