"""The door of a class in the LAN: the code of the room, and who sits here; for the teacher what to project, and the roster.

Who may see which of these is the business of `lab.rules`.
"""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from twistmail.lab.door import Wrong
from twistmail.lab.lan import ROSTER, written
from twistmail.lab.phone import drawn
from twistmail.web.page import Answer, Asked, Route, see_other
from twistmail.web.site import is_near
from twistmail.web.templates import Renderer

#: Seconds after which a student who asks for nothing is not counted any more as one who is here.
HERE_FOR = 120.0


def routes(town: Any, render: Renderer) -> tuple[Route, ...]:
    if getattr(town, "lan", None) is None:
        return ()

    def door(asked: Asked, wrong: str = "", code: int = 200) -> Answer:
        typed = {name: asked.form.get(name, "")[:100] for name in ("code", "account")}
        return render.page(asked, "room.html", title="The room", code=code, wrong=wrong, seat=town.door.seat(asked),
                           unheard=len(town.door.unheard()), shut=town.door.is_shut(),
                           near=is_near(asked.client), typed=typed)  # fmt: skip

    async def room(asked: Asked) -> Answer:
        return door(asked)

    async def enter(asked: Asked) -> Answer:
        try:
            cookie = town.door.enter(asked, *(asked.form.get(name, "")[:100] for name in ("code", "account", "password")))
        except PermissionError as refusal:
            return door(asked, str(refusal), 429)
        except Wrong as wrong:
            return door(asked, str(wrong), 403)
        entered = see_other("/")
        return Answer(entered.body, entered.kind, entered.code, {**entered.headers, "Set-Cookie": cookie})

    async def forgive(asked: Asked) -> Answer:
        """The teacher lets those try again who have mistyped too often."""
        town.door.forgive()
        return see_other("/room")

    async def projector(asked: Asked) -> Answer:
        address = f"http://{town.lan.address}:{town.web_port}/"
        return render.page(asked, "projector.html", title="Come in", address=address, picture=Markup(drawn(address)), students=inside(town))

    async def seats(asked: Asked) -> Answer:
        return render.fragment(asked, "projector_seats.html", students=inside(town))

    async def roster(asked: Asked) -> Answer:
        return Answer(written(town.lan.students).encode(), "text/csv; charset=utf-8",
                      headers={"Content-Disposition": f'attachment; filename="{ROSTER}"', "Cache-Control": "no-store"})  # fmt: skip

    return (Route("GET", "/room", room), Route("POST", "/room", enter), Route("POST", "/room/forgive", forgive),
            Route("GET", "/projector", projector),
            Route("GET", "/projector/seats", seats), Route("GET", f"/{ROSTER}", roster))  # fmt: skip


def inside(town: Any) -> list[tuple[str, str, bool]]:
    """(account, name, whether he is here now) of each student who has come in."""
    seen, now = town.door.seen(), town.reactor.seconds()
    return [(one.account, one.name, now - seen[one.account] < HERE_FOR) for one in town.lan.students if one.account in seen]
