"""ESEARCH over any mailboxes (RFC 7377), CANCELUPDATE (RFC 5267 §4.3.5) and UIDBATCHES (RFC 10022)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing, suppress
from itertools import pairwise
from typing import Any

from twistmail.mail.mailbox import Folder, StoreError
from twistmail.servers.imap.client import Client, Refusal, Responses
from twistmail.servers.imap.inquiry import Inquiry
from twistmail.servers.imap.progress import in_progress
from twistmail.servers.imap.results import correlator
from twistmail.servers.imap.scopes import meant
from twistmail.servers.imap.search import found_lines, searched
from twistmail.servers.imap.view import View
from twistmail.tasks import Work
from twistmail.wire.imap.responses import BAD, NO, OK, Response, Tagged, Untagged, string
from twistmail.wire.imap.searching import CancelUpdate, Esearch, Scope, Source, UidBatches

#: Messages in a batch at least: smaller ones are no help to anybody (RFC 10022 wants 500 or less).
SMALLEST_BATCH = 500


async def esearch(client: Client, event: Esearch) -> Responses:
    scopes = {source.scope for source in event.sources}
    if event.returns.updates:
        client.selected  # noqa: B018  (RFC 7377 §2.2: BAD where nothing is selected)
    names = await mailboxes_of(client, event.sources)
    if Scope.SELECTED in scopes:
        own = client.selected.mailbox.name
        names = [name for name in names if name != own]
        lines = _selected(client, event)
        async with aclosing(lines):  # type: ignore[type-var]
            async for line in lines:
                yield line
    for name in names:
        lines = _elsewhere(client, event, name)
        async with aclosing(lines):  # type: ignore[type-var]
            async for line in lines:
                yield line
    yield Tagged(event.tag, OK, "Done")


async def _selected(client: Client, event: Esearch) -> AsyncIterator[Response]:
    mailbox = client.selected.mailbox
    about = correlator(event.tag, client.spelled(mailbox.name), mailbox.uidvalidity)
    lines = searched(client, event.tag, event.key, event.returns, uid=True, about=about)
    async with aclosing(lines):  # type: ignore[type-var]
        async for line in lines:
            yield line


async def _elsewhere(client: Client, event: Esearch, name: str) -> AsyncIterator[Response]:
    """The answer of one mailbox; nothing of one that holds nothing, is gone, or may not be read (RFC 7377 §2.1, §2.2)."""
    try:
        mailbox = await client.folders.open(name)
    except StoreError:
        return
    if "r" not in mailbox.rights:
        mailbox.close()
        return
    view = View(mailbox, read_only=True, news=lambda: None)
    found = 0
    try:
        await mailbox.refresh()
        inquiry = Inquiry(client, view)
        work = Work(inquiry.find(event.key))
        async with aclosing(in_progress(client, event.tag, work, inquiry)) as said:  # type: ignore[type-var]
            async for far in said:
                yield far
        with suppress(StoreError):  # it may not be read any more
            found = work.result()
        if found:
            about = correlator(event.tag, client.spelled(name), mailbox.uidvalidity)
            lines = found_lines(inquiry, found, event.returns, about, uid=True)
            async with aclosing(lines):  # type: ignore[type-var]
                async for line in lines:
                    yield line
    finally:
        view.close()


# ----- which mailboxes


async def mailboxes_of(client: Client, sources: Iterable[Source]) -> list[str]:
    """The names of the mailboxes that *sources* mean, each once; without what is meant by "selected"."""
    names: dict[str, None] = {}
    folders: list[Folder] = []
    for source in sources:
        if source.scope is Scope.MAILBOXES:
            names.update(dict.fromkeys(source.names))
        elif source.scope is Scope.SUBSCRIBED:
            names.update(dict.fromkeys(await client.folders.subscriptions()))
        elif source.scope is not Scope.SELECTED:
            folders = folders or list(await client.folders.folders())
            fits = meant(client, source, ())
            names.update({folder.name: None for folder in folders if folder.selectable and fits(folder.name)})
    return list(names)


# ----- beside searching


async def cancel_update(client: Client, event: CancelUpdate) -> Responses:
    contexts = client.selected.contexts
    unknown = [tag for tag in event.tags if contexts is None or tag not in contexts]
    for tag in event.tags:
        if tag not in unknown:
            contexts.cancel(tag)
    if unknown:
        raise Refusal("There is no such search that is followed", condition=BAD)
    yield Tagged(event.tag, OK, "No more of them")


async def uid_batches(client: Client, event: UidBatches) -> Responses:
    """Ranges from the newest message to the oldest, without gaps; the last reaches down to 1."""
    if event.size < SMALLEST_BATCH:
        yield Tagged(event.tag, NO, f"A batch has {SMALLEST_BATCH} messages at least", b"TOOFEW")
        return
    uids = client.selected.uids
    ends = [uids[at] for at in range(len(uids) - 1, -1, -event.size)]  # the highest UID of each
    borders = [*ends, 0]
    batches = [b"%d:%d" % (high, below + 1) for high, below in pairwise(borders)]
    if event.wanted is not None:
        batches = batches[event.wanted[0] - 1 : event.wanted[1]]
    told = b" " + b",".join(batches) if batches else b""
    yield Untagged(b"UIDBATCHES (TAG %b)%b" % (string(event.tag), told))
    yield Tagged(event.tag, OK, "Done")


ANSWERS: dict[type, Callable[[Client, Any], Responses]] = {
    Esearch: esearch,
    CancelUpdate: cancel_update,
    UidBatches: uid_batches,
}
