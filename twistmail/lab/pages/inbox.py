"""Everybody's mail in the browser: the list, one message in six ways of looking at it, writing and answering.

Whatever is in a message stays text. Its HTML is shown as `web.safe_html` leaves it, in a
frame of its own that may do nothing; files come as downloads, under no name of the sender's choosing that could do harm.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from twistmail.lab.drafts import MOST_ENCLOSED, Draft, Enclosure, Mistake, answer, fit_kind, people_in
from twistmail.lab.inboxes import EVERYONE, Away, Inboxes, journey_of
from twistmail.lab.letter_place import Place
from twistmail.lab.postbox import Postbox, Posted
from twistmail.lab.rules import in_sight, seat_of
from twistmail.lab.samples import SAMPLES, with_sample
from twistmail.lab.secret import seems_on
from twistmail.mail.values import frozen
from twistmail.web import letters
from twistmail.web.letters import Letter, Person
from twistmail.web.page import Answer, Asked, Route, Upload, see_other, text
from twistmail.web.safe_html import POLICY, clean, document
from twistmail.web.templates import Renderer

#: Messages on one page of the list; octets of the source that are shown.
A_PAGE, MOST_SOURCE = 50, 64 * 1024
#: The ways of looking at a message: (the address's word, what people read).
TABS = (("text", "Text"), ("html", "HTML"), ("head", "Head"), ("source", "Source"), ("structure", "Structure"))
#: For what comes out of a message: it may do nothing, whatever it is taken for.
HARMLESS = {"Content-Security-Policy": "sandbox; default-src 'none'", "X-Content-Type-Options": "nosniff"}
#: The fields of the form.
FORM = ("as", "to", "cc", "bcc", "from", "subject", "text", "references", "sample")
GONE = "This message is not there any more: somebody has deleted or moved it."


@frozen
class Wish:
    """Which list somebody looks at."""

    who: str = EVERYONE
    query: str = ""
    page: int = 0

    def path(self, base: str = "", **more: str) -> str:
        """*base* (the list where it is empty) with what is wished."""
        fields = {"q": self.query, "page": str(self.page) if self.page else "", **more}
        if base:
            fields["who"] = self.who if self.who != EVERYONE else ""
        asked = urlencode({key: value for key, value in fields.items() if value})
        where = base or (f"/inbox/{quote(self.who)}" if self.who != EVERYONE else "/inbox")
        return where + (f"?{asked}" if asked else "")


def wish_of(asked: Asked) -> Wish:
    page = asked.query.get("page", "")
    who = asked.names.get("who") or asked.query.get("who") or EVERYONE
    return Wish(who, asked.query.get("q", "")[:1000], int(page) if page.isascii() and page.isdigit() and len(page) < 6 else 0)


def routes(town: Any, render: Renderer) -> tuple[Route, ...]:
    def inboxes(asked: Asked) -> Inboxes:
        """As far as the one who asks may look."""
        return Inboxes(lambda: in_sight(town, asked), town.service, partial(seems_on, town))

    reading, writing = _Reading(town, inboxes, render), _Writing(town, inboxes, render)
    return *reading.routes(), *writing.routes(), Route("GET", "/inbox/{who}", reading.page)  # what is none of the others is somebody


class _Reading:
    """The list and the messages."""

    def __init__(self, town: Any, inboxes: Callable[[Asked], Inboxes], render: Renderer) -> None:
        self._town, self._inboxes, self._render = town, inboxes, render

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/inbox", self.page),
            Route("GET", "/inbox/rows", self.rows),
            Route("GET", "/inbox/letter/{id}", self.letter),
            Route("GET", "/inbox/letter/{id}/html", self.html),
            Route("GET", "/inbox/letter/{id}/raw", self.raw),
            Route("GET", "/inbox/letter/{id}/part/{number}", self.part),
            Route("POST", "/inbox/letter/{id}/{action}", self.act),
            Route("POST", "/inbox/delete", self.delete_all),
        )

    # ----- the list

    async def page(self, asked: Asked) -> Answer:
        wish = wish_of(asked)
        if not self._is_known(asked, wish.who):
            return text("Nobody here is called that.\n", 404)
        return self._render.page(asked, "inbox.html", title="Inboxes", **await self._listed(asked, wish), letter=None)

    async def rows(self, asked: Asked) -> Answer:
        wish = wish_of(asked)
        if not self._is_known(asked, wish.who):
            return text("Nobody here is called that.\n", 404)
        return self._render.fragment(asked, "inbox_rows.html", **await self._listed(asked, wish, asked.query.get("open", "")))

    def _is_known(self, asked: Asked, who: str) -> bool:
        return who == EVERYONE or any(who in office.accounts for office in in_sight(self._town, asked))

    async def _listed(self, asked: Asked, wish: Wish, opened: str = "") -> dict[str, Any]:
        listing = await self._inboxes(asked).listing(wish.who, wish.query, wish.page * A_PAGE, A_PAGE)
        last = max(0, listing.matching - 1) // A_PAGE
        return {
            "wish": wish,
            "opened": opened,
            "listing": listing,
            "owners": await self._inboxes(asked).owners(),
            "everyone": EVERYONE,
            "earlier": replace(wish, page=wish.page + 1).path() if wish.page < last else "",
            "later": replace(wish, page=wish.page - 1).path() if wish.page else "",
            "live": wish.path("/inbox/rows", open=opened),
        }

    # ----- one message

    async def letter(self, asked: Asked) -> Answer:
        place = self._inboxes(asked).place(asked.names["id"])
        try:
            row = await self._inboxes(asked).row(place) if place else None
            message = await self._inboxes(asked).content(place) if place else None
            if place is None or row is None or message is None:
                return self._problem(asked, GONE, 404)
            shown = await self._shown(asked, place, message)
            await self._inboxes(asked).mark([place], read=True)
        except Away as away:
            return self._problem(asked, str(away), 503)
        listed = await self._listed(asked, wish_of(asked), place.id)
        return self._render.page(asked, "inbox.html", title=row.subject or "(no subject)", **listed, row=row, **shown)

    async def _shown(self, asked: Asked, place: Place, message: bytes) -> dict[str, Any]:
        letter: Letter = await self._inboxes(asked).think(place, letters.view, message)
        wanted = asked.query.get("tab", "")
        tabs = [tab for tab in TABS if tab[0] != "html" or letter.html]
        tab = wanted if wanted in dict(tabs) else "html" if letter.is_from_html else "text"
        more: dict[str, Any] = {}
        if tab == "html":
            cleaned = await self._inboxes(asked).think(place, lambda: clean(letter.html, letters.images(message)))
            more["left_out"] = cleaned.left_out
        if tab == "source":
            more["source"] = message[:MOST_SOURCE].decode("utf-8", "replace").replace("\r\n", "\n")
        return {"letter": letter, "tab": tab, "tabs": tabs, "journey": journey_of(message), "most_source": MOST_SOURCE, **more}

    async def html(self, asked: Asked) -> Answer:
        """Its HTML, for the frame."""

        def cleaned(message: bytes) -> bytes:
            return document(clean(letters.view(message).html, letters.images(message)))

        return await self._made(asked, cleaned, lambda body: Answer(body, headers={"Content-Security-Policy": POLICY}))

    async def raw(self, asked: Asked) -> Answer:
        disposition = {"Content-Disposition": f'attachment; filename="{asked.names["id"]}.eml"'} if asked.query.get("dl") == "1" else {}
        kind = "text/plain; charset=utf-8"
        return await self._made(asked, bytes, lambda body: Answer(body, kind, headers={**HARMLESS, **disposition}))

    async def part(self, asked: Asked) -> Answer:
        """One file, for keeping: never shown by the browser itself."""
        return await self._made(asked, lambda message: letters.part(message, asked.names["number"]), download)

    async def _made(self, asked: Asked, work: Callable[[bytes], Any], said: Callable[[Any], Answer]) -> Answer:
        """What *said* makes of what *work* (in a thread) makes of the message that is asked for."""
        place = self._inboxes(asked).place(asked.names["id"])
        try:
            message = await self._inboxes(asked).content(place) if place else None
            made = await self._inboxes(asked).think(place, work, message) if place and message is not None else None
        except Away as away:
            return text(f"{away}\n", 503)
        return text(f"{GONE}\n", 404) if made is None else said(made)

    def _problem(self, asked: Asked, words: str, code: int) -> Answer:
        return self._render.page(asked, "problem.html", title="Inboxes", code=code, words=words)

    # ----- what is done with them

    async def act(self, asked: Asked) -> Answer:
        place, action = self._inboxes(asked).place(asked.names["id"]), asked.names["action"]
        back = wish_of(replace(asked, query=asked.form, names={})).path()
        if place is None or action not in ("delete", "unread"):
            return text(f"{GONE}\n", 404)
        if action == "unread":
            await self._inboxes(asked).mark([place], read=False)
        else:
            await self._delete(asked, [place])
        return see_other(back)

    async def delete_all(self, asked: Asked) -> Answer:
        """All of a list, as it is wished."""
        wish = wish_of(replace(asked, query=asked.form, names={}))
        listing = await self._inboxes(asked).listing(wish.who, wish.query, 0, 100_000)
        await self._delete(asked, [row.place for row in listing.rows])
        return see_other(replace(wish, page=0).path())

    async def _delete(self, asked: Asked, places: list[Place]) -> None:
        count = await self._inboxes(asked).delete(places)
        for office in sorted({place.office for place in places}):
            self._town.ring.add(office, "store", "web", {"state": "deleted", "messages": count})


def download(found: tuple[letters.File, bytes]) -> Answer:
    """A part as a file to keep (RFC 6266)."""
    file, octets = found
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in file.name)
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe='')}"
    kind = file.kind if file.kind.startswith(("image/", "audio/", "video/", "application/")) and "xml" not in file.kind else ""
    kind = kind if all(c.isalnum() or c in "/.+-" for c in kind) else ""
    return Answer(octets, kind or "application/octet-stream", headers={**HARMLESS, "Content-Disposition": disposition})


class _Writing:
    """Composing, answering, sending."""

    def __init__(self, town: Any, inboxes: Callable[[Asked], Inboxes], render: Renderer) -> None:
        self._town, self._inboxes, self._render = town, inboxes, render
        self._postbox = postbox_of(town)

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/inbox/compose", self.compose),
            Route("POST", "/inbox/send", self.send),
        )

    async def compose(self, asked: Asked) -> Answer:
        """A form; with ?answer=ID an answer in it."""
        values = {"as": asked.query.get("as", ""), "to": asked.query.get("to", ""), "subject": asked.query.get("subject", "")}
        place = self._inboxes(asked).place(asked.query.get("answer", ""))
        if place is not None:
            try:
                message = await self._inboxes(asked).content(place)
                if message is not None:
                    values = form_of(answer(await self._inboxes(asked).think(place, letters.view, message), place.account))
            except Away as away:
                return self._render.page(asked, "problem.html", title="Compose", code=503, words=str(away))
        return self._form(asked, values)

    def _form(self, asked: Asked, values: dict[str, str], *, mistake: str = "", posted: Posted | None = None) -> Answer:
        code = 422 if mistake else 200
        accounts = [(office, account) for office in in_sight(self._town, asked) for account in office.accounts]
        filled = dict.fromkeys(FORM, "") | values
        lost = bool(asked.files.get("files"))  # a browser does not fill in a field for files
        return self._render.page(asked, "compose.html", title="Compose", code=code, values=filled, mistake=mistake, posted=posted,
                                 accounts=accounts, samples=SAMPLES, lost=lost, most=MOST_ENCLOSED)  # fmt: skip

    async def send(self, asked: Asked) -> Answer:
        """Over the submission port; then its journey is shown."""
        form, account = dict(asked.form), asked.form.get("as", "")
        try:
            if not any(account in office.accounts for office in in_sight(self._town, asked)):
                raise Mistake("Choose who writes.")
            draft = draft_of(form, account, asked.files.get("files", ()))
            posted = await self._postbox.post(draft, account, self._town.source(seat_of(self._town, asked).account))
        except Mistake as mistake:
            return self._form(asked, form, mistake=str(mistake))
        if posted.refused or not posted.ids:
            return self._form(asked, form, posted=posted)
        return see_other(f"/m/{quote(posted.ids[0])}")


def draft_of(form: Mapping[str, str], account: str, files: Sequence[Upload] = ()) -> Draft:
    """What stands in the form, with *files*. Mistake where it cannot be sent."""
    senders = people_in(form.get("from", "")) or (Person("", account),)
    to, cc, bcc = (people_in(form.get(name, "")) for name in ("to", "cc", "bcc"))
    references = tuple(form.get("references", "").split())[-50:]
    enclosures = tuple(Enclosure(base_name(file.name), fit_kind(file.kind), file.octets) for file in files)
    draft = Draft(senders[0], to, cc, bcc, form.get("subject", ""), form.get("text", ""), references=references, enclosures=enclosures)
    return with_sample(draft, form.get("sample", ""))


def base_name(path: str) -> str:
    """Without the folders that some programs tell with it (RFC 7578 §4.2)."""
    return re.split(r"[/\\]", path)[-1]


def form_of(draft: Draft) -> dict[str, str]:
    """*draft* for the form."""
    to = ", ".join(f'"{one.name}" <{one.address}>' if one.name.isprintable() and '"' not in one.name and one.name else one.address
                   for one in draft.to)  # fmt: skip
    return {"as": draft.sender.address, "to": to, "subject": draft.subject, "text": draft.text, "references": " ".join(draft.references)}


def postbox_of(town: Any) -> Postbox:
    """The postbox of a `Town`."""
    return Postbox(town.reactor, lambda: town.offices, lambda office, service: int(town.ports[office, service]), town.password_of,
                   town.clock.seconds, town.threads, town.authority.path)  # fmt: skip
