"""The map: who is there, which ways are whole, what has been sent lately, what time it is in the lesson."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from twistmail.lab.door import Seat
from twistmail.lab.offices import OFFICES, Office
from twistmail.lab.ring import Event
from twistmail.lab.rules import seat_of
from twistmail.lab.secret import seems, seems_on
from twistmail.mail.values import frozen
from twistmail.web.page import Answer, Asked, Route
from twistmail.web.templates import Renderer

#: Messages that are listed.
MOST = 12
#: Where each way is drawn, for those between the three offices: (x1, y1, x2, y2), from its beginning to its end.
WAYS = {
    ("blue", "green"): (200, 58, 440, 58),
    ("green", "blue"): (440, 82, 200, 82),
    ("blue", "red"): (120, 120, 250, 240),
    ("red", "blue"): (280, 240, 150, 120),
    ("green", "red"): (520, 120, 390, 240),
    ("red", "green"): (360, 240, 490, 120),
}
#: The left upper corners of the offices' boxes.
BOXES = {"blue": (10, 20), "green": (440, 20), "red": (225, 240)}


#: What an item's latest event means: (the class of its colour, words).
STATES = {
    ("mail", "accepted"): ("waiting", "accepted"),
    ("mail", "delivered"): ("done", "delivered"),
    ("mail", "relayed"): ("done", "handed over"),
    ("mail", "deferred"): ("waiting", "waiting"),
    ("mail", "failed"): ("trouble", "failed"),
    ("queue", "waiting"): ("waiting", "waiting"),
    ("queue", "warned"): ("waiting", "waiting, sender warned"),
    ("queue", "frozen"): ("waiting", "held"),
    ("queue", "returned"): ("trouble", "returned"),
    ("queue", "given up"): ("trouble", "given up"),
}
BREAK, LOOK = "Break something, and see what happens", "See what is broken now"
#: Where one begins, if there is such a page.
BEGIN = (
    ("/lessons", "The lessons: twelve of them"),
    ("/inbox", "Write a letter, read one"),
    ("/net", BREAK),
    ("/console", "Speak SMTP, IMAP and POP3 by hand"),
    ("/about", "Use your own mail program"),
)


@frozen
class Way:
    """A link, where its line is drawn, and where words about it stand."""

    begin: str
    end: str
    state: str
    line: tuple[int, int, int, int]

    @property
    def label(self) -> tuple[int, int]:
        x1, y1, x2, y2 = self.line
        return (x1 + x2) // 2, (y1 + y2) // 2 + (-8 if y1 <= y2 else 20)


@frozen
class Row:
    """A message in one office. `state`: the class of its colour; `words`: what has become of it."""

    key: str
    at: float
    office: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    state: str = "waiting"
    words: str = "accepted"


def routes(town: Any, render: Renderer) -> tuple[Route, ...]:
    async def page(asked: Asked) -> Answer:
        to_begin = begin(seat_of(town, asked))
        return render.page(asked, "map.html", title="Map", latest=latest(town.ring.since(0)), begin=to_begin, **picture(town))

    async def drawing(asked: Asked) -> Answer:
        return render.fragment(asked, "map_picture.html", **picture(town))

    async def messages(asked: Asked) -> Answer:
        return render.fragment(asked, "map_latest.html", latest=latest(town.ring.since(0)))

    return Route("GET", "/", page), Route("GET", "/map/picture", drawing), Route("GET", "/map/latest", messages)


def picture(town: Any) -> Mapping[str, Any]:
    """What the drawing shows: every office with its state, every way with its own."""
    return {
        "boxes": [(office, at_work(office), seems_on(town, office.name), *BOXES[office.name]) for office in town.offices],
        "ways": [Way(begin, end, seems(town, begin, end), line) for (begin, end), line in WAYS.items()],
    }


def begin(seat: Seat) -> list[tuple[str, str]]:
    """BEGIN for who sits there."""
    return [(path, LOOK if words == BREAK and not seat.is_teacher else words) for path, words in BEGIN]


def at_work(office: Office) -> str:
    """Who works there, in the space of a box: the people of the lessons by name, students by number."""
    own = [person for person in office.people if any(person in one.people for one in OFFICES if one.name == office.name)]
    students = len(office.people) - len(own)
    return ", ".join(own) + (f" + {students}" if students else "")


def latest(events: Iterable[Event]) -> list[Row]:
    """The last messages of all offices, the newest first, each with what happened to it last."""
    rows: dict[tuple[str, str], Row] = {}
    for event in events:
        if event.kind not in ("mail", "queue"):
            continue
        key, what = (event.office, event.about), event.what
        if (event.kind, what["state"]) == ("mail", "accepted"):
            rows[key] = Row(event.about, event.at, event.office, what["sender"], tuple(what["recipients"]), what["subject"])
        elif key in rows and (now := STATES.get((event.kind, what["state"]))):
            rows[key] = replace(rows[key], state=now[0], words=now[1])
    return list(rows.values())[: -MOST - 1 : -1]
