"""Keeps and shares connections to other servers: what has been decided to go somewhere is brought there.

`courier` says where to and under which terms, and how many may go at a time; here
connections are opened, kept and shared (`connect`, `exchange`), messages said on
them (`transaction`), and it is said goodbye. `Connections` does that in the process
in which it is; `beside` has the same done by another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from twisted.logger import Logger

from twistmail import tasks
from twistmail.disk import status_of
from twistmail.mail.departure import Departure
from twistmail.mail.envelope import Target
from twistmail.mail.outcome import Outcome, outcome_of
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.relay.client import Lost
from twistmail.relay.connect import Dial, dial_about, open_route
from twistmail.relay.exchange import Manners, Session, leave
from twistmail.relay.route import Host, Route
from twistmail.relay.terms import Policies
from twistmail.relay.transaction import deliver

log = Logger()


@frozen
class Capacity:
    """Connections at a time: in all and for one route. `idle`: seconds for which an unused one is kept; 0: not at all.

    Of unused ones there are no more than `total` either. How many are wanted at a time is decided before (`queue.places`).
    """

    total: int = 100
    per_route: int = 20
    idle: float = 5.0


class Ways(Protocol):
    """Who is asked when a connection has to be made, and not before: where to (`hosts`), under which terms (`policies`)."""

    @property
    def policies(self) -> Policies:
        """Who decides what servers have to show, and hears what they have shown."""

    async def hosts(self, route: Route, identifier: str) -> tuple[Host, ...] | Status:
        """The servers of *route* in the order in which to try them, or why there is none; asked for item *identifier*."""


@frozen
class Carried:
    """What came of a departure: an outcome for each of its targets. `unreachable`: no connection could be made for now, because of that."""

    outcomes: Sequence[Outcome]
    unreachable: Status | None = None


class Carrier(Protocol):
    """Brings departures to servers. tests/contracts/test_carrier.py is what each has to keep to."""

    async def carry(self, route: Route, departure: Departure, ways: Ways) -> Carried:
        """Bring *departure* to a server of *route*. Whatever happens is an outcome; nothing is raised."""

    async def stop(self) -> None:
        """Say goodbye to the idle connections, and keep none from now on; those in use are closed when they are no more."""


@dataclass(slots=True)
class _Shared:
    """The connections of one route while there are any."""

    idle: list[tuple[Session, float]] = field(default_factory=list)  # and until when it is kept; the oldest first
    answering: list[Session] = field(default_factory=list)  # a message has been said on it, and only the last answer is missing
    users: int = 0


@frozen
class _Errand:
    """What one call is about."""

    route: Route
    departure: Departure
    ways: Ways
    shared: _Shared


class Connections:
    """The Carrier of this process. `dial`: see `connect.py`. `threads` reads contents that lie in files. `clock`: IReactorTime."""

    def __init__(self, dial: Dial, manners: Manners, capacity: Capacity, clock: Any, threads: Any) -> None:
        self._dial = dial
        self._manners = manners
        self._capacity = capacity
        self._clock = clock
        self._threads = threads
        self._shared: dict[Route, _Shared] = {}
        self.leaving = 0  # connections on which goodbye is being said
        self._idle = 0  # those that are kept unused
        self._sweep: Any = None  # the timer by which they are let go
        self._stopped = False

    async def carry(self, route: Route, departure: Departure, ways: Ways) -> Carried:
        shared = self._shared.setdefault(route, _Shared())
        shared.users += 1
        try:
            return await self._deliver(_Errand(route, departure, ways, shared))
        finally:
            shared.users -= 1
            self._forget_unused(route, shared)

    async def stop(self) -> None:
        self._stopped = True
        idle = [pair for shared in self._shared.values() for pair in shared.idle]
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self._idle = 0
        self._shared = {route: one for route, one in self._shared.items() if one.users}
        for shared in self._shared.values():
            shared.idle.clear()
        await tasks.gather(*(self._leave(session) for session, _ in idle))

    async def _deliver(self, errand: _Errand) -> Carried:
        """Over kept connections where there are any, else over new ones; as many as the server wants for so many recipients."""
        carried = await self._deliver_some(errand, errand.departure.targets)
        if len(carried.outcomes) == len(errand.departure.targets):
            return carried
        outcomes, unreachable = list(carried.outcomes), carried.unreachable
        while left := _unserved(errand.departure.targets, outcomes):
            carried = await self._deliver_some(errand, left)
            outcomes += carried.outcomes
            unreachable = carried.unreachable or unreachable
        return Carried(outcomes, unreachable)

    async def _deliver_some(self, errand: _Errand, targets: Sequence[Target]) -> Carried:
        """At least the first of *targets*."""
        while session := self._kept(errand.shared) or _nearly_free(errand.shared):
            try:
                return Carried(await self._use(session, errand, targets))
            except Lost:
                continue  # it had been kept too long
        opened = await self._open(errand)
        if isinstance(opened, Status):
            return Carried([outcome_of(target, opened) for target in targets], opened if opened.is_temporary else None)
        return Carried(await self._use(opened, errand, targets))

    async def _open(self, errand: _Errand) -> Session | Status:
        hosts = await errand.ways.hosts(errand.route, errand.departure.item.id)
        if isinstance(hosts, Status):
            return hosts
        dial = dial_about(self._dial, errand.departure.item.id)
        return await open_route(errand.route, hosts, dial, replace(self._manners, policies=errand.ways.policies))

    async def _use(self, session: Session, errand: _Errand, targets: Sequence[Target]) -> Sequence[Outcome]:
        item, content, answering = errand.departure.item, errand.departure.content, errand.shared.answering
        session.users += 1
        try:
            return await deliver(session, item, targets, content, self._threads, partial(answering.append, session))
        except Lost:
            session.connection.abort()
            raise
        except OSError as error:
            if session.connection.in_content:
                session.connection.abort()  # a content that broke off must not look like one that ended
            log.error("relay: {id}: reading the content: {error}", id=item.id, error=error)
            return [outcome_of(target, status_of(error)) for target in targets]
        finally:
            session.users -= 1
            if session in answering:
                answering.remove(session)
            if not session.users:
                self._keep(session, errand.shared)

    # ----- kept connections

    def _kept(self, shared: _Shared) -> Session | None:
        while shared.idle:
            session, _ = shared.idle.pop()
            self._idle -= 1
            if session.connection.is_usable:
                return session
            session.connection.close()
        return None

    def _keep(self, session: Session, shared: _Shared) -> None:
        if not session.connection.is_usable:
            session.connection.close()
        elif self._stopped or not self._capacity.idle or session.is_spent or self._idle >= self._capacity.total:
            tasks.start(self._leave(session), f"QUIT to {session.name}")
        else:
            shared.idle.append((session, self._clock.seconds() + self._capacity.idle))
            self._idle += 1
            if self._sweep is None:
                self._sweep = self._clock.callLater(self._capacity.idle, self._let_go)

    async def _leave(self, session: Session) -> None:
        self.leaving += 1
        await leave(session)
        self.leaving -= 1

    def _let_go(self) -> None:
        """Say goodbye on connections that have been idle for long enough."""
        self._sweep, now = None, self._clock.seconds()
        for route, shared in list(self._shared.items()):
            while shared.idle and shared.idle[0][1] <= now:
                session, _ = shared.idle.pop(0)
                self._idle -= 1
                tasks.start(self._leave(session), f"QUIT to {session.name}")
            self._forget_unused(route, shared)
        first = min((shared.idle[0][1] for shared in self._shared.values() if shared.idle), default=None)
        if first is not None:
            self._sweep = self._clock.callLater(first - now, self._let_go)

    def _forget_unused(self, route: Route, shared: _Shared) -> None:
        if not shared.users and not shared.idle and self._shared.get(route) is shared:
            del self._shared[route]


def _unserved(targets: Sequence[Target], outcomes: Sequence[Outcome]) -> list[Target]:
    """Not always the last ones: a server may have put off some in the middle."""
    served = {outcome.target for outcome in outcomes}
    return [target for target in targets if target not in served]


def _nearly_free(shared: _Shared) -> Session | None:
    """A session on which the next message may be said already (RFC 2920 §3.1), where the answer that is missing is likely to come
    sooner than a new connection could be made. One at a time: whoever comes next finds another, or makes one."""
    for session in shared.answering:
        if session.answered_in < session.opened_in and session.connection.is_usable and not session.is_spent:
            shared.answering.remove(session)
            return session
    return None
