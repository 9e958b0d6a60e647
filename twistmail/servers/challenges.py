"""The pages that an ACME authority looks at to see whether a name is ours (RFC 8555 §8.3), and others that share the port.

A handshake that proves the same (RFC 8737) ends before a session has begun to speak.
"""

from __future__ import annotations

from collections.abc import Mapping

from twistmail.servers.pages import NOTHING, Folders, Make, PageSession
from twistmail.wire.http import HttpServerWire, Page

PREFIX = "/.well-known/acme-challenge/"


class ChallengeSession(PageSession):
    """One connection. *tokens*: token -> what is answered, as it is now; *pages* as PageSession has them."""

    def __init__(self, tokens: Mapping[str, str], pages: Mapping[str, Make], folders: Folders | None = None) -> None:
        super().__init__(pages, folders)
        self._tokens = tokens

    async def page(self, path: str) -> Page:
        if not path.startswith(PREFIX):
            return await super().page(path)
        answer = self._tokens.get(path[len(PREFIX) :])
        return Page(404, NOTHING) if answer is None else Page(200, answer.encode("ascii"))


def open_connection(
    tokens: Mapping[str, str], pages: Mapping[str, Make], identifier: str, address: str, port: int, via: str = "",
    folders: Folders | None = None,
) -> tuple[HttpServerWire, ChallengeSession]:
    """The wire and the session of a connection that has come."""
    return HttpServerWire(), ChallengeSession(tokens, pages, folders)
