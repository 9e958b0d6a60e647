"""GENURLAUTH, URLFETCH and RESETKEY: URLs that carry leave to read a message or a part of it (RFC 4467).

The key of a mailbox, with which tokens are made (mechanism INTERNAL), is made when it is needed first. It is an annotation of the
mailbox that no client sees, so it is durable, follows a rename and goes with the mailbox; so do the URLs. They lead to one's own
mailboxes only. Nobody fetches as a submission server here: "submit+" is leave for nobody.

What is wrong with a URL that is fetched is never told: its answer is NIL.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from twistmail.interfaces import IMailboxes
from twistmail.mail.annotations import SERVERS_OWN
from twistmail.mail.imapurl import BadUrl, Grant, MessageUrl, is_proven, parse, token
from twistmail.mail.mailbox import NoSuchMailbox
from twistmail.servers.imap.append import bad_url
from twistmail.servers.imap.client import Answers, Client, Refusal, Responses
from twistmail.servers.imap.excerpts import Excerpt, excerpt
from twistmail.wire.imap.responses import BAD, OK, Raw, Tagged, Untagged, astring
from twistmail.wire.imap.urlauth import GenUrlAuth, ResetKey, UrlFetch

ENTRY = SERVERS_OWN + "urlauth"
KEY_OCTETS = 32
MECHANISMS = b"URLMECH INTERNAL"


async def gen_url_auth(client: Client, event: GenUrlAuth) -> Responses:
    told = []
    for text, mechanism in event.urls:
        if mechanism != "INTERNAL":
            raise Refusal("The mechanism is called INTERNAL here", condition=BAD)
        url, grant = await _of_ours(client, text)
        key = await _key(client, await _own(client), url.mailbox, make=True)
        told.append(astring(f"{text}:internal:{token(grant.rump, key)}".encode("ascii")))
    yield Untagged(b"GENURLAUTH " + b" ".join(told))
    yield Tagged(event.tag, OK, "Done")


async def _of_ours(client: Client, text: str) -> tuple[MessageUrl, Grant]:
    """The URL of one of our messages for which somebody asks a token. Refusal (BAD, RFC 4467 §7) where it is none."""
    try:
        url = parse(text)
        grant, server = url.grant, url.server
        if grant is None or grant.token or server is None:
            raise BadUrl("A URL that wants a token names the server, and ends with ;URLAUTH= and for whom it is")
        if server.host != client.service.hostname.lower() or await _name_of(client, server.user) != _me(client):
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
    try:
        url = parse(text)
        grant, server = url.grant, url.server
        if grant is None or server is None or server.host != client.service.hostname.lower() or not await _is_for(client, grant):
            return None
        owner = await _name_of(client, server.user)
        if not owner:
            return None
        mailboxes: IMailboxes = await client.service.store.mailboxes(owner)
        if not is_proven(grant, await _key(client, mailboxes, url.mailbox)):
            return None
        mailbox = await mailboxes.open(url.mailbox)
    except (BadUrl, NoSuchMailbox):
        return None
    try:
        return await excerpt(client.service.threads, mailbox, url)
    finally:
        mailbox.close()


async def _is_for(client: Client, grant: Grant) -> bool:
    """Whether *grant* is leave for who has logged in, now (RFC 4467 §3)."""
    if grant.expires is not None and grant.expires < client.service.epoch():
        return False
    if grant.access in ("anonymous", "authuser"):
        return True
    kind, _, who = grant.access.partition("+")
    return kind == "user" and await _name_of(client, who) == _me(client)


async def reset_key(client: Client, event: ResetKey) -> Responses:
    if any(name != "INTERNAL" for name in event.mechanisms):
        raise Refusal("The mechanism is called INTERNAL here")
    own = await _own(client)
    if event.mailbox is not None:
        await own.annotate(event.mailbox, {ENTRY: _new_key(client)})
        yield Tagged(event.tag, OK, "There is a new key", MECHANISMS)
        return
    names = [folder.name for folder in await own.folders() if folder.selectable]
    for name, entries in (await own.annotations_of(names)).items():
        if ENTRY in entries:
            await own.annotate(name, {ENTRY: None})
    yield Tagged(event.tag, OK, "All keys are gone")


# ----- keys, and who is who


async def _key(client: Client, mailboxes: IMailboxes, name: str, *, make: bool = False) -> bytes:
    """The key of a mailbox. Where there is none, one is made, or it is one with which no token has been made."""
    async with client.service.keys:  # two that make one at a time would each tell another
        found: bytes | None = (await mailboxes.annotations(name)).get(ENTRY)
        if found is None:
            found = _new_key(client)
            if make:
                await mailboxes.annotate(name, {ENTRY: found})
    return found


def _new_key(client: Client) -> bytes:
    return client.service.random(KEY_OCTETS).hex().encode("ascii")


async def _own(client: Client) -> Any:
    return await client.service.store.mailboxes(_me(client))


def _me(client: Client) -> str:
    assert client.account is not None
    return client.account.name


async def _name_of(client: Client, user: str) -> str:
    """The name of the account that *user* is; "" where there is none."""
    account = await client.service.login.account_of(user)
    return account.name if account is not None and account.enabled else ""


ANSWERS: Answers = {GenUrlAuth: gen_url_auth, UrlFetch: url_fetch, ResetKey: reset_key}
