"""Any credentials checker of `twisted.cred` as the judge of passwords: what a program has already, or a plugin of Twisted's.

[users]                       [cred]
source = cred                 checker = unix
                              accounts = sqlite

`checker` is what `twist --help-auth` lists, with its argument behind a colon, as
for Twisted's own servers (`twisted.cred.strcred`).
"""

from __future__ import annotations

from typing import Any

from twisted.cred.credentials import IUsernamePassword, UsernamePassword
from twisted.cred.error import LoginFailed, UnauthorizedLogin
from twisted.internet.defer import maybeDeferred

from twistmail.accounts.house import House
from twistmail.accounts.judged import ACCOUNTS, FULL_ADDRESS, JudgedSource
from twistmail.interfaces import Unavailable
from twistmail.options import Kind, Option, Section, Settings


def _read_checker(text: str) -> Any:
    if not text:
        return None
    from twisted.cred.strcred import InvalidAuthArgumentString, InvalidAuthType, makeChecker  # with all that reads command lines

    try:
        checker = makeChecker(text)
    except (InvalidAuthType, InvalidAuthArgumentString, OSError, TypeError, ValueError) as error:
        raise ValueError(f"{text} is not a credentials checker: {error}\ntwist web --help-auth lists those that there are") from None
    if IUsernamePassword not in checker.credentialInterfaces:
        raise ValueError(f"{text} does not check user names and passwords\ntwist web --help-auth lists those that there are")
    return checker


OPTIONS = Section(
    "cred",
    "Passwords that a credentials checker of twisted.cred judges: [users] source = cred.",
    Option("checker", Kind("a checker of twisted.cred", _read_checker), "", "Its name, and its argument behind a colon.",
           example="file:/etc/twistmail/passwords"),
    ACCOUNTS,
    FULL_ADDRESS,
)  # fmt: skip


def check(settings: Settings) -> Any:
    """What is wrong with the settings as a whole (`interfaces.IPart`)."""
    return [] if settings.checker is not None else [("checker", "there is no checker to ask", "write unix, or file:/PATH")]


def build(settings: Settings, house: House) -> CredSource:
    """The source of these settings."""
    return CredSource(settings.checker, house.source(house.argument or settings.accounts), full_address=settings.full_address)


class CredSource(JudgedSource):
    """The accounts of *accounts* (IAccountSource), whose passwords are what *checker* (ICredentialsChecker) says."""

    def __init__(self, checker: Any, accounts: Any, *, full_address: bool = True) -> None:
        if IUsernamePassword not in checker.credentialInterfaces:
            raise TypeError(f"{checker!r} does not check user names and passwords")
        super().__init__(accounts, self._ask, full_address=full_address)
        self._checker = checker

    async def _ask(self, name: str, password: str) -> bool:
        try:
            avatar = await maybeDeferred(self._checker.requestAvatarId, UsernamePassword(name.encode(), password.encode()))
        except (UnauthorizedLogin, LoginFailed):
            return False
        except OSError as error:
            raise Unavailable(f"{type(self._checker).__name__}: {error}") from error
        return bool(avatar)  # ANONYMOUS is empty
