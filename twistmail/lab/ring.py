"""What has happened lately in all offices, numbered: pages, lessons and tests read it, wait for it, and resume where they were."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from itertools import islice
from typing import Any

from twistmail.mail.values import frozen

#: Events that are remembered.
MOST = 5000
#: What an event can be about. "mail": accepted, delivered, removed; "queue": waits, tried, warned, returned; "switch": somebody has
#: broken or mended something; "clock": the lesson's time has jumped. The others are as they sound.
KINDS = ("line", "tls", "dns", "auth", "alias", "queue", "check", "store", "read", "net", "mail", "connection", "switch", "clock")


@frozen
class Event:
    """One thing that `office` saw at `at` (POSIX seconds of the lesson's clock; 0 < `number`, without gaps).

    `about` is the id of the item or connection, as that office names it; `connection`: on which connection it was, where it
    was on one. `what` is made for JSON: its keys hang on `kind` and are listed where the events are made (`reporter`).
    """

    number: int
    at: float
    office: str
    kind: str
    about: str
    what: Mapping[str, Any] = field(default_factory=dict)
    connection: str = ""

    def as_json(self) -> dict[str, Any]:
        """With the keys of `what` beside its own; where both have one, its own holds."""
        own = {"n": self.number, "at": round(self.at, 3), "office": self.office, "kind": self.kind, "about": self.about}
        return {**self.what, **own, "connection": self.connection}


class Ring:
    """The last MOST events. *epoch*: POSIX seconds of the lesson's clock."""

    def __init__(self, epoch: Callable[[], float], most: int = MOST) -> None:
        self._epoch = epoch
        self._events: deque[Event] = deque(maxlen=most)
        self._listeners: tuple[Callable[[Event], None], ...] = ()
        self._instead: dict[str, Mapping[str, Any]] = {}
        self.last = 0

    def add(self, office: str, kind: str, about: str = "", what: Mapping[str, Any] | None = None, *, connection: str = "") -> Event:
        """Number it, keep it, tell everybody who listens."""
        self.last += 1
        if kind in self._instead:
            office, about, what = "", "", self._instead[kind]
        event = Event(self.last, self._epoch(), office, kind, about, what or {}, connection)
        self._events.append(event)
        for listener in self._listeners:
            listener(event)
        return event

    @contextmanager
    def instead(self, kind: str, what: Mapping[str, Any]) -> Iterator[None]:
        """Events of *kind* that come meanwhile tell *what*, and of nobody: that something has happened is all that one hears."""
        self._instead[kind] = what
        try:
            yield
        finally:
            del self._instead[kind]

    def since(self, number: int) -> tuple[Event, ...]:
        """What came after event *number*, the oldest first; what is forgotten is left out (`first` tells)."""
        if not self._events or number >= self.last:
            return ()
        begin = max(0, number + 1 - self._events[0].number)
        return tuple(islice(self._events, begin, None))

    @property
    def first(self) -> int:
        """The oldest that is remembered; 0: none."""
        return self._events[0].number if self._events else 0

    def listen(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call *listener* with each event from now on; what it gives ends that."""
        self._listeners += (listener,)

        def stop() -> None:
            self._listeners = tuple(other for other in self._listeners if other is not listener)

        return stop

    def forget(self) -> None:
        """Start afresh; numbers go on."""
        self._events.clear()
