"""The queue: what waits, for what, until when; orders about it; and when it is tried, here and in real life."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twistmail.lab.door import Seat
from twistmail.lab.rules import may_order, seat_of
from twistmail.lab.secret import seems_on
from twistmail.lab.waiting import chart, waiting
from twistmail.web.page import Answer, Asked, Route, see_other, text
from twistmail.web.templates import Renderer

#: What can be ordered, and what it is called.
ORDERS = {"now": "Try now", "hold": "Hold", "release": "Release", "return": "Return", "delete": "Delete"}
WORDS = "ordered on the queue page"


def routes(town: Any, render: Renderer) -> tuple[Route, ...]:
    async def page(asked: Asked) -> Answer:
        return render.page(asked, "queue.html", title="Queue", **shown(town, seat_of(town, asked)))

    async def rows(asked: Asked) -> Answer:
        return render.fragment(asked, "queue_rows.html", **shown(town, seat_of(town, asked)))

    async def order(asked: Asked) -> Answer:
        office, identifier, what = (asked.form.get(key, "") for key in ("office", "id", "order"))
        if what not in ORDERS:
            return text(f"There is no such order; there are: {', '.join(ORDERS)}\n", 400)
        if office not in {one.name for one in town.offices} or (service := town.service(office)) is None:
            return text(f"{office or 'That office'} is not open at the moment.\n", 409)
        try:
            await obey(service.foundation.runner, what, identifier)
        except KeyError:
            return text("That letter is no longer in the queue.\n", 404)
        town.ring.add(office, "queue", identifier, {"state": "ordered", "order": what})
        return see_other("/queue")

    return Route("GET", "/queue", page), Route("GET", "/queue/rows", rows), Route("POST", "/queue/order", order)


async def obey(runner: Any, order: str, identifier: str) -> None:
    """Do as an operator does by `twistmail queue`. KeyError where that letter has gone."""
    if runner.item(identifier) is None:
        raise KeyError(identifier)
    if order == "now":
        runner.flush([identifier], kept=True)
    elif order == "hold":
        await runner.hold(identifier, WORDS)
    elif order == "release":
        await runner.release(identifier)
    elif order == "return":
        await runner.bounce(identifier, WORDS)
    else:
        await runner.delete(identifier)


def shown(town: Any, seat: Seat) -> Mapping[str, Any]:
    """The letters, and the chart of the first office that is on: all have the same schedule unless somebody has changed it.

    `own`: ids of the letters about which *seat* may give orders.
    """
    letters = waiting(town)
    settings = next((service.config["relay"] for office in town.offices if (service := town.service(office.name)) is not None), None)
    drawn = chart(settings.retry, settings.expire, (one.attempts for one in letters)) if settings is not None else None
    off = [office.name for office in town.offices if not seems_on(town, office.name)]
    own = {letter.id for letter in letters if may_order(town, seat, letter.id)}
    return {"letters": letters, "own": own, "chart": drawn, "said": summary(letters), "off": off}


def summary(letters: tuple[Any, ...]) -> str:
    """One sentence for those who listen."""
    return f"{len(letters)} {'letter waits' if len(letters) == 1 else 'letters wait'}" if letters else "No letter waits"
