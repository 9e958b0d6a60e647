"""Any credentials checker of `twisted.cred` as an authenticator: PAM, LDAP, or what a program has already.

A checker says who somebody is; that he has a mailbox here is for the accounts
to say. A checker's name for somebody is an address, or a local part of the
default domain.
"""

from __future__ import annotations

from typing import Any

from twisted.cred.credentials import IUsernamePassword, UsernamePassword
from twisted.cred.error import LoginFailed, UnauthorizedLogin
from twisted.internet.defer import maybeDeferred
from zope.interface import implementer

from twistmail.accounts.table import account_name
from twistmail.interfaces import IAuthenticator, Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import parse


@implementer(IAuthenticator)
class CredAuthenticator:
    """Asks *checker* (ICredentialsChecker for IUsernamePassword); the accounts are those of *accounts* (IAccounts).

    With *full_address* False the checker is asked for the local part (a system's user names). How long it takes to say no
    is the checker's affair.
    """

    def __init__(self, checker: Any, accounts: Any, *, default_domain: str = "", full_address: bool = True) -> None:
        if IUsernamePassword not in checker.credentialInterfaces:
            raise TypeError(f"{checker!r} does not check user names and passwords")
        self._checker = checker
        self._accounts = accounts
        self._default_domain = default_domain
        self._full_address = full_address

    async def authenticate(self, login: str, password: str) -> Account | None:
        try:
            name = account_name(login, self._default_domain)
        except ValueError:
            return None
        address = parse(name)
        asked = name if self._full_address else address.local
        try:
            avatar = await maybeDeferred(self._checker.requestAvatarId, UsernamePassword(asked.encode(), password.encode()))
        except (UnauthorizedLogin, LoginFailed):
            return None
        except OSError as error:
            raise Unavailable(f"{type(self._checker).__name__}: {error}") from error
        if not avatar:  # ANONYMOUS
            return None
        account = await self._accounts.find(address)
        return account if account is not None and account.enabled else None
