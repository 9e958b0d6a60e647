"""A house in memory with an SMTP service at its door, for dialogues and session tests."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from tests.dialogues.player import Player
from tests.helpers import CLOSED, OPEN, TOOLS
from twistmail import tasks
from twistmail.drafts import Drafts
from twistmail.expansion import Expansion
from twistmail.facts import Fact, Facts, Refused
from twistmail.mail.content import Content
from twistmail.mail.envelope import Kind, Role
from twistmail.mail.item import Item
from twistmail.mailflow import Dispatch, Reception
from twistmail.memory.courier import MemoryCourier
from twistmail.memory.lookup import MemoryLookup
from twistmail.memory.people import MemoryAliases, MemoryPeople
from twistmail.policy.access import Access
from twistmail.policy.access_file import parse as parse_access
from twistmail.policy.builtin import STAGES
from twistmail.policy.pipeline import House, Pipeline
from twistmail.servers.login import Login
from twistmail.servers.pump import Pump
from twistmail.servers.smtp.service import SmtpService
from twistmail.servers.smtp.session import open_connection
from twistmail.servers.smtp_options import LMTP, MX, SUBMISSION
from twistmail.servers.throttle import Throttle
from twistmail.watched import WatchedFiles

HOSTNAME = "mx.here.example"
DOMAINS = frozenset({"here.example"})
ACCOUNTS = {"fred@here.example": "sesame", "ann@here.example": "open"}
ALIASES = {"team@here.example": ("fred", "carl@away.example"), "freddy@here.example": ("fred",), "all@here.example": ("fred", "ann")}


SECTIONS = {Role.MX: MX, Role.SUBMISSION: SUBMISSION, Role.LMTP: LMTP}


class _Drafts(Drafts):
    """Their folder goes with them."""

    def __init__(self) -> None:
        self.kept = tempfile.TemporaryDirectory(prefix="drafts-")
        super().__init__(Path(self.kept.name))


@dataclass
class SmtpHouse:
    """`connect` opens a connection; what came in is in `boxes` and `queued`, what was refused in `refused`."""

    clock: Clock = field(default_factory=Clock)
    drafts: Drafts = field(default_factory=_Drafts)
    boxes: MemoryCourier = field(default_factory=lambda: MemoryCourier(local=True))
    queued: list[tuple[Item, bytes]] = field(default_factory=list)
    facts: Facts = field(default_factory=Facts)
    told: list[Fact] = field(default_factory=list)
    people: MemoryPeople = field(default_factory=lambda: MemoryPeople(ACCOUNTS, "here.example"))
    aliases: MemoryAliases = field(default_factory=lambda: MemoryAliases(ALIASES))
    lookup: MemoryLookup = field(default_factory=MemoryLookup)
    stages: Sequence[Any] = ()  # besides those of the settings
    folder: Path | None = None  # where the files that stages read are
    access: str = ""  # the text of the access list
    popauth: Any = None
    greylist: Any = None

    def __post_init__(self) -> None:
        self.facts.listen(self.told.append)
        self.watched = WatchedFiles(tasks.Inline())
        self.connections = itertools.count(1)
        self.identifiers = (f"item-{number}" for number in itertools.count(1))

    @property
    def refused(self) -> list[tuple[str, int]]:
        return [(fact.what.stage, fact.what.status.code) for fact in self.told if isinstance(fact.what, Refused)]

    @property
    def contents(self) -> list[bytes]:
        """What the mailboxes got, trace fields included."""
        return [content for _, _, content in self.boxes.carried]

    def _access(self) -> Access | None:
        if not self.access:
            return None
        if self.folder is None:
            self.kept = tempfile.TemporaryDirectory(prefix="access-")  # goes with the house
            self.folder = Path(self.kept.name)
        folder = self.folder
        (folder / "access").write_text(self.access)
        return Access(self.watched.file(folder / "access", parse_access), self.lookup, self.clock)

    def house(self, role: Role = Role.MX, **settings: Any) -> House:
        """What its policy stages know."""
        # the tests say many commands at a time; those that are about waiting for answers turn it on
        own = SECTIONS[role].defaults(**{"unauth_pipelining": "off"} | settings)
        expansion = Expansion(self.aliases, self.people, DOMAINS, "here.example", clock=self.clock.seconds)
        return House(HOSTNAME, role, own, DOMAINS, expansion, self.people, self.lookup, self.facts, self.clock,
                     self.clock.seconds, self.identifiers, access=self._access(), popauth=self.popauth, greylist=self.greylist,
                     watched=self.watched, path=(self.folder or Path()).joinpath, threads=tasks.Inline())

    def service(self, role: Role = Role.MX, *, tls_available: bool = True, plaintext: bool = False, **settings: Any) -> SmtpService:
        """A service; *settings* are converted values of its section."""
        house = self.house(role, **settings)
        own, expansion = house.settings, house.expansion
        built = [stage for word in own.stages for stage in STAGES[word].build(None, house)]
        policy = Pipeline([*self.stages, *built], self.clock)
        dispatch = Dispatch({Kind.MAILBOX: self.boxes, Kind.REMOTE: MemoryCourier()})
        login = Login(self.people, Throttle(), self.clock, self.facts, self.clock.seconds, jitter=lambda: 0.0, tools=TOOLS,
                      openness=OPEN if plaintext else CLOSED, accounts=self.people, default_domain="here.example")
        return SmtpService(
            hostname=HOSTNAME, role=role, settings=own, policy=policy, expansion=expansion,
            reception=Reception(HOSTNAME, policy, expansion, dispatch, self._submit, self.clock.seconds, self.facts),
            login=login if role is Role.SUBMISSION else None, facts=self.facts, threads=tasks.Inline(), drafts=self.drafts,
            clock=self.clock, epoch=self.clock.seconds, identifiers=self.identifiers, tls_available=tls_available,
        )  # fmt: skip

    async def _submit(self, item: Item, content: Content) -> None:
        self.queued.append((item, b"".join(content.chunks())))

    def pump(self, service: SmtpService, address: str = "192.0.2.7") -> Pump:
        """A connection of *service* that has no transport yet."""
        identifier = f"conn-{next(self.connections)}"
        wire, session = open_connection(service, identifier, address, 4711)
        return Pump(identifier, wire, session, self.clock, self.facts, tls=object, epoch=self.clock.seconds)

    def player(self, service: SmtpService | None = None, address: str = "192.0.2.7") -> Player:
        """A connection with a client that is driven by the test."""
        chosen = service or self.service()

        def connect(clock: Clock, settings: dict[str, str]) -> Pump:
            return self.pump(chosen, address)

        return Player(connect, clock=self.clock)


def connector() -> Callable[[Clock, dict[str, str]], Pump]:
    """What `player.play` wants. In `with:` stand role, plaintext, certificate and any setting of the service."""

    def connect(clock: Clock, settings: dict[str, str]) -> Pump:
        role = Role(settings.pop("role", "mx"))
        plaintext = settings.pop("plaintext", "no") == "yes"
        certificate = settings.pop("certificate", "yes") == "yes"
        section = SECTIONS[role]
        values = {key: section.option(key).kind.read(value) for key, value in settings.items()}  # type: ignore[union-attr]
        house = SmtpHouse(clock)
        return house.pump(house.service(role, tls_available=certificate, plaintext=plaintext, **values))

    return connect
