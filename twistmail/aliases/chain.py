"""Several sources of aliases as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zope.interface import implementer

from twistmail.interfaces import IAliasResolver
from twistmail.mail.address import Address
from twistmail.mail.alias import Step


@implementer(IAliasResolver)
class AliasChain:
    """The first of *sources* (IAliasResolver) that knows an address answers.

    One that cannot answer now ends the question: the next might have another answer, and that would be the wrong one.
    """

    def __init__(self, sources: Sequence[Any]) -> None:
        self.sources = tuple(sources)

    async def lookup(self, address: Address) -> Step | None:
        for source in self.sources:
            step: Step | None = await source.lookup(address)
            if step is not None:
                return step
        return None
