"""Mailboxes by name: CREATE, DELETE, RENAME, SUBSCRIBE, NAMESPACE. LIST and STATUS are in `listing`, SELECT in `selecting`.

RFC 3501 §6.3, RFC 2342, RFC 6154 §3 (CREATE with a use), RFC 8474 §4 (MAILBOXID).
"""

from __future__ import annotations

from twistmail.mail.mailbox import MailboxStatus
from twistmail.servers.imap.client import Client, Responses
from twistmail.wire.imap import commands as c
from twistmail.wire.imap.responses import OK, Tagged, Untagged

# ----- names


async def create(client: Client, event: c.Create) -> Responses:
    await client.folders.create(event.mailbox, event.uses)
    made: MailboxStatus = await client.folders.status(event.mailbox)
    yield Tagged(event.tag, OK, "Created", b"MAILBOXID (%b)" % made.mailboxid.encode("ascii"))  # RFC 8474 §4.1


async def delete(client: Client, event: c.Delete) -> Responses:
    view = client.view
    if view is not None and view.mailbox.name == event.mailbox:
        await client.folders.status(event.mailbox)
        client.leave_mailbox()
    await client.folders.delete(event.mailbox)
    yield Tagged(event.tag, OK, "Deleted")


async def rename(client: Client, event: c.Rename) -> Responses:
    await client.folders.rename(event.old, event.new)
    if event.old == "INBOX":  # which stays: both have its annotations now (RFC 5464 §4.1)
        await client.folders.annotate(event.new, await client.folders.annotations("INBOX"))
    yield Tagged(event.tag, OK, "Renamed")


async def subscribe(client: Client, event: c.Subscribe) -> Responses:
    await client.folders.subscribe(event.mailbox, True)
    yield Tagged(event.tag, OK, "Subscribed")


async def unsubscribe(client: Client, event: c.Unsubscribe) -> Responses:
    await client.folders.subscribe(event.mailbox, False)
    yield Tagged(event.tag, OK, "Unsubscribed")


async def namespace(client: Client, event: c.Namespace) -> Responses:
    yield Untagged(b'NAMESPACE (("" "/")) NIL NIL')
    yield Tagged(event.tag, OK, "Done")
