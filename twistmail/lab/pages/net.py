"""The switch board: everything that can be broken, by office, line, domain and person; and the same for programs, as JSON.

    GET    /api/v1/faults                   every fault: what it does, where it can be, where it is
    PUT    /api/v1/faults/NAME/PLACE        break it
    DELETE /api/v1/faults/NAME/PLACE        mend it
    DELETE /api/v1/faults                   mend everything
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twistmail.lab.faults import ALL, FAULTS, GROUPS, Board, Fault, NotNow
from twistmail.lab.links import LINK_STATES, WHOLE
from twistmail.lab.secret import fault_of, seems, seems_on
from twistmail.web.page import Answer, Asked, Route, json, see_other, text
from twistmail.web.templates import Renderer

#: Which state of a line is which fault.
OF_STATE = {state: fault_of(state) for state in LINK_STATES if state != WHOLE}


def routes(town: Any, render: Renderer) -> tuple[Route, ...]:
    board = Board(town)

    async def page(asked: Asked) -> Answer:
        return render.page(asked, "net.html", title="Switches", problem="", explained=explained(), **shown(town, board))

    async def part(asked: Asked) -> Answer:
        return render.fragment(asked, "net_board.html", **shown(town, board))

    async def switch(asked: Asked) -> Answer:
        """A button of the board: `name`, `place`, and what it is `to` be: "set" or "clear"."""
        name, place, to = (asked.form.get(key, "") for key in ("name", "place", "to"))
        return _answer(asked, await _change(board, name, place, to))

    async def line(asked: Asked) -> Answer:
        """A line's `state` is chosen: one fault at a time."""
        place, state = asked.form.get("place", ""), asked.form.get("state", "")
        if state == WHOLE:
            name, to = next((name for name in OF_STATE.values() if _is_set(board, name, place)), "slow"), "clear"
        else:
            name, to = OF_STATE.get(state, ""), "set"
        return _answer(asked, await _change(board, name, place, to))

    async def mend(asked: Asked) -> Answer:
        return _answer(asked, await _mend(board))

    def _answer(asked: Asked, trouble: str) -> Answer:
        if not trouble:
            return see_other("/net")
        if asked.by_script:
            return text(trouble + "\n", 409)
        return render.page(asked, "net.html", title="Switches", code=409, problem=trouble, explained=explained(), **shown(town, board))

    return (
        Route("GET", "/net", page),
        Route("GET", "/net/board", part),
        Route("POST", "/net/fault", switch),
        Route("POST", "/net/line", line),
        Route("POST", "/net/mend", mend),
        *_programs(board),
    )


def _programs(board: Board) -> tuple[Route, ...]:
    """The routes for programs."""

    async def listed(asked: Asked) -> Answer:
        return json({"faults": board.as_json()})

    async def put(asked: Asked) -> Answer:
        return _told(await _change(board, asked.names["name"], asked.names["place"], "set"))

    async def delete(asked: Asked) -> Answer:
        return _told(await _change(board, asked.names["name"], asked.names["place"], "clear"))

    async def mend(asked: Asked) -> Answer:
        return _told(await _mend(board))

    def _told(trouble: str) -> Answer:
        broken = [{"name": fault.name, "place": where} for fault, where in board.shown()]
        return json({"error": trouble}, 409) if trouble else json({"set": broken})

    one = "/api/v1/faults/{name}/{place}"
    return (
        Route("GET", "/api/v1/faults", listed),
        Route("PUT", one, put),
        Route("DELETE", one, delete),
        Route("DELETE", "/api/v1/faults", mend),
    )


async def _change(board: Board, name: str, place: str, to: str) -> str:
    """Why it cannot be done, in words for people; empty: it is done."""
    if name not in FAULTS:
        return f"There is no fault {name or 'without a name'}; there are: {', '.join(FAULTS)}"
    if to not in ("set", "clear"):
        return "It can be set, or cleared."
    try:
        await (board.set if to == "set" else board.clear)(name, place)
    except (ValueError, NotNow) as trouble:
        return str(trouble)
    return ""


async def _mend(board: Board) -> str:
    try:
        await board.clear_all()
    except NotNow as trouble:
        return str(trouble)
    return ""


def _is_set(board: Board, name: str, place: str) -> bool:
    return place in board.places(name) and board.is_set(name, place)


def shown(town: Any, board: Board) -> Mapping[str, Any]:
    """What the board shows: by office and by person the switches with their states, lines with theirs, and what is broken now."""
    broken = tuple(board.shown())
    at = {(fault.name, place) for fault, place in broken}

    def switches(group: str, place: str) -> list[tuple[Fault, bool]]:
        return [(fault, (fault.name, place) in at) for fault in ALL if fault.group == group and place in board.places(fault.name)]

    return {
        "broken": broken,
        "said": f"{len(broken)} {'thing is' if len(broken) == 1 else 'things are'} broken" if broken else "Everything is whole",
        "by_office": [
            (office, seems_on(town, office.name), switches("office", office.name) + switches("policy", office.name))
            for office in town.offices
        ],
        "pairs": [(place, switches("policy", place)) for place in board.places("forward-loop")],
        "lines": [(*place.split(">"), place, seems(town, *place.split(">"))) for place in board.places("slow")],
        "states": LINK_STATES,
        "domains": [(place, switches("dns", place)) for place in board.places("dns-nxdomain")],
        "people": [(place, switches("person", place)) for place in board.places("mailbox-full")],
    }


def explained() -> list[tuple[str, list[Fault]]]:
    """All faults, by their groups."""
    return [(words, [fault for fault in ALL if fault.group == group]) for group, words in GROUPS.items()]
