"""Several sources of aliases as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from zope.interface import implementer

from twistmail.interfaces import IAliasResolver
from twistmail.mail.address import Address
from twistmail.mail.alias import Step


@implementer(IAliasResolver)
class AliasChain:
    """The first of *sources* (IAliasResolver) that knows an address answers.

    One that cannot answer now ends the question: the next might have another answer, and that would be the wrong one.

    A source may tell apart what it knows of a name (`exact`) and what it says of all others in a domain (`rest`). Then all
    are asked for the name first, with and without its suffix (*spellings*), and for the rest behind that: a full address goes
    before a catch-all, in whichever tables they stand (Postfix).
    """

    def __init__(self, sources: Sequence[Any], spellings: Callable[[Address], Sequence[Address]] = lambda address: (address,)) -> None:
        self.sources = tuple(sources)
        self._exact = [getattr(source, "exact", source.lookup) for source in sources]
        self._rest = [source.rest for source in sources if hasattr(source, "rest")]
        self._spellings = spellings

    async def lookup(self, address: Address) -> Step | None:
        step: Step | None
        if not self._rest:
            for ask in self._exact:
                if (step := await ask(address)) is not None:
                    return step
            return None
        for name in self._spellings(address):
            for ask in self._exact:
                if (step := await ask(name)) is not None:
                    return step
        for ask in self._rest:
            if (step := await ask(address)) is not None:
                return step
        return None
