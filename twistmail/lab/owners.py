"""Whose an event is, in a class: what one student does ticks nobody else's steps, and spoils them neither.

An address tells who speaks. The pages connect to the offices on behalf of each student from a loopback address of his own
(`source`); his own programs come from where his browser is; a login tells where addresses do not. What came by his connection is his,
with everything that becomes of it in the other offices, and so are the reports about it. Listens to the ring, behind `journeys`.
"""

from __future__ import annotations

import socket
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from twistmail.lab.door import TEACHER
from twistmail.lab.journey import Node
from twistmail.lab.journeys import Journeys
from twistmail.lab.lan import Lan
from twistmail.lab.ring import Event, Ring
from twistmail.web.site import is_near

HERE = "127.0.0.1"
#: Connections and items of which something is remembered.
MOST_KNOWN = 2000
#: Accounts, and TEACHER; empty: it is nobody's in particular, and counts for all.
Owners = frozenset[str]
EVERYBODY: Owners = frozenset()
#: What the whole class feels, whoever has done it.
FELT_BY_ALL = frozenset({"switch", "clock", "dns"})


def can_be_told_apart() -> bool:
    """Whether this system lets us connect from any address of 127.0.0.0/8, as Linux and Windows do."""
    with socket.socket() as probe:
        try:
            probe.bind((_address(0), 0))
        except OSError:
            return False
        return True


def _address(place: int) -> str:
    """Of student number *place* (from 0): each has a network of his own, because networks are counted together, too."""
    return f"127.{64 + place // 250}.{1 + place % 250}.1"


class Whose:
    """*at*(address): the accounts, and TEACHER, whose browsers are there. *apart*: see `can_be_told_apart`."""

    def __init__(self, lan: Lan, ring: Ring, journeys: Journeys, at: Callable[[str], Owners], *, apart: bool) -> None:
        self._sources = {one.account: _address(place) for place, one in enumerate(lan.students)} if apart else {}
        self._accounts = {address: account for account, address in self._sources.items()}
        self._students = frozenset(one.account for one in lan.students)
        self._journeys = journeys
        self._at = at
        self._apart = apart
        self.forget()
        ring.listen(self.note)

    def forget(self) -> None:
        """Start afresh."""
        self._connections: OrderedDict[Node, Owners] = OrderedDict()  # (office, its name of the connection)
        self._items: OrderedDict[Node, Owners] = OrderedDict()
        self._between: OrderedDict[Node, str] = OrderedDict()  # connections of other offices, as these call them
        self._speaking: OrderedDict[str, Node] = OrderedDict()  # on such a connection: the item of which is spoken

    def source(self, account: str) -> str:
        """The address from which the pages connect for *account*; that of everybody else is HERE."""
        return self._sources.get(account, HERE)

    def seat_of(self, account: str) -> str:
        """As whom *account* is counted: the people who are everybody's are worked with by the teacher."""
        return account if account in self._students else TEACHER

    def of(self, event: Event) -> Owners:
        """Whose it is."""
        if event.kind in FELT_BY_ALL:
            return EVERYBODY
        connection = event.office, event.connection or event.about
        if connection in self._connections:
            return self._connections[connection]
        item = self._speaking.get(self._between.get(connection, ""), (event.office, event.about))
        return self.wrote(item)

    def wrote(self, item: Node) -> Owners:
        """Whose *item* is; in which office it lies now makes no difference."""
        root = self._journeys.root(item)
        return EVERYBODY if root is None else self._items.get(root, EVERYBODY)

    # ----- listening

    def note(self, event: Event) -> None:
        """A listener of the ring."""
        connection = event.office, event.connection or event.about
        state = event.what.get("state")
        if event.kind == "connection" and state == "opened":
            self._opened(connection, event.what)
        elif event.kind == "auth" and event.what.get("result") == "ok":
            self._logged_in(connection, str(event.what.get("login", "")))
        elif event.kind == "mail" and state == "accepted" and connection not in self._between:
            _remember(self._items, (event.office, event.about), self._connections.get(connection, EVERYBODY))
        elif ">" in event.connection and event.about:
            _remember(self._speaking, event.connection, (event.office, event.about))

    def _opened(self, connection: Node, what: Any) -> None:
        if what.get("from"):
            _remember(self._between, connection, f"{what['from']}>{connection[0]}:{what.get('port')}")
        else:
            _remember(self._connections, connection, self._at_address(str(what.get("peer", "")).rpartition(":")[0]))

    def _at_address(self, address: str) -> Owners:
        if address in self._accounts:
            return frozenset({self._accounts[address]})
        if is_near(address):
            return frozenset({TEACHER}) if self._apart else EVERYBODY
        return self._at(address)

    def _logged_in(self, connection: Node, login: str) -> None:
        """A telephone has another address than the browser. From this computer the teacher's crowd logs in as everybody."""
        known = self._connections.get(connection, EVERYBODY)
        if login in self._students and (TEACHER not in known or not self._apart):
            _remember(self._connections, connection, frozenset({login}))


def _remember(known: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    """Bounded: what has been here longest goes first."""
    known.pop(key, None)
    known[key] = value
    if len(known) > MOST_KNOWN:
        known.popitem(last=False)
