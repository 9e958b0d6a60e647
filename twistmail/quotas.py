"""How much each account may hold. The store asks, and the accounts answer, which are built after it and may change at a reload."""

from __future__ import annotations

from typing import Any

from twistmail.interfaces import Unavailable
from twistmail.mail import address
from twistmail.options import Settings


class Quotas:
    """*settings*: of [store], for accounts that have no quota of their own; without them an operator works, whom nothing limits.

    `accounts` (IAccounts) is set once there are some.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._octets: int | None = settings.quota if settings else None
        self._messages: int | None = settings.quota_messages if settings else None
        self.accounts: Any = None

    async def of(self, name: str) -> tuple[int | None, int | None]:
        """The most octets and the most messages of the account called *name*; None for no limit.

        While its source does not answer, the limits for all hold: mail is not refused because of a question that stays open.
        """
        return await self._own(name) or self._octets, self._messages

    async def _own(self, name: str) -> int | None:
        if self.accounts is None:
            return None
        try:
            account = await self.accounts.find(address.parse(name).folded)
        except (Unavailable, ValueError):
            return None
        return None if account is None else account.quota
