"""Several sources of aliases as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zope.interface import implementer

from twistmail.interfaces import IAliasResolver
from twistmail.mail.address import Address


@implementer(IAliasResolver)
class AliasChain:
    """The first of *sources* (IAliasResolver) that knows an address answers.

    One that cannot answer now ends the question: the next might have another answer, and that would be the wrong one.
    """

    def __init__(self, sources: Sequence[Any]) -> None:
        self.sources = tuple(sources)

    async def lookup(self, address: Address) -> tuple[Address, ...]:
        for source in self.sources:
            if targets := await source.lookup(address):
                return targets
        return ()
