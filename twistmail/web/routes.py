"""Which handler answers a path: patterns of `page.Route`, compared part by part. Pure; `web.site` asks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from urllib.parse import unquote

from twistmail.mail.values import frozen
from twistmail.web.page import Handler, Route


@frozen
class Found:
    """What answers, and what stood in the places of its pattern."""

    handler: Handler
    names: Mapping[str, str]


@frozen
class NotFound:
    """`methods`: with which the path would be found (405); none: there is no such path (404)."""

    methods: tuple[str, ...] = ()


class Routes:
    """*routes*, in their order: of two that match, the earlier answers, so put "/m/export" before "/m/{key}".

    *later*: pairs of first parts of paths ("m"; "" for "/" alone) and what gives more routes. It is called, once, when somebody first
    asks for a path that begins so: what a page is made of is imported by whoever looks at it first.
    """

    def __init__(self, routes: Iterable[Route], later: Iterable[tuple[Collection[str], Callable[[], Iterable[Route]]]] = ()) -> None:
        self._rows: list[tuple[str, tuple[str, ...], Handler]] = []
        self._later = list(later)
        self._add(routes)

    def _add(self, routes: Iterable[Route]) -> None:
        self._rows += ((route.method, _parts(route.pattern), route.handler) for route in routes)

    def find(self, method: str, path: str) -> Found | NotFound:
        """*path* as it was asked for, still percent-encoded: a "%2F" is part of a name. HEAD is answered as GET is."""
        parts = _parts(path)
        first = unquote(parts[0])
        for one in [one for one in self._later if first in one[0]]:
            self._add(one[1]())
            self._later.remove(one)
        wanted = "GET" if method == "HEAD" else method
        others: list[str] = []
        for having, pattern, handler in self._rows:
            names = match(pattern, parts)
            if names is None:
                continue
            if having == wanted:
                return Found(handler, names)
            others.append(having)
        return NotFound(tuple(dict.fromkeys(others)))


def match(pattern: tuple[str, ...], parts: tuple[str, ...]) -> dict[str, str] | None:
    """The names' values where *parts* (encoded) fit *pattern*, else None. A name never stands for nothing."""
    names: dict[str, str] = {}
    for place, part in enumerate(pattern):
        if part.endswith("*}"):
            rest = parts[place:]
            names[part[1:-2]] = "/".join(map(unquote, rest))
            return names if any(rest) else None
        if place >= len(parts):
            return None
        if part.startswith("{") and parts[place]:
            names[part[1:-1]] = unquote(parts[place])
        elif part != unquote(parts[place]):
            return None
    return names if len(parts) == len(pattern) else None


def _parts(path: str) -> tuple[str, ...]:
    return tuple(path.removeprefix("/").split("/"))
