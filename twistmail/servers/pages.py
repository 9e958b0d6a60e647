"""A few small pages by HTTP, made at the moment in which somebody asks. Everything else is not found."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any

from twistmail.mail.envelope import TlsState
from twistmail.wire.http import Bad, Get, HttpServerWire, Page, Post, Silence

NOTHING = b"There is nothing here.\n"
#: Makes a page: (content type, octets), or None where it cannot be had now.
Make = Callable[[], Awaitable[tuple[str, bytes] | None]]
#: Answers whatever is asked for below a path: (the whole path, what was posted or None) -> (code, octets, content type).
Folders = Mapping[str, Callable[[str, bytes | None], Awaitable[tuple[int, bytes, str]]]]


class PageSession:
    """One connection. *pages*: path -> who makes the page; *folders*: path with a slash at its end -> who answers for all below it."""

    patience = 15.0
    minimum_rate = 0

    def __init__(self, pages: Mapping[str, Make], folders: Folders | None = None) -> None:
        self._pages = pages
        self._folders = folders or {}

    def attach(self, poke: Callable[[], None]) -> None:
        """Nothing is said unasked."""

    async def admit(self) -> bool:
        return True

    async def greet(self) -> AsyncIterator[Any]:
        yield Silence()

    async def answer(self, event: Any) -> AsyncIterator[Any]:
        if isinstance(event, Bad):
            yield Page(event.code)
        elif isinstance(event, Get):
            yield await self.page(event.path)
        elif isinstance(event, Post):
            yield await self._below(event.path, event.body) or Page(405)

    async def _below(self, path: str, body: bytes | None) -> Page | None:
        """What the folder that *path* is in says; None where it is in none."""
        for folder, answer in self._folders.items():
            if path.startswith(folder):
                return Page(*await answer(path, body))
        return None

    async def page(self, path: str) -> Page:
        """What is answered to a question for *path*. A page comes before the folder that it is in, which may be all there is."""
        make = self._pages.get(path)
        if make is None:
            return await self._below(path, None) or Page(404, NOTHING)
        if (made := await make()) is None:
            return Page(503, b"It cannot be had now.\n")
        kind, body = made
        return Page(200, body, kind)

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
    pages: Mapping[str, Make], identifier: str, address: str, port: int, via: str = "", folders: Folders | None = None
) -> tuple[HttpServerWire, PageSession]:
    """The wire and the session of a connection that has come."""
    return HttpServerWire(), PageSession(pages, folders)
