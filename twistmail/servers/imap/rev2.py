"""What FETCH tells clients that have enabled IMAP4rev2 otherwise than the store keeps it: message/global in BODY and BODYSTRUCTURE.

That is so rare that the store keeps nothing of it: the few messages concerned are read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twistmail.mail import mime
from twistmail.mail.mailbox import Column
from twistmail.mail.paged import looked_at
from twistmail.servers.imap.client import Client

_STRUCTURES = (Column.BODY, Column.BODYSTRUCTURE)


async def as_rev2(client: Client, columns: Sequence[Column], rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """*rows* of *columns* (`IMailbox.rows`), as such a client wants them. A message that has gone meanwhile keeps its row."""
    places = [(place, _STRUCTURES.index(column)) for place, column in enumerate(columns, 1) if column in _STRUCTURES]
    wanted = [row[0] for row in rows if any(mime.is_told_otherwise(row[place]) for place, _ in places)]
    if not wanted:
        return rows
    told: dict[int, tuple[bytes, bytes]] = {}
    for uid, content in await client.selected.mailbox.read(wanted):
        found = await client.service.threads.run(_described, content)
        if found is not None:
            told[uid] = found
    return [_replaced(row, places, told[row[0]]) if row[0] in told else row for row in rows]


def _described(content: Any) -> tuple[bytes, bytes] | None:
    try:
        return mime.for_rev2(looked_at(content))
    except FileNotFoundError:
        return None


def _replaced(row: tuple[Any, ...], places: Sequence[tuple[int, int]], told: tuple[bytes, bytes]) -> tuple[Any, ...]:
    values = list(row)
    for place, which in places:
        values[place] = told[which]
    return tuple(values)
