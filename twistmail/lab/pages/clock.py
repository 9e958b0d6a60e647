"""The buttons of the lesson's clock, on every page that includes clock.html."""

from __future__ import annotations

from typing import Any

from twistmail.lab.fault_settings import NotNow
from twistmail.web.page import Answer, Asked, Route, see_other, text
from twistmail.web.templates import Renderer

#: What can pass at once: seconds, as a form has them.
JUMPS = ("60", "1200", "14400", "432000")


def routes(town: Any, render: Renderer) -> tuple[Route, ...]:
    async def jump(asked: Asked) -> Answer:
        seconds = asked.form.get("seconds", "")
        if seconds not in JUMPS:
            return text(f"The clock jumps by {', '.join(JUMPS)} seconds.\n", 400)
        try:
            town.jump(float(seconds))
        except NotNow as trouble:
            return text(f"{trouble}\n", 409)
        return see_other(back(asked.form.get("back", "")))

    return (Route("POST", "/clock", jump),)


def back(path: str) -> str:
    """A page of ours to go back to; the map where *path* is none."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isascii() and path.isprintable() and " " not in path
    return path if is_ours else "/"
