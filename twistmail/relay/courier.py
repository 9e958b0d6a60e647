"""Carries mail to other servers: where to, under which terms, and how much at a time. Implements ICourier.

Targets are grouped by route, so recipients of one domain (or all, with a smart
host) travel together; routes are served side by side, each with so many
connections at a time, all together with so many. Who has the connections, and
keeps them for what comes next, is a `carrier.Carrier`.

What waits for its turn while a server is found to be out of reach shares that
finding instead of waiting for the same time-out again (RFC 5321 §4.5.4.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from twisted.logger import Logger
from zope.interface import implementer

from twistmail import tasks
from twistmail.disk import status_of
from twistmail.facts import ServersFound, Teller
from twistmail.interfaces import Batch, ICourier, Unavailable
from twistmail.leaving.departure import Leaving, apart
from twistmail.mail.content import Content
from twistmail.mail.departure import Departure
from twistmail.mail.envelope import Target
from twistmail.mail.item import Item
from twistmail.mail.outcome import Outcome, outcome_of
from twistmail.mail.status import UNAVAILABLE, Status
from twistmail.mail.values import frozen
from twistmail.relay.carrier import Capacity, Carrier
from twistmail.relay.exchange import MOST_RECIPIENTS
from twistmail.relay.route import Host, Route, Tls, Transport
from twistmail.relay.routes import Routes
from twistmail.relay.terms import Policies

log = Logger()

#: What goes to nobody else: it is done also while the line is down.
HERE = (Transport.LOCAL, Transport.ERROR, Transport.DISCARD)


@dataclass(slots=True)
class _Destination:
    """What we know of one route while it is in use."""

    limit: tasks.Limit
    users: int = 0
    failed_at: int = 0  # a ticket number: everybody with a lower one shares `failure`
    failure: Status | None = None


@frozen
class _Ways:
    """See `carrier.Ways`. `teller`: who is told which servers were found."""

    routes: Routes
    policies: Policies
    teller: Teller | None

    async def hosts(self, route: Route, identifier: str) -> tuple[Host, ...] | Status:
        if self.teller is None or not self.teller.listened:
            return await self.routes.hosts(route)
        since = self.teller.epoch()
        hosts = await self.routes.hosts(route)
        self.teller.tell(identifier, _found(route, hosts, self.teller.epoch() - since))
        return hosts


@implementer(ICourier)
class RelayCourier:
    """`policies` decides what servers have to show. `leaving`: what senders become on the way out; None: they stay.

    `teller`: who is told which servers were found.
    """

    name = "relay"

    def __init__(
        self,
        routes: Routes,
        policies: Policies,
        carrier: Carrier,
        capacity: Capacity,
        leaving: Leaving | None = None,
        teller: Teller | None = None,
    ) -> None:
        self.routes = routes
        self.policies = policies
        self._ways = _Ways(routes, policies, teller)
        self._carrier = carrier
        self._capacity = capacity
        self._leaving = leaving
        self._total = tasks.Limit(capacity.total)
        self._destinations: dict[Route, _Destination] = {}
        self._tickets = 0

    def batches(self, item: Item, targets: Sequence[Target]) -> tuple[Batch, ...]:
        groups = self.routes.groups(item, targets)
        return tuple([batch for route, group in groups.items() for batch in self.batches_along(route, group)])

    def batches_along(self, route: Route, targets: Sequence[Target]) -> list[Batch]:
        """Those of *targets* that all go by *route*: one for each transaction, since what came of one is written down before the
        next is over."""
        place = "" if route.transport in HERE else str(route)
        return [Batch(place, tuple(targets[start : start + MOST_RECIPIENTS])) for start in range(0, len(targets), MOST_RECIPIENTS)]

    async def carry(self, item: Item, targets: Sequence[Target], content: Content) -> tuple[Outcome, ...]:
        return in_order(targets, await self.carry_by(self.routes.groups(item, targets), item, content))

    async def carry_by(self, groups: Mapping[Route, Sequence[Target]], item: Item, content: Content) -> Sequence[Outcome]:
        """As `carry`, each group of targets by its route; the outcomes in the order of the groups."""
        carried = await tasks.gather(*[self.carry_along(_as_wished(route, item), item, group, content) for route, group in groups.items()])
        return carried[0] if len(carried) == 1 else [outcome for group in carried for outcome in group]

    async def carry_along(self, route: Route, item: Item, targets: Sequence[Target], content: Content) -> Sequence[Outcome]:
        """As `carry`, all by *route*, within the limits, whatever is said of the domains of *targets*."""
        self._tickets += 1
        ticket = self._tickets
        destination = self._destinations.get(route) or self._meet(route)
        destination.users += 1
        try:
            async with destination.limit:
                if destination.failure and ticket <= destination.failed_at:
                    return [outcome_of(target, destination.failure) for target in targets]
                async with self._total:
                    outcomes: list[Outcome] = []
                    for departure in await self._departures(route, item, targets, content):
                        carried = await self._carrier.carry(route, departure, self._ways)
                        if carried.unreachable is not None:
                            destination.failure, destination.failed_at = carried.unreachable, self._tickets
                        outcomes += carried.outcomes
                    return outcomes
        except OSError as error:
            log.error("relay: {id}: reading the header: {error}", id=item.id, error=error)
            return [outcome_of(target, status_of(error)) for target in targets]
        except Unavailable as error:
            log.error("relay: {id}: {error}", id=item.id, error=str(error))
            return [outcome_of(target, UNAVAILABLE) for target in targets]
        finally:
            destination.users -= 1
            if not destination.users and self._destinations.get(route) is destination:
                del self._destinations[route]

    def _meet(self, route: Route) -> _Destination:
        destination = self._destinations[route] = _Destination(tasks.Limit(self._capacity.per_route))
        return destination

    async def stop(self) -> None:
        """Say goodbye to the idle connections; those in use are closed by whoever uses them."""
        await self._carrier.stop()

    async def _departures(self, route: Route, item: Item, targets: Sequence[Target], content: Content) -> Sequence[Departure]:
        """*item* as it is said to a server, once for each sender that it needs. What goes by LMTP stays in the house, and as it is."""
        if self._leaving is None or route.transport is Transport.LMTP:
            return apart(item, targets, content)
        return await self._leaving.departures(item, targets, content)


def in_order(targets: Sequence[Target], outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """*outcomes*, one for each of *targets*, in their order."""
    if len(targets) == 1:
        return tuple(outcomes)
    found = {outcome.target: outcome for outcome in outcomes}
    return tuple([found[target] for target in targets])


def _found(route: Route, hosts: Sequence[Host] | Status, seconds: float) -> ServersFound:
    """What the look-up of *route* has brought, as a fact."""
    status = hosts if isinstance(hosts, Status) else None
    names = () if isinstance(hosts, Status) else tuple(f"{host.name} [{host.address}]" for host in hosts)
    return ServersFound(route.next_hop, route.use_mx and route.transport.has_servers, names, seconds, status)


def _as_wished(route: Route, item: Item) -> Route:
    """*route* with the protection that the sender of *item* asks for, or does without."""
    if item.wishes.require_tls and item.sender is not None:  # RFC 8689 §5: a report goes encrypted where that can be had
        return replace(route, tls=_at_least_verified(route), require_tls=True)
    return replace(route, tls_optional=True) if item.wishes.tls_optional else route


def _at_least_verified(route: Route) -> Tls:
    return Tls.DANE if route.tls is Tls.DANE else Tls.VERIFIED
