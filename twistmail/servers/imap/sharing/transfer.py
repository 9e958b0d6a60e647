"""Messages from one mailbox into another of any account: all or none, durable, with their flags and dates."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from twistmail.mail.flags import words
from twistmail.mail.mailbox import Column, Copied, NewMessage
from twistmail.servers.imap.sharing.guard import Guarded

#: Messages that are looked up in one go.
BLOCK = 500


async def copied(source: Any, uids: Sequence[int], target: Guarded) -> Copied:
    """Copy *uids* of *source* (IMailbox) into *target*, which leaves out the flags that may not be set there. StoreError, OSError.

    A message that has gone meanwhile is not among the source's UIDs in the answer.
    """
    found: list[tuple[int, NewMessage]] = []
    for first in range(0, len(uids), BLOCK):
        some = uids[first : first + BLOCK]
        dates = dict(await source.rows(some, (Column.INTERNALDATE,)))
        flags = _flags(source, some)
        found += [(uid, NewMessage(content, flags[uid], dates.get(uid))) for uid, content in await source.read(some) if uid in flags]
    if not found:
        return Copied(target.uidvalidity, (), ())
    appended = await target.append([message for _, message in found])
    return Copied(appended.uidvalidity, tuple(uid for uid, _ in found), appended.target)


def _flags(source: Any, uids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """The flags of those of *uids* that are still there."""
    present, bits, keywords = source.uids, source.bits, source.keywords
    places = {uid: bisect_left(present, uid) for uid in uids}
    return {
        uid: tuple(words(bits[place], keywords)) for uid, place in places.items() if place < len(present) and present[place] == uid
    }  # fmt: skip
