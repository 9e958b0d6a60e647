"""Mail with UTF-8 in its header for clients that have not enabled it (RFC 6855 §7): they are shown surrogates (`mail.surrogate`).

That is rare enough for the store to keep nothing of it: the messages concerned are read again. RFC822.SIZE stays that of the
message itself, and a search looks through the message itself; both are as RFC 6858 §3 allows. The UIDs of what was shown so are told
with the end of the command (DOWNGRADED).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from twistmail.mail import headers
from twistmail.mail.mailbox import Column
from twistmail.mail.mime import describe
from twistmail.mail.paged import looked_at
from twistmail.mail.replaced import Replaced
from twistmail.mail.surrogate import Replacement, replacements, surrogate
from twistmail.servers.imap.client import Client
from twistmail.wire.imap.responses import READ_UTF8

#: Octets of a big message that are read first, to see what its header is like.
BEGINNING = 64 * 1024
_HAS_PARTS = re.compile(rb"(?:multipart|message)[ \t]*/", re.IGNORECASE)
_SHOWN = {
    Column.ENVELOPE: "envelope",
    Column.BODY: "body",
    Column.BODYSTRUCTURE: "bodystructure",
    Column.HEADER: "header",
    Column.LISTED: "listed",
}


def wants_surrogates(client: Client) -> bool:
    return client.enabled.isdisjoint(READ_UTF8) and client.service.settings.utf8_headers == "converted"


async def as_old(client: Client, columns: Sequence[Column], rows: list[tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], list[int]]:
    """*rows* of *columns* (`IMailbox.rows`) as such a client is shown them, and the UIDs of those that are surrogates."""
    places = [(place, _SHOWN[column]) for place, column in enumerate(columns, 1) if column in _SHOWN]
    odd = [row[0] for row in rows if not all(row[place].isascii() for place, _ in places)]
    if not odd:
        return rows, []
    found = await client.selected.mailbox.read(odd)
    told: dict[int, dict[str, bytes]] = await client.service.threads.run(_all_described, found, [name for _, name in places])
    return [_replaced(row, places, told[row[0]]) if row[0] in told else row for row in rows], [uid for uid in odd if uid in told]


def _all_described(found: Sequence[tuple[int, Any]], names: Sequence[str]) -> dict[int, dict[str, bytes]]:
    """What the surrogates of messages tell. Blocking."""
    told: dict[int, dict[str, bytes]] = {}
    for uid, content in found:
        try:
            changes = replacements(looked_at(content))
            described = describe(looked_at(Replaced(content, changes))) if changes else None
        except FileNotFoundError:  # it has gone meanwhile
            continue
        if described is not None:
            told[uid] = {name: getattr(described, name) for name in names}
    return told


def _replaced(row: tuple[Any, ...], places: Sequence[tuple[int, str]], told: dict[str, bytes]) -> tuple[Any, ...]:
    values = list(row)
    for place, name in places:
        values[place] = told[name]
    return tuple(values)


async def messages_as_old(client: Client, loaded: dict[int, bytes]) -> list[int]:
    """Put surrogates into *loaded* (small messages by UID) where they are needed; the UIDs of those."""
    odd = [uid for uid, message in loaded.items() if not message.isascii() and _may_be_odd(headers.split(message)[0])]
    if not odd:
        return []
    shown: dict[int, bytes] = await client.service.threads.run(_surrogates, {uid: loaded[uid] for uid in odd})
    loaded.update(shown)
    return list(shown)


def _may_be_odd(header: bytes) -> bool:
    """Whether a message with this *header* can have UTF-8 in a header: its own, or that of a part."""
    return not header.isascii() or _HAS_PARTS.search(header) is not None


def _surrogates(messages: dict[int, bytes]) -> dict[int, bytes]:
    """Of those that have another surrogate than themselves."""
    shown = {uid: b"".join(surrogate(message)) for uid, message in messages.items()}
    return {uid: message for uid, message in shown.items() if message != messages[uid]}


async def content_as_old(client: Client, uid: int, content: Any) -> Any:
    """The surrogate of a big message, or *content* itself; remembered, because big messages are asked for bit by bit."""
    view = client.selected
    if view.last_changes is None or view.last_changes[0] != uid:
        view.last_changes = uid, await client.service.threads.run(_changes, content)
    changes = view.last_changes[1]
    return Replaced(content, changes) if changes else content


def _changes(content: Any) -> list[Replacement]:
    beginning = content.beginning(BEGINNING)
    if b"\r\n\r\n" not in beginning:
        beginning = content.beginning(headers.MOST + 4)
    return replacements(looked_at(content)) if _may_be_odd(headers.split(beginning)[0]) else []
