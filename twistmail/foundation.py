"""What outlives a reload: store, queue, journal, threads, and who has failed to log in. Laid once, at start.

`Ground` is what every part is given to stand on; `Foundation` adds the parts
that keep state. Which implementation of store, queue and lookup is used is told
by `use` in their sections and found among the plugins (`parts.py` has our own).
"""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from twistmail import tasks
from twistmail.accounts.domains import DomainBook
from twistmail.accounts.sqlite import AccountDatabase
from twistmail.accounts.verified import Verifier
from twistmail.config.settled import Config
from twistmail.disk import Committer
from twistmail.doorbook import FILE as DOORBOOK
from twistmail.doorbook import Doorbook
from twistmail.doorkeeper import Doorkeeper
from twistmail.drafts import Drafts
from twistmail.facts import Facts, LoggedIn
from twistmail.interfaces import IQueue
from twistmail.journal import TRANSCRIPTS, Journal
from twistmail.lasting import Lasting
from twistmail.mail.address import Address
from twistmail.mail.ids import COUNTERS, identifiers
from twistmail.mail.schedule import Schedule
from twistmail.mail.values import frozen
from twistmail.mailflow import Dispatch
from twistmail.notices import Notices
from twistmail.pacing import Uplink
from twistmail.plugins import Discovery
from twistmail.policy.greybook import FILE as GREYBOOK
from twistmail.policy.greybook import Greybook
from twistmail.policy.greylist import Greylist
from twistmail.policy.ledger import Ledger
from twistmail.policy.popauth import PopAuth
from twistmail.queue.reports import House
from twistmail.queue.runner import Circumstances, Runner
from twistmail.quota_watch import QuotaWatch
from twistmail.relay.tlsbook import FILE as TLS_BOOK
from twistmail.relay.tlsbook import TlsBook
from twistmail.relay.tlsmemory import TlsMemory
from twistmail.servers.census import Census
from twistmail.servers.gate import Gate
from twistmail.servers.imap.sharing.lists import AccessLists
from twistmail.servers.pop3.service import Locks
from twistmail.servers.stress import Stress
from twistmail.servers.throttle import Throttle
from twistmail.steering.counting import counting
from twistmail.store_interfaces import IMailStore
from twistmail.terms import Terms
from twistmail.tls.acme.renewal import Renewal
from twistmail.tls.certificates import OWN_CERTIFICATES
from twistmail.transcripts import Transcripts
from twistmail.watched import WatchedFiles

#: Threads for files, and for password hashes (60 ms of one core each).
FILE_THREADS, HASH_THREADS = 8, 2
#: A file below the data folder with so many octets of chance, made at the first start.
SECRET, SECRET_SIZE = "secret", 32


@frozen
class Ground:
    """What a part may stand on. `dial` replaces the relay's way out (None: the network).

    `clock` (IReactorTime) is what mail that waits goes by, and `epoch` says what time it is there; connections go by `reactor`.
    """

    config: Config
    reactor: Any
    data_dir: Path
    committer: Committer
    threads: tasks.Threads
    facts: Facts
    epoch: Callable[[], float]
    clock: Any
    identifiers: Iterator[str]
    random: random.Random
    discovery: Discovery
    terms: Terms
    watched: WatchedFiles
    ledger: Ledger
    lasting: Lasting
    dial: Any = None
    giver: Any = None  # `giving.Giver`, where mail can belong to others than us
    piper: Any = None  # `piping.Piper`, where programs get mail
    reader: Any = None  # `dotfiles.Reader`, where users of this machine have homes that are closed to us


@dataclass(slots=True)
class Standing:
    """As much of a foundation as the policy needs: the ground, the accounts, and who has read mail lately.

    `secret`: octets that nobody else knows, the same for as long as the data folder lasts.
    """

    ground: Ground
    database: AccountDatabase
    verifier: Verifier
    secret: bytes
    popauth: PopAuth
    greylist: Greylist
    domains: DomainBook


