"""A POP3 service over a mailbox in a list, for dialogues and for tests that look closer."""

from __future__ import annotations

import itertools
from array import array
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.task import Clock

from tests.helpers import CLOSED, OPEN, TOOLS
from twistmail.facts import Facts
from twistmail.mail import matching, mime
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Column
from twistmail.memory.people import MemoryPeople
from twistmail.servers.census import Census
from twistmail.servers.login import Login
from twistmail.servers.pop3.service import OPTIONS, Locks, Pop3Service
from twistmail.servers.pop3.session import PopSession, open_connection
from twistmail.servers.pump import Pump
from twistmail.servers.throttle import Throttle
from twistmail.tasks import Inline
from twistmail.wire.pop3.server import PopServerWire

FIRST = b"Subject: one\r\n\r\nHello\r\n.a dot\r\nBye\r\n"
SECOND = b"Subject: two\r\n\r\nno end of line"
THIRD = b"Subject: three\r\n\r\n.\r\n..\r\n"


@dataclass
class FakeMailbox:
    """The part of IMailbox that POP3 uses. `broken` makes the next question to the disk fail."""

    messages: dict[int, bytes] = field(default_factory=lambda: {11: FIRST, 12: SECOND, 20: THIRD})
    uidvalidity: int = 0x5F000001
    opened: int = 0
    broken: bool = False
    given: dict[int, bytes] = field(default_factory=dict)
    loads: list[tuple[int, ...]] = field(default_factory=list)
    expunges: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def uids(self) -> array[int]:
        return array("L", sorted(self.messages))

    def _check(self) -> None:
        if self.broken:
            raise OSError(5, "Input/output error")

    async def refresh(self) -> None:
        self._check()

    async def rows(self, uids: Any, columns: Any) -> list[tuple[Any, ...]]:
        there = [(uid, self.messages[uid]) for uid in uids if uid in self.messages]
        if columns == (Column.SIZE,):
            return [(uid, len(message)) for uid, message in there]
        return [(uid, *(matching.column(mime.describe(message), column, 0.0) for column in columns)) for uid, message in there]

    async def unique_ids(self) -> dict[int, bytes]:
        return self.given

    async def load(self, uids: Any) -> list[tuple[int, bytes]]:
        self._check()
        self.loads.append(tuple(uids))
        return [(uid, self.messages[uid]) for uid in uids if uid in self.messages]

    async def read(self, uids: Any) -> list[tuple[int, Any]]:
        self._check()
        return [(uid, InPieces(self.messages[uid])) for uid in uids if uid in self.messages]

    async def expunge(self, uids: Any, by: Any = None, durable: bool = False) -> tuple[int, ...]:
        self._check()
        assert durable
        self.expunges.append(tuple(uids))
        return tuple(uid for uid in uids if self.messages.pop(uid, None) is not None)

    def close(self) -> None:
        self.opened -= 1


class InPieces(Memory):
    """Content in pieces of a thousand octets."""

    def chunks(self) -> Any:
        for start in range(0, len(self.data), 1000):
            yield self.data[start : start + 1000]


@dataclass
class FakeStore:
    """One mailbox for everybody."""

    mailbox: FakeMailbox = field(default_factory=FakeMailbox)

    async def mailboxes(self, account: str) -> FakeStore:
        return self

    async def open(self, name: str) -> FakeMailbox:
        assert name == "INBOX"
        self.mailbox.opened += 1
        return self.mailbox


@dataclass
class PopHouse:
    """Everything a POP3 connection needs. `ann@here.example`'s password is `secret`, `bob@here.example`'s is `two words`."""

    clock: Clock = field(default_factory=Clock)
    store: FakeStore = field(default_factory=FakeStore)
    plaintext_allowed: bool = True
    tls_available: bool = True
    facts: Facts = field(default_factory=Facts)
    locks: Locks = field(default_factory=Locks)
    census: Census = field(default_factory=Census)
    people: MemoryPeople = field(
        default_factory=lambda: MemoryPeople({"ann@here.example": "secret", "bob@here.example": "two words"}, "here.example"))
    settings: dict[str, Any] = field(default_factory=dict)
    _ids: Any = field(default_factory=lambda: itertools.count(1))

    def service(self) -> Pop3Service:
        login = Login(self.people, Throttle(), self.clock, self.facts, lambda: 0.0, jitter=lambda: 0.5,
                      tools=TOOLS, openness=OPEN if self.plaintext_allowed else CLOSED, accounts=self.people, default_domain="here.example")
        return Pop3Service("pop.here.example", self.store, login, self.facts, OPTIONS.defaults(**self.settings), Inline(), self.clock,
                           lambda: 0.0, self.tls_available, self.locks, self.census)

    def begin(self, address: str = "192.0.2.7") -> tuple[PopServerWire, PopSession]:
        return open_connection(self.service(), f"c{next(self._ids)}", address, 40000)

    def pump(self) -> Pump:
        wire, session = self.begin()
        return Pump("c", wire, session, self.clock, self.facts, tls=object, epoch=lambda: 0.0)


def connect(clock: Clock, settings: dict[str, str]) -> Pump:
    """What `player.play` wants.

    Settings: clear=no, tls=no, locked=yes, broken=yes, large=yes, away=yes, apop=yes, lone_lf=yes, delay=seconds since a login.
    """
    house = PopHouse(clock, plaintext_allowed=settings.get("clear") != "no", tls_available=settings.get("tls") != "no")
    if "delay" in settings:
        house.settings = {"login_delay": 300.0, "language": "fr"}
        house.locks.visits.came("ann@here.example", clock.seconds() - float(settings["delay"]), 300.0)
    if "apop" in settings:
        house.settings = {"apop": True}
    if "lone_lf" in settings:
        house.settings = {"lone_lf": True}
    house.store.mailbox.broken = "broken" in settings
    house.people.available = "away" not in settings
    if "locked" in settings:
        house.locks.take("ann@here.example")
    if "large" in settings:
        house.store.mailbox.messages[30] = b"Subject: large\r\n\r\n" + b".line of forty-two octets with a dot first\r\n" * 5000
    return house.pump()
