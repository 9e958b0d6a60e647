"""Aliases that stand in a directory beside its accounts: [aliases] source = sql, ldap or http.

What a directory tells of an address are addresses, and nothing else: no files,
no commands. One that cannot be understood makes the whole answer none, for a
part of a list is worse than a delay.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from zope.interface import implementer

from twistmail.accounts.asking import Asking, can_be_asked
from twistmail.interfaces import IAliasResolver
from twistmail.mail.address import Address, parse
from twistmail.mail.alias import Step

MOST_TARGETS = 10_000
#: How entries of aliases(5) begin that are no addresses: a command, a file, a list in a file.
_NO_ADDRESS = ("|", "/", ":", '"|', '"/', "\\")


@implementer(IAliasResolver)
class DirectoryAliases:
    """The aliases that *ask*(address) tells of: texts with one address or several, with commas or spaces between them."""

    def __init__(self, ask: Callable[[str], Awaitable[Iterable[Any]]], asking: Asking, origin: str = "") -> None:
        self._ask = ask
        self._asking = asking
        self._origin = origin

    async def lookup(self, address: Address) -> Step | None:
        name = str(address)
        if not can_be_asked(name):
            return None
        told = await self._ask(name)
        try:
            targets = targets_of(told)
        except ValueError as error:
            raise self._asking.unavailable(f"what {name} stands for cannot be understood: {error}") from error
        return Step(targets, self._origin) if targets else None


def targets_of(told: Iterable[Any]) -> tuple[Address, ...]:
    """The addresses in the texts *told*, in order, each once. ValueError where one is none, or there are too many."""
    words = [word for text in told if text is not None for word in str(text).replace(",", " ").split()]
    if len(words) > MOST_TARGETS:
        raise ValueError(f"there are more than {MOST_TARGETS}")
    for word in words:
        if word.startswith(_NO_ADDRESS):
            raise ValueError(f"{word} is no address")
    return tuple(dict.fromkeys(parse(word) for word in words))
