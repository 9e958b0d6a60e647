"""A mailbox that is full is told of at RCPT, so that nobody sends a large message in vain (spec D7).

Only a recipient who is one mailbox here is judged: of a list the others have
room. What comes at the same moment, and what the sender has not announced by
SIZE, is the store's to refuse.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from zope.interface import implementer

from twistmail.expansion import Expansion
from twistmail.interfaces import IPolicyStage, IPolicyStageFactory, Point
from twistmail.mail.address import Address
from twistmail.mail.envelope import Kind, Transaction
from twistmail.mail.status import OVER_QUOTA, Status
from twistmail.options import Option, Reload, Settings, choice
from twistmail.policy.pipeline import House

LATER, NEVER = "later", "never"
OPTIONS = (
    Option("over_quota", choice(LATER, NEVER), LATER,
           "What a sender hears whose recipient's mailbox is full: to try again later (452), or that it has failed (552).", Reload.NEW),
)  # fmt: skip

FULL = Status(552, "5.2.2", "The mailbox is full")
#: Asked with the name of an account and octets: whether so much more may lie in its mailbox.
RoomFor = Callable[[str, int], Awaitable[bool]]


@implementer(IPolicyStage)
class MailboxRoom:
    """Asks *room_for*; *full* is what is said where there is none."""

    name = "quota"
    point = Point.RECIPIENT

    def __init__(self, expansion: Expansion, room_for: RoomFor, full: Status) -> None:
        self._expansion = expansion
        self._room_for = room_for
        self._full = full

    async def judge(self, transaction: Transaction, recipient: Address) -> Status | None:
        targets = await self._expansion.follow(recipient)
        if len(targets) != 1 or targets[0].kind is not Kind.MAILBOX:
            return None
        announced = int(transaction.parameters.get("SIZE", "0"))
        return None if await self._room_for(targets[0].account, announced) else self._full


@implementer(IPolicyStageFactory)
class QuotaFactory:
    name = "quota"
    options = None

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        if house.room_for is None:
            return ()
        never = getattr(house.settings, "over_quota", LATER) == NEVER
        return (MailboxRoom(house.expansion, house.room_for, FULL if never else OVER_QUOTA),)
