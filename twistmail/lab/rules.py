"""What each seat of a class in the LAN may do: a rule for every route that changes something, and for those that show secrets.

Whoever has said the code may look; who has said his account acts as himself; what the whole class would feel is the
teacher's. The people of the offices (alice to mallory) are everybody's, a student's mailbox is his own and the teacher's.
Without a class nothing here is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from math import ceil
from typing import Any

from twistmail.lab.door import Seat
from twistmail.lab.filters import span
from twistmail.lab.letter_place import place_of
from twistmail.lab.offices import Office
from twistmail.lab.pace import Pace
from twistmail.web.guard import BROWSER
from twistmail.web.page import Answer, Asked, Handler, Live, Route
from twistmail.web.site import Problem

#: What one seat may: requests a minute, things that it does a minute, letters in ten minutes.
REQUESTS, DEEDS, LETTERS = 900, 120, 60
TEACHERS = "That is the teacher's."
NOBODY = "Say first who you are: at /room, with your account and its password."
NOT_YOURS = "That is somebody else's."

#: Why not, in words for people; "": it may be done.
Rule = Callable[[Any, Seat, Asked], str]


# ----- the rules


def anybody(town: Any, seat: Seat, asked: Asked) -> str:
    return ""


def teacher(town: Any, seat: Seat, asked: Asked) -> str:
    return "" if seat.is_teacher else TEACHERS


def somebody(town: Any, seat: Seat, asked: Asked) -> str:
    return "" if seat.is_teacher or seat.account else NOBODY


def as_himself(town: Any, seat: Seat, asked: Asked) -> str:
    """Or as one of the people who are everybody's."""
    return somebody(town, seat, asked) or ("" if _may_read(town, seat, asked.form.get("as", "")) else NOT_YOURS)


def own_list(town: Any, seat: Seat, asked: Asked) -> str:
    return somebody(town, seat, asked) or ("" if seat.is_teacher or asked.form.get("who") == seat.account else NOT_YOURS)


def own_letter(town: Any, seat: Seat, asked: Asked) -> str:
    """What is only marked may be everybody's."""
    place = place_of(asked.names.get("id", ""), {office.name: office.domain for office in town.offices})
    account = place.account if place is not None else ""
    may = seat.account == account or (asked.names.get("action") == "unread" and _may_read(town, seat, account))
    return somebody(town, seat, asked) or ("" if seat.is_teacher or may else NOT_YOURS)


def own_item(town: Any, seat: Seat, asked: Asked) -> str:
    """An order about a letter that he has sent."""
    if seat.is_teacher or (words := somebody(town, seat, asked)):
        return "" if seat.is_teacher else words
    return "" if may_order(town, seat, asked.names.get("key") or asked.form.get("id", "")) else NOT_YOURS


def may_order(town: Any, seat: Seat, key: str) -> bool:
    """Whether who sits there may give orders about the item *key*: he has sent it, in whosever name."""
    journey = None if seat.is_teacher else town.journeys.of(key)
    if journey is None or journey.key != key or not seat.account:
        return seat.is_teacher
    first = journey.first
    return first.account == seat.account or (town.whose is not None and seat.account in town.whose.wrote((first.office, first.id)))


#: By route. Looking at what is not here is free; whatever changes something has to be here.
RULES: dict[tuple[str, str], Rule] = {
    ("POST", "/room"): anybody,
    ("POST", "/room/forgive"): teacher,
    ("GET", "/projector"): teacher,
    ("GET", "/projector/seats"): teacher,
    ("GET", "/roster.csv"): teacher,
    ("POST", "/clock"): teacher,
    ("POST", "/reset"): teacher,
    ("POST", "/dns/record"): teacher,
    ("POST", "/dns/trouble"): teacher,
    ("POST", "/net/fault"): teacher,
    ("POST", "/net/line"): teacher,
    ("POST", "/net/mend"): teacher,
    ("POST", "/find"): somebody,  # the page itself keeps breaking and telling for the teacher
    ("POST", "/queue/order"): own_item,
    ("POST", "/m/{key}/orders"): own_item,
    ("POST", "/inbox/send"): as_himself,
    ("POST", "/inbox/delete"): own_list,
    ("POST", "/inbox/letter/{id}/{action}"): own_letter,
    ("POST", "/console"): somebody,
    ("POST", "/console/{id}/say"): somebody,
    ("POST", "/console/{id}/end"): somebody,
    ("POST", "/lessons/{number}/do"): somebody,
    ("POST", "/lessons/load"): teacher,
    ("GET", "/lessons/load"): teacher,
    ("GET", "/lessons/load/bar"): teacher,
    ("GET", "/lessons/sheet"): teacher,
    ("GET", "/lessons/class"): teacher,
    ("GET", "/lessons/class/rows"): teacher,
    ("POST", "/api/v1/send"): teacher,
    ("PUT", "/api/v1/messages"): teacher,
    ("DELETE", "/api/v1/messages"): teacher,
    ("DELETE", "/api/v1/search"): teacher,
    ("POST", "/api/v1/clock"): teacher,
    ("POST", "/api/v1/reset"): teacher,
    ("PUT", "/api/v1/faults/{name}/{place}"): teacher,
    ("DELETE", "/api/v1/faults/{name}/{place}"): teacher,
    ("DELETE", "/api/v1/faults"): teacher,
}


