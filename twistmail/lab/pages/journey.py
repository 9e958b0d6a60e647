"""The journeys: a list of messages, and each of them with its six stations and everything that was said on its way.

The page is made of `lab.journey` (what has happened), `lab.stations` and `lab.letter_head` (how it is told), and of what the
offices have now: the letter itself, what waits in their queues, their aliases. `?at=N` shows an earlier moment, `?big=1` is
for a projector.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from twistmail.alias_views import tree
from twistmail.cli.codes import look_up
from twistmail.hops import bare
from twistmail.interfaces import Unavailable
from twistmail.lab.faults import FAULTS, Board, Fault
from twistmail.lab.heads import is_held, runner_of
from twistmail.lab.journey import LF_ONLY, Journey, Leg
from twistmail.lab.journey_text import as_text
from twistmail.lab.letter_head import Head, head_of, rows
from twistmail.lab.rules import may_order, seat_of
from twistmail.lab.stations import current, stations, summary
from twistmail.mail.address import parse
from twistmail.mail.values import frozen
from twistmail.web.page import Answer, Asked, Route, see_other, text
from twistmail.web.templates import Renderer

#: Messages in the list; lines of one tree of aliases.
MOST, MOST_BRANCHES = 100, 60
UNKNOWN = "There is no such message, or it is so old that it is forgotten."
#: What can be ordered about a message that waits: words for the form, and for people.
FREE = (("now", "Try now"), ("hold", "Hold"), ("return", "Return to sender"))
HELD = (("release", "Release"), ("return", "Return to sender"))
#: What can be broken on a line, of the faults that the switch board has.
ON_THE_LINE = ("slow", "black-hole", "cut-after-the-dot", "no-starttls")
SAID = {"now": "It is tried now.", "hold": "It is held: nothing happens until you release it.", "release": "It goes on.",
        "return": "It goes back to its sender."}


@frozen
class Seen:
    """How somebody looks at a journey: which dialogue, which moment (None: now), how big. `places`: moments that there are."""

    key: str
    shown: int
    place: int | None
    places: tuple[int, ...]
    big: bool
    last: str = ""

    @property
    def replayed(self) -> bool:
        return self.place is not None

    @property
    def count(self) -> int:
        return len(self.places)

    @property
    def address(self) -> str:
        return self.tab(self.shown)

    def tab(self, number: int) -> str:
        return self._path(d=number or None, at=self.place)

    def moment(self, place: int, run: bool = False) -> str:
        return self._path(d=self.shown or None, at=place, run=1 if run else None)

    @property
    def steps(self) -> tuple[tuple[str, int, bool], ...]:
        """(words, place, whether it goes on by itself)."""
        place, end = self.place or 0, self.count - 1
        return (("First", 0, False), ("Back", max(0, place - 1), False), ("Next", min(end, place + 1), False), ("Play", place, True),
                ("Last", end, False))

    def _path(self, **fields: int | None) -> str:
        asked = urlencode({key: value for key, value in {**fields, "big": 1 if self.big else None}.items() if value is not None})
        return f"/m/{self.key}" + (f"?{asked}" if asked else "")


def routes(town: Any, render: Renderer) -> tuple[Route, ...]:
    return _Pages(town, render).routes()


class _Pages:
    """What the routes do."""

    def __init__(self, town: Any, render: Renderer) -> None:
        self._town, self._render = town, render
        self._board = Board(town)

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/m", self.listed),
            Route("GET", "/m/{key}", self.page),
            Route("GET", "/m/{key}/export.html", self.export),
            Route("GET", "/m/{key}/export.txt", self.words),
            Route("POST", "/m/{key}/orders", self.order),
        )

    # ----- the list

    async def listed(self, asked: Asked) -> Answer:
        found = [(journey, *summary(journey)) for journey in self._town.journeys.latest(MOST)]
        if asked.by_script:
            return self._render.fragment(asked, "journeys_rows.html", journeys=found)
        return self._render.page(asked, "journeys.html", title="Journeys", journeys=found)

    # ----- one journey

    async def page(self, asked: Asked) -> Answer:
        whole = self._town.journeys.of(asked.names["key"])
        if whole is None:
            return self._render.page(asked, "problem.html", title="Sorry", code=404, words=UNKNOWN)
        place = _number(asked.query.get("at"), len(whole.moments) - 1)
        journey = self._foreseen(whole) if place is None else self._town.journeys.of(whole.key, until=whole.moments[place])
        seen = Seen(whole.key, 0, place, whole.moments, asked.query.get("big") == "1", self._happened(whole, place))
        values = await self._values(journey, seen, asked)
        if asked.by_script:
            return self._render.fragment(asked, "journey_body.html", **values)
        answer = self._render.page(asked, "journey.html", title=f"Journey of {whole.key}", **values)
        if place is not None and asked.query.get("run") == "1" and place < len(whole.moments) - 1:
            after = Seen(whole.key, 0, place, whole.moments, seen.big).moment(place + 1, True)
            return Answer(answer.body, answer.kind, answer.code, {**answer.headers, "Refresh": f"1; url={after}"})
        return answer

    def _foreseen(self, journey: Journey) -> Journey:
        """With the times of the next tries as the queues have them now: a place that rests, or an order, changes these."""
        legs = tuple(self._awaited(leg) if leg.state == "waiting" else leg for leg in journey.legs)
        return replace(journey, legs=legs)

    def _awaited(self, leg: Leg) -> Leg:
        runner = runner_of(self._town.service(leg.office))
        item = runner.item(leg.id) if runner is not None else None
        if item is None:
            return leg
        at = runner.outlook_of(item).at
        return replace(leg, next=at or 0.0)

    def _happened(self, journey: Journey, place: int | None) -> str:
        """What has happened at that moment, in few words."""
        if place is None:
            return ""
        (event,) = [*self._town.ring.since(journey.moments[place] - 1)[:1]] or [None]
        if event is None or event.number != journey.moments[place]:
            return ""
        said = next((str(event.what[key]) for key in ("text", "state", "question", "mailbox") if event.what.get(key)), "")
        return f"{event.office}, {event.kind}: {said[:80]}"

    async def _values(self, journey: Journey, seen: Seen, asked: Asked) -> dict[str, Any]:
        dialogues = journey.dialogues
        wanted = _number(asked.query.get("d"), len(dialogues) - 1)
        if wanted is None and seen.replayed:
            wanted = max(range(len(dialogues)), key=lambda place: dialogues[place].lines[-1].number, default=0)
        seen = Seen(seen.key, wanted or 0, seen.place, seen.places, seen.big, seen.last)
        may = may_order(self._town, seat_of(self._town, asked), journey.key)
        now = {} if seen.replayed else {"orders": self._orders(journey) if may else (), "switches": self._switches(journey)}
        return {**await self._told(journey, replayed=seen.replayed), "seen": seen, "orders": (), "switches": (), "export": False, **now}

    async def _told(self, journey: Journey, *, replayed: bool = False) -> dict[str, Any]:
        """What page and export have in common."""
        header = b"" if journey.first.state == "coming" else await self._town.heads.of(journey)
        head = head_of(header, journey) if header else Head()
        state, sentence = summary(journey)
        waits = self._waits(journey)
        all_six = stations(journey, {} if replayed else waits)
        return {
            "journey": journey, "state": state, "sentence": sentence, "stations": all_six, "current": current(all_six),
            "dialogues": journey.dialogues, "head": head, "rows": rows(journey.first, head), "meaning": meaning,
            "lf_only": LF_ONLY, "trees": [await self._tree(leg) for leg in journey.legs if leg.aliases],
            "files": [self._file(copy) for copy in journey.copies],
            "trace": self._trace(journey), "waits": waits,
            "held": {leg.id: is_held(self._town.service(leg.office), leg) for leg in journey.legs},
        }  # fmt: skip

    def _waits(self, journey: Journey) -> dict[str, str]:
        """For each leg what its item waits for, in words; empty for nothing but its time."""
        found = dict.fromkeys((leg.id for leg in journey.legs), "")
        for runner, identifier in self._waiting(journey):
            found[identifier] = str(runner.outlook_of(runner.item(identifier)).why)
        return found

    def _trace(self, journey: Journey) -> str:
        """The command that tells the same in a terminal."""
        files = [str(self._town.config_file(name)) for name in dict.fromkeys(leg.office for leg in journey.legs)]
        message_id = f"<{bare(journey.message_id)}>"
        words = ["twistmail", "--config", files[0], "trace", "show", message_id if journey.message_id else journey.first.id]
        return shlex.join([*words, *chain.from_iterable(("--also", file) for file in files[1:] if journey.message_id)])

    async def _tree(self, leg: Leg) -> tuple[str, list[tuple[int, str, str]]]:
        """(office, lines) of the aliases that were followed there, with where each is written, as far as the office tells that now."""
        service, lines = self._town.service(leg.office), []
        for alias in leg.aliases:
            try:
                node = await tree(service.parts.people.expansion, parse(alias.name)) if service is not None else None
            except (Unavailable, ValueError, OSError):
                node = None
            lines += _lines_of(node) if node else [(0, alias.name, alias.origin), *((1, one, "") for one in alias.targets)]
        return leg.office, lines[:MOST_BRANCHES]

    def _file(self, copy: Any) -> str:
        """Where the file is, below the folder of the classroom, as far as that can be told."""
        local, _, domain = copy.account.partition("@")
        box = "" if copy.mailbox == "INBOX" else f".{copy.mailbox.replace('/', '.')}/"
        return f"{copy.office}/mail/{domain}/{local}/{box}{copy.file}"

    # ----- to keep

    async def export(self, asked: Asked) -> Answer:
        journey = self._town.journeys.of(asked.names["key"])
        if journey is None:
            return text(UNKNOWN + "\n", 404)
        values = {**await self._told(journey), "seen": Seen(journey.key, 0, None, (), False), "orders": (), "switches": (),
                  "export": True}
        page = self._render.words(asked, "journey_export.html", title=f"Journey of {journey.key}", styles=self._styles(), **values)
        return Answer(page.encode(), headers=_download(journey, "html"))

    async def words(self, asked: Asked) -> Answer:
        journey = self._town.journeys.of(asked.names["key"])
        if journey is None:
            return text(UNKNOWN + "\n", 404)
        header = await self._town.heads.of(journey)
        body = as_text(journey, head_of(header, journey) if header else Head())
        return Answer(body.encode(), "text/plain; charset=utf-8", headers=_download(journey, "txt"))

    def _styles(self) -> Markup:
        """The stylesheet, for a page that is one file. It is our own, so it may stand in HTML as it is."""
        return Markup((Path(__file__).parents[1] / "assets" / "lab.css").read_text("utf-8"))

    # ----- orders

    def _waiting(self, journey: Journey) -> list[tuple[Any, str]]:
        """(runner, id) of each of its items that is in a queue now."""
        runners = ((runner_of(self._town.service(leg.office)), leg.id) for leg in journey.legs)
        return [(runner, identifier) for runner, identifier in runners if runner is not None and runner.item(identifier) is not None]

    def _orders(self, journey: Journey) -> Sequence[tuple[str, str]]:
        waiting = self._waiting(journey)
        if not waiting:
            return ()
        return HELD if any(runner.item(identifier).held for runner, identifier in waiting) else FREE

    def _switches(self, journey: Journey) -> list[tuple[Fault, str, bool]]:
        """What could be broken on the way of this message: (fault, place, whether it is broken)."""
        here, person = journey.first.office, next(iter(journey.recipients), "")
        there = person.rpartition("@")[2].partition(".")[0]
        wanted = [("office-off", there), *((name, f"{here}>{there}") for name in ON_THE_LINE), ("dns-nxdomain", f"{there}.test"),
                  ("mailbox-full", person)]
        able = [(name, place) for name, place in wanted if place in self._board.places(name)]
        return [(FAULTS[name], place, self._board.shows(name, place)) for name, place in able]

    async def order(self, asked: Asked) -> Answer:
        journey, order = self._town.journeys.of(asked.names["key"]), asked.form.get("order", "")
        if journey is None or order not in SAID:
            return text(UNKNOWN + "\n" if journey is None else "There is no such order.\n", 404 if journey is None else 400)
        waiting = self._waiting(journey)
        for runner, identifier in waiting:
            with suppress(KeyError):  # it has just left the queue
                await _ordered(runner, identifier, order)
        if asked.by_script:
            return text(SAID[order] + "\n" if waiting else "It is in no queue any more.\n")
        return see_other(f"/m/{journey.key}")


async def _ordered(runner: Any, identifier: str, order: str) -> None:
    if order == "now":
        runner.flush([identifier], kept=True)
    elif order == "hold":
        await runner.hold(identifier, "held on the journey page")
    elif order == "release":
        await runner.release(identifier)
    else:
        await runner.bounce(identifier, "")


def meaning(answer: str) -> str:
    """What an answer of an SMTP server means, in a sentence; "" where that cannot be told."""
    found = look_up(answer.replace("-", " ", 1) if answer[3:4] == "-" else answer)
    return found[0].means if found else ""


def _lines_of(root: Mapping[str, Any]) -> list[tuple[int, str, str]]:
    lines: list[tuple[int, str, str]] = []
    waiting = [(0, root)]
    while waiting and len(lines) < MOST_BRANCHES:
        depth, node = waiting.pop()
        lines.append((depth, str(node["address"]), str(node["what"])))
        waiting += [(depth + 1, child) for child in reversed(node.get("children", ()))]
    return lines


def _number(words: str | None, most: int) -> int | None:
    """A number from 0 to *most*; None for what is none."""
    if not words or not words.isascii() or not words.isdigit() or len(words) > 6 or most < 0:
        return None
    return min(int(words), most)


def _download(journey: Journey, ending: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="journey-{journey.key}.{ending}"'}
