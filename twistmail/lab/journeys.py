"""Finds out which events of the ring belong to which message, and keeps the last journeys (`journey`) until they are forgotten.

An item that came from another office belongs to the journey of the item that was sent there: both ends of a connection name
it ("blue>green:54321" and the port that green has seen). A report is a journey of its own that knows what it is about; the
copy that a list makes belongs to its post. Listens to the ring; asks nobody else.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from twistmail.hops import ranges_in
from twistmail.lab.journey import Journey, Node
from twistmail.lab.journey_making import build, of_one_letter
from twistmail.lab.ring import Event, Ring
from twistmail.lists.copies import copy_id, is_copy
from twistmail.mail.address import parse

#: Journeys and connections that are remembered, and of one of these how many events.
MOST_JOURNEYS, MOST_CONNECTIONS = 300, 400
MOST_EVENTS, MOST_LINES = 1000, 400
#: Of an office, the last questions to the DNS, among which those of a message are found.
MOST_QUESTIONS = 100
#: What is told about items; of the other kinds those that are told of a connection between two offices.
_ABOUT_ITEMS = frozenset({"mail", "queue", "alias", "store"})
_ON_CONNECTIONS = frozenset({"line", "tls", "net"})


class _Trail:
    """What is known of one journey: its own events, and the connections on which it was told of."""

    def __init__(self, root: Node) -> None:
        self.root = root
        self.about: Node | None = None
        self.events: deque[Event] = deque(maxlen=MOST_EVENTS)
        self.connections: dict[tuple[str, str], None] = {}
        self.nodes: dict[Node, None] = {root: None}
        self.last = 0

    def add(self, event: Event) -> None:
        self.events.append(event)
        self.last = max(self.last, event.number)


class Journeys:
    """See the module note."""

    def __init__(self, ring: Ring) -> None:
        self.forget()
        self.stop: Callable[[], None] = ring.listen(self.note)

    def forget(self) -> None:
        """Start afresh."""
        self._trails: OrderedDict[Node, _Trail] = OrderedDict()  # by their roots, the one that moved last at the end
        self._of: dict[Node, _Trail] = {}
        self._parents: dict[Node, Node] = {}
        self._accepted: dict[Node, Event] = {}
        self._connections: OrderedDict[tuple[str, str], deque[Event]] = OrderedDict()
        self._senders: dict[str, dict[Node, None]] = {}  # of a connection between offices: the items that were sent on it
        self._orphans: dict[str, list[Node]] = {}  # items that came by a connection of which the other end has not been heard
        self._questions: dict[str, deque[Event]] = {}
        self._lying: dict[tuple[str, str, str], dict[int, _Trail]] = {}  # (office, account, mailbox): who lies there

    # ----- asking

    def latest(self, most: int) -> list[Journey]:
        """Those in which something has happened last, the newest first."""
        trails = list(self._trails.values())[::-1][:most]
        return [self._built(trail) for trail in trails]

    def of(self, key: str, until: int | None = None) -> Journey | None:
        """The journey of the item that some office calls *key* (or its unique beginning); as it was after event *until*."""
        exact = {id(trail): trail for (_, name), trail in self._of.items() if name == key}
        found = exact or {id(trail): trail for (_, name), trail in self._of.items() if key and name.startswith(key)}
        return self._built(next(iter(found.values())), until) if len(found) == 1 else None

    def root(self, node: Node) -> Node | None:
        """The item with which the journey of *node* has begun; of a report, that with which it has begun what it is about."""
        trail, seen = self._of.get(node), set[Node]()
        while trail is not None and trail.about in self._of and trail.root not in seen:
            seen.add(trail.root)
            trail = self._of[trail.about]
        return trail.root if trail is not None else None

    def _built(self, trail: _Trail, until: int | None = None) -> Journey:
        events = list(trail.events)
        came = {node: self._accepted[node].connection for node in trail.nodes if node in self._accepted}
        accepted = {(node[0], connection): self._accepted[node].number for node, connection in came.items()}
        for name in trail.connections:
            said = self._connections.get(name, ())
            events += of_one_letter(tuple(said), accepted[name]) if name in accepted else said
        if until is not None:
            events = [event for event in events if event.number <= until]
        parents = {node: self._parents[node] for node in trail.nodes if node in self._parents}
        about = self._of.get(trail.about) if trail.about else None
        return build(trail.root, events, parents, about.root[1] if about else "", came)

    # ----- listening

    def note(self, event: Event) -> None:
        """A listener of the ring."""
        if event.kind in _ABOUT_ITEMS and event.about and (event.kind != "store" or event.what.get("uid")):
            self._item(event)
        elif event.kind == "dns":
            self._questions.setdefault(event.office, deque(maxlen=MOST_QUESTIONS)).append(event)
        elif event.kind in _ON_CONNECTIONS and ">" in event.connection:
            self._sent(event)
        elif event.kind == "net" and (event.office, event.about) in self._of:
            self._of[event.office, event.about].add(event)
        elif event.kind == "read":
            self._read(event)
        elif event.kind in ("line", "tls", "auth", "connection") and (event.connection or event.about):
            self._on_connection(event)

    def _on_connection(self, event: Event) -> None:
        key = event.office, event.connection or event.about
        events = self._connections.get(key)
        if events is None:
            events = self._connections[key] = deque(maxlen=MOST_LINES)
            if len(self._connections) > MOST_CONNECTIONS:
                self._connections.popitem(last=False)
        events.append(event)

    def _item(self, event: Event) -> None:
        node = event.office, event.about
        trail = self._of.get(node) or self._begun(node)
        trail.add(event)
        self._trails.move_to_end(trail.root)
        state = event.what.get("state")
        if event.kind == "mail" and state == "accepted":
            self._accepted[node] = event
            self._came(node, event)
        elif event.kind == "queue" and state == "returned" and event.what.get("report"):
            report = event.office, str(event.what["report"])
            (self._of.get(report) or self._begun(report)).about = node
        elif event.kind == "queue" and state == "servers":
            self._asked(trail, event, {str(event.what.get("next_hop", "")), *map(_host, event.what.get("servers", ()))})
        elif event.kind == "store":
            place = event.office, str(event.what.get("account", "")), str(event.what.get("mailbox", ""))
            self._lying.setdefault(place, {})[int(event.what.get("uid") or 0)] = trail

    def _begun(self, node: Node) -> _Trail:
        """A new journey; but the copy that a list has made of a post belongs to that."""
        post = self._post_of(node) if is_copy(node[1]) else None
        if post is not None:
            self._parents[node] = post
            trail = self._of[node] = self._of[post]
            trail.nodes[node] = None
            return trail
        trail = self._trails[node] = self._of[node] = _Trail(node)
        if len(self._trails) > MOST_JOURNEYS:
            self._drop(self._trails.popitem(last=False)[1])
        return trail

    def _post_of(self, node: Node) -> Node | None:
        office, name = node
        stem = name.partition("-")[0] + "-"
        posts = ((one, event) for one, event in self._accepted.items() if one[0] == office and one[1].startswith(stem))
        return next((one for one, event in posts if name in _copies_of(one[1], event)), None)

    def _drop(self, trail: _Trail) -> None:
        for node in trail.nodes:
            self._of.pop(node, None)
            self._parents.pop(node, None)
            self._accepted.pop(node, None)
        for place, uids in list(self._lying.items()):
            for uid in [uid for uid, other in uids.items() if other is trail]:
                del uids[uid]
            if not uids:
                del self._lying[place]
        for known in (self._senders, self._orphans):
            _shorten(known)

    # ----- from one office to the next

    def _came(self, node: Node, event: Event) -> None:
        """*node* was accepted: where did it come from?"""
        trail, connection = self._of[node], (node[0], event.connection)
        trail.connections[connection] = None
        opened = next((one for one in self._connections.get(connection, ()) if one.what.get("state") == "opened"), None)
        if opened is None:
            return
        self._asked(trail, event, {_reversed(str(opened.what.get("peer", ""))), str(event.what.get("sender", "")).rpartition("@")[2]})
        if opened.what.get("from"):
            self._pair(f"{opened.what['from']}>{node[0]}:{opened.what.get('port')}", node)

    def _sent(self, event: Event) -> None:
        """A line of what an office says to another one on behalf of one of its items."""
        node = event.office, event.about
        if not event.about or node not in self._of:
            return
        self._of[node].add(event)
        senders = self._senders.setdefault(event.connection, {})
        if node not in senders:
            senders[node] = None
            for orphan in self._orphans.pop(event.connection, []):
                self._pair(event.connection, orphan)

    def _pair(self, name: str, node: Node) -> None:
        """*node* came by connection *name*: it belongs to what was sent there, to the last of those with its Message-ID."""
        senders = list(self._senders.get(name, ()))
        wanted = self._accepted[node].what.get("message_id") if node in self._accepted else ""
        same = [one for one in senders if one in self._accepted and self._accepted[one].what.get("message_id") == wanted]
        if not senders or (not same and any(one in self._accepted for one in senders) and len(senders) > 1):
            self._orphans.setdefault(name, []).append(node)
            return
        parent = (same or senders)[-1]
        older, younger = self._of.get(parent), self._of.get(node)
        if older is None or younger is None or older is younger:
            return
        self._parents[node] = parent
        self._joined(older, younger)

    def _joined(self, older: _Trail, younger: _Trail) -> None:
        """What *younger* knows is part of *older*."""
        for event in younger.events:
            older.add(event)
        older.connections.update(younger.connections)
        for node in younger.nodes:
            self._of[node] = older
        older.nodes.update(younger.nodes)
        self._trails.pop(younger.root, None)
        for uids in self._lying.values():
            for uid, trail in uids.items():
                if trail is younger:
                    uids[uid] = older

    # ----- who was asked, who has read

    def _asked(self, trail: _Trail, event: Event, names: set[str]) -> None:
        """The questions of this office about *names* that nobody has taken yet."""
        questions = self._questions.get(event.office, deque())
        wanted = {name.rstrip(".").lower() for name in names if name}
        found = [one for one in questions if _is_about(str(one.what.get("question", "")).rstrip(".").lower(), wanted)]
        for one in found:
            trail.add(one)
            questions.remove(one)

    def _read(self, event: Event) -> None:
        place = event.office, str(event.what.get("account", "")), str(event.what.get("mailbox", ""))
        uids = self._lying.get(place)
        if not uids:
            return
        read = _uids(str(event.what.get("uids", "")), uids)
        for trail in {id(uids[uid]): uids[uid] for uid in read}.values():
            trail.add(event)
            trail.connections[event.office, event.connection or event.about] = None
            self._trails.move_to_end(trail.root)


def _copies_of(name: str, accepted: Event) -> Iterator[str]:
    """The ids that the copies of item *name* would have, if each of its recipients were a list."""
    for recipient in accepted.what.get("recipients", ()):
        with suppress(ValueError):
            yield copy_id(name, parse(str(recipient)).folded)


def _host(server: Any) -> str:
    """The name in "mx.green.test [192.0.2.20]"."""
    return str(server).partition(" ")[0]


def _reversed(peer: str) -> str:
    """Of "192.0.2.10:54321", the name in the DNS that tells who that is."""
    address = peer.rpartition(":")[0]
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa" if address.count(".") == 3 else ""


def _is_about(question: str, names: set[str]) -> bool:
    """Whether *question* is one of *names*, or a record beside one (_25._tcp.mx.green.test)."""
    return question in names or (question.startswith("_") and any(question.endswith(f".{name}") for name in names))


def _uids(text: str, known: dict[int, Any]) -> list[int]:
    ranges = list(ranges_in(text))
    return [uid for uid in known if any(low <= uid <= high for low, high in ranges)]


def _shorten(known: dict[str, Any]) -> None:
    """What has been here longest goes first."""
    while len(known) > MOST_CONNECTIONS:
        del known[next(iter(known))]
