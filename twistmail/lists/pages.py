"""The pages on which people leave a list: one for each member, which shows a button, and obeys when that is pressed.

Mail programs press it by themselves when their user clicks on "unsubscribe" (RFC 8058 §3.2): a POST that says
List-Unsubscribe=One-Click. Only looking at a page changes nothing, because scanners look at every link of every message.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from html import escape
from urllib.parse import unquote, urlsplit

from twistmail.interfaces import Unavailable
from twistmail.lists.mailing_list import Lists, MailingList
from twistmail.lists.tokens import LEAVE
from twistmail.mail.address import Address, parse

#: What is posted, urlencoded or as multipart/form-data.
CLICK = (b"List-Unsubscribe=One-Click", b'name="List-Unsubscribe"')

HTML, TEXT = "text/html; charset=utf-8", "text/plain; charset=utf-8"
_FORM = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="robots" content="noindex"><title>{name}</title>'
    "<h1>{name}</h1><p>Take {member} off this mailing list?</p>"
    '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click"><button>Unsubscribe</button></form></html>\n'
)
#: Answers: code, octets, content type.
Answer = tuple[int, bytes, str]
NOTHING: Answer = (404, b"There is nothing here.\n", TEXT)
LATER: Answer = (503, b"It cannot be done now; please try again later.\n", TEXT)
NO_CLICK: Answer = (400, b"This page only takes List-Unsubscribe=One-Click.\n", TEXT)


class Pages:
    """The pages of *lists*, which are seen at *url*. *leave* (`Requests.leave`) takes the owner of a token off."""

    def __init__(self, lists: Lists, leave: Callable[[MailingList, str], Awaitable[Address | None]], url: str) -> None:
        self.path = urlsplit(url).path.rstrip("/") + "/"
        self._lists = lists
        self._leave = leave

    async def answer(self, path: str, body: bytes | None) -> Answer:
        """What is answered to a question for *path*, which begins with `self.path`; *body*: what was posted, None for a look."""
        written, _, token = path[len(self.path) :].partition("/")
        one = self._list(unquote(written))
        if one is None or not token:
            return NOTHING
        try:
            return await self._look(one, token) if body is None else await self._press(one, token, body)
        except Unavailable:
            return LATER

    async def _look(self, one: MailingList, token: str) -> Answer:
        member = await one.whose(token, LEAVE)
        if member is None:
            return NOTHING
        return 200, _FORM.format(name=escape(str(one.name)), member=escape(str(member))).encode(), HTML

    async def _press(self, one: MailingList, token: str, body: bytes) -> Answer:
        """As often as somebody likes: who has left stays away."""
        if not any(click in body for click in CLICK):
            return NO_CLICK
        if await self._leave(one, token) is None:
            return NOTHING
        return 200, f"You get nothing more from {one.name}.\n".encode(), TEXT

    def _list(self, text: str) -> MailingList | None:
        try:
            return self._lists.get(parse(text).folded)
        except ValueError:
            return None
