"""How much a user may send: messages and recipients by the hour and by the day, so that a stolen password does little harm.

Messages are judged at MAIL, recipients at RCPT, and both are counted when the
message is complete and no stage before this one has refused it; who sends on
several connections at once is judged there again. Refusals are temporary: an
honest mail program sends later what was too much now.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from zope.interface import implementer

from twistmail.interfaces import IPolicyStage, IPolicyStageFactory, Point, Verdict
from twistmail.mail.account import Account
from twistmail.mail.address import Address
from twistmail.mail.envelope import Role, Transaction
from twistmail.mail.status import Status
from twistmail.options import Settings
from twistmail.policy.ledger import Ledger, Rate
from twistmail.policy.pipeline import House

MESSAGES, RECIPIENTS = "messages", "recipients"


class Allowance:
    """*rates*: of "messages" and "recipients", for all who have none of their own. No rates: any number."""

    def __init__(self, ledger: Ledger, rates: dict[str, tuple[Rate, ...]], epoch: Callable[[], float]) -> None:
        self._ledger = ledger
        self._rates = rates
        self._epoch = epoch

    def objection(self, account: Account, what: str, count: int) -> Verdict | None:
        """Whether *count* more are too many now."""
        exceeded = self._ledger.exceeded(account.name, what, self._rates_of(account, what), count, self._epoch())
        if exceeded is None:
            return None
        (most, seconds), until = exceeded
        within = _length(seconds)
        said = f"You may send {most} {what} within {within}; try again after {time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime(until))}"
        return Verdict(Status(451, "4.7.1", said), f"{most} {what} in {within}")

    def count(self, account: Account, what: str, count: int) -> None:
        self._ledger.add(account.name, what, self._rates_of(account, what), count, self._epoch())

    def _rates_of(self, account: Account, what: str) -> tuple[Rate, ...]:
        own = account.rate if what == MESSAGES else account.recipient_rate
        return self._rates[what] if own is None else own


def _length(seconds: float) -> str:
    """"1h", "1d", "90s"."""
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds % unit == 0:
            return f"{seconds / unit:g}{name}"
    return f"{seconds:g}s"


@implementer(IPolicyStage)
class MessagesAllowed:
    """Asked before a message comes."""

    name = "allowance"
    point = Point.SENDER

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance

    async def judge(self, transaction: Transaction) -> Verdict | None:
        return self._allowance.objection(transaction.account, MESSAGES, 1) if transaction.account else None


@implementer(IPolicyStage)
class RecipientsAllowed:
    """Asked for each recipient, those of this message counted."""

    name = "allowance"
    point = Point.RECIPIENT

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance

    async def judge(self, transaction: Transaction, recipient: Address) -> Verdict | None:
        if transaction.account is None:
            return None
        return self._allowance.objection(transaction.account, RECIPIENTS, len(transaction.recipients) + 1)


@implementer(IPolicyStage)
class Counting:
    """Asked when the message is here; counts it."""

    name = "allowance"
    point = Point.MESSAGE

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance

    async def judge(self, transaction: Transaction) -> Verdict | None:
        account, allowance = transaction.account, self._allowance
        if account is None:
            return None
        counts = {MESSAGES: 1, RECIPIENTS: len(transaction.recipients)}
        for what, count in counts.items():
            if objection := allowance.objection(account, what, count):
                return objection
        for what, count in counts.items():
            allowance.count(account, what, count)
        return None


@implementer(IPolicyStageFactory)
class AllowanceFactory:
    name = "allowance"
    options = None

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        if house.role is not Role.SUBMISSION:
            return ()
        rates = {MESSAGES: house.settings.rate or (), RECIPIENTS: house.settings.recipient_rate or ()}
        allowance = Allowance(house.ledger or Ledger(), rates, house.epoch)
        return (MessagesAllowed(allowance), RecipientsAllowed(allowance), Counting(allowance))