@dataclass(slots=True)
class Foundation(Standing):
    """The ground, and everything on it that keeps state."""

    store: IMailStore
    queue: IQueue
    runner: Runner
    uplink: Uplink
    journals: tuple[Journal, ...]
    drafts: Drafts
    throttle: Throttle
    gate: Gate
    doorkeeper: Doorkeeper
    pop3_locks: Locks
    census: Census
    stress: Stress
    access: AccessLists
    hashing: tasks.Threads
    renewal: Renewal
    tls_memory: TlsMemory
    listeners: tuple[Callable[[], None], ...]
    meters: Any  # steering.meters.Meters; None where nobody counts
    unwarn: Callable[[], None] = lambda: None  # ends what the last `warn_by` has begun

    @property
    def facts(self) -> Facts:
        return self.ground.facts

    @property
    def threads(self) -> tasks.Threads:
        return self.ground.threads

    def warn_by(self, *watches: QuotaWatch | Notices) -> None:
        """From now on *watches* tell people that their mailboxes are filling up, or the postmaster what waits for him, and no others."""
        self.unwarn()
        stops = [self.facts.listen(watch.note, of=watch.HEARS) for watch in watches]

        def unwarn() -> None:
            for stop in stops:
                stop()

        self.unwarn = unwarn

    async def look_around(self) -> None:
        """Merge what others did to mailboxes that somebody has open."""
        await self.store.poll()

    async def tidy_up(self) -> None:
        """Delete what is not to be kept any longer."""
        await self.store.tidy()

    async def rest(self) -> None:
        """What is only in a log gets its files: who looks at them while no server runs shall find everything."""
        if (rest := getattr(self.queue, "rest", None)) is not None:
            await rest()

    def close(self) -> None:
        """Write everything down and let go. Blocking; at shutdown, after the queue has stopped."""
        self.renewal.stop()
        for stop in (*self.listeners, self.unwarn):
            stop()
        if self.meters is not None:
            self.meters.stop()
        self.doorkeeper.close()
        self.greylist.close()
        self.tls_memory.close()
        self.store.close()
        self.ground.committer.stop()
        if (let_go := getattr(self.queue, "stop", None)) is not None:
            let_go()
        self.ground.threads.stop()
        self.hashing.stop()
        self.ground.lasting.stop()
        self.database.close()
        for helper in (self.ground.giver, self.ground.piper, self.ground.reader):
            if helper is not None:
                helper.close()


def lay(config: Config, reactor: Any, discovery: Discovery, dial: Any = None, epoch: Callable[[], float] = time.time,
        clock: Any = None, giver: Any = None, piper: Any = None, reader: Any = None) -> Foundation:
    """Make folders, open databases, build store and queue. OSError where the disk will not.

    *epoch* gives POSIX seconds. *clock*: what mail that waits goes by, where that is not *reactor*; it gives the same seconds as *epoch*.
    """
    data_dir = config.data_dir
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    ground = replace(_ground(config, reactor, discovery, dial, epoch), clock=clock or reactor, giver=giver, piper=piper, reader=reader)
    facts = ground.facts
    journals, listeners = _listen(config, data_dir, facts)
    doorkeeper = Doorkeeper(Doorbook(data_dir / DOORBOOK), epoch)
    gate = Gate(doorkeeper.bans, facts, epoch)
    hashing = tasks.Threads(reactor, "hashing", HASH_THREADS)
    database = AccountDatabase(config.file(config["users"].database))
    queue = build("queue", config["queue"].use, ground)
    uplink = Uplink.of(data_dir)
    store = build("store", config["store"].use, ground)
    return Foundation(
        ground=ground,
        store=store,
        queue=queue,
        runner=_runner(ground, queue, uplink),
        uplink=uplink,
        journals=journals,
        drafts=Drafts(data_dir / "drafts"),
        database=database,
        verifier=Verifier(hashing, time.monotonic, secrets.token_bytes(32)),
        secret=_own_secret(data_dir / SECRET),
        popauth=PopAuth(facts, ground.clock.seconds),
        greylist=Greylist(Greybook(data_dir / GREYBOOK), epoch),
        domains=DomainBook(database.domains, database.files),
        throttle=Throttle(key=secrets.token_bytes(32), spares=gate.spares),
        gate=gate,
        doorkeeper=doorkeeper,
        pop3_locks=Locks(),
        census=Census(),
        stress=Stress("mx"),
        access=AccessLists(store, reactor),
        hashing=hashing,
        renewal=Renewal(data_dir / "acme", data_dir / OWN_CERTIFICATES, tasks.Threads(reactor, "acme", 1), epoch),
        tls_memory=TlsMemory(TlsBook(data_dir / TLS_BOOK), epoch),
        listeners=(*listeners, facts.listen(doorkeeper.note, of=(LoggedIn,))),
        meters=counting(facts, epoch()),
    )


