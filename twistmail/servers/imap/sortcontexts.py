"""CONTEXT=SORT (RFC 5267 §4.3): a SORT that is followed. Whoever follows knows the order, so news tell at which position."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence

from twistmail.mail.mailbox import SortKey
from twistmail.servers.imap.places import Following
from twistmail.servers.imap.results import correlator, set_pieces
from twistmail.servers.imap.view import View
from twistmail.wire.imap import searchkeys as k

#: Messages of a result that is followed; each change looks through all of it. RFC 5267 §4.3.1 lets us refuse more.
MOST_FOLLOWED = 50_000


class SortedContext:
    """See `contexts.Followed`. `order`: the UIDs of the result, as the client has them."""

    def __init__(
        self, tag: bytes, key: k.Key, found: Following, keys: Sequence[tuple[SortKey, bool]], order: Sequence[int], *, uid: bool
    ) -> None:  # fmt: skip
        self.tag = tag
        self.key = key
        self.found = found
        self._uid = uid
        self._keys = keys
        self._order = list(order)

    def removed(self, view: View, places: Sequence[int]) -> bytes:
        """The line for messages that fall out of the result."""
        gone = {view.uids[place] for place in places}
        runs = list(_runs(self._order, gone))
        self._order = [uid for uid in self._order if uid not in gone]
        return self._line(b"REMOVEFROM", view, runs[::-1])  # from the end, so that no position shifts the next

    async def changed(self, view: View, added: Sequence[int], removed: Sequence[int]) -> bytes:
        """The lines for messages that no longer fit, and for those that do by now."""
        lines = self.removed(view, removed)
        fresh = {view.uids[place] for place in added}
        if not fresh:
            return lines
        order = await view.mailbox.sort(sorted(fresh.union(self._order)), self._keys)
        lost = set(self._order).difference(order)  # has gone by now, which is still to be told: it keeps its position
        self._order = _with_lost(self._order, order, lost) if lost else list(order)
        return lines + self._line(b"ADDTO", view, list(_runs(self._order, fresh)))

    def _line(self, kind: bytes, view: View, runs: Sequence[tuple[int, Sequence[int]]]) -> bytes:
        """*runs*: (position from 1, UIDs) in the order in which the client shall take them."""
        if not runs:
            return b""
        told = b" ".join(b"%d %b" % (position, b"".join(set_pieces(self._told(view, uids)))) for position, uids in runs)
        return b"* ESEARCH (%b)%b %b (%b)\r\n" % (correlator(self.tag), b" UID" if self._uid else b"", kind, told)

    def _told(self, view: View, uids: Sequence[int]) -> Sequence[int]:
        return uids if self._uid else [bisect_left(view.uids, uid) + 1 for uid in uids]


def _runs(order: Sequence[int], wanted: Collection[int]) -> Iterator[tuple[int, list[int]]]:
    """Those of *order* that are *wanted*, as far as they stand together, each with its position from 1."""
    run: list[int] = []
    for position, uid in enumerate(order, 1):
        if uid in wanted:
            run.append(uid)
        elif run:
            yield position - len(run), run
            run = []
    if run:
        yield len(order) + 1 - len(run), run


def _with_lost(before: Sequence[int], order: Sequence[int], lost: Collection[int]) -> list[int]:
    """*order*, and those that are *lost* where they stood: behind the one that they stood behind."""
    behind: dict[int, list[int]] = {}
    last = 0
    for uid in before:
        if uid in lost:
            behind.setdefault(last, []).append(uid)
        else:
            last = uid
    return behind.get(0, []) + [one for uid in order for one in (uid, *behind.get(uid, ()))]
