"""The pages that an ACME authority looks at to see whether a name is ours (RFC 8555 §8.3). Everything else is not found.

A handshake that proves the same (RFC 8737) ends before a session has begun to speak.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

from twistmail.mail.envelope import TlsState
from twistmail.wire.http import Bad, Get, HttpServerWire, Page, Silence

PREFIX = "/.well-known/acme-challenge/"


class ChallengeSession:
    """One connection. *pages*: token -> what is answered, as it is now."""

    patience = 15.0
    minimum_rate = 0

    def __init__(self, pages: Mapping[str, str]) -> None:
        self._pages = pages

    def attach(self, poke: Callable[[], None]) -> None:
        """Nothing is said unasked."""

    async def admit(self) -> bool:
        return True

    async def greet(self) -> AsyncIterator[Any]:
        yield Silence()

    async def answer(self, event: Any) -> AsyncIterator[Any]:
        if isinstance(event, Get):
            page = self._pages.get(event.path[len(PREFIX) :]) if event.path.startswith(PREFIX) else None
            yield Page(404, b"There is nothing here.\n") if page is None else Page(200, page.encode("ascii"))
        elif isinstance(event, Bad):
            yield Page(event.code)

    async def pending_updates(self) -> AsyncIterator[Any]:
        return
        yield

    def last_words(self, why: str) -> Iterable[Any]:
        return ()

    def tls_started(self, tls: TlsState) -> None:
        """It makes no difference."""

    def closed(self, why: str) -> None:
        """There is nothing to let go of."""

    def departed(self) -> None:
        """Nobody counts."""


def open_connection(
    pages: Mapping[str, str], identifier: str, address: str, port: int, via: str = ""
) -> tuple[HttpServerWire, ChallengeSession]:
    """The wire and the session of a connection that has come."""
    return HttpServerWire(), ChallengeSession(pages)
