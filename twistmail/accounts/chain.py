"""Several sources of accounts as one, where a source is anything that provides IAccounts and IAuthenticator.

Our own tables are joined by `table.Tables` instead, which costs one comparison
of passwords however many they are; this is for what plugins bring.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zope.interface import implementer

from twistmail.interfaces import IAccounts, IAuthenticator
from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse


@implementer(IAccounts, IAuthenticator)
class Chain:
    """The first of *sources* that has an account answers for it; later ones are not asked, whatever the password."""

    def __init__(self, sources: Sequence[Any], *, default_domain: str = "") -> None:
        self._sources = tuple(sources)
        self._default_domain = default_domain

    async def find(self, address: Address) -> Account | None:
        for source in self._sources:
            if (account := await source.find(address)) is not None:
                return account
        return None

    async def list(self) -> tuple[Account, ...]:
        known: dict[str, Account] = {}
        for source in self._sources:
            for account in await source.list():
                known.setdefault(account.name, account)
        return tuple(known[name] for name in sorted(known))

    async def authenticate(self, login: str, password: str) -> Account | None:
        address = self._address(login)
        if address is not None:
            for source in self._sources:
                if (account := await source.find(address)) is not None:
                    return await source.authenticate(account.name, password)
        # Nobody has that address: the first source may know the name otherwise, and takes its time where it does not.
        return await self._sources[0].authenticate(login, password) if self._sources else None

    def _address(self, login: str) -> Address | None:
        try:
            address = parse(login).folded
        except ValueError:
            return None
        if address.domain:
            return address
        return Address(address.local, self._default_domain) if self._default_domain else None
