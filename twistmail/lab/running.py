"""One office at work: its configuration, its server, its name server; how it is started, stopped, and how it crashes.

The server is the production one (`service.MailService`) with another configuration: a sealed reactor, the way out of the
pretend network, and the lesson's clock for mail that waits. What becomes of the offices together is `town`'s business.
"""

from __future__ import annotations

import getpass
import re
import shutil
import sqlite3
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from twistmail import sections, tasks
from twistmail.accounts.fresh import kinds
from twistmail.accounts.sqlite import AccountDatabase
from twistmail.accounts.table import account_name
from twistmail.config.load import Loaded, load
from twistmail.config.settled import Config
from twistmail.foundation import Foundation
from twistmail.interfaces import Unavailable
from twistmail.lab import on_demand
from twistmail.lab.authority import Authority
from twistmail.lab.clock import LessonClock
from twistmail.lab.fault_settings import NotNow
from twistmail.lab.keeping import Keeping
from twistmail.lab.lan import SHARED, opened
from twistmail.lab.mortal import MortalService
from twistmail.lab.offices import Office
from twistmail.lab.seal import nothing_goes_around
from twistmail.mail.account import Account
from twistmail.options import RATES_OR_UNLIMITED
from twistmail.plugins import Discovery

HERE = "127.0.0.1"

CONFIG = """\
# An office of the classroom, as twistmail demo has written it. What is in faults.ini and other.ini beside it counts too.
[server]
hostname = {host}
data_dir = {data}
postmaster = postmaster
include = faults.ini other.ini
[domains]
local = {domain}
[queue]
allow = memory
[tls]
directory = {certificates}
[dns]
servers = 127.0.0.1:{dns}
timeout = 3s
[mx]
listen = tcp:{mx}:interface={interface}
lone_lf = yes
proxy_from = 127.0.0.2
reverse_dns = log
extensions = PIPELINING SIZE 8BITMIME SMTPUTF8 ENHANCEDSTATUSCODES DSN STARTTLS AUTH
[submission]
listen = tls:port={submissions}:interface={interface}
         tcp:{submission}:interface={interface}
         unix:{folder}/submit.sock:mode=600
tls = offered
lone_lf = yes
trusted_users = {user}
[imap]
listen = tls:port={imaps}:interface={interface}
         tcp:{imap}:interface={interface}
tls = offered
lone_lf = yes
[pop3]
listen = tls:port={pop3s}:interface={interface}
         tcp:{pop3}:interface={interface}
tls = offered
lone_lf = yes
[relay]
retry = 5s 15s 30s 1m
warn_sender_after = 1m
expire = 3m
keep_connections = 300ms
mta_sts = no
tls_ca = {authority}
[log]
transcripts = all
"""


class Trouble(NotNow):
    """An office cannot be started, or cannot crash; in words for people."""


