"""About this classroom: who is there and where, what mail programs are told, lines to copy, and the way back to the beginning.

In a class in the LAN a student sees no password but that of the demo's own people: his own is on the paper that he was given. Nor does
he see where things lie on the teacher's computer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from markupsafe import Markup

from twistmail.lab.copying import CERTIFICATE, HERE, host_of, lines, settings
from twistmail.lab.fault_settings import NotNow
from twistmail.lab.offices import OFFICES
from twistmail.lab.phone import account_settings, drawn
from twistmail.lab.rules import seat_of
from twistmail.web.page import Answer, Asked, Route, see_other, text
from twistmail.web.site import is_near
from twistmail.web.templates import Renderer


def routes(town: Any, render: Renderer) -> tuple[Route, ...]:
    def _may_reset(asked: Asked) -> bool:
        return is_near(asked.client) or (town.lan is not None and seat_of(town, asked).is_teacher)

    async def page(asked: Asked) -> Answer:
        about, host, near = town.lines(), host_of(asked), is_near(asked.client)
        rows = [(office, settings(office["ports"], host)) for office in about["offices"]]
        telephone = phone(about, host, asked.query.get("account", seat_of(town, asked).account).strip())
        return render.page(asked, "about.html", title="About", about=about, host=host, near=near, rows=rows,
                           lines=lines(about, host, f"http://{host}:{town.web_port}/"),
                           people=people(about), students=bool(town.lan), phone=telephone, may_reset=_may_reset(asked))  # fmt: skip

    async def certificate(asked: Asked) -> Answer:
        """Of the town's authority: no secret, and wanted by programs that have no cookie."""
        fields = {"Content-Disposition": f'attachment; filename="{CERTIFICATE}"'}
        return Answer(town.authority.certificate, "application/x-pem-file", headers=fields)

    async def reset(asked: Asked) -> Answer:
        if not _may_reset(asked):
            return text("Only the computer on which the classroom runs may do that.\n", 403)
        try:
            await town.reset()
        except NotNow as trouble:
            return text(f"{trouble}\n", 409)
        return see_other("/about")

    return Route("GET", "/about", page), Route("GET", f"/{CERTIFICATE}", certificate), Route("POST", "/reset", reset)


def people(about: Mapping[str, Any]) -> Mapping[str, str]:
    """By name of the office who works there; students are counted."""
    own = {account for office in OFFICES for account in office.accounts}
    return {office["name"]: _told(office["accounts"], own) for office in about["offices"]}


def _told(accounts: Collection[str], own: Collection[str]) -> str:
    students = sum(one not in own for one in accounts)
    others = f" and {students} {'student' if students == 1 else 'students'}" if students else ""
    return ", ".join(one for one in accounts if one in own) + others


def phone(about: Mapping[str, Any], host: str, account: str) -> Mapping[str, Any]:
    """What a telephone is told of *account*, drawn; nothing where no telephone finds us, or nobody has chosen an account yet."""
    ports = {one: office["ports"] for office in about["offices"] for one in office["accounts"]}
    code = Markup(drawn(account_settings(account, host, ports[account]))) if host != HERE and account in ports else ""
    return {"account": account if code else "", "code": code, "unknown": bool(account) and not code, "reaches": host != HERE}
