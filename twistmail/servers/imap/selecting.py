"""SELECT and EXAMINE with their parameters, and their opposites CLOSE and UNSELECT (RFC 3501 §6.3.1, §6.4.2, RFC 3691, RFC 7162 §3.2.5)."""

from __future__ import annotations

from contextlib import aclosing

from twistmail.servers.imap.bodies import Tally
from twistmail.servers.imap.changes import agreed, changed, require_qresync, vanished
from twistmail.servers.imap.client import Client, Refusal, Responses
from twistmail.servers.imap.fetch import flag_news, plan_for, responses
from twistmail.servers.imap.listing import listed_as
from twistmail.servers.imap.progress import Progress, until_done
from twistmail.servers.imap.transfer import EVERYTHING, expunge_deleted
from twistmail.store_interfaces import IMailbox, IMailboxes
from twistmail.tasks import Work
from twistmail.wire.imap import commands as c
from twistmail.wire.imap.responses import OK, Tagged, Untagged


class Opening:
    """A mailbox that is being opened, which takes its time where it is big and was never seen; nobody uses what comes too late."""

    def __init__(self) -> None:
        self._is_wanted = True

    async def open(self, folders: IMailboxes, name: str) -> IMailbox:
        opened: IMailbox = await folders.open(name)
        if not self._is_wanted:
            opened.close()
        return opened

    def progress(self) -> Progress:
        return None, None

    def abandon(self) -> None:
        self._is_wanted = False


async def select(client: Client, event: c.Select) -> Responses:
    if event.resync is not None:
        require_qresync(client)
    if event.condstore:
        client.enabled.add("CONDSTORE")
    if client.view is not None:
        client.leave_mailbox()  # RFC 3501 §6.3.1: whether or not the new one can be had
        yield Untagged(b"OK [CLOSED] What comes now is about another mailbox")  # RFC 7162 §3.2.11
    opening = Opening()
    work = Work(opening.open(client.folders, event.mailbox))
    async for far in until_done(client, event.tag, work, opening):
        yield far
    opened = work.result()
    if "r" not in opened.rights:
        opened.close()
        raise Refusal("You may not read this mailbox", "NOPERM")
    view = client.select(opened, read_only=event.read_only)
    await opened.refresh()
    await view.claim_recent()
    for line in view.opening_lines():
        yield Untagged(line)
    yield Untagged(b"OK [MAILBOXID (%b)] The same under any name" % opened.mailboxid.encode("ascii"))  # RFC 8474 §4.2
    yield Untagged(b"OK [URLMECH INTERNAL] URLs can carry leave to read")  # RFC 4467 §8
    for listed in await listed_as(client, event.mailbox, opened.name):
        yield listed
    if event.resync is not None and event.resync.uidvalidity == opened.uidvalidity:
        lines = resynchronised(client, event.resync)
        async with aclosing(lines):  # type: ignore[type-var]
            async for news in lines:
                yield news
    code = b"READ-ONLY" if view.read_only else b"READ-WRITE"
    yield Tagged(event.tag, OK, "Selected", code)


async def resynchronised(client: Client, resync: c.Resync) -> Responses:
    """What has happened since the client was here (RFC 7162 §3.2.5); it has been told what the mailbox is now."""
    view = client.selected
    above = agreed(view, resync.sample) if resync.sample is not None else 0
    for gone in await vanished(client, resync.known, resync.modseq, above):
        yield gone
    tally = Tally()
    places = await changed(client, view.spans(resync.known or EVERYTHING, uid=True), resync.modseq, tally)
    lines = responses(client, plan_for(view, flag_news(view), uid=True), places, tally)
    async with aclosing(lines):  # type: ignore[type-var]
        async for line in lines:
            yield line


async def close(client: Client, event: c.Close) -> Responses:
    view = client.view
    if view is not None and view.may("e"):  # RFC 4314 §4: without it CLOSE is UNSELECT
        await expunge_deleted(client)
    client.leave_mailbox()
    yield Tagged(event.tag, OK, "Closed")


async def unselect(client: Client, event: c.Unselect) -> Responses:
    client.leave_mailbox()
    yield Tagged(event.tag, OK, "Unselected")
