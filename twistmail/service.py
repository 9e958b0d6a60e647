"""The application: what twistd starts, reloads and stops.

`makeService` (called by the plugin) reads the configuration and builds nothing;
ports are opened in `privilegedStartService`, so that twistd can drop root in
between; everything that touches the disk is built in `startService`. SIGHUP
reads the configuration again: mistakes are logged and nothing changes, else new
parts are assembled and handed to the listeners and the queue.
"""

from __future__ import annotations

import os
import pwd
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from twistmail import assembly, control, descriptors, dotfiles, giving, later, piping, routing, systemd, tasks, tenancy
from twistmail.accounts.system import are_meant
from twistmail.assembly import Parts
from twistmail.config.load import Loaded
from twistmail.config.problem import Problem
from twistmail.config.settled import Config
from twistmail.endpoints import Listen, Transport
from twistmail.foundation import Foundation, lay
from twistmail.interfaces import Unavailable
from twistmail.operator import Operator
from twistmail.own_passwords import DeskFactory
from twistmail.pickup import Pickup
from twistmail.plugins import Discovery
from twistmail.servers.listeners import Listener, Pool
from twistmail.servers.pump import Pump
from twistmail.servers.transport import listen as listen_tcp
from twistmail.steering.door import queue_door

log = Logger()

CONFIG_ERROR = 78  # sysexits EX_CONFIG
JOURNAL_EVERY = 1.0  # seconds
PICKUP_EVERY = 0.5  # seconds between looks for mail that was left while no server ran
LOOK_EVERY = 1.0  # seconds between looks at what others did to open mailboxes
DOMAINS_EVERY = 1.0  # seconds between looks at the domains that stand outside the configuration
CERTIFICATES_EVERY = 20.0  # seconds between looks at the files of certificates
RENEWAL_EVERY = 3600.0  # seconds between looks whether a certificate of our own getting is to be renewed
POLICIES_EVERY = 3600.0  # seconds between looks for policies of others about their TLS that get old
TIDY_EVERY = 86400.0  # seconds; the first time soon after the start
GRACE = 10.0  # seconds that a stop waits for what is under way

Key = tuple[str, Listen]


