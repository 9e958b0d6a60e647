"""The JSON API: messages as users of Mailpit expect them, and what is ours alone: events to wait for, the clock, reset.

docs/testing.md describes it. Errors are a line of text, or `{"Error": ...}` where Mailpit says it so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from twistmail.lab import mailpit, watching
from twistmail.lab.drafts import Mistake
from twistmail.lab.fault_settings import NotNow
from twistmail.lab.inboxes import EVERYONE, Away, Inboxes
from twistmail.lab.letter_place import Place
from twistmail.lab.mailpit import Unfit
from twistmail.lab.pages.inbox import HARMLESS, download, postbox_of
from twistmail.lab.rules import in_sight
from twistmail.lab.secret import seems_on
from twistmail.web import letters
from twistmail.web.page import Answer, Asked, Handler, Route, json, text
from twistmail.web.safe_html import POLICY, clean, document
from twistmail.web.site import is_near
from twistmail.web.templates import Renderer

#: Messages told at a time; seconds that somebody may wait for an event, how many may, and how many of one other computer.
MOST_LISTED, LONGEST_WAIT, MOST_WAITING, MOST_OF_ONE = 1000, 60.0, 100, 10
#: The lesson's clock goes at most so many seconds ahead at a time.
LONGEST_JUMP = 31 * 86400.0
V1 = "/api/v1"


class NotThere(Exception):
    """No such message, or part of one."""


def routes(town: Any, render: Renderer) -> tuple[Route, ...]:
    def inboxes(asked: Asked) -> Inboxes:
        """As far as the one who asks may look."""
        return Inboxes(lambda: in_sight(town, asked), town.service, partial(seems_on, town))

    told = [*_Messages(inboxes).routes(), *_Sending(town).routes(), *_Running(town, inboxes).routes()]
    return tuple(Route(route.method, route.pattern, _told(route.handler)) for route in told)


def _told(handler: Handler) -> Handler:
    """*handler*, with its troubles as answers."""

    async def answered(asked: Asked) -> Any:
        try:
            return await handler(asked)
        except Unfit as unfit:
            return text(f"Error: {unfit}\n", 400)
        except Mistake as mistake:
            return json({"Error": str(mistake)}, 400)
        except NotNow as trouble:
            return text(f"Error: {trouble}\n", 409)
        except Away as away:
            return text(f"Error: {away}\n", 503)
        except NotThere:
            return text("404 page not found\n", 404)

    return answered


class _Messages:
    """What lies in the inboxes."""

    def __init__(self, inboxes: Callable[[Asked], Inboxes]) -> None:
        self._inboxes = inboxes

    def routes(self) -> tuple[Route, ...]:
        one = f"{V1}/message/{{id}}"
        return (
            Route("GET", f"{V1}/messages", self.listed),
            Route("PUT", f"{V1}/messages", self.marked),
            Route("DELETE", f"{V1}/messages", self.deleted),
            Route("GET", f"{V1}/search", self.searched),
            Route("DELETE", f"{V1}/search", self.search_deleted),
            Route("GET", one, self.message),
            Route("GET", f"{one}/headers", self.made(mailpit.head, json)),
            Route("GET", f"{one}/raw", self.made(bytes, raw)),
            Route("GET", f"{one}/part/{{part}}", self.part),
            Route("GET", f"{V1}/tags", self.tags),
            Route("GET", "/view/{name}", self.seen),
        )

    async def listed(self, asked: Asked) -> Answer:
        start, limit = span(asked)
        return json(mailpit.listing(await self._inboxes(asked).listing(EVERYONE, "", start, limit), start))

    async def searched(self, asked: Asked) -> Answer:
        start, limit = span(asked)
        return json(mailpit.listing(await self._inboxes(asked).listing(EVERYONE, query_of(asked), start, limit), start, searched=True))

    async def marked(self, asked: Asked) -> Answer:
        body = mailpit.read(asked.body)
        await self._inboxes(asked).mark(await self._chosen(asked, body), read=mailpit.flag(body, "Read"))
        return text("ok")

    async def deleted(self, asked: Asked) -> Answer:
        await self._inboxes(asked).delete(await self._chosen(asked, mailpit.read(asked.body)))
        return text("ok")

    async def search_deleted(self, asked: Asked) -> Answer:
        await self._inboxes(asked).delete(await self._inboxes(asked).all(query_of(asked)))
        return text("ok")

    async def _chosen(self, asked: Asked, body: mailpit.Json) -> list[Place]:
        """Those of IDs, or that Search finds; everything where neither is said."""
        names, query = mailpit.strings(body, "IDs"), mailpit.string(body, "Search")
        if names and query:
            raise Unfit("you may give either IDs or Search, not both")
        if names:
            return [place for name in names if (place := self._inboxes(asked).place(name)) is not None]
        return await self._inboxes(asked).all(query)

    async def message(self, asked: Asked) -> Answer:
        """Whoever asks has read it."""
        place, octets = await self._found(asked, asked.names["id"])
        row = await self._inboxes(asked).row(place)
        told = await self._inboxes(asked).think(place, mailpit.message, place, octets, row.arrived if row else 0.0)
        await self._inboxes(asked).mark([place], read=True)
        return json(told)

    async def part(self, asked: Asked) -> Answer:
        place, octets = await self._found(asked, asked.names["id"])
        found = await self._inboxes(asked).think(place, letters.part, octets, asked.names["part"])
        if found is None:
            raise NotThere
        return download(found)

    def made(self, work: Callable[[bytes], Any], said: Callable[[Any], Answer]) -> Handler:
        async def handler(asked: Asked) -> Answer:
            place, octets = await self._found(asked, asked.names["id"])
            return said(await self._inboxes(asked).think(place, work, octets))

        return handler

    async def seen(self, asked: Asked) -> Answer:
        """/view/ID.html and /view/ID.txt: one message as people read it."""
        name, _, kind = asked.names["name"].rpartition(".")
        if kind not in ("html", "txt"):
            raise NotThere
        place, octets = await self._found(asked, name)
        letter = await self._inboxes(asked).think(place, letters.view, octets)
        if kind == "txt":
            return replace(text(letter.text), headers=HARMLESS)
        if not letter.html:
            raise NotThere
        body = await self._inboxes(asked).think(place, lambda: document(clean(letter.html, letters.images(octets))))
        return Answer(body, headers={"Content-Security-Policy": POLICY})

    async def _found(self, asked: Asked, name: str) -> tuple[Place, bytes]:
        """The message with that id; "latest": the newest of those that ?query= wants. NotThere, Away."""
        if name == "latest":
            rows = (await self._inboxes(asked).listing(EVERYONE, asked.query.get("query", ""), 0, 1)).rows
            place = rows[0].place if rows else None
        else:
            place = self._inboxes(asked).place(name)
        octets = await self._inboxes(asked).content(place) if place else None
        if place is None or octets is None:
            raise NotThere
        return place, octets

    async def tags(self, asked: Asked) -> Answer:
        return json([])


class _Sending:
    def __init__(self, town: Any) -> None:
        self._town = town
        self._postbox = postbox_of(town)

    def routes(self) -> tuple[Route, ...]:
        return (Route("POST", f"{V1}/send", self.send),)

    async def send(self, asked: Asked) -> Answer:
        """From somebody of an office: logged in there; from anybody else: as a stranger, to the MX of everybody's office."""
        try:
            draft = mailpit.draft(mailpit.read(asked.body))
        except Unfit as unfit:
            return json({"Error": str(unfit)}, 400)
        sender = draft.sender.address.lower()
        is_ours = any(sender in office.accounts for office in self._town.offices)
        posted = await self._postbox.post(draft, sender if is_ours else "")
        refused = [{"Address": str(address), "Status": str(status)} for address, status in posted.refused]
        if not posted.ids:
            why = "; ".join(f"{one['Address']}: {one['Status']}" for one in refused)
            return json({"Error": f"nobody was accepted: {why}", "Refused": refused}, 400)
        return json({"ID": posted.ids[0], "IDs": list(posted.ids), "MessageID": posted.message_id, "Refused": refused})


