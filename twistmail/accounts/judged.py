"""Accounts of one source whose passwords somebody else judges: PAM, a checker of twisted.cred.

Such a judge says who somebody is; that he has a mailbox here is for another
source to say, which the setting `accounts` of the judge's section names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from zope.interface import implementer

from twistmail.accounts.asking import LONGEST_PASSWORD, can_be_asked
from twistmail.accounts.secrets import Entry
from twistmail.interfaces import IAccountSource
from twistmail.mail.account import Account
from twistmail.options import SWITCH, Kind, Option


def _read_source(text: str) -> str:
    if not text or " " in text:
        raise ValueError(f"{text or 'nothing'} is not a source of accounts\nwrite one, such as sqlite or sql")
    return text


#: What the sections of judges have in common.
ACCOUNTS = Option("accounts", Kind("a source of accounts", _read_source), "sqlite",
                  "Who has a mailbox: another source, as in [users] source, where that does not say so itself (pam:system).",
                  example="passwd:users")  # fmt: skip
FULL_ADDRESS = Option("full_address", SWITCH, "no", "Ask for the whole address; no: for what stands before the @.")


@implementer(IAccountSource)
class JudgedSource:
    """The accounts of *accounts* (IAccountSource); *judge*(name, password) says whether the password is right, or raises Unavailable.

    With *full_address* False the judge is told the local part only (a system's user names). How long it takes to say no is
    its affair.
    """

    def __init__(self, accounts: Any, judge: Callable[[str, str], Awaitable[bool]], *, full_address: bool = True) -> None:
        self._accounts = accounts
        self._judge = judge
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
        name = entry.account.name if self._full_address else entry.account.local
        return can_be_asked(password, LONGEST_PASSWORD) and can_be_asked(name) and await self._judge(name, password)


def _locked(entry: Entry) -> Entry:
    """*entry* without the passwords that its own source may have: whom the judge has shut out comes in by none of them."""
    return replace(entry, secret="", keys=(), app_passwords=())