class RunningOffice:
    """`folder`: where all of it lies. `ports`: by the words of USUAL_PORTS. `passwords`: of accounts that are made when missing.

    *shared*: those whose names a whole class uses.
    """

    def __init__(
        self, office: Office, folder: Path, ports: Mapping[str, int], passwords: Mapping[str, str],
        keeping: Keeping, shared: Collection[str] = (),
    ) -> None:  # fmt: skip
        self.office = office
        self.folder = folder
        self.ports = dict(ports)
        self.service: MortalService | None = None
        self._passwords = dict(passwords)
        self._keeping = keeping
        self._shared = shared
        self._stopping = tasks.Limit(1)

    @property
    def config_file(self) -> Path:
        return self.folder / "config.ini"

    def write_config(self, authority: Authority, address: str = "") -> None:
        """What people change in `other.ini` stays. *authority*: it vouches for all offices.

        *address*: of this machine in the LAN, where a class may come in.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        office = self.office
        places = {"host": office.host, "domain": office.domain, "folder": self.folder, "data": self.data, "interface": HERE}
        places |= {"certificates": authority.directory(office), "authority": authority.path}
        text = CONFIG.format(**places, user=getpass.getuser(), **self.ports)
        self.config_file.write_text(opened(text, address) if address else text)
        link = self.folder / "data"
        link.unlink(missing_ok=True)
        link.symlink_to(self.data.name)

    async def start(self, reactor: Any, discovery: Discovery, connector: Any, clock: LessonClock, listener: Callable[[Any], None]) -> None:
        """Until it listens. *listener* hears its facts, lines among them. Raises Trouble."""

        def read() -> Loaded:
            return load(sections.everything(discovery), self.config_file, (), {}, (*sections.checks(discovery), nothing_goes_around))

        loaded = read()
        if loaded.config is None:
            raise Trouble("\n".join(map(str, loaded.problems)))
        await self.hash_ahead(loaded.config)
        ready: Deferred[None] = Deferred()

        def prepare(foundation: Foundation) -> None:
            foundation.database.close()
            foundation.database = on_demand.Accounts(foundation.database.path)
            self.make_accounts(foundation)
            foundation.facts.listen(listener, lines=True)

        self.service = MortalService(
            loaded.config,
            reactor,
            discovery,
            read,
            ready=lambda ports: ready.callback(None),
            prepare=prepare,
            connector=connector,
            clock=clock,
        )
        try:
            self.service.privilegedStartService()
            self.service.startService()
        except SystemExit as error:
            await self.stop()  # what it listens at already is free again
            raise Trouble(str(error.code)) from None
        await ready

    async def hash_ahead(self, config: Config) -> None:
        """So that `make_accounts` finds the passwords hashed. A database that cannot be read is the business of the start."""
        there = await self._keeping.threads.run(_names_in, config.file(config["users"].database))
        missing = [password for name, password in self._passwords.items() if account_name(name) not in there]
        await self._keeping.ahead(missing, kinds(config["auth"].mechanisms))

    def make_accounts(self, foundation: Foundation) -> None:
        wanted = kinds(foundation.ground.config["auth"].mechanisms)
        for name, password in self._passwords.items():
            if foundation.database.get(name) is None:
                foundation.database.put(Account(account_name(name)), *self._keeping.of(password, wanted))
        for name in self._shared:
            if foundation.database.get(name) is not None:
                foundation.database.change(name, **{key: RATES_OR_UNLIMITED.read(rate) for key, rate in SHARED.items()})

    @property
    def data(self) -> Path:
        """Its disk; after each crash another folder (see `mortal`), to which the link `data` leads."""
        return self.folder / f"data-{self._life()}"

    def _life(self) -> int:
        lives = [int(match[1]) for path in self.folder.glob("data-*") if (match := re.fullmatch(r"data-([0-9]{1,6})", path.name))]
        return max(lives, default=1)

    async def crash(self) -> None:
        """At once, with all that is under way. It is off then, and its disk as it was at that moment."""
        service, self.service = self.service, None
        if service is not None:
            dead = self.data
            try:
                await service.crash(self.folder / f"data-{self._life() + 1}")
            except OSError as error:
                raise Trouble(f"the disk of {self.office.name} cannot be copied: {error.strerror or error}; it is off now") from None
            shutil.rmtree(dead, ignore_errors=True)

    async def stop(self) -> None:
        """Politely; nothing where it is off. Who comes while it is being stopped waits for that end."""
        async with self._stopping:
            service, self.service = self.service, None
            if service is not None:
                await service.stopService()
                await tasks.sleep(service.reactor, 0)  # the ports are closed at the next turn

    def clear(self) -> None:
        """All that lies there goes. While it is off."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _names_in(path: Path) -> frozenset[str]:
    """Of the accounts in the database at *path*; none where there is no such database. Blocking."""
    if not path.exists():
        return frozenset()
    try:
        return frozenset(account.name for account in AccountDatabase(path).list())
    except (OSError, sqlite3.Error, Unavailable):
        return frozenset()
