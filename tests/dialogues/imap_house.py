"""An IMAP service over the store in memory, for dialogues and for tests that look closer."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from tests.dialogues.player import Player
from tests.helpers import CLOSED, OPEN, TOOLS, result_of
from twistmail.drafts import Drafts
from twistmail.facts import Facts
from twistmail.mail.acl import ALL, Acl
from twistmail.mail.circles import Circles
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import NewMessage
from twistmail.memory.people import MemoryPeople
from twistmail.memory.store import Mailbox, Mailboxes, MailStore
from twistmail.servers.census import Census
from twistmail.servers.imap.kept import Kept
from twistmail.servers.imap.service import OPTIONS, ImapService
from twistmail.servers.imap.session import ImapSession, open_connection
from twistmail.servers.imap.sharing.lists import AccessLists
from twistmail.servers.imap.sharing.lists import House as Rules
from twistmail.servers.imap.sharing.settings import OPTIONS as SHARING
from twistmail.servers.imap.sharing.sharing import Sharing
from twistmail.servers.login import Login
from twistmail.servers.pump import Pump
from twistmail.servers.throttle import Throttle
from twistmail.tasks import Inline
from twistmail.wire.imap.server import ImapWire

ANN = "ann@here.example"
#: 2026-11-21 03:20:00 UTC
NOW = 1795231200.0


def mail(subject: str, *, body: str = "Hello\r\n", sender: str = "Bob <bob@away.example>", more: str = "") -> bytes:
    """A plain message."""
    header = f"From: {sender}\r\nTo: ann@here.example\r\nSubject: {subject}\r\nDate: Sat, 21 Nov 2026 03:20:00 +0000\r\n"
    header += f"Message-ID: <{subject.encode().hex()}@away.example>\r\n"
    return (header + more + "\r\n" + body).encode()


LETTER = mail(
    "letter",
    more='Content-Type: multipart/mixed; boundary="=b"\r\n',
    body="--=b\r\n\r\nplain\r\n--=b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninside\r\n--=b--\r\n",
)
THREE = (mail("one"), LETTER, mail("three", sender='"Carol C." <carol@away.example>', body="The end\r\n"))


@dataclass
class ImapHouse:
    """Everything that IMAP connections need. `ann@here.example`'s password is `secret`; `bob@here.example`'s is `two words`."""

    clock: Clock = field(default_factory=Clock)
    plaintext_allowed: bool = True
    tls_available: bool = True
    drafts: Any = None
    settings: dict[str, Any] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)
    people: MemoryPeople = field(default_factory=lambda: MemoryPeople({ANN: "secret", "bob@here.example": "two words"}, "here.example"))
    store: Any = field(default_factory=lambda: MailStore(lambda: NOW))
    census: Census = field(default_factory=Census)
    threads: Any = field(default_factory=Inline)
    kept: Kept = field(default_factory=Kept)
    sharing: Sharing | None = None
    hostname: str = "imap.here.example"
    _ids: Any = field(default_factory=lambda: itertools.count(1))

    def service(self) -> ImapService:
        login = Login(self.people, Throttle(), self.clock, self.facts, lambda: NOW, jitter=lambda: 0.5,
                      tools=TOOLS, openness=OPEN if self.plaintext_allowed else CLOSED,
                      accounts=self.people, default_domain="here.example")  # fmt: skip
        return ImapService(self.hostname, OPTIONS.defaults(**self.settings), self.store, login, self.facts, self.threads, self.drafts,
                           self.clock, lambda: NOW, self.tls_available, self.census, self.kept, self.sharing)  # fmt: skip

    def share(self, circles: Circles | None = None, admins: tuple[str, ...] = (), **settings: str) -> None:
        """From now on mailboxes can be shared."""
        lists = self.sharing.lists if self.sharing else AccessLists(self.store)
        lists.adopt(Rules(circles or Circles(), "shared@here.example", Acl(dict.fromkeys(admins, ALL))))
        self.sharing = Sharing(SHARING.defaults(enabled=True, **settings), lists, self.store, self.people, self.facts, lambda: NOW,
                               "here.example")  # fmt: skip

    def begin(self, address: str = "192.0.2.7") -> tuple[ImapWire, ImapSession]:
        return open_connection(self.service(), f"c{next(self._ids)}", address, 40000)

    def pump(self, address: str = "192.0.2.7") -> Pump:
        wire, session = self.begin(address)
        return Pump("c", wire, session, self.clock, self.facts, tls=object, epoch=lambda: NOW)

    def mailboxes(self) -> Mailboxes:
        return result_of(self.store.mailboxes(ANN))

    def mailbox(self, name: str = "INBOX") -> Mailbox:
        return result_of(self.mailboxes().open(name))

    def put(self, *messages: bytes, name: str = "INBOX", flags: tuple[str, ...] = ()) -> None:
        """Messages into ann's mailbox."""
        mailbox = self.mailbox(name)
        result_of(mailbox.append(tuple(NewMessage(Memory(message), flags, NOW) for message in messages)))


class Guest(Player):
    """One client among several of one house: `say` sends a line and answers the lines that came back."""

    def __init__(self, house: ImapHouse, *, login: bool = True, select: str = "", who: str = "ann secret") -> None:
        self.house = house
        super().__init__(lambda clock, settings: house.pump())
        self.clock = house.clock
        self.settle()
        self.heard()
        if login:
            assert self.say(f"l LOGIN {who}")[-1].startswith("l OK")
        if select:
            assert self.say(f"s SELECT {select}")[-1].startswith("s OK")


def connect(clock: Clock, settings: dict[str, str], store: Any) -> Pump:
    """What `player.play` wants. Settings: clear=no, tls=no, away=yes, mail=three|empty (default three), drafts=PATH,
    sharing=yes.

    Those that begin with "imap." are settings of [imap].
    """
    house = ImapHouse(clock, plaintext_allowed=settings.get("clear") != "no", tls_available=settings.get("tls") != "no",
                     store=store)  # fmt: skip
    house.settings = {key[5:]: OPTIONS.option(key[5:]).kind.read(value) for key, value in settings.items() if key.startswith("imap.")}
    house.people.available = "away" not in settings
    if "drafts" in settings:
        house.drafts = Drafts(Path(settings["drafts"]))
    if "sharing" in settings:
        house.share()
    if settings.get("mail") != "empty":
        house.put(*THREE)
    return house.pump()
