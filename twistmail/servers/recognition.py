"""The moment before a conversation over a UNIX socket in which we find out whose process is at the other end.

The kernel tells its user, so nobody has to log in: it is how mail of this
machine's own users and programs comes in (the `sendmail` command). This stands
in the place of the pump until the user's account is known, and reads nothing.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from twistmail import tasks
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account

log = Logger()

_CREDENTIALS = struct.Struct("3i")  # process, user, group (unix(7))


def user_of(peer: socket.socket) -> int | None:
    """The numeric user at the other end of a UNIX socket when it connected; None where this system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    _, user, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    return int(user)


class Recognition(Protocol):
    """A connection of this machine. `admit(self, account)` takes over; *recognize*(uid) gives the Account, or None: a stranger."""

    transport: Any
    ended = True  # there is no conversation that a stop would have to wait for

    def __init__(
        self,
        recognize: Callable[[int], Awaitable[Account | None]],
        admit: Callable[[Recognition, Account | None], None],
        on_closed: Callable[[Recognition], None],
    ) -> None:
        self._recognize = recognize
        self._admit = admit
        self._on_closed = on_closed
        self._over = False

    def connectionMade(self) -> None:
        self.transport.pauseProducing()
        tasks.start(self._find_out(user_of(self.transport.socket)), "recognizing a user of this machine")

    def connectionLost(self, reason: Failure | None = None) -> None:  # type: ignore[override]
        self._over = True
        self._on_closed(self)

    def shut_down(self) -> None:
        """The server stops; nothing has been said yet."""
        self._over = True
        self.transport.abortConnection()

    async def _find_out(self, user: int | None) -> None:
        try:
            account = None if user is None else await self._recognize(user)
        except Unavailable as trouble:
            log.warn("user {user} of this machine cannot be looked up: {trouble}", user=user, trouble=trouble)
            self.shut_down()
            return
        if not self._over:
            self._admit(self, account)
            self.transport.resumeProducing()
