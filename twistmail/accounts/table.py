"""Tables of accounts: a dictionary, or a select that takes microseconds; and the name that an account has.

A table is plain and quick, and `TableSource` makes a source of it: what asks a
server on the way is an IAccountSource itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from zope.interface import implementer

from twistmail.accounts.asking import can_be_asked
from twistmail.accounts.evidence import provable
from twistmail.accounts.secrets import Entry
from twistmail.interfaces import IAccountSource
from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse


class AccountTable(Protocol):
    """Entries by name. Names are full addresses in lower case. Every method may raise interfaces.Unavailable."""

    def entry(self, name: str) -> Entry | None:
        """The entry of *name*: an account's own, or one of its further addresses."""

    def with_local(self, local: str) -> Sequence[Entry]:
        """Entries whose account has this part before the @; two are enough to be ambiguous."""

    def entries(self) -> Sequence[Entry]:
        """All. May block for as long as it takes to read them."""

    async def freshen(self) -> None:
        """See what others have changed; awaited before each question."""


class FixedTable:
    """A table in memory, which does not change."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = {entry.account.name: entry for entry in entries}
        self._by_address = {address: entry for entry in self._entries.values() for address in entry.account.addresses} | self._entries
        self._by_local: dict[str, list[Entry]] = {}
        for entry in self._entries.values():
            self._by_local.setdefault(entry.account.local, []).append(entry)

    def entry(self, name: str) -> Entry | None:
        return self._by_address.get(name)

    def with_local(self, local: str) -> Sequence[Entry]:
        return self._by_local.get(local, ())

    def entries(self) -> Sequence[Entry]:
        return tuple(self._entries.values())

    async def freshen(self) -> None:
        """It never changes."""


@implementer(IAccountSource)
class TableSource:
    """*table* as a source. *threads* run what blocks; *origin* tells people where its accounts stand."""

    def __init__(self, table: AccountTable, threads: Any, *, origin: str = "table") -> None:
        self.table = table
        self.origin = origin
        self._threads = threads

    async def lookup(self, name: str) -> Entry | None:
        await self.table.freshen()
        return self.table.entry(name) if can_be_asked(name) else None

    async def namesakes(self, local: str) -> tuple[Entry, ...]:
        await self.table.freshen()
        return tuple(self.table.with_local(local)) if can_be_asked(local) else ()

    async def list(self) -> tuple[Account, ...]:
        await self.table.freshen()
        return tuple(entry.account for entry in await self._threads.run(self.table.entries))

    async def provable(self, kind: str) -> bool:
        await self.table.freshen()
        return await self._threads.run(self._provable, kind)

    def _provable(self, kind: str) -> bool:
        return all(provable(entry, kind) for entry in self.table.entries())


def account_name(text: str, default_domain: str = "") -> str:
    """The account name that *text* spells: an address, or a local part of *default_domain*. ValueError where it is none."""
    address = parse(text).folded
    domain = address.domain or default_domain
    if not domain:
        raise ValueError(f"{text!r} has no domain\nwrite the full address, such as {address.local}@blue.example")
    return str(Address(address.local, domain))
