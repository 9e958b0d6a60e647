"""GETMETADATA and SETMETADATA: annotations of mailboxes and of the server (RFC 5464).

What a mailbox is for can be read and changed as /private/specialuse (RFC 6154 §4). Of the server, /shared/comment and /shared/admin
are what its administrator has written into the configuration; what is /private there belongs to the account.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from twistmail.mail.annotations import SPECIAL_USE
from twistmail.mail.mailbox import Folder, StoreError
from twistmail.servers.imap.client import Answers, Client, Refusal, Responses
from twistmail.wire.imap import metadata as said
from twistmail.wire.imap.responses import NIL, OK, Raw, Tagged, astring, string


def values_line(mailbox: bytes, values: Iterable[tuple[str, bytes | None]]) -> bytes:
    """A METADATA response about *mailbox* (as the client is told it): pairs of entry and value; None is NIL."""
    pairs = b" ".join([astring(entry.encode("ascii")) + b" " + _value(value) for entry, value in values])
    return b"* METADATA %b (%b)\r\n" % (mailbox, pairs)


def names_line(mailbox: bytes, entries: Iterable[str]) -> bytes:
    """A METADATA response that nobody has asked for: values are not told (RFC 5464 §4.4.2)."""
    return b"* METADATA %b %b\r\n" % (mailbox, b" ".join([astring(entry.encode("ascii")) for entry in entries]))


def _value(value: bytes | None) -> bytes:
    if value is None:
        return NIL
    return b"~{%d}\r\n%b" % (len(value), value) if b"\0" in value else string(value)


def with_uses(annotations: Mapping[str, bytes], uses: Sequence[str]) -> dict[str, bytes]:
    """*annotations* of a mailbox, and the entry that tells its special *uses*."""
    return {**annotations, SPECIAL_USE: " ".join(uses).encode("ascii")} if uses else dict(annotations)


async def get(client: Client, event: said.GetMetadata) -> Responses:
    found = await _annotations(client, event)
    chosen = list(_chosen(found, event))
    too_long = [len(value) for _, value in chosen if value is not None and event.largest is not None and len(value) > event.largest]
    told = [(entry, value) for entry, value in chosen if value is None or event.largest is None or len(value) <= event.largest]
    if told:
        yield Raw(values_line(client.spelled(event.mailbox), told))
    yield Tagged(event.tag, OK, "Done", b"METADATA LONGENTRIES %d" % max(too_long) if too_long else b"")


async def _annotations(client: Client, event: said.GetMetadata) -> dict[str, bytes]:
    """All that could be told of what *event* asks about."""
    found: dict[str, bytes] = await client.folders.annotations(event.mailbox)
    if not event.mailbox:
        return {**found, **_server(client)}
    if any(SPECIAL_USE.startswith(entry.lower()) for entry in event.entries):
        return with_uses(found, await _uses(client, event.mailbox))
    return found


def _server(client: Client) -> dict[str, bytes]:
    settings = client.service.settings
    told = {"/shared/comment": settings.comment, "/shared/admin": settings.contact}
    return {entry: value.encode() for entry, value in told.items() if value}


async def _uses(client: Client, name: str) -> tuple[str, ...]:
    folders: Sequence[Folder] = await client.folders.folders()
    return next((folder.uses for folder in folders if folder.name == name), ())


def _chosen(found: Mapping[str, bytes], event: said.GetMetadata) -> Iterable[tuple[str, bytes | None]]:
    """What *event* asks for (RFC 5464 §4.2.2), each entry once; without DEPTH a missing one is told as NIL."""
    told = set()
    for entry in event.entries:
        top = entry.lower()
        if top in found or not event.depth:
            told.add(top)
            yield entry, found.get(top)
        for below in sorted(found) if event.depth else ():
            if below not in told and below.startswith(top + "/") and below[len(top) :].count("/") <= event.depth:
                told.add(below)
                yield below, found[below]


async def change(client: Client, event: said.SetMetadata) -> Responses:
    values = dict(event.values)
    if not event.mailbox and any(entry.startswith("/shared/") for entry in values):
        raise Refusal("What the server shares is changed by its administrator", "NOPERM")
    if event.mailbox and SPECIAL_USE in values:
        await _change_with_uses(client, event.mailbox, values.pop(SPECIAL_USE), values)
    else:
        await client.folders.annotate(event.mailbox, values)
    yield Tagged(event.tag, OK, "Done")


async def _change_with_uses(client: Client, name: str, uses: bytes | None, values: Mapping[str, bytes | None]) -> None:
    """All or none. What a mailbox is for is checked as CREATE does (RFC 6154 §4)."""
    before = await _uses(client, name)
    await client.folders.set_uses(name, (uses or b"").decode("ascii", "replace").split())
    try:
        await client.folders.annotate(name, values)
    except (StoreError, OSError):
        await client.folders.set_uses(name, before)
        raise


ANSWERS: Answers = {said.GetMetadata: get, said.SetMetadata: change}
