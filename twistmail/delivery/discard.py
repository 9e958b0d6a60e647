"""The courier to nobody (ICourier): `:blackhole:` and `/dev/null` of aliases."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import implementer

from twistmail.delivery.files import DISCARDED
from twistmail.interfaces import Batch, ICourier
from twistmail.mail.content import Content
from twistmail.mail.envelope import Target
from twistmail.mail.item import Item
from twistmail.mail.outcome import Foreseen, Outcome, outcome_of


@implementer(ICourier)
class DiscardCourier:
    """For targets of Kind DISCARD."""

    name = "discard"

    def batches(self, item: Item, targets: Sequence[Target]) -> tuple[Batch, ...]:
        return (Batch("discard:", tuple(targets)),)

    async def carry(self, item: Item, targets: Sequence[Target], content: Content) -> list[Outcome]:
        return [outcome_of(target, DISCARDED, "nobody", local=True) for target in targets]

    async def foresee(self, item: Item, target: Target) -> Foreseen:
        return Foreseen("nowhere: it is thrown away")