class MailService(Service):
    """The running server. `load` reads the configuration again; `ready` hears which ports listen, once everything does.

    `user` is who we become after a start as root; 0: we are not root. `clock`: what mail that waits goes by (`foundation.Ground`).
    """

    def __init__(
        self,
        config: Config,
        reactor: Any,
        discovery: Discovery,
        load: Callable[[], Loaded],
        *,
        only: Sequence[str] = (),
        ready: Callable[[dict[str, list[int]]], None] = lambda ports: None,
        prepare: Callable[[Foundation], None] = lambda foundation: None,
        connector: Any = None,
        clock: Any = None,
        settle: Callable[[], None] = lambda: None,
        user: int = 0,
    ) -> None:
        self.config = config
        self.reactor = reactor
        self.discovery = discovery
        self.foundation: Foundation  # from startService on
        self.parts: Parts
        self._agreed: Parts | None = None  # whose domains were found to be those that there are
        self.listeners: dict[Key, Listener] = {}
        self._load = load
        self._only = frozenset(only)
        self._ready = ready
        self._prepare = prepare
        self._connector = connector
        self._clock = clock
        self._settle = settle
        self._given = systemd.Inherited()
        self._user = user
        self._ports: dict[Key, IListeningPort] = {}
        self._pools: dict[str, Pool] = {}
        self._control: IListeningPort | None = None
        self._desk: IListeningPort | None = None
        self._door: IListeningPort | None = None  # of the queue, for users of this machine
        self._ticking: list[Any] = []
        self._old_signal: Any = None
        self._recovered = False  # the queue has read what an earlier process left
        self._home = -1  # a descriptor: while it is open the data folder is ours
        self._most = 0  # connections that there is room for
        self._giver: giving.Giver | None = None
        self._piper: piping.Piper | None = None
        self._reader: dotfiles.Reader | None = None
        self._pickup = Pickup(self)

    # ----- start

    def privilegedStartService(self) -> None:
        """Open the ports; nothing is accepted before the reactor runs. Exits where one cannot be opened."""
        super().privilegedStartService()
        self._import_late()
        self._given = systemd.inherited()
        self._start_giver()
        self._piper = routing.piper_of(self.config, self._user)
        for key in self._wanted(self.config):
            try:
                self._open(key)
            except CannotListenError as error:
                sys.exit(f"error: [{key[0]}] listen = {key[1]}: {error.socketError}\n    {_hint(error)}")

    def _import_late(self) -> None:
        """Before anybody is let in: what his connection is made of; and all that is ever needed, where we give up root."""
        later.import_at_start()
        if self._user:
            later.import_all()

    def _start_giver(self) -> None:
        """While we are root: whoever makes mail belong to users of this machine, and whoever reads their ~/.forward."""
        users = self.config["users"]
        if not are_meant(users.source):
            return
        if os.geteuid() == 0 and self._user:
            self._giver = giving.start(self._user, users.min_uid)
            self._reader = dotfiles.start(users.min_uid)
        else:
            log.warn("mail of users of this machine will belong to the server, and closed homes cannot be looked into for ~/.forward: "
                     "that takes a start as root, with twistd --uid")

    def startService(self) -> None:
        """Build everything, then start the queue; nobody is let in before the queue has read what an earlier process left."""
        super().startService()
        if not self._ports:  # started without the privileged step: inside a test, or under another parent
            self.privilegedStartService()
        self._settle()  # by now twistd has given up root
        self._home = self._move_in()
        self._most = descriptors.for_connections(descriptors.raise_limit())
        self.foundation = self._lay()
        self._prepare(self.foundation)
        # The committer's thread makes many short system calls; with the interpreter's own 5 ms it waits as long for its turn
        # after each of them while the reactor is busy (measured: 0.5 ms is worth a third more messages a second).
        sys.setswitchinterval(0.0005)
        self.parts = assembly.build(self.config, self.foundation)
        self.parts.hand_over()
        self._open_control()
        self._tick(JOURNAL_EVERY, self._write_journal)
        self._tick(JOURNAL_EVERY, self._write_door)
        self._tick(LOOK_EVERY, self.foundation.look_around)
        self._tick(DOMAINS_EVERY, self.look_at_domains)
        self._tick(LOOK_EVERY, self.look_at_routes)
        self._tick(CERTIFICATES_EVERY, self.look_at_certificates)
        self._heed_signals()
        tasks.start(self._begin(), "starting the queue")

    def _heed_signals(self) -> None:
        self._old_signal = signal.signal(signal.SIGHUP, lambda *_: self.reactor.callFromThread(self.reload))

    async def _begin(self) -> None:
        """Recover the queue, then let the world in: what comes now must not meet the clearing up of what was."""
        await self.look_at_routes()  # mail that it keeps must not go
        await self.foundation.runner.start()
        self._recovered = True
        self._let_in(self.parts)
        await self._pickup.begin()
        self._tick(PICKUP_EVERY, self._pickup.look, now=True)
        self._tick(TIDY_EVERY, self.foundation.tidy_up, now=True, clock=self.foundation.ground.clock)
        self._tick(RENEWAL_EVERY, self.renew_certificates, now=True)
        self._tick(POLICIES_EVERY, self.refresh_tls_policies)
        log.info("twistmail listens: {ports}", ports=", ".join(f"{service} {place}" for service, place in self._said()))
        self._ready(self.ports())

    def _move_in(self) -> int:
        """Take the data folder before anything in it is touched. Exits where another server has it, or we may not."""
        try:
            return tenancy.occupy(self.config.data_dir)
        except tenancy.Occupied as error:
            sys.exit(f"error: [server] data_dir: {error}\n    stop that one first, or give this one a folder of its own")
        except OSError as error:
            sys.exit(self._unusable(error))

    def _lay(self) -> Foundation:
        """Exits where what lies in the data folder cannot be used."""
        try:
            helpers: dict[str, Any] = {"giver": self._giver, "piper": self._piper, "reader": self._reader}
            helpers |= {"clock": self._clock, "epoch": self._clock.seconds} if self._clock is not None else {}
            return lay(self.config, self.reactor, self.discovery, self._connector, **helpers)
        except (OSError, sqlite3.Error) as error:
            sys.exit(self._unusable(error))

    def _unusable(self, error: OSError | sqlite3.Error) -> str:
        folder = self.config.data_dir
        what = f"{error.filename or folder}: {error.strerror}" if isinstance(error, OSError) else f"a database there: {error}"
        user = _user()
        return f"error: [server] data_dir: {what}\n    all in it must belong to {user}, as whom the server runs: chown -R {user}: {folder}"

    def ports(self) -> dict[str, list[int]]:
        """The TCP ports of each service, in the order of its `listen` setting."""
        found: dict[str, list[int]] = {}
        for (service, _), port in self._ports.items():
            found.setdefault(service, []).append(getattr(port.getHost(), "port", 0))
        return found

    def _said(self) -> list[tuple[str, str]]:
        said = []
        for (service, listen), port in self._ports.items():
            host: Any = port.getHost()
            where = f"{host.host}:{host.port}" if hasattr(host, "port") else str(listen)
            said.append((service, where + (" (TLS)" if listen.implicit_tls else "")))
        return said

    def _wanted(self, config: Config) -> list[Key]:
        return [
            (service, listen)
            for service in assembly.SERVICES
            if not self._only or service in self._only
            for listen in config[service].listen
        ]

    def _open(self, key: Key) -> None:
        service, listen = key
        pool = self._pools.setdefault(service, Pool(set()))
        listener = Listener(pool, self.reactor, self._has_room)
        self._ports[key] = open_port(self.reactor, listen, listener, self.config.data_dir, self._given)
        self.listeners[key] = listener

    def connections(self) -> dict[str, Pump]:
        """The connections of now, by id; those that are not yet known to be somebody's are left out."""
        present = (pump for pool in self._pools.values() for pump in pool.pumps)
        return {pump.identifier: pump for pump in present if isinstance(pump, Pump)}

    def _has_room(self) -> bool:
        return sum(len(pool.pumps) for pool in self._pools.values()) < self._most

    def _adopt(self, parts: Parts) -> None:
        """From now on connections are born of *parts*, and the queue works with them; before the queue has recovered, of none."""
        tasks.start(self.parts.relay.stop(), "closing idle connections")
        self.parts = parts
        parts.hand_over()
        if self._recovered:
            self._let_in(parts)

    def _let_in(self, parts: Parts) -> None:
        for (service, listen), listener in self.listeners.items():
            listener.adopt(parts.born(service, listen))

    def _open_control(self) -> None:
        place = self.config.file(self.config["server"].control)
        self._control = control.listen(self.reactor, place, control.ControlFactory(Operator(self).verbs()))
        if public := self.config["users"].password_socket:
            self._desk = control.listen(self.reactor, self.config.file(public), DeskFactory(self.reactor, lambda: self.parts.desk), 0o666)
        if place_of_queue := self.config["queue"].socket:
            self._door = control.listen(self.reactor, self.config.file(place_of_queue), queue_door(self), 0o666)

    # ----- at work

    def _tick(self, seconds: float, work: Callable[[], Any], *, now: bool = False, clock: Any = None) -> None:
        """Await *work*() every *seconds* of *clock* (None: of the reactor), never two of it at a time."""
        async def once() -> None:
            await work()

        call = LoopingCall(lambda: tasks.start(once(), work.__name__))
        call.clock = clock or self.reactor
        call.start(seconds, now=now)
        self._ticking.append(call)

    async def _write_journal(self) -> None:
        for journal in self.foundation.journals:
            if journal.has_news:
                try:
                    await self.foundation.threads.run(journal.write)
                except OSError as error:
                    log.warn("the journal cannot be written: {error}", error=error)

    async def look_at_domains(self) -> None:
        """Whoever connects next finds the domains as they are now."""
        parts = self.parts
        if parts is self._agreed and assembly.domains_are_current(parts.config, self.foundation):
            return
        now = await self.foundation.threads.run(assembly.domains_of, parts.config, self.foundation)
        if now == parts.people.domains:
            self._agreed = parts
        elif parts is self.parts:
            log.info("the domains have changed: {domains}", domains=", ".join(sorted(now.names ^ parts.people.domains.names)) or "users")
            self._adopt(assembly.build(parts.config, self.foundation))

    async def look_at_routes(self) -> None:
        """The next attempt goes as the route table says now. What is wrong with it was told when it was read."""
        with suppress(Unavailable):
            await self.parts.relay.routes.freshen()

    async def _write_door(self) -> None:
        await self.foundation.doorkeeper.write(self.foundation.threads)
        await self.foundation.greylist.write(self.foundation.threads)
        await self.foundation.tls_memory.write(self.foundation.threads, self.config["relay"].tls_results_keep)

    async def refresh_tls_policies(self) -> None:
        """What others publish about their encryption is fetched again before it runs out."""
        await self.parts.tls_policies.refresh()

    async def look_at_certificates(self) -> None:
        """The next handshake uses what is new; connections in progress keep what they have."""
        contexts = self.parts.contexts
        were_there = contexts.available
        await self.foundation.threads.run(contexts.look)
        if contexts.available and not were_there and contexts is self.parts.contexts:
            log.info("there is a certificate now: TLS is offered")
            self._adopt(assembly.build(self.config, self.foundation))

    async def renew_certificates(self) -> None:
        """Get by ACME what it is time to get; the authority looks at our own ports, so these have to be open."""
        if await self.foundation.renewal.look():
            await self.look_at_certificates()

    def reload(self) -> tuple[Problem, ...]:
        """Read the configuration again; on mistakes keep the old one. The problems found."""
        loaded = self._load()
        for problem in loaded.problems:
            log.error("reload: {problem}", problem=str(problem))
        if loaded.config is None:
            log.error("reload: nothing is changed")
            return loaded.problems
        problems = self._change_to(loaded.config)
        for problem in problems:
            log.error("reload: {problem}", problem=str(problem))
        return (*loaded.problems, *problems)

    def _change_to(self, config: Config) -> tuple[Problem, ...]:
        """Build, open new ports, swap, close old ones; where something cannot be built or opened nothing changes."""
        wanted, opened = self._wanted(config), []
        try:
            parts = assembly.build(config, self.foundation)
        except OSError as error:
            return (config.problem("server", "data_dir", f"{error.filename or 'a file'}: {error.strerror or error}", "nothing is changed"),)
        for key in wanted:
            if key in self._ports:
                continue
            try:
                self._open(key)
                opened.append(key)
            except CannotListenError as error:
                for done in opened:
                    self._close(done)
                return (config.problem(key[0], "listen", f"{key[1]}: {error.socketError}", _hint(error)),)
        for difference in self.config.differences(config):
            log.info("reload: {difference}", difference=_told(difference))
        self.config = config
        self._adopt(parts)
        for key in [key for key in self._ports if key not in wanted]:
            self._close(key)
        tasks.start(self.renew_certificates(), "getting a certificate")
        return ()

    def _close(self, key: Key) -> Any:
        self.listeners.pop(key, None)
        return tasks.closing(self._ports.pop(key))

    # ----- stop

    async def stop(self) -> None:
        """Take nothing new, finish what is under way, write everything down."""
        systemd.notify("STOPPING=1")
        for call in self._ticking:
            call.stop()
        closed = [self._close(key) for key in list(self._ports)]
        closed += [tasks.closing(port) for port in (self._control, self._desk, self._door) if port is not None]
        for pool in self._pools.values():
            for pump in tuple(pool.pumps):
                pump.shut_down()
        if self._control is not None:
            await self.foundation.runner.stop(GRACE)
            await self.parts.relay.stop()
            await self.foundation.rest()
            await self._connections_end()
            await self._write_journal()
            self.foundation.close()
        for one in closed:
            await one  # who starts again at once finds them free
        if self._home >= 0:
            os.close(self._home)
            self._home = -1

    async def _connections_end(self) -> None:
        """Wait until the connections have said goodbye, but not for long."""
        waited = 0.0
        while waited < GRACE and any(not pump.ended for pool in self._pools.values() for pump in pool.pumps):
            await tasks.sleep(self.reactor, 0.05)
            waited += 0.05

    def stopService(self) -> Any:
        super().stopService()
        if self._old_signal is not None:
            signal.signal(signal.SIGHUP, self._old_signal)
        return tasks.start(self.stop(), "stopping")


