"""What the account sources have in common: entries, tables of them, and the name under which somebody logs in.

A table is plain and quick: a dictionary, or a select that takes microseconds.
`people.People` makes the house's IAccounts and IAuthenticator of any table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse


@dataclass(frozen=True, slots=True)
class Entry:
    """An account and what is kept of its password (`passwords.verify`); empty: nobody can log in.

    `renewable`: the source can put a better hash in its place.
    """

    account: Account
    secret: str = field(repr=False, default="")
    renewable: bool = False


class AccountTable(Protocol):
    """A source of entries. Names are full addresses in lower case. Every method may raise interfaces.Unavailable."""

    def entry(self, name: str) -> Entry | None:
        """The entry of *name*."""

    def with_local(self, local: str) -> Sequence[Entry]:
        """Entries whose name has this part before the @; two are enough to be ambiguous."""

    def entries(self) -> Sequence[Entry]:
        """All. May block for as long as it takes to read them."""

    async def freshen(self) -> None:
        """See what others have changed; awaited before each question."""


class FixedTable:
    """A table in memory, which does not change."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._by_name = {entry.account.name: entry for entry in entries}
        self._by_local: dict[str, list[Entry]] = {}
        for entry in self._by_name.values():
            self._by_local.setdefault(entry.account.local, []).append(entry)

    def entry(self, name: str) -> Entry | None:
        return self._by_name.get(name)

    def with_local(self, local: str) -> Sequence[Entry]:
        return self._by_local.get(local, ())

    def entries(self) -> Sequence[Entry]:
        return tuple(self._by_name.values())

    async def freshen(self) -> None:
        """It never changes."""


class Tables:
    """Several tables as one: the first that knows a name answers."""

    def __init__(self, tables: Sequence[AccountTable]) -> None:
        self._tables = tuple(tables)

    def entry(self, name: str) -> Entry | None:
        for table in self._tables:
            if (entry := table.entry(name)) is not None:
                return entry
        return None

    def with_local(self, local: str) -> Sequence[Entry]:
        return _first_of_each(entry for table in self._tables for entry in table.with_local(local))

    def entries(self) -> Sequence[Entry]:
        return _first_of_each(entry for table in self._tables for entry in table.entries())

    async def freshen(self) -> None:
        for table in self._tables:
            await table.freshen()


def _first_of_each(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    known: dict[str, Entry] = {}
    for entry in entries:
        known.setdefault(entry.account.name, entry)
    return tuple(known.values())


def account_name(text: str, default_domain: str = "") -> str:
    """The account name that *text* spells: an address, or a local part of *default_domain*. ValueError where it is none."""
    address = parse(text).folded
    domain = address.domain or default_domain
    if not domain:
        raise ValueError(f"{text!r} has no domain\nwrite the full address, such as {address.local}@blue.example")
    return str(Address(address.local, domain))


def entry_for(table: AccountTable, login: str, default_domain: str) -> Entry | None:
    """Whom *login*, as typed, means (row R22).

    A full address means itself. A bare name means the one in *default_domain* if there is one, else the only account
    of that name; a name that several domains have means nobody.
    """
    try:
        address = parse(login).folded
    except ValueError:
        return None
    if address.domain:
        return table.entry(str(address))
    if default_domain and (entry := table.entry(str(Address(address.local, default_domain)))) is not None:
        return entry
    namesakes = table.with_local(address.local)
    return namesakes[0] if len(namesakes) == 1 else None
