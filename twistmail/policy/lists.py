"""Who may write to a mailing list, said before the message is accepted: so nobody is written to about what a list does not take."""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from twistmail.interfaces import IPolicyStage, IPolicyStageFactory, Point, Verdict
from twistmail.mail.envelope import Kind, Transaction
from twistmail.options import Settings
from twistmail.policy.pipeline import House


@implementer(IPolicyStage)
class Posting:
    """*lists* as `lists.mailing_list.Lists`. A message for a list and for others is taken by all of them, or not at all."""

    name = "lists"
    point = Point.MESSAGE

    def __init__(self, lists: Any) -> None:
        self._lists = lists

    async def judge(self, transaction: Transaction) -> Verdict | None:
        for recipient in transaction.recipients:
            for target in recipient.targets:
                if target.kind is Kind.LIST and (status := await self._lists.objection(target.way, transaction)) is not None:
                    return Verdict(status, target.way)
        return None


@implementer(IPolicyStageFactory)
class ListsFactory:
    name = "lists"
    options = None

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        return (Posting(house.lists),) if house.lists else ()
