"""A courier that carries nothing anywhere, and remembers it. Implements ICourier; for tests and demos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zope.interface import implementer

from twistmail.interfaces import Batch, ICourier
from twistmail.mail.address import Address
from twistmail.mail.content import Content
from twistmail.mail.envelope import Target
from twistmail.mail.item import Item
from twistmail.mail.outcome import Outcome, outcome_of
from twistmail.mail.status import Status

TAKEN = Status(250, "2.0.0", "Taken")


@implementer(ICourier)
class MemoryCourier:
    """`answers`: what happens to an address (a Status, or a list of them that is used up and ends with its last one).

    `carried`: (item, targets, content as bytes) of each call. `local` True: positive outcomes are DELIVERED, not RELAYED.
    """

    name = "memory"

    def __init__(self, answers: dict[Address, Any] | None = None, *, local: bool = False) -> None:
        self.answers = dict(answers or {})
        self.carried: list[tuple[Item, tuple[Target, ...], bytes]] = []
        self._local = local

    def batches(self, item: Item, targets: Sequence[Target]) -> tuple[Batch, ...]:
        return (Batch("", tuple(targets)),)

    async def carry(self, item: Item, targets: Sequence[Target], content: Content) -> tuple[Outcome, ...]:
        self.carried.append((item, tuple(targets), item.prefix + b"".join(content.chunks())))
        return tuple(outcome_of(target, self._answer(target.address), "memory", local=self._local) for target in targets)

    def _answer(self, address: Address) -> Status:
        answer = self.answers.get(address, TAKEN)
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        status: Status = answer
        return status
