"""The console: SMTP, POP3 and IMAP typed by hand, line by line, with the server's states drawn beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from twistmail.lab.console import Console, Held, plain
from twistmail.lab.dialects import Next
from twistmail.lab.journey import LF_ONLY
from twistmail.lab.lesson import filled
from twistmail.lab.offices import PASSWORD
from twistmail.lab.rules import in_sight, owner_of
from twistmail.lab.state_drawing import drawing
from twistmail.lab.talk import LONGEST, NotNow
from twistmail.web.page import Answer, Asked, Route, see_other, text
from twistmail.web.templates import Renderer

#: What the services are called here, and the port that everybody else has them at.
NAMES = {
    "mx": ("SMTP, as another server", 25), "submission": ("SMTP, as a mail program", 587), "pop3": ("POP3", 110), "imap": ("IMAP", 143),
}  # fmt: skip


def routes(town: Any, render: Renderer) -> tuple[Route, ...]:
    pages = ConsolePages(town, render)
    return (
        Route("GET", "/console", pages.choose),
        Route("POST", "/console", pages.begin),
        Route("GET", "/console/{id}", pages.page),
        Route("GET", "/console/{id}/talk", pages.talk),
        Route("GET", "/console/{id}/states", pages.states),
        Route("POST", "/console/{id}/say", pages.say),
        Route("POST", "/console/{id}/end", pages.end),
    )


class ConsolePages:
    """The handlers, with the connections that they show."""

    def __init__(self, town: Any, render: Renderer) -> None:
        self._town = town
        self._render = render
        self._console = Console(town)

    async def choose(self, asked: Asked) -> Answer:
        return self._chooser(asked)

    async def begin(self, asked: Asked) -> Answer:
        try:
            held = await self._console.open(owner_of(self._town, asked), asked.form.get("office", ""), asked.form.get("service", ""))
        except NotNow as trouble:
            return self._chooser(asked, str(trouble), 409)
        return see_other(f"/console/{held.id}")

    async def page(self, asked: Asked) -> Answer:
        held = self._mine(asked)
        if held is None:
            return self._gone(asked)
        title = f"{NAMES[held.service][0]}: {held.office}"
        typed = asked.query.get("line", "")[:LONGEST]
        return self._render.page(asked, "console_talk.html", title=title, typed=typed, **shown(self._town, asked, self._console, held))

    async def talk(self, asked: Asked) -> Answer:
        return self._part(asked, "console_lines.html")

    async def states(self, asked: Asked) -> Answer:
        return self._part(asked, "console_states.html")

    async def say(self, asked: Asked) -> Answer:
        held = self._mine(asked)
        if held is None:
            return self._gone(asked)
        try:
            await self._console.say(held, asked.form.get("line", ""))
        except NotNow as trouble:
            held.talk.note(str(trouble))
        return see_other(f"/console/{held.id}")

    async def end(self, asked: Asked) -> Answer:
        if (held := self._mine(asked)) is not None:
            self._console.close(held)
        return see_other("/console")

    # ----- what they share

    def _part(self, asked: Asked, template: str) -> Answer:
        held = self._mine(asked)
        if held is None:
            return self._gone(asked)
        return self._render.fragment(asked, template, **shown(self._town, asked, self._console, held))

    def _mine(self, asked: Asked) -> Held | None:
        return self._console.get(owner_of(self._town, asked), asked.names.get("id", ""))

    def _gone(self, asked: Asked) -> Answer:
        words = "This connection is over, or it is not yours. Begin a new one."
        return text(words + "\n", 404) if asked.by_script else self._chooser(asked, words, 404)

    def _chooser(self, asked: Asked, trouble: str = "", code: int = 200) -> Answer:
        values = {"own": self._console.of(owner_of(self._town, asked)), "services": NAMES, "trouble": trouble, "ports": self._town.ports}
        chosen = (asked.query.get("office", in_sight(self._town, asked)[0].name), asked.query.get("service", "mx"))
        return self._render.page(asked, "console.html", title="Console", code=code, chosen=chosen, lf_only=LF_ONLY, **values)


def shown(town: Any, asked: Asked, console: Console, held: Held) -> Mapping[str, Any]:
    """What the page has of the connection."""
    office = next(office for office in in_sight(town, asked) if office.name == held.office)
    dialect = held.talk.dialect
    return {
        "held": held,
        "office": office,
        "service": NAMES[held.service],
        "port": town.ports[held.office, held.service],
        "said": list(held.talk.said),
        "state": "closed" if held.talk.closed else dialect.state,
        "drawn": drawing(dialect.name),
        "next": [] if held.talk.closed else suggestions(dialect.next(), office, town.password_of(office.accounts[0])),
        "about": console.about(held),
    }


def suggestions(words: tuple[Next, ...], office: Any, password: str = PASSWORD) -> list[tuple[str, str, str]]:
    """(line, what it does, where a browser without the script finds it typed) of each command that is legal now."""
    person = office.accounts[0]
    places = {"person": person, "password": password, "plain": plain(person, password), "host": office.host}
    lines = [(filled(word.example, places), word.words) for word in words]
    return [(line, what, "?line=" + quote(line)) for line, what in lines]


