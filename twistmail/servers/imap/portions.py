"""How many messages are looked at together, where what is looked at may be as big as the messages.

A header may have a mebibyte, and a hundred octets of body become a thousand of BODYSTRUCTURE; both are strangers' doing.
A block of messages whose like comes from the store is therefore bounded in octets too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

from twistmail.mail.mailbox import Column
from twistmail.store_interfaces import IMailbox

#: Octets of messages whose headers or structures are in memory at a time, for one client.
PORTION = 8 * 1024 * 1024
#: Columns of a few octets each.
LIGHT = frozenset({Column.SIZE, Column.INTERNALDATE, Column.SAVEDATE, Column.MODSEQ, Column.EMAILID, Column.THREADID})


async def portions(mailbox: IMailbox, uids: Sequence[int], columns: Collection[Column], times: int = 1) -> list[tuple[int, int]]:
    """Half-open ranges of places in *uids*, in order, for each of which *columns* may be in memory at once, so many *times*."""
    if LIGHT.issuperset(columns):
        return [(0, len(uids))]
    sizes = dict(await mailbox.rows(uids, (Column.SIZE,)))
    if sum(sizes.values()) * times <= PORTION:
        return [(0, len(uids))]
    borders, total = [0], 0
    for place, uid in enumerate(uids):
        size = sizes.get(uid, 0) * times
        if total and total + size > PORTION:
            borders.append(place)
            total = 0
        total += size
    return list(pairwise([*borders, len(uids)]))
