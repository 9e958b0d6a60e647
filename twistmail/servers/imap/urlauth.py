"""GENURLAUTH, URLFETCH and RESETKEY: URLs that carry leave to read a message or a part of it (RFC 4467).

The key of a mailbox, with which tokens are made (mechanism INTERNAL), is made when it is needed first. URLs are made for one's own
mailboxes only. "submit+" is leave for our own submission service (`servers.smtp.burl`), and for those who log in to fetch for
another one ([imap] submission_servers).

What is wrong with a URL that is fetched is never told: its answer is NIL.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from twistmail.mail.imapurl import BadUrl, Grant, MessageUrl, parse, token
from twistmail.mail.mailbox import NoSuchMailbox
from twistmail.servers.excerpts import Excerpt
from twistmail.servers.imap.append import bad_url
from twistmail.servers.imap.client import Answers, Client, Refusal, Responses
from twistmail.servers.urls import ANYBODY, ENTRY, Bearer
from twistmail.wire.imap.responses import BAD, OK, Raw, Tagged, Untagged, astring
from twistmail.wire.imap.urlauth import GenUrlAuth, ResetKey, UrlFetch

MECHANISMS = b"URLMECH INTERNAL"


async def gen_url_auth(client: Client, event: GenUrlAuth) -> Responses:
    told = []
    for text, mechanism in event.urls:
        if mechanism != "INTERNAL":
            raise Refusal("The mechanism is called INTERNAL here", condition=BAD)
        url, grant = await _of_ours(client, text)
        key = await client.service.urls.key(await _own(client), url.mailbox, make=True)
        told.append(astring(f"{text}:internal:{token(grant.rump, key)}".encode("ascii")))
    yield Untagged(b"GENURLAUTH " + b" ".join(told))
    yield Tagged(event.tag, OK, "Done")


async def _of_ours(client: Client, text: str) -> tuple[MessageUrl, Grant]:
    """The URL of one of our messages for which somebody asks a token. Refusal (BAD, RFC 4467 §7) where it is none."""
    urls = client.service.urls
    try:
        url = parse(text)
        grant, server = url.grant, url.server
        if grant is None or grant.token or server is None:
            raise BadUrl("A URL that wants a token names the server, and ends with ;URLAUTH= and for whom it is")
        if not urls.is_here(url) or await urls.name_of(server.user) != _me(client):
            raise BadUrl("That URL does not lead to your mailboxes")
        kind, _, who = grant.access.partition("+")
        if grant.access not in ("anonymous", "authuser") and not (kind in ("user", "submit") and who):
            raise BadUrl("A URL is for anonymous, authuser, user+NAME or submit+NAME")
        await client.folders.status(url.mailbox)  # where mailboxes are shared this asks for the right to read, too
    except (BadUrl, NoSuchMailbox) as error:
        raise Refusal(str(error), bad_url(text), BAD) from None
    return url, grant


async def url_fetch(client: Client, event: UrlFetch) -> Responses:
    for text in event.urls:
        pieces = _fetched(client, text)
        async with aclosing(pieces):  # type: ignore[type-var]
            async for piece in pieces:
                yield Raw(piece)
    yield Tagged(event.tag, OK, "Done")


async def _fetched(client: Client, text: str) -> AsyncIterator[bytes]:
    """The response for one URL, in pieces."""
    name = astring(text.encode("utf-8"))
    found = await _allowed(client, text)
    if found is None:
        yield b"* URLFETCH %b NIL\r\n" % name
        return
    yield b"* URLFETCH %b {%d}\r\n" % (name, found.size)
    pieces = found.pieces(client.service.threads)
    async with aclosing(pieces):  # type: ignore[type-var]
        async for piece in pieces:
            yield piece.replace(b"\0", b"\x80") if b"\0" in piece else piece
    yield b"\r\n"


async def _allowed(client: Client, text: str) -> Excerpt | None:
    """What the URL *text* means, if it is leave for who has logged in; None for whatever is wrong with it."""
    urls, name = client.service.urls, _me(client)
    submits = name in client.service.settings.submission_servers
    try:
        url = parse(text)
        return await urls.read(url) if await urls.allows(url, Bearer(name, ANYBODY if submits else "")) else None
    except BadUrl:
        return None


async def reset_key(client: Client, event: ResetKey) -> Responses:
    if any(name != "INTERNAL" for name in event.mechanisms):
        raise Refusal("The mechanism is called INTERNAL here")
    own = await _own(client)
    if event.mailbox is not None:
        await own.annotate(event.mailbox, {ENTRY: client.service.urls.new_key()})
        yield Tagged(event.tag, OK, "There is a new key", MECHANISMS)
        return
    names = [folder.name for folder in await own.folders() if folder.selectable]
    for name, entries in (await own.annotations_of(names)).items():
        if ENTRY in entries:
            await own.annotate(name, {ENTRY: None})
    yield Tagged(event.tag, OK, "All keys are gone")


# ----- who is who


async def _own(client: Client) -> Any:
    return await client.service.store.mailboxes(_me(client))


def _me(client: Client) -> str:
    assert client.account is not None
    return client.account.name


ANSWERS: Answers = {GenUrlAuth: gen_url_auth, UrlFetch: url_fetch, ResetKey: reset_key}
