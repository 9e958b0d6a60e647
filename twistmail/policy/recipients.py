"""A recipient must lead somewhere: unknown ones are refused while the client waits, so that nothing has to bounce.

Postmaster always leads somewhere (RFC 5321 §4.5.1); `expansion` sees to that.
"""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from twistmail.expansion import Expansion
from twistmail.interfaces import IPolicyStage, IPolicyStageFactory, Point, Verdict
from twistmail.mail.address import Address
from twistmail.mail.envelope import Transaction
from twistmail.mail.status import Status
from twistmail.options import Settings
from twistmail.policy.pipeline import House


@implementer(IPolicyStage)
class Recipients:
    """Asks the expansion, which remembers its answer for the session's own question a moment later.

    *leaving* (`leaving.departure.Leaving`) says who may use an address that was made for reports; None: there are none.
    """

    name = "recipients"
    point = Point.RECIPIENT

    def __init__(self, expansion: Expansion, leaving: Any = None) -> None:
        self._expansion = expansion
        self._leaving = leaving

    async def judge(self, transaction: Transaction, recipient: Address) -> Status | Verdict | None:
        followed = await self._expansion.explain(recipient)
        if followed.fault is not None:
            return Verdict(followed.fault, followed.rule)
        if self._leaving is None:
            return None
        objection: Status | None = self._leaving.objection(transaction.sender, recipient)
        return objection


@implementer(IPolicyStageFactory)
class RecipientsFactory:
    name = "recipients"
    options = None

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        return (Recipients(house.expansion, house.leaving),)
