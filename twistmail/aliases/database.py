"""The aliases of the built-in database as a source: what `twistmail alias add` has made counts for the next message."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from zope.interface import implementer

from twistmail.aliases.book import AliasBook, Kept
from twistmail.aliases.listed import Listed, listed
from twistmail.aliases.meaning import Meaning
from twistmail.aliases.owner import owner_of
from twistmail.interfaces import IAliasResolver
from twistmail.mail.address import Address
from twistmail.mail.alias import Step

ORIGIN = "database"


@implementer(IAliasResolver)
class DatabaseAliases:
    """The aliases in *book*; names without a domain hold in all local *domains*."""

    def __init__(self, book: AliasBook, threads: Any, domains: Collection[str], meaning: Meaning) -> None:
        self._book = book
        self._run = threads.run
        self._domains = domains
        self.meaning = meaning

    async def lookup(self, address: Address) -> Step | None:
        kept = self._find(address)
        if kept is None:
            return None
        goals = await self.meaning.goals(kept.items, f"{ORIGIN} ({kept.address})")
        owner = kept.owner or owner_of(address, lambda owner: self._find(owner) is not None)
        return Step(goals, ORIGIN, owner if owner is None or owner.domain else Address(owner.local, address.domain))

    def _find(self, address: Address) -> Kept | None:
        return self._book.find(address, everywhere=address.domain in self._domains)

    async def listed(self) -> list[Listed]:
        """All, by domain and name. Unavailable."""
        return [listed(kept.address, kept.items, ORIGIN, kept.owner) for kept in await self._run(self._book.all)]

    async def put(self, aliases: Iterable[Kept], *, replace: bool = False) -> None:
        """Make *aliases*, all or none. AliasExists; sqlite3.Error, OSError, as with `remove`."""
        await self._run(self._book.put, tuple(aliases), replace=replace)

    async def remove(self, address: Address) -> bool:
        """Whether there was such an alias."""
        return await self._run(self._book.remove, address)  # type: ignore[no-any-return]
