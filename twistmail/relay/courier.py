"""Carries mail to other servers. Implements ICourier.

Targets are grouped by route, so recipients of one domain (or all, with a smart
host) travel together; routes are served side by side, each with so many
connections at a time, all together with so many. A connection that has carried
something is kept a few seconds for what comes next.

What waits for its turn while a server is found to be out of reach shares that
finding instead of waiting for the same time-out again (RFC 5321 §4.5.4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from twistmail import tasks
from twistmail.disk import status_of
from twistmail.interfaces import Batch, ICourier, Unavailable
from twistmail.leaving.departure import Departure, Leaving, apart
from twistmail.mail.content import Content
from twistmail.mail.envelope import Target
from twistmail.mail.item import Item
from twistmail.mail.outcome import Outcome, outcome_of
from twistmail.mail.status import UNAVAILABLE, Status
from twistmail.relay.client import Lost
from twistmail.relay.connect import Dial, open_route
from twistmail.relay.exchange import MOST_RECIPIENTS, Manners, Session, leave
from twistmail.relay.route import Route, Tls, Transport
from twistmail.relay.routes import Routes
from twistmail.relay.terms import Policies
from twistmail.relay.transaction import deliver

log = Logger()

#: What goes to nobody else: it is done also while the line is down.
HERE = (Transport.LOCAL, Transport.ERROR, Transport.DISCARD)


@dataclass(frozen=True, slots=True)
class Capacity:
    """Connections at a time: in all and for one route. `idle`: seconds for which an unused one is kept; 0: not at all.

    Of unused ones there are no more than `total` either. How many are wanted at a time is decided before (`queue.places`).
    """

    total: int = 100
    per_route: int = 20
    idle: float = 5.0


@dataclass(slots=True)
class _Destination:
    """What we know of one route while it is in use."""

    limit: tasks.Limit
    idle: list[tuple[Session, float]] = field(default_factory=list)  # and until when it is kept; the oldest first
    answering: list[Session] = field(default_factory=list)  # a message has been said on it, and only the last answer is missing
    users: int = 0
    failed_at: int = 0  # a ticket number: everybody with a lower one shares `failure`
    failure: Status | None = None


@implementer(ICourier)
class RelayCourier:
    """`dial`: see `connect.py`. `threads` reads contents that lie in files. `clock`: IReactorTime.

    `leaving`: what senders become on the way out; None: they stay.
    """

    name = "relay"

    @property
    def policies(self) -> Policies:
        """Who decides what servers have to show."""
        return self._manners.policies

    def __init__(self, routes: Routes, dial: Dial, manners: Manners, capacity: Capacity, clock: Any, threads: Any,
                 leaving: Leaving | None = None) -> None:
        self.routes = routes
        self._dial = dial
        self._manners = manners
        self._capacity = capacity
        self._clock = clock
        self._threads = threads
        self._leaving = leaving
        self._total = tasks.Limit(capacity.total)
        self._destinations: dict[Route, _Destination] = {}
        self._tickets = 0
        self._idle = 0  # connections that are kept unused
        self._sweep: Any = None  # the timer by which they are let go
        self._stopped = False

    def batches(self, item: Item, targets: Sequence[Target]) -> tuple[Batch, ...]:
        """One for each transaction: what came of one is written down before the next is over."""
        return tuple(
            Batch("" if route.transport in HERE else str(route), tuple(group[start : start + MOST_RECIPIENTS]))
            for route, group in self._by_route(item, targets).items()
            for start in range(0, len(group), MOST_RECIPIENTS)
        )

    def _by_route(self, item: Item, targets: Sequence[Target]) -> dict[Route, list[Target]]:
        groups: dict[Route, list[Target]] = {}
        for target in targets:
            groups.setdefault(self.routes.of(target, item), []).append(target)
        return groups

    async def carry(self, item: Item, targets: Sequence[Target], content: Content) -> tuple[Outcome, ...]:
        groups = self._by_route(item, targets)
        if item.wishes.require_tls and item.sender is not None:  # RFC 8689 §5: a report goes encrypted where that can be had
            groups = {replace(route, tls=_at_least_verified(route), require_tls=True): group for route, group in groups.items()}
        elif item.wishes.tls_optional:
            groups = {replace(route, tls_optional=True): group for route, group in groups.items()}
        carried = await tasks.gather(*(self._carry(route, item, group, content) for route, group in groups.items()))
        outcomes = {outcome.target: outcome for group in carried for outcome in group}
        return tuple(outcomes[target] for target in targets)

    async def carry_along(self, route: Route, item: Item, targets: Sequence[Target], content: Content) -> Sequence[Outcome]:
        """As `carry`, by *route*, whatever is said of the domains of *targets*."""
        return await self._carry(route, item, list(targets), content)

    async def stop(self) -> None:
        """Say goodbye to the idle connections; those in use are closed by whoever uses them."""
        self._stopped = True
        idle = [pair for destination in self._destinations.values() for pair in destination.idle]
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self._idle = 0
        self._destinations = {route: one for route, one in self._destinations.items() if one.users}
        for destination in self._destinations.values():
            destination.idle.clear()
        await tasks.gather(*(leave(session) for session, _ in idle))

    async def _carry(self, route: Route, item: Item, targets: list[Target], content: Content) -> Sequence[Outcome]:
        """All targets of one route, within the limits."""
        self._tickets += 1
        ticket = self._tickets
        destination = self._destinations.setdefault(route, _Destination(tasks.Limit(self._capacity.per_route)))
        destination.users += 1
        try:
            async with destination.limit:
                if destination.failure and ticket <= destination.failed_at:
                    return [outcome_of(target, destination.failure) for target in targets]
                async with self._total:
                    outcomes: list[Outcome] = []
                    for one in await self._departures(route, item, targets, content):
                        outcomes += await self._deliver(route, destination, one.item, one.targets, one.content)
                    return outcomes
        except OSError as error:
            log.error("relay: {id}: reading the header: {error}", id=item.id, error=error)
            return [outcome_of(target, status_of(error)) for target in targets]
        except Unavailable as error:
            log.error("relay: {id}: {error}", id=item.id, error=str(error))
            return [outcome_of(target, UNAVAILABLE) for target in targets]
        finally:
            destination.users -= 1
            self._forget_unused(route, destination)

    async def _departures(self, route: Route, item: Item, targets: Sequence[Target], content: Content) -> Sequence[Departure]:
        """*item* as it is said to a server, once for each sender that it needs. What goes by LMTP stays in the house, and as it is."""
        if self._leaving is None or route.transport is Transport.LMTP:
            return apart(item, targets, content)
        return await self._leaving.departures(item, targets, content)

    async def _deliver(
        self, route: Route, destination: _Destination, item: Item, targets: Sequence[Target], content: Content
    ) -> Sequence[Outcome]:
        """Over kept connections where there are any, else over new ones; as many as the server wants for so many recipients."""
        outcomes: list[Outcome] = []
        left = list(targets)
        while left:
            outcomes += await self._deliver_some(route, destination, item, left, content)
            served = {outcome.target for outcome in outcomes}  # not always the first: a server may have put off some in the middle
            left = [target for target in left if target not in served]
        return outcomes

    async def _deliver_some(
        self, route: Route, destination: _Destination, item: Item, targets: Sequence[Target], content: Content
    ) -> Sequence[Outcome]:
        """At least the first of *targets*."""
        while session := self._kept(destination) or _nearly_free(destination):
            try:
                return await self._use(session, route, destination, item, targets, content)
            except Lost:
                continue  # it had been kept too long
        opened = await self._open(route)
        if isinstance(opened, Status):
            if opened.is_temporary:
                destination.failure, destination.failed_at = opened, self._tickets
            return [outcome_of(target, opened) for target in targets]
        return await self._use(opened, route, destination, item, targets, content)

    async def _open(self, route: Route) -> Session | Status:
        hosts = await self.routes.hosts(route)
        return hosts if isinstance(hosts, Status) else await open_route(route, hosts, self._dial, self._manners)

    async def _use(
        self, session: Session, route: Route, destination: _Destination, item: Item, targets: Sequence[Target], content: Content
    ) -> Sequence[Outcome]:
        session.users += 1
        try:
            return await deliver(session, item, targets, content, self._threads, partial(destination.answering.append, session))
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
            if session in destination.answering:
                destination.answering.remove(session)
            if not session.users:
                self._keep(session, route, destination)

    # ----- kept connections

    def _kept(self, destination: _Destination) -> Session | None:
        while destination.idle:
            session, _ = destination.idle.pop()
            self._idle -= 1
            if session.connection.is_usable:
                return session
            session.connection.close()
        return None

    def _keep(self, session: Session, route: Route, destination: _Destination) -> None:
        if not session.connection.is_usable:
            session.connection.close()
        elif self._stopped or not self._capacity.idle or session.is_spent or self._idle >= self._capacity.total:
            tasks.start(leave(session), f"QUIT to {session.name}")
        else:
            destination.idle.append((session, self._clock.seconds() + self._capacity.idle))
            self._idle += 1
            if self._sweep is None:
                self._sweep = self._clock.callLater(self._capacity.idle, self._let_go)

    def _let_go(self) -> None:
        """Say goodbye on connections that have been idle for long enough."""
        self._sweep, now = None, self._clock.seconds()
        for route, destination in list(self._destinations.items()):
            while destination.idle and destination.idle[0][1] <= now:
                session, _ = destination.idle.pop(0)
                self._idle -= 1
                tasks.start(leave(session), f"QUIT to {session.name}")
            self._forget_unused(route, destination)
        first = min((destination.idle[0][1] for destination in self._destinations.values() if destination.idle), default=None)
        if first is not None:
            self._sweep = self._clock.callLater(first - now, self._let_go)

    def _forget_unused(self, route: Route, destination: _Destination) -> None:
        if not destination.users and not destination.idle and self._destinations.get(route) is destination:
            del self._destinations[route]


def _at_least_verified(route: Route) -> Tls:
    return Tls.DANE if route.tls is Tls.DANE else Tls.VERIFIED


def _nearly_free(destination: _Destination) -> Session | None:
    """A session on which the next message may be said already (RFC 2920 §3.1), where the answer that is missing is likely to come
    sooner than a new connection could be made. One at a time: whoever comes next finds another, or makes one."""
    for session in destination.answering:
        if session.answered_in < session.opened_in and session.connection.is_usable and not session.is_spent:
            destination.answering.remove(session)
            return session
    return None
