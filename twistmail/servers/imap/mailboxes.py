"""Mailboxes by name: CREATE, DELETE, RENAME, SUBSCRIBE, NAMESPACE. LIST and STATUS are in `listing`, SELECT in `selecting`.

RFC 3501 §6.3, RFC 2342, RFC 6154 §3 (CREATE with a use), RFC 8474 §4 (MAILBOXID).
"""

from __future__ import annotations

from contextlib import suppress

from twistmail.mail.mailbox import MailboxStatus, StoreError
from twistmail.mail.names import normal
from twistmail.servers.imap.client import Client, Responses
from twistmail.servers.imap.listing import listed_as
from twistmail.wire.imap import commands as c
from twistmail.wire.imap.responses import OK, Tagged, Untagged

# ----- names


async def create(client: Client, event: c.Create) -> Responses:
    await client.folders.create(event.mailbox, event.uses)
    code = b""
    with suppress(StoreError):  # who may make it below what is not his need not be able to look at it
        made: MailboxStatus = await client.folders.status(event.mailbox)
        code = b"MAILBOXID (%b)" % made.mailboxid.encode("ascii")  # RFC 8474 §4.1
    for line in await _renamed(client, event.mailbox):
        yield line
    yield Tagged(event.tag, OK, "Created", code)


async def delete(client: Client, event: c.Delete) -> Responses:
    view = client.view
    await client.folders.delete(event.mailbox)
    if view is not None and view.mailbox.name == event.mailbox:
        client.leave_mailbox()
    yield Tagged(event.tag, OK, "Deleted")


async def rename(client: Client, event: c.Rename) -> Responses:
    await client.folders.rename(event.old, event.new)
    if event.old == "INBOX":  # which stays: both have its annotations now (RFC 5464 §4.1)
        await client.folders.annotate(event.new, await client.folders.annotations("INBOX"))
    for line in await _renamed(client, event.new):
        yield line
    yield Tagged(event.tag, OK, "Renamed")


async def _renamed(client: Client, said: str) -> list[Untagged]:
    """What tells the client that the mailbox which it has called *said* is called otherwise (RFC 9051 §6.3.4, §6.3.6)."""
    name = normal(said)
    return await listed_as(client, said, name) if name != said else []


async def subscribe(client: Client, event: c.Subscribe) -> Responses:
    await client.folders.subscribe(event.mailbox, True)
    yield Tagged(event.tag, OK, "Subscribed")


async def unsubscribe(client: Client, event: c.Unsubscribe) -> Responses:
    await client.folders.subscribe(event.mailbox, False)
    yield Tagged(event.tag, OK, "Unsubscribed")


async def namespace(client: Client, event: c.Namespace) -> Responses:
    others, shared = (_namespace(client, level) for level in client.levels)
    yield Untagged(b'NAMESPACE (("" "/")) %b %b' % (others, shared))
    yield Tagged(event.tag, OK, "Done")


def _namespace(client: Client, level: str) -> bytes:
    """The namespace below *level*; NIL where there is none."""
    prefix = client.spelled(level + "/")
    return b'((%b "/"))' % (prefix if prefix.startswith(b'"') else b'"%b"' % prefix) if level else b"NIL"
