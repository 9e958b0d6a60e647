"""The queue's door for the users of this machine: who waits for his mail sees it, and may have it tried again.

Spoken as on the control socket, which is for operators, and with two of its
verbs: queue.list and queue.flush. The kernel tells who asks. Root, and whoever
the server runs as, are answered as at the control socket; everybody else as
[queue] users_see and users_flush say. *Own* is what he has submitted himself,
whatever it says of its sender.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

from twistmail.control import ControlFactory, ControlProtocol, Refusal
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.own_passwords import MOST_OF_ONE, Counter
from twistmail.steering.desk import QueueDesk

NO_PERMISSION, TEMPORARY = 77, 75  # sysexits
LIST, FLUSH = "queue.list", "queue.flush"
OWN, ALL, NO = "own", "all", "no"
#: Seconds between two orders of one user to try mail again: a shell loop must not become an attack on others.
PAUSE = 5.0
#: Users whose last order is remembered.
MOST_USERS = 10_000

Recognize = Callable[[int], Awaitable[Account | None]]


def queue_door(service: Any) -> QueueDoor:
    """The door of *service* (`service.MailService`), which may be reloaded."""
    return QueueDoor(
        service.reactor,
        QueueDesk(service.foundation),
        lambda user: service.parts.local_users.recognize(user),  # type: ignore[no-any-return]
        lambda: service.config["queue"],
    )


class QueueDoor(ControlFactory):
    """Makes a conversation per connection. *desk* (steering.desk.QueueDesk) answers.

    *recognize*(uid) gives the Account of a user of this machine, or None. *settings*() are those of [queue], as they are now.
    """

    def __init__(self, reactor: Any, desk: Any, recognize: Recognize, settings: Callable[[], Any]) -> None:
        super().__init__({})
        self._reactor = reactor
        self._desk = desk
        self._recognize = recognize
        self._settings = settings
        self._ordered: dict[int | None, float] = {}

    def buildProtocol(self, addr: Any) -> ControlProtocol | None:
        return self.opened(partial(Counter, self._reactor, self._greet))

    def _greet(self, counter: Counter) -> bool:
        """Let *counter*'s user in, unless he is here often enough."""
        if sum(one.user == counter.user for one in self.open if isinstance(one, Counter)) > MOST_OF_ONE:
            return False
        counter.serve({LIST: partial(self._list, counter.user), FLUSH: partial(self._flush, counter.user)})
        return True

    async def _list(self, user: int | None, arguments: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        mine = await self._limited(user, arguments, self._settings().users_see)
        async with aclosing(self._desk.listed(mine)) as listed:
            async for said in listed:
                yield said

    async def _flush(self, user: int | None, arguments: Mapping[str, Any]) -> Any:
        mine = await self._limited(user, arguments, self._settings().users_flush)
        self._pace(user)
        return await self._desk.flush(mine)

    async def _limited(self, user: int | None, arguments: Mapping[str, Any], what: str) -> Mapping[str, Any]:
        """*arguments*, of which no more is left than *user* may see or order: all, his own, or nothing. Refusal."""
        if user in (0, os.geteuid()) or (user is not None and what == ALL):
            return arguments
        if user is None or what == NO:
            raise Refusal("that is for operators", NO_PERMISSION, "see [queue] users_see, users_flush")
        try:
            account = await self._recognize(user)
        except Unavailable:
            raise Refusal("users cannot be looked up just now", TEMPORARY, "try again later") from None
        if account is None:
            raise Refusal("your account is closed", NO_PERMISSION)
        return {**arguments, "account": account.name}

    def _pace(self, user: int | None) -> None:
        """Refusal where *user* has ordered something a moment ago. Operators may do what they like."""
        if user in (0, os.geteuid()):
            return
        now = self._reactor.seconds()
        if now - self._ordered.get(user, now - PAUSE) < PAUSE:
            raise Refusal(f"you have just had it tried; that goes once in {PAUSE:g} seconds", TEMPORARY, "wait a moment")
        if len(self._ordered) >= MOST_USERS:
            self._ordered.clear()
        self._ordered[user] = now