def _ground(config: Config, reactor: Any, discovery: Discovery, dial: Any, epoch: Callable[[], float]) -> Ground:
    threads = tasks.Threads(reactor, "files", FILE_THREADS)
    return Ground(
        config=config,
        reactor=reactor,
        data_dir=config.data_dir,
        committer=Committer(reactor, fsync=config["store"].fsync, syncfs=config["store"].syncfs),
        threads=threads,
        facts=Facts(),
        epoch=epoch,
        clock=reactor,
        identifiers=identifiers(epoch, secrets.randbelow(COUNTERS)),
        random=random.Random(),
        discovery=discovery,
        terms=Terms(config["store"]),
        watched=WatchedFiles(threads),
        ledger=Ledger(),
        lasting=Lasting(lambda name, most: tasks.Threads(reactor, name, most)),
        dial=dial,
    )


def _own_secret(path: Path) -> bytes:
    """What the file at *path* holds; it is made where it is missing or cut short. OSError."""
    with suppress(FileNotFoundError):
        if len(kept := path.read_bytes()) >= SECRET_SIZE:
            return kept
    made = secrets.token_bytes(SECRET_SIZE)
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(made)
        file.flush()
        os.fsync(file.fileno())
    return made


def _listen(config: Config, data_dir: Path, facts: Facts) -> tuple[tuple[Journal, ...], tuple[Callable[[], None], ...]]:
    """The journals, and how to end their listening."""
    settings = config["log"]
    journal = Journal(data_dir / "journal", settings.journal)
    if settings.transcripts == "off":
        return (journal,), (facts.listen(journal.note),)
    lines = Journal(data_dir / TRANSCRIPTS, settings.transcripts_keep)
    transcripts = Transcripts(lines, only_failures=settings.transcripts == "failures")
    return (journal, lines), (facts.listen(journal.note), facts.listen(transcripts.note, lines=True))


def build(kind: str, name: str, ground: Ground, house: Any = None, config: Config | None = None) -> Any:
    """The part of *kind* called *name*, standing on *ground* (policy stages: in *house*), by *config* (None: the ground's).

    KeyError where no plugin offers it; the configuration was checked for that.
    """
    part = ground.discovery.find(kind, name)
    if part is None:
        raise KeyError(f"there is no {kind} called {name}")
    settings = (config or ground.config)[part.options.name] if part.options else None
    return part.factory.build(settings, ground if house is None else house)


def _runner(ground: Ground, queue: IQueue, uplink: Uplink) -> Runner:
    """The queue's clock. What it delivers with, and whom it writes to, comes with the first assembly."""

    async def nowhere(address: Address) -> tuple[Any, ...]:
        return ()

    house = House(ground.config["server"].hostname, Address("postmaster"), nowhere, ground.identifiers, ground.threads)
    circumstances = Circumstances(ground.clock, ground.random.random, ground.facts)
    runner = Runner(queue, Dispatch({}), Schedule(), house, circumstances)
    runner.go(offline=uplink.is_down)
    return runner
