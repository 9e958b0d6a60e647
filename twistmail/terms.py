"""On what terms an account has its mailbox: how much it may hold, and in which format it lies.

The stores ask, and the accounts answer, which are built after them and may change at a reload.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twistmail.interfaces import Unavailable
from twistmail.mail import address
from twistmail.mail.account import Account
from twistmail.options import Settings

#: Seconds for which an answer holds, because every delivery asks; and for how many accounts.
REMEMBERED = 10.0
MOST_REMEMBERED = 10_000


class Terms:
    """*settings*: of [store], for accounts that have no terms of their own. *is_limited* False: an operator works, whom nothing limits.

    `accounts` (IAccounts) is set once there are some. *clock* tells seconds; answers are remembered for REMEMBERED.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic, *, is_limited: bool = True) -> None:
        self._octets: int | None = settings.quota if is_limited else None
        self._messages: int | None = settings.quota_messages if is_limited else None
        self._format: str = settings.format
        self._clock = clock
        self._accounts: Any = None
        self._known: dict[str, tuple[float, Account | None]] = {}  # until when

    @property
    def accounts(self) -> Any:
        return self._accounts

    @accounts.setter
    def accounts(self, accounts: Any) -> None:
        self._accounts = accounts
        self._known.clear()

    def forget(self, name: str) -> None:
        """What was known of the account called *name* may have changed."""
        self._known.pop(name, None)

    async def quota_of(self, name: str) -> tuple[int | None, int | None]:
        """The most octets and the most messages of the account called *name*; None for no limit.

        While its source does not answer, the limits for all hold: mail is not refused because of a question that stays open.
        """
        try:
            account = await self._account(name)
        except Unavailable:
            account = None
        return (account and account.quota) or self._octets, self._messages

    async def format_of(self, name: str) -> str:
        """The format of the mailbox of the account called *name*. Raises Unavailable: mail that waits is better than mail astray."""
        account = await self._account(name)
        return (account and account.format) or self._format

    async def uid_of(self, name: str) -> int | None:
        """Whom the mail of the account called *name* belongs to; None: us. Raises Unavailable, as `format_of`."""
        account = await self._account(name)
        return account.uid if account else None

    async def _account(self, name: str) -> Account | None:
        now = self._clock()
        until, account = self._known.get(name, (0.0, None))
        if until <= now:
            account = await self._found(name)
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[name] = now + REMEMBERED, account
        return account

    async def _found(self, name: str) -> Account | None:
        if self._accounts is None:
            return None
        try:
            folded = address.parse(name).folded
        except ValueError:
            return None
        account: Account | None = await self._accounts.find(folded)
        return account