def _user() -> str:
    """The name of the user as whom we run, or the number of one that has no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def open_port(reactor: Any, listen: Listen, listener: Listener, data_dir: Path, given: systemd.Inherited) -> IListeningPort:
    """A listening port for *listen*, on a socket that was *given* to us where there is one. CannotListenError where it cannot be."""
    if listen.kind is Transport.UNIX:
        tenancy.clear(data_dir / listen.path)
        return reactor.listenUNIX(str(data_dir / listen.path), listener, backlog=listen.backlog, mode=listen.mode)
    if (adopted := given.adopt(reactor, listen, listener)) is not None:
        return adopted
    return listen_tcp(reactor, listen.port, listener, listen.interface, backlog=max(listen.backlog, 1024))


def _hint(error: CannotListenError) -> str:
    code = getattr(error.socketError, "errno", 0)
    if isinstance(error.socketError, PermissionError) or code == 13:
        return "ports below 1024 need root (then start with twistd --uid --gid) or a socket that systemd opens; or choose a higher port"
    return "another program listens there; find it with: ss -ltnp"


def _told(difference: Any) -> str:
    old, new = difference.texts
    return f"[{difference.section}] {difference.key}: {old or '(nothing)'} -> {new or '(nothing)'} (seen by: {difference.reload.value})"
