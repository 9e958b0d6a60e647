"""The users of this machine as accounts: who they are when they send mail without logging in."""

from __future__ import annotations

import pwd
from typing import Any

from twistmail.mail.account import Account
from twistmail.mail.address import Address


class LocalUsers:
    """A user's account is that of his name in *default_domain*; who has none may still send, as that very address."""

    def __init__(self, accounts: Any, threads: Any, default_domain: str) -> None:
        self._accounts = accounts
        self._threads = threads
        self._default_domain = default_domain

    async def recognize(self, user: int) -> Account | None:
        """The Account of the numeric *user*; None for one that is closed. Raises Unavailable."""
        address = Address((await self._threads.run(_name, user)).lower(), self._default_domain)
        account: Account = await self._accounts.find(address) or Account(str(address))
        return account if account.enabled else None


def _name(user: int) -> str:
    """Blocking: it may ask a directory."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"uid{user}"
