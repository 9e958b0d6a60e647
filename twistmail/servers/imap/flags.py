"""STORE (RFC 3501 §6.4.6): flags change for everybody at once, and the client is told what they are now unless it said .SILENT."""

from __future__ import annotations

from twistmail.mail.mailbox import FlagChange
from twistmail.servers.imap.bodies import Tally
from twistmail.servers.imap.client import Client, Responses
from twistmail.servers.imap.fetch import block_responses, compile_items, ended, spans_of
from twistmail.wire.imap import commands as c
from twistmail.wire.imap.fetchitems import Item
from twistmail.wire.imap.responses import Untagged

_TOLD = compile_items((Item.FLAGS,))
_TOLD_BY_UID = compile_items((Item.UID, Item.FLAGS))


async def store(client: Client, event: c.Store) -> Responses:
    view = client.writable
    spans = spans_of(view, event.set, uid=event.uid)
    tally = Tally()
    uids = [uid for span in spans for uid in view.block(*span).uids]
    if uids:
        await view.mailbox.store(uids, FlagChange(event.mode.value), event.flags, by=view.watcher)
    tally.gone = sum(stop - start for start, stop in spans) - len(uids)
    if not event.silent:
        if view.has_new_keywords:  # before a flag appears, its name must be known (RFC 3501 §7.2.6)
            for known in view.flag_lines():
                yield Untagged(known)
        for span in spans:
            async for line in block_responses(client, _TOLD_BY_UID if event.uid else _TOLD, span, Tally()):
                yield line
    yield ended(event, tally)
