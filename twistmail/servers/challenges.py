"""The pages that an ACME authority looks at to see whether a name is ours (RFC 8555 §8.3). Everything else is not found.

A handshake that proves the same (RFC 8737) ends before a session has begun to speak.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from twistmail.servers.pages import NOTHING, PageSession
from twistmail.wire.http import Bad, Get, HttpServerWire, Page

PREFIX = "/.well-known/acme-challenge/"


class ChallengeSession(PageSession):
    """One connection. *tokens*: token -> what is answered, as it is now."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        super().__init__({})
        self._tokens = tokens

    async def answer(self, event: Any) -> AsyncIterator[Any]:
        if isinstance(event, Get):
            page = self._tokens.get(event.path[len(PREFIX) :]) if event.path.startswith(PREFIX) else None
            yield Page(404, NOTHING) if page is None else Page(200, page.encode("ascii"))
        elif isinstance(event, Bad):
            yield Page(event.code)


def open_connection(
    pages: Mapping[str, str], identifier: str, address: str, port: int, via: str = ""
) -> tuple[HttpServerWire, ChallengeSession]:
    """The wire and the session of a connection that has come."""
    return HttpServerWire(), ChallengeSession(pages)
