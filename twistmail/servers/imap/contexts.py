"""CONTEXT=SEARCH (RFC 5267 §4.3): a client is told how the results of its searches change, as ADDTO and REMOVEFROM.

`Contexts` belongs to a view, which tells it of changes (`note`); whoever says the view's news asks for ours beside them: `farewell`
before messages lose their numbers, `changes` after all else. Only messages that have changed are looked at again, unless
they are very many. A context remembers its result as a set of places, so that what is told is always a difference.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from twistmail.mail.mailbox import Change
from twistmail.servers.imap.client import Client
from twistmail.servers.imap.inquiry import Inquiry, leaves
from twistmail.servers.imap.places import Following, Places
from twistmail.servers.imap.results import correlator
from twistmail.servers.imap.view import View
from twistmail.wire.imap import searchkeys as k
from twistmail.wire.imap.fetchitems import FetchItem
from twistmail.wire.imap.sequence import SequenceSet, render

#: Contexts of one client at a time; each looks at every message that changes.
MOST_CONTEXTS = 8
#: Ranges that a saved set may have in the program of a context.
MOST_RANGES = 10_000
#: Changed messages that are looked at by themselves; more, and the whole search is made again.
FEW = 500


class Followed(Protocol):
    """One result that is kept up to date. SORT has a kind of its own, which knows places in its order."""

    tag: bytes
    key: k.Key
    found: Following

    def removed(self, view: View, places: Sequence[int]) -> bytes: ...

    async def changed(self, view: View, added: Sequence[int], removed: Sequence[int]) -> bytes: ...


class Context:
    """A SEARCH that is followed: `found` are the places of its result, *uid* whether it is told in UIDs."""

    def __init__(self, tag: bytes, key: k.Key, found: Following, *, uid: bool) -> None:
        self.tag = tag
        self.key = key
        self.found = found
        self._uid = uid

    def removed(self, view: View, places: Sequence[int]) -> bytes:
        """The line for messages that fall out of the result."""
        return self._line(b"REMOVEFROM", view, places)

    async def changed(self, view: View, added: Sequence[int], removed: Sequence[int]) -> bytes:
        """The lines for messages that no longer fit, and for those that do by now."""
        return self._line(b"REMOVEFROM", view, removed) + self._line(b"ADDTO", view, added)

    def _line(self, kind: bytes, view: View, places: Sequence[int]) -> bytes:
        if not places:
            return b""
        told = render([view.uids[place] if self._uid else place + 1 for place in places])
        # position 0: the result has the order of the mailbox (RFC 5267 §4.3.3)
        return b"* ESEARCH (%b)%b %b (0 %b)\r\n" % (correlator(self.tag), b" UID" if self._uid else b"", kind, told)


class Contexts:
    """All that one client follows in its selected mailbox."""

    def __init__(self, client: Client, view: View) -> None:
        self._client = client
        self._view = view
        self._followed: dict[bytes, Followed] = {}
        self._touched: set[int] = set()
        self._items: dict[bytes, tuple[FetchItem, ...]] = {}  # what is fetched of new messages that fit, by the context's tag

    def __contains__(self, tag: object) -> bool:
        return tag in self._followed

    @property
    def is_full(self) -> bool:
        return len(self._followed) >= MOST_CONTEXTS

    @property
    def fetches(self) -> bool:
        """Whether something is fetched of new messages."""
        return bool(self._items)

    def fetched(self, place: int) -> tuple[FetchItem, ...]:
        """What is fetched of the message at *place*, which is new: all that the results want to which it belongs (RFC 5465 §7)."""
        places = Places(len(self._view.uids))
        one = places.of_few([place])
        belongs = [tag for tag in self._items if self._followed[tag].found.among(places.count) & one]
        return tuple(dict.fromkeys(item for tag in belongs for item in self._items[tag]))

    def add(self, context: Followed, items: tuple[FetchItem, ...] = ()) -> None:
        self._followed[context.tag] = context
        if items:
            self._items[context.tag] = items
        self._view.followers.append(context.found)

    def cancel(self, tag: bytes) -> None:
        """No more of this one. KeyError where there is none."""
        self._view.followers.remove(self._followed.pop(tag).found)
        self._items.pop(tag, None)

    def note(self, change: Change) -> None:
        """The mailbox has changed."""
        if self._followed:
            self._touched.update(change.arrived, change.flagged)
            self._touched.difference_update(change.expunged)

    def farewell(self) -> bytes:
        """What falls out of the results because messages are going to lose their numbers (RFC 5267 §4.3.4)."""
        gone = self._places(sorted(self._view.untold))
        if not gone or not self._followed:
            return b""
        lines, places = [], Places(len(self._view.uids))
        going = places.of_few(gone)
        for context in self._followed.values():
            if falling := context.found.among(places.count) & going:
                lines.append(context.removed(self._view, list(_listed(places, falling))))
                context.found.replace(context.found.among(places.count) & ~falling, places.count)
        return b"".join(lines)

    async def changes(self) -> bytes:
        """How the results have changed since last time."""
        if not self._touched or not self._followed:
            return b""
        touched, self._touched = sorted(self._touched), set()
        few = self._places(touched) if len(touched) <= FEW else None
        inquiry = Inquiry(self._client, self._view, few)
        lines = []
        for context in tuple(self._followed.values()):
            fitting = inquiry.placed(await inquiry.find(context.key))
            looked_at = inquiry.placed(inquiry.places.all)
            if context.tag in self._followed:
                lines.append(await self._difference(context, fitting, looked_at, inquiry.count))
        return b"".join(lines)

    async def _difference(self, context: Followed, fitting: int, looked_at: int, count: int) -> bytes:
        before = context.found.among(count)
        if not (before ^ fitting) & looked_at:
            return b""
        added, removed = fitting & ~before, looked_at & before & ~fitting
        context.found.replace((before | added) & ~removed, count)
        places = Places(count)
        return await context.changed(self._view, list(_listed(places, added)), list(_listed(places, removed)))

    def _places(self, uids: Iterable[int]) -> list[int]:
        """The places of those of *uids* (ascending) that the client knows."""
        known, found, at = self._view.uids, [], 0
        for uid in uids:
            at = bisect_left(known, uid, at)
            if at < len(known) and known[at] == uid:
                found.append(at)
        return found


def _listed(places: Places, found: int) -> Iterable[int]:
    return (place for start, stop in places.runs(found) for place in range(start, stop))


def contexts_of(client: Client, view: View) -> Contexts:
    """The Contexts of the view, which it has from the first time on."""
    if view.contexts is None:
        view.contexts = Contexts(client, view)
    contexts: Contexts = view.contexts
    return contexts


def fixed(key: k.Key, view: View) -> k.Key | None:
    """*key* with its message numbers and its "$" as UIDs: they mean what they meant when the command came (RFC 5267 §4.3).

    None where that would be too long.
    """
    sets = [leaf.set for leaf in leaves(key) if isinstance(leaf, k.Numbers) or (isinstance(leaf, k.Uid) and leaf.set.saved)]
    spans = {numbers: view.positions(numbers, uid=False) for numbers in sets}
    if sum(map(len, spans.values())) > MOST_RANGES:
        return None
    by_uid = {
        numbers: k.Uid(SequenceSet(tuple((view.uids[start], view.uids[stop - 1]) for start, stop in found)))
        for numbers, found in spans.items()
    }
    return _replaced(key, by_uid)


def _replaced(key: Any, by_uid: dict[SequenceSet, k.Uid]) -> k.Key:
    """At most 32 levels deep: the wire sees to it."""
    match key:
        case k.And(keys):
            return k.And(tuple(_replaced(part, by_uid) for part in keys))
        case k.Or(left, right):
            return k.Or(_replaced(left, by_uid), _replaced(right, by_uid))
        case k.Not(inner) | k.Fuzzy(inner):
            return type(key)(_replaced(inner, by_uid))
        case k.Numbers(numbers):
            return by_uid[numbers]
        case k.Uid(numbers) if numbers.saved:
            return by_uid[numbers]
    leaf: k.Key = key
    return leaf
