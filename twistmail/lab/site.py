"""The classroom's pages in one place: gathers `pages/*`, serves the script and the styles, and tells browsers what happens.

How a page is added: put `pages/NAME.py` there with `routes(town, render) -> tuple[Route, ...]` and its templates
`templates/NAME*.html`, which extend base.html, and say in PAGES how its paths begin. docs/pages.md says what base.html, the
styles and the script offer them. A module is imported when somebody first asks for one of its paths: an idle classroom
has none of them. So what has to hear of everything from the beginning stands in `town`, not in a page.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson

from twistmail.lab import pages
from twistmail.lab.copying import CERTIFICATE, host_of
from twistmail.lab.filters import FILTERS
from twistmail.lab.lan import ROSTER
from twistmail.lab.offices import OFFICES
from twistmail.lab.ring import KINDS, Event
from twistmail.lab.rules import Rules, seat_of
from twistmail.web.guard import Guard
from twistmail.web.page import Answer, Asked, Live, Route, text
from twistmail.web.routes import Routes
from twistmail.web.site import Gate, Site
from twistmail.web.templates import Renderer

HERE = Path(__file__).parent
NAVIGATION = (
    ("Map", "/"),
    ("Journeys", "/m"),
    ("Inboxes", "/inbox"),
    ("Queue", "/queue"),
    ("DNS", "/dns"),
    ("Switches", "/net"),
    ("Console", "/console"),
    ("Lessons", "/lessons"),
    ("About", "/about"),
)
#: Modules of `pages`, and the first parts of the paths that they answer.
PAGES = {
    "about": ("about", "reset", CERTIFICATE),
    "api": ("api", "livez", "readyz", "view"),
    "clock": ("clock",),
    "console": ("console",),
    "dns": ("dns",),
    "inbox": ("inbox",),
    "journey": ("m",),
    "lessons": ("lessons",),
    "map": ("", "map"),
    "net": ("net", "api"),
    "queue": ("queue",),
    "riddle": ("find",),
    "room": ("room", "projector", ROSTER),
}
KIND_OF_ASSET = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
FOR_EVER = "public, max-age=31536000, immutable"


def make(town: Any, *, gates: Collection[Gate] = (), names: Collection[str] = ()) -> Site:
    """The site of *town* (`town.Town`), for `listenTCP`. *gates* and *names* as `web.site` and `web.guard` have them."""
    guard = Guard(secrets.token_bytes(32), names)
    assets = Assets(HERE / "assets")
    render = Renderer((HERE / "templates",), lambda asked: common(asked, town, guard, assets), FILTERS)

    def problem(asked: Asked, code: int, words: str) -> Answer:
        if asked.by_script or "text/html" not in asked.headers.get("accept", ""):
            return text(words + "\n", code)
        return render.page(asked, "problem.html", title="Sorry", code=code, words=words)

    ruled: Callable[[Iterable[Route]], Iterable[Route]] = Rules(town, problem).over if town.lan is not None else lambda routes: routes

    def page(name: str) -> Iterable[Route]:
        return ruled(routes_of(name, town, render))

    routes = (*assets.routes(), Route("GET", "/events", events_of(town)))
    later = [(firsts, partial(page, name)) for name, firsts in PAGES.items()]
    return Site(town.reactor, Routes(ruled(routes), later), guard=guard, gates=gates, problem=problem)


def routes_of(name: str, town: Any, render: Renderer) -> tuple[Route, ...]:
    """The routes of module *name* in `pages`."""
    routes: tuple[Route, ...] = _module(name).routes(town, render)
    return routes


def import_pages() -> None:
    """All of them, and what they are written with, now: for who is about to give up root (`twistmail.later`)."""
    import_module("jinja2")
    with suppress(ImportError):  # an extra
        import_module("segno")
    for name in PAGES:
        _module(name)


def _module(name: str) -> Any:
    return import_module(f"{pages.__name__}.{name}")


def common(asked: Asked, town: Any, guard: Guard, assets: Assets) -> Mapping[str, Any]:
    """What every template may name."""
    return {
        "token": guard.token(asked),
        "here": asked.path,
        "big": asked.query.get("big") == "1",
        "navigation": NAVIGATION,
        "asset": assets.path,
        "last": town.ring.last,
        "now": town.clock.seconds(),
        "offices": OFFICES,
        "host": host_of(asked),
        "lan": town.lan,
        "me": seat_of(town, asked).account,
        "in_charge": seat_of(town, asked).is_teacher,
    }


def events_of(town: Any) -> Any:
    """The handler of /events?kinds=...&about=...&after=...: server-sent events, named by kind, with the event as JSON.

    `kinds` and `about`: several with commas or spaces between; none: all. `after`: go on after this number, if the browser
    does not say itself where it was (Last-Event-ID).
    """

    async def handler(asked: Asked) -> Answer | Live:
        kinds = words_of(asked.query.get("kinds", "")) & frozenset(KINDS) if asked.query.get("kinds") else frozenset(KINDS)
        about = words_of(asked.query.get("about", ""))

        def render(event: Event) -> tuple[str, str] | None:
            if event.kind not in kinds or (about and event.about not in about):
                return None
            return event.kind, orjson.dumps(event.as_json(), default=str).decode()

        return Live(town.ring, render, number_of(asked.headers.get("last-event-id")) or number_of(asked.query.get("after")))

    return handler


def words_of(several: str) -> frozenset[str]:
    return frozenset(several.replace(",", " ").split())


def number_of(words: str | None) -> int | None:
    """A number of an event; None for what is none."""
    return int(words) if words and words.isascii() and words.isdigit() and len(words) < 16 else None


class Assets:
    """The files of *folder*, read once. Their addresses hold what is in them, so that a browser asks once for each."""

    def __init__(self, folder: Path) -> None:
        self._files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix[1:] in KIND_OF_ASSET}
        self._paths = {name: f"/assets/{name}?v={hashlib.sha256(body).hexdigest()[:12]}" for name, body in self._files.items()}

    def path(self, name: str) -> str:
        return self._paths[name]

    def routes(self) -> tuple[Route, ...]:
        return (Route("GET", "/assets/{name}", self._file), Route("GET", "/favicon.ico", self._icon))

    async def _file(self, asked: Asked) -> Answer:
        name = asked.names["name"]
        if name not in self._files:
            return text("There is no such file.\n", 404)
        headers = {"Cache-Control": FOR_EVER} if "v" in asked.query else {}
        return Answer(self._files[name], KIND_OF_ASSET[name.rpartition(".")[2]], headers=headers)

    async def _icon(self, asked: Asked) -> Answer:
        return await self._file(replace(asked, names={"name": "icon.svg"}))