def rule_of(route: Route) -> Rule:
    """What has been forgotten in RULES and changes something is the teacher's."""
    return RULES.get((route.method, route.pattern), anybody if route.method == "GET" else teacher)


# ----- who may see whose mail


def seat_of(town: Any, asked: Asked) -> Seat:
    """Without a class everybody is the teacher: he is at this computer."""
    return Seat(is_teacher=True) if town.lan is None else town.door.seat(asked) or Seat()


def owner_of(town: Any, asked: Asked) -> str:
    """Whose connections, progress and guesses these are: the student's, whatever cookies his browser keeps; else the browser's."""
    return seat_of(town, asked).account or asked.cookies.get(BROWSER, "")


def _may_read(town: Any, seat: Seat, account: str) -> bool:
    return seat.is_teacher or account == seat.account or account not in town.lan.passwords


def in_sight(town: Any, asked: Asked) -> tuple[Office, ...]:
    """The offices, with those people alone whose mail the one who asks may read; he and his office are the first."""
    seat = seat_of(town, asked)
    if seat.is_teacher:
        return tuple(town.offices)
    seen = (replace(office, people=_first(seat, office, _readable(town, seat, office))) for office in town.offices)
    return tuple(sorted(seen, key=lambda office: seat.account not in office.accounts))


def _readable(town: Any, seat: Seat, office: Office) -> list[str]:
    return [person for person in office.people if _may_read(town, seat, f"{person}@{office.domain}")]


def _first(seat: Seat, office: Office, people: list[str]) -> tuple[str, ...]:
    return tuple(sorted(people, key=lambda person: f"{person}@{office.domain}" != seat.account))


# ----- at the routes


class Rules:
    """Puts each route behind its rule, and everybody's pace. *problem* makes the pages of refusals."""

    def __init__(self, town: Any, problem: Problem) -> None:
        self._town = town
        self._problem = problem
        seconds = town.reactor.seconds
        self._requests = Pace(REQUESTS, 60.0, seconds)
        self._deeds = Pace(DEEDS, 60.0, seconds)
        self._letters = Pace(LETTERS, 600.0, seconds)

    def over(self, routes: Iterable[Route]) -> list[Route]:
        return [Route(route.method, route.pattern, self._behind(route)) for route in routes]

    def _behind(self, route: Route) -> Handler:
        rule, paces = rule_of(route), self._paces(route)

        async def handler(asked: Asked) -> Answer | Live:
            seat = seat_of(self._town, asked)
            if not seat.is_teacher:
                if wait := max(pace.wait(seat.account or asked.client) for pace in paces):
                    return self._too_much(asked, wait)
                if words := rule(self._town, seat, asked):
                    return self._problem(asked, 403, words)
            return await route.handler(asked)

        return handler

    def _paces(self, route: Route) -> tuple[Pace, ...]:
        if route.method == "GET":
            return (self._requests,)
        return (self._deeds, self._letters) if route.pattern == "/inbox/send" else (self._deeds,)

    def _too_much(self, asked: Asked, wait: float) -> Answer:
        answer = self._problem(asked, 429, f"That is too much at once. Wait {span(ceil(wait))}; the others want to work, too.")
        return replace(answer, headers={**answer.headers, "Retry-After": str(ceil(wait))})
