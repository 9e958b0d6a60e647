"""Any credentials checker of `twisted.cred` as the judge of passwords: PAM, LDAP, or what a program has already.

A checker says who somebody is; that he has a mailbox here is for another source
to say. A checker's name for somebody is an account's address, or its local part.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.cred.credentials import IUsernamePassword, UsernamePassword
from twisted.cred.error import LoginFailed, UnauthorizedLogin
from twisted.internet.defer import maybeDeferred
from zope.interface import implementer

from twistmail.accounts.secrets import Entry
from twistmail.interfaces import IAccountSource, Unavailable
from twistmail.mail.account import Account


@implementer(IAccountSource)
class CredSource:
    """The accounts of *accounts* (IAccountSource), whose passwords are what *checker* (ICredentialsChecker) says.

    With *full_address* False the checker is asked for the local part (a system's user names). How long it takes to say no
    is the checker's affair.
    """

    def __init__(self, checker: Any, accounts: Any, *, full_address: bool = True) -> None:
        if IUsernamePassword not in checker.credentialInterfaces:
            raise TypeError(f"{checker!r} does not check user names and passwords")
        self._checker = checker
        self._accounts = accounts
        self._full_address = full_address

    async def lookup(self, name: str) -> Entry | None:
        entry = await self._accounts.lookup(name)
        return _locked(entry) if entry else None

    async def namesakes(self, local: str) -> tuple[Entry, ...]:
        return tuple(_locked(entry) for entry in await self._accounts.namesakes(local))

    async def list(self) -> tuple[Account, ...]:
        accounts: tuple[Account, ...] = await self._accounts.list() if hasattr(self._accounts, "list") else ()
        return accounts

    async def verify(self, entry: Entry, password: str) -> bool:
        asked = entry.account.name if self._full_address else entry.account.local
        try:
            avatar = await maybeDeferred(self._checker.requestAvatarId, UsernamePassword(asked.encode(), password.encode()))
        except (UnauthorizedLogin, LoginFailed):
            return False
        except OSError as error:
            raise Unavailable(f"{type(self._checker).__name__}: {error}") from error
        return bool(avatar)  # ANONYMOUS is empty


def _locked(entry: Entry) -> Entry:
    """*entry* without the password that its own source may have."""
    return replace(entry, secret="", keys=())