class _Running:
    """The classroom itself."""

    def __init__(self, town: Any, inboxes: Callable[[Asked], Inboxes]) -> None:
        self._town = town
        self._inboxes = inboxes
        self._waiting: Counter[str] = Counter()  # by the address of other computers; "": this one

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", f"{V1}/info", self.info),
            Route("GET", f"{V1}/events", self.events),
            Route("GET", f"{V1}/town", self.town),
            Route("GET", f"{V1}/clock", self.clock),
            Route("POST", f"{V1}/clock", self.jump),
            Route("POST", f"{V1}/reset", self.reset),
            Route("GET", "/livez", self.alive),
            Route("GET", "/readyz", self.ready),
        )

    async def info(self, asked: Asked) -> Answer:
        found = await self._inboxes(asked).listing(limit=0)
        folder = str(self._town.folder) if is_near(asked.client) else ""
        return json({"Version": f"twistmail {_version()}", "LatestVersion": "", "Database": folder, "DatabaseSize": 0,
                     "Messages": found.total, "Unread": found.unread, "Tags": {}, "RuntimeStats": {}})  # fmt: skip

    async def events(self, asked: Asked) -> Answer:
        """What has happened behind number ?after=, as the other words of the query want it; ?wait= seconds for the first."""
        wanted = {name: value for name, value in asked.query.items() if name not in ("after", "wait")}
        after, seconds = int(number(asked, "after", 0, 10**15)), number(asked, "wait", 0, LONGEST_WAIT)
        events = watching.found(self._town.ring, wanted, after)
        if not events and seconds:
            who = "" if is_near(asked.client) else asked.client
            if self._waiting.total() >= MOST_WAITING or (who and self._waiting[who] >= MOST_OF_ONE):
                return text("Error: too many wait here\n", 503)
            self._waiting[who] += 1
            try:
                events = await watching.wait(self._town.ring, self._town.reactor, wanted, after, seconds, asked.leaving)
            finally:
                self._waiting[who] -= 1
                self._waiting += Counter()  # without those of whom nobody waits
        last = events[-1].number if len(events) == watching.MOST else self._town.ring.last
        return json({"last": last, "first": self._town.ring.first, "events": [event.as_json() for event in events]})

    async def town(self, asked: Asked) -> Answer:
        lines = self._town.lines()
        if not is_near(asked.client):  # where things lie on this computer is of no use elsewhere
            lines |= {"folder": "", "authority": "", "offices": [{**office, "config": ""} for office in lines["offices"]]}
        return json(lines)

    async def clock(self, asked: Asked) -> Answer:
        seconds = self._town.clock.seconds()
        return json({"now": seconds, "ahead": self._town.clock.ahead, "at": mailpit.moment(seconds)})

    async def jump(self, asked: Asked) -> Answer:
        """{"jump": seconds}."""
        seconds = mailpit.read(asked.body).get("jump")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST_JUMP:
            raise Unfit(f"jump shall be a number of seconds, at most {LONGEST_JUMP:.0f}")
        self._town.jump(float(seconds))
        return await self.clock(asked)

    async def reset(self, asked: Asked) -> Answer:
        """All mail gone, all that is broken mended."""
        await self._town.reset()
        return text("ok")

    async def alive(self, asked: Asked) -> Answer:
        return text("ok")

    async def ready(self, asked: Asked) -> Answer:
        off = [office.name for office in self._town.offices if not seems_on(self._town, office.name)]
        return text(f"off: {', '.join(off)}\n", 503) if off else text("ok")


def raw(octets: bytes) -> Answer:
    return Answer(octets, "text/plain; charset=utf-8", headers=HARMLESS)


def span(asked: Asked) -> tuple[int, int]:
    """?start= and ?limit=."""
    return int(number(asked, "start", 0, 10**9)), int(number(asked, "limit", 50, MOST_LISTED))


def query_of(asked: Asked) -> str:
    query = asked.query.get("query", "").strip()
    if not query:
        raise Unfit("no search query")
    return query


def number(asked: Asked, name: str, usual: float, most: float) -> float:
    """A number of the query, at most *most*. Unfit."""
    words = asked.query.get(name, "")
    try:
        value = float(words) if words else usual
    except ValueError:
        value = -1.0
    if not value >= 0:
        raise Unfit(f"{name} shall be a number")
    return min(value, most)


def _version() -> str:
    try:
        return version("twistmail")
    except PackageNotFoundError:
        return "of a source tree"
