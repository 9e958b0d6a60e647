"""The moment before a conversation in which a proxy of ours says for whom it speaks (the PROXY protocol, `wire.proxy`).

Wire and session are made for the client's address, so they cannot be there
yet: this stands in their place, for a short time and for one header, and is
replaced by the pump in front of the same transport. TLS, the greeting and every
question of policy come afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from twistmail.wire.proxy import BadHeader, Client, HeaderReader

#: Seconds that a proxy has for its header; it sends it with the first packet, and a lost one comes again after three (2).
PATIENCE = 10.0


class Introduction(Protocol):
    """A connection from a proxy. `admit(self, client, rest)` takes over when it has said who is there; `spurn(why)` hears of garbage."""

    transport: Any
    ended = True  # there is no conversation that a stop would have to wait for

    def __init__(
        self,
        clock: Any,
        admit: Callable[[Introduction, Client, bytes], None],
        spurn: Callable[[str], None],
        on_closed: Callable[[Introduction], None],
    ) -> None:
        self._reader = HeaderReader()
        self._clock = clock
        self._admit = admit
        self._spurn = spurn
        self._on_closed = on_closed
        self._timer: Any = None
        self._over = False

    def connectionMade(self) -> None:
        self._timer = self._clock.callLater(PATIENCE, self._give_up, "no header came in time")

    def dataReceived(self, data: bytes) -> None:
        if self._over:
            return
        try:
            client = self._reader.feed(data)
        except BadHeader as error:
            self._give_up(str(error))
            return
        if client is not None:
            self._stop()
            self._admit(self, client, self._reader.rest)

    def connectionLost(self, reason: Failure | None = None) -> None:  # type: ignore[override]
        self._stop()
        self._on_closed(self)

    def shut_down(self) -> None:
        """The server stops; nothing has been said yet."""
        self._stop()
        self.transport.abortConnection()

    def _give_up(self, why: str) -> None:
        self._stop()
        self._spurn(why)
        self.transport.abortConnection()

    def _stop(self) -> None:
        self._over = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
