"""The classroom: three offices, the network between them, their DNS, their clock, and the ring in which all is told.

Pages, lessons and tests are given a `Town` and nothing else. It is started by `demo`, or by a test.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from twistmail import tasks
from twistmail.lab import on_demand
from twistmail.lab.authority import Authority
from twistmail.lab.clock import LessonClock
from twistmail.lab.door import Door
from twistmail.lab.forgery import Forgery
from twistmail.lab.heads import Heads
from twistmail.lab.journeys import Journeys
from twistmail.lab.keeping import Keeping
from twistmail.lab.kept_files import put_back_all
from twistmail.lab.lan import Lan, with_students
from twistmail.lab.nameserver import Datagrams, NameServer, Streams
from twistmail.lab.network import Network
from twistmail.lab.offices import OFFICES, PASSWORD, USUAL_PORTS, Office
from twistmail.lab.owners import Whose, can_be_told_apart
from twistmail.lab.reporter import Reporter
from twistmail.lab.ring import Ring
from twistmail.lab.rules import seat_of
from twistmail.lab.running import RunningOffice, Trouble
from twistmail.lab.seal import Sealed
from twistmail.lab.secret import seems_on
from twistmail.lab.zones import Zones
from twistmail.plugins import Discovery, discover
from twistmail.service import MailService
from twistmail.web.page import Asked

__all__ = ["Town", "Trouble"]

HERE = "127.0.0.1"
#: Where an office listens whose usual port is taken.
OTHER_PORTS = range(12_000, 32_000)
#: Seconds that a start or reset which is under way is given to end when everything stops.
PATIENCE = 10.0
#: For what takes long and is no office's: passwords, large letters.
THREADS = 2


class Town:
    """`ports`: {(office's name, word of USUAL_PORTS): port}. `folder`: where everything lies, one folder for each office.

    *reactor* is the real one; offices get it sealed. *lan*: the class that may come in over the LAN; None: nobody may.
    """

    def __init__(
        self, folder: Path, reactor: Any, *, offices: tuple[Office, ...] = OFFICES, discovery: Discovery | None = None,
        any_ports: bool = False, lan: Lan | None = None,
    ) -> None:  # fmt: skip
        self.folder = folder.absolute()
        self.lan = lan
        self.door = Door(lan.code, reactor.seconds, lan.passwords, lan.teacher, lan.key) if lan else None
        self.secret: tuple[str, str] | None = None  # the fault and its place that the class is to find (`secret`)
        self.web_port = 0  # where the pages are, once they are
        self.offices = offices = with_students(offices, lan.students) if lan else offices
        self.authority = Authority(self.folder)
        self.reactor = reactor
        self.threads = tasks.Threads(reactor, "classroom", THREADS)
        self.sealed = Sealed(reactor)
        self.clock = LessonClock(reactor)
        self.ring = Ring(self.clock.seconds)
        self.journeys = Journeys(self.ring)
        self.heads = Heads(self.service)
        self.ring.listen(self.heads.note)
        self.whose = Whose(lan, self.ring, self.journeys, self.door.at, apart=can_be_told_apart()) if lan and self.door else None
        self.zones = Zones(offices)
        self.network = Network(offices, self.ring, self.sealed, self._mx_port, Forgery(self.folder, time.time()))
        self.ports = free_ports(offices, any_ports=any_ports)
        self._discovery = on_demand.stages(discovery or discover())
        self._keeping = Keeping(self.threads)
        self._running = {office.name: self._make(office) for office in offices}
        self._reporters: dict[str, Reporter] = {}
        self._dns: list[Any] = []
        self._one = tasks.Limit(1)  # what starts and stops offices goes one after the other
        self._ends = False

    def _make(self, office: Office) -> RunningOffice:
        ports = {service: self.ports[office.name, service] for service in USUAL_PORTS}
        passwords = {account: self.password_of(account) for account in office.accounts}
        shared = [account for account in passwords if account not in self.lan.passwords] if self.lan else []
        return RunningOffice(office, self.folder / office.name, ports, passwords, self._keeping, shared)

    def password_of(self, account: str) -> str:
        """With which somebody who works here logs in."""
        return self.lan.password_of(account) if self.lan else PASSWORD

    def who(self, asked: Asked) -> tuple[str, str]:
        """(account, password) of the student who sits at that browser; empty for whoever is nobody in particular."""
        account = seat_of(self, asked).account
        return account, self.password_of(account) if account else ""

    def source(self, account: str) -> str:
        """From which address of loopback the pages connect for *account*."""
        return self.whose.source(account) if self.whose else HERE

    def office(self, name: str) -> Office:
        """KeyError where there is none of that name."""
        return self._running[name].office

    def service(self, name: str) -> MailService | None:
        """The server of office *name*; None while it is off."""
        return self._running[name].service

    def config_file(self, name: str) -> Path:
        """For `twistmail --config FILE ...`, which works here as anywhere."""
        return self._running[name].config_file

    async def make_accounts(self, name: str) -> None:
        """Accounts of office *name* that are missing are made again, while it is on."""
        if (service := self.service(name)) is not None:
            await self._running[name].hash_ahead(service.config)
            if self.service(name) is service:  # it is on still
                self._running[name].make_accounts(service.foundation)

    # ----- on and off

    @property
    def moved(self) -> list[str]:
        """What stands elsewhere than usual, in words."""
        usual = ((office, service, self.ports[office.name, service]) for office in self.offices for service in USUAL_PORTS)
        return [f"port {office.port(service)} ({office.name} {service}) is taken; {port} is used instead"
                for office, service, port in usual if port != office.port(service)]  # fmt: skip

    async def start(self) -> None:
        """Everything. Raises Trouble, in words for people."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._ends = False
        self.authority.provide(self.offices, self.lan.address if self.lan else "", time.time())
        for running in self._running.values():
            put_back_all(running.folder)  # whoever was in a lesson then is in none now
        async with self._one:
            for office in self.offices:
                self._open_dns(office)
            for office in self.offices:
                await self._start(office.name)

    async def stop(self) -> None:
        """A start or reset that is under way comes to its end first: it would write again what our caller is about to remove."""
        self._ends = True
        with suppress(tasks.TimedOut):
            await tasks.with_timeout(self.reactor, PATIENCE, self._quiet(), "what is under way")
        await tasks.gather(*(running.stop() for running in self._running.values()))
        for port in self._dns:
            await tasks.awaiting_any(port.stopListening())
        self._dns = []
        self.threads.stop()

    async def switch_on(self, name: str) -> None:
        """Nothing where it is on already. Trouble; so with the others."""
        async with self._one:
            if self.service(name) is None:
                await self._start(name)
                self._switched(name, "on")

    async def switch_off(self, name: str) -> None:
        """As an operator stops a server: what is under way is finished."""
        async with self._one:
            if self.service(name) is not None:
                await self._running[name].stop()
                self._switched(name, "off")

    async def crash(self, name: str) -> None:
        """As if its machine had lost power: what is under way is not finished. Then it starts again, from its disk."""
        async with self._one:
            if self.service(name) is not None:
                await self._crash(name)

    async def _crash(self, name: str) -> None:
        self._reporters.pop(name).stop()
        self.network.drop(name)
        await self._running[name].crash()
        self._switched(name, "crashed")
        await self._start(name)
        self._switched(name, "on")

    async def reset(self) -> None:
        """All mail gone, all that is broken mended, everything as at the beginning. Trouble where an office does not start again."""
        async with self._one:
            await self._reset()

    async def _reset(self) -> None:
        self._insist()
        await tasks.gather(*(running.stop() for running in self._running.values()))
        self.clock.reset()
        self.secret = None
        self.zones.reset()
        self.network.mend()
        for running in self._running.values():
            running.clear()
        self.ring.forget()
        self.journeys.forget()
        if self.whose is not None:
            self.whose.forget()
        troubles = [trouble for office in self.offices if (trouble := await self._started(office.name))]
        self.ring.add("", "switch", "", {"what": "everything", "state": "reset"})
        if troubles:
            raise Trouble("\n".join(troubles))

    async def _started(self, name: str) -> str:
        """Why office *name* is off now, where it does not start; the others go on."""
        try:
            await self._start(name)
        except Trouble as trouble:
            return f"{name} is off: {trouble}"
        return ""

    def jump(self, seconds: float) -> None:
        """Let *seconds* of the lesson pass at once. NotNow where that is too far."""
        self.clock.jump(seconds)
        self.ring.add("", "clock", "", {"passed": seconds})

    async def _quiet(self) -> None:
        """Wait until nothing is under way."""
        async with self._one:
            pass

    def _insist(self) -> None:
        if self._ends:
            raise Trouble("the classroom is being stopped")

    async def _start(self, name: str) -> None:
        self._insist()
        running = self._running[name]
        running.write_config(self.authority, self.lan.address if self.lan else "")
        reporter = self._reporters[name] = Reporter(running.office, self.offices, self.ring)
        await running.start(self.sealed, self._discovery, self.network.dial_for(running.office), self.clock, reporter.note)

    def _switched(self, name: str, state: str) -> None:
        self.ring.add(name, "switch", name, {"what": "office", "state": state})

    # ----- what stands around them

    def _mx_port(self, name: str) -> int:
        """Where the pretend network finds office *name*; 0 while it is off."""
        return self.ports[name, "mx"] if self.service(name) is not None else 0

    def _open_dns(self, office: Office) -> None:
        tell: Callable[[Mapping[str, Any]], Any] = lambda what: self.ring.add(office.name, "dns", "", what)  # noqa: E731
        server, port = NameServer(self.zones, self.reactor, tell), self.ports[office.name, "dns"]
        self._dns.append(self.sealed.listenUDP(port, Datagrams(server), interface=HERE))
        self._dns.append(self.reactor.listenTCP(port, Streams(server, self.reactor), interface=HERE))

    def lines(self) -> dict[str, Any]:
        """What a page or a terminal says of how to get in: {"password", "offices": [{"name", "domain", "host", "address",
        "accounts", "ports", "on", "config"}], "folder", "authority"}."""
        return {
            "password": PASSWORD,
            "folder": str(self.folder),
            "authority": str(self.authority.path),
            "offices": [
                {
                    "name": office.name,
                    "domain": office.domain,
                    "host": office.host,
                    "address": office.address,
                    "accounts": list(office.accounts),
                    "ports": {service: self.ports[office.name, service] for service in USUAL_PORTS},
                    "on": seems_on(self, office.name),
                    "config": str(self.config_file(office.name)),
                }
                for office in self.offices
            ],
        }


def free_ports(offices: tuple[Office, ...], *, any_ports: bool = False) -> dict[tuple[str, str], int]:
    """The usual port of each service of each office, or another one where somebody listens there; *any_ports*: always another one."""
    chosen: dict[tuple[str, str], int] = {}
    for office in offices:
        for service in USUAL_PORTS:
            port = office.port(service)
            if any_ports or not is_free(port, service):
                port = other_port(set(chosen.values()), service)
            chosen[office.name, service] = port
    return chosen


def is_free(port: int, service: str = "") -> bool:
    """Whether nobody listens there on loopback."""
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM) if service == "dns" else (socket.SOCK_STREAM,)
    return all(_can_bind(kind, port) for kind in kinds)


def _can_bind(kind: int, port: int) -> bool:
    with socket.socket(type=kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HERE, port))
        except OSError:
            return False
        return True


def other_port(taken: set[int], service: str = "") -> int:
    """One that is free, and none of *taken*; below those that a system gives to whoever connects, or somebody may have it while the
    office is off."""
    while True:
        port = secrets.choice(OTHER_PORTS)
        if port not in taken and is_free(port, service):
            return port
