"""How much each account may hold. The store asks, and the accounts answer, which are built after it and may change at a reload."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twistmail.interfaces import Unavailable
from twistmail.mail import address
from twistmail.options import Settings

#: Seconds for which an answer holds, because every delivery asks; and for how many accounts.
REMEMBERED = 10.0
MOST_REMEMBERED = 10_000


class Quotas:
    """*settings*: of [store], for accounts that have no quota of their own; without them an operator works, whom nothing limits.

    `accounts` (IAccounts) is set once there are some. *clock* tells seconds; answers are remembered for REMEMBERED.
    """

    def __init__(self, settings: Settings | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._octets: int | None = settings.quota if settings else None
        self._messages: int | None = settings.quota_messages if settings else None
        self._clock = clock
        self._accounts: Any = None
        self._known: dict[str, tuple[float, int | None]] = {}  # until when

    @property
    def accounts(self) -> Any:
        return self._accounts

    @accounts.setter
    def accounts(self, accounts: Any) -> None:
        self._accounts = accounts
        self._known.clear()

    async def of(self, name: str) -> tuple[int | None, int | None]:
        """The most octets and the most messages of the account called *name*; None for no limit.

        While its source does not answer, the limits for all hold: mail is not refused because of a question that stays open.
        """
        now = self._clock()
        until, own = self._known.get(name, (0.0, None))
        if until <= now:
            own = await self._own(name)
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[name] = now + REMEMBERED, own
        return own or self._octets, self._messages

    async def _own(self, name: str) -> int | None:
        if self._accounts is None:
            return None
        try:
            account = await self._accounts.find(address.parse(name).folded)
        except (Unavailable, ValueError):
            return None
        return None if account is None else account.quota
