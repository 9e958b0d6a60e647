"""What every session promises to the pump.

A session says what an event means, for one connection of one protocol. It never
sees a transport: it is given events and gives responses, and it is told what
happens to the connection. Sessions are iterated by `pump.Pump` and by nobody else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any, Protocol

from twistmail.mail.envelope import TlsState


class Session(Protocol):
    """One connection's meaning. Responses are whatever the wire of the same protocol can send."""

    #: Seconds that we wait for the peer's next word, from now.
    patience: float
    #: Octets a second that content must bring, averaged over a minute; 0: no demand.
    minimum_rate: int

    def attach(self, poke: Callable[[], None]) -> None:
        """*poke*() asks the pump to say `pending_updates()` as soon as nothing else is being said."""

    async def admit(self) -> bool:
        """Where TLS comes first: may the handshake begin? Else we close without a word, before it has cost anything."""

    def greet(self) -> AsyncIterator[Any]:
        """The responses before the peer has said anything. None at all: close at once."""

    def answer(self, event: Any) -> AsyncIterator[Any] | Coroutine[Any, Any, Any]:
        """The responses to *event*, the final one last for an Ask; none for a Tell.

        Where there is never more than one: a coroutine that returns it, or None, which costs half as much.
        """

    def pending_updates(self) -> AsyncIterator[Any]:
        """What may be said unasked right now; said once. No event is answered before it has ended."""

    def last_words(self, why: str) -> Iterable[Any]:
        """What to say before we close: *why* is "timed out", "shutdown", "kicked", "bug" or "damaged" (what was deflated)."""

    def tls_started(self, tls: TlsState) -> None:
        """The handshake is done: what was said in clear is forgotten (RFC 3207 §4.2)."""

    def closed(self, why: str) -> None:
        """The conversation is over; let go of everything. Called exactly once."""

    def departed(self) -> None:
        """The connection has no descriptor any more: until now it counted among those of its peer. Called once, after `closed`."""
