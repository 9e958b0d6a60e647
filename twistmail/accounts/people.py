"""Who has a mailbox here and who may log in, over any table of accounts: IAccounts and IAuthenticator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from twistmail import tasks
from twistmail.accounts import passwords
from twistmail.accounts.table import AccountTable, Entry, entry_for
from twistmail.accounts.verified import Verifier
from twistmail.interfaces import IAccounts, IAuthenticator, Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import Address

log = Logger()


@implementer(IAccounts, IAuthenticator)
class People:
    """The accounts of *table*. A bare login name means one in *default_domain* first.

    *renew*(name, old, new), where given, replaces the stored hash of somebody who logged in with one made with
    old parameters; it is blocking and runs in *threads*.
    """

    def __init__(self, table: AccountTable, verifier: Verifier, threads: Any, *, default_domain: str = "",
                 renew: Callable[[str, str, str], bool] | None = None) -> None:
        self.table = table
        self._verifier = verifier
        self._threads = threads
        self._default_domain = default_domain
        self._renew = renew

    async def find(self, address: Address) -> Account | None:
        await self.table.freshen()
        entry = self.table.entry(str(address))
        return entry.account if entry else None

    async def list(self) -> tuple[Account, ...]:
        await self.table.freshen()
        entries = await self._threads.run(self.table.entries)
        return tuple(sorted((entry.account for entry in entries), key=lambda account: account.name))

    async def authenticate(self, login: str, password: str) -> Account | None:
        await self.table.freshen()
        entry = entry_for(self.table, login, self._default_domain)
        try:
            right = await self._verifier.matches(entry.secret if entry else "", password)
        except passwords.UnknownScheme as unknown:
            log.warn("account {login}: {why}", login=login, why=str(unknown))
            raise Unavailable(f"the password of {login} is kept in an unknown way") from None
        if not right or entry is None or not entry.account.enabled:
            return None
        if self._renew is not None and entry.renewable and passwords.needs_rehash(entry.secret):
            tasks.start(self._rehash(entry, password), "renewing a password hash")
        return entry.account

    async def _rehash(self, entry: Entry, password: str) -> None:
        new = await self._threads.run(passwords.hash_password, password)
        if self._renew is not None:
            await self._threads.run(self._renew, entry.account.name, entry.secret, new)
