"""News of the selected mailbox: what may be said unasked, and in which order.

The View tells what it knows by itself (`updates`); beside it stand results that the client follows (`contexts`), and what it wants
fetched of new messages: by NOTIFY (RFC 5465 §5.2) or with a search that it follows (§7).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace

from twisted.logger import Logger

from twistmail.interfaces import Unavailable
from twistmail.mail.mailbox import StoreError
from twistmail.servers.imap.bodies import Tally
from twistmail.servers.imap.client import Client
from twistmail.servers.imap.fetch import block_responses, plan_for
from twistmail.wire.imap.fetchitems import FetchItem
from twistmail.wire.imap.responses import Raw, Response

log = Logger()

#: New messages that are fetched together.
FETCHED_AT_ONCE = 100


async def news_of_selected(client: Client, *, expunges: bool) -> AsyncIterator[Response]:
    """What has happened to the selected mailbox, as far as the client wants to hear it; *expunges*: numbers may change now.

    Results that the client follows change before numbers do, and after messages have come (RFC 5267 §4.3). New messages are
    fetched behind that (RFC 5465 §5.2), unless they are fetched because of such a result: then before it (§7).
    """
    view = client.view
    assert view is not None
    contexts, last = view.contexts, view.uids[-1] if view.uids else 0
    while True:
        if expunges and view.wants.expunges and contexts is not None and (farewell := contexts.farewell()):
            yield Raw(farewell)
        if news := view.updates(expunges=expunges):
            yield Raw(news)
        if not view.has_more(expunges=expunges):
            break
        await client.turn()
    changes = await contexts.changes() if contexts is not None else b""
    first = bisect_right(view.uids, last)
    if contexts is None or not contexts.fetches:
        if changes:
            yield Raw(changes)
        changes = b""
    async for line in _fetched(client, range(first, len(view.uids))):
        yield line
    if changes:
        yield Raw(changes)


async def _fetched(client: Client, places: range) -> AsyncIterator[Response]:
    """What the client wants to know of messages that it has just been told to exist, those at *places*."""
    for items, some in _wanted(client, places).items():
        plan = replace(plan_for(client.selected, items, uid=True), sets_seen=False)  # nobody has seen what was only told
        for start in range(0, len(some), FETCHED_AT_ONCE):
            lines = block_responses(client, plan, some[start : start + FETCHED_AT_ONCE], Tally())
            try:
                async with aclosing(lines):  # type: ignore[type-var]
                    async for line in lines:
                        yield line
            except (StoreError, OSError, Unavailable) as error:  # the client knows that there is something, and can ask
                log.warn("{id}: new messages cannot be told of: {error}", id=client.connection, error=error)
                return


def _wanted(client: Client, places: range) -> dict[tuple[FetchItem, ...], Sequence[int]]:
    """What is wanted, and of which messages: one response for each, however many want it (RFC 5465 §5.2)."""
    always = client.listening.fetched if client.listening is not None else None
    contexts = client.selected.contexts
    if contexts is None or not contexts.fetches:
        return {always: places} if places and always is not None else {}
    wanted: dict[tuple[FetchItem, ...], list[int]] = {}
    for place in places:
        more = contexts.fetched(place)
        if more or always is not None:
            wanted.setdefault(tuple(dict.fromkeys((*(always or ()), *more))), []).append(place)
    return dict(wanted)
