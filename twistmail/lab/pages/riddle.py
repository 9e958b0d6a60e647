"""Find the fault: something is really broken, at random, and the class says what."""

from __future__ import annotations

from typing import Any

from twistmail.lab.pages.lessons import NOT_YOURS
from twistmail.lab.puzzle import Puzzle
from twistmail.lab.rules import owner_of, seat_of
from twistmail.lab.talk import NotNow
from twistmail.web.page import Answer, Asked, Route, see_other, text
from twistmail.web.templates import Renderer


def routes(town: Any, render: Renderer) -> tuple[Route, ...]:
    puzzle = Puzzle(town)

    def shown(asked: Asked) -> dict[str, Any]:
        return {"teacher": seat_of(town, asked).is_teacher, **puzzle.shown(owner_of(town, asked))}

    async def page(asked: Asked) -> Answer:
        return render.page(asked, "riddle.html", title="Find the fault", **shown(asked))

    async def now(asked: Asked) -> Answer:
        return render.fragment(asked, "riddle_now.html", **shown(asked))

    async def act(asked: Asked) -> Answer:
        """The teacher breaks something, or tells what it was; everybody may guess."""
        what = asked.form.get("what", "")
        if what in ("break", "tell") and not seat_of(town, asked).is_teacher:
            return text(NOT_YOURS, 403)
        try:
            if what == "break":
                await puzzle.begin()
            elif what == "tell":
                await puzzle.end()
            else:
                puzzle.guess(owner_of(town, asked), asked.form.get("fault", ""))
        except NotNow as trouble:
            return text(f"{trouble}\n", 409)
        return see_other("/find")

    return Route("GET", "/find", page), Route("GET", "/find/now", now), Route("POST", "/find", act)
