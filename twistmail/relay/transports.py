"""The courier for everybody who is not here: looks where each target goes, and brings it there or has it brought. Implements ICourier.

Servers are `courier.py`'s business; what needs none is done here: mail that is
refused or thrown away by an operator's word, mail that is for somebody here after
all (`local:`), and mail for programs (`programs.py`). Couriers of other packages get
what a route gives them (`courier:NAME`). Before anything is brought,
the route table is read again where it has changed; while it never was in order
everything waits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from zope.interface import implementer

from twistmail import tasks
from twistmail.interfaces import Batch, ICourier, Unavailable
from twistmail.mail.address import Address, parse
from twistmail.mail.content import Content
from twistmail.mail.envelope import Target
from twistmail.mail.item import Item
from twistmail.mail.outcome import Outcome, outcome_of
from twistmail.mail.status import UNAVAILABLE, Status
from twistmail.relay.courier import in_order
from twistmail.relay.route import Route, Transport
from twistmail.relay.routes import Routes

DISCARDED = Status(250, "2.0.0", "Thrown away, as the route of that address says")
NO_PROGRAM = Status(451, "4.3.5", "Mail for that address goes to a program that is not set up here")
NO_COURIER = Status(451, "4.3.5", "Mail for that address goes by a courier that is not set up here")
NOBODY = Status(550, "5.1.1", "Mail for that address goes to somebody who is not known here")

#: What is not here, and has a place of its own.
_FAR = (Transport.PIPE, Transport.COURIER)
#: Brings an item to an address here; what came of it.
Inhouse = Callable[[Item, Target, Address, Content], Awaitable[Status]]


class Program(Protocol):
    """`programs.Program`: one run for one target."""

    async def run(self, item: Item, target: Target, content: Content) -> Status: ...


@implementer(ICourier)
class RoutedCourier:
    """*relay*: the courier to servers. *inhouse*: brings mail to addresses here. *programs*: by name.

    *couriers*: the ICourier of another package by its name; None where it is not set up.
    """

    name = "routes"

    def __init__(
        self, routes: Routes, relay: Any, inhouse: Inhouse, programs: Mapping[str, Program],
        couriers: Callable[[str], ICourier | None] = lambda name: None,
    ) -> None:
        self.routes = routes
        self.relay = relay
        self._inhouse = inhouse
        self._programs = programs
        self._couriers = couriers

    def batches(self, item: Item, targets: Sequence[Target]) -> tuple[Batch, ...]:
        batches: list[Batch] = []
        couriers: dict[ICourier, list[Target]] = {}
        places: dict[str, list[Target]] = {}
        for route, group in self.routes.groups(item, targets).items():
            if route.transport.has_servers:
                batches += self.relay.batches_along(route, group)
            elif courier := self._courier(route):
                couriers.setdefault(courier, []).extend(group)
            else:
                places.setdefault(str(route) if route.transport in _FAR else "", []).extend(group)
        for courier, group in couriers.items():
            batches += courier.batches(item, group)
        return (*batches, *(Batch(place, tuple(group)) for place, group in places.items()))

    def _courier(self, route: Route) -> ICourier | None:
        """The courier of another package that brings mail along *route*; None: there is none, or it takes none."""
        return self._couriers(route.next_hop) if route.transport is Transport.COURIER else None

    async def carry(self, item: Item, targets: Sequence[Target], content: Content) -> tuple[Outcome, ...]:
        try:
            await self.routes.freshen()
        except Unavailable:
            return tuple(outcome_of(target, UNAVAILABLE, "the route table") for target in targets)
        relayed: dict[Route, list[Target]] = {}
        couriers: dict[ICourier, list[Target]] = {}
        work: list[Coroutine[Any, Any, Sequence[Outcome]]] = []
        for route, group in self.routes.groups(item, targets).items():
            if route.transport.has_servers:
                relayed[route] = group
            elif courier := self._courier(route):
                couriers.setdefault(courier, []).extend(group)
            else:
                work += [self._see_to(route, item, target, content) for target in group]
        if relayed:
            work.append(self.relay.carry_by(relayed, item, content))
        work += [courier.carry(item, tuple(group), content) for courier, group in couriers.items()]
        carried = await tasks.gather(*work)
        return in_order(targets, carried[0] if len(carried) == 1 else [outcome for group in carried for outcome in group])

    async def _see_to(self, route: Route, item: Item, target: Target, content: Content) -> Sequence[Outcome]:
        """One target that no server is needed for."""
        match route.transport:
            case Transport.ERROR:
                assert route.answer is not None
                return [outcome_of(target, route.answer, "the route of that address")]
            case Transport.DISCARD:
                return [outcome_of(target, DISCARDED, "nobody", local=True)]
            case Transport.PIPE:
                program = self._programs.get(route.next_hop)
                status = NO_PROGRAM if program is None else await program.run(item, target, content)
                return [outcome_of(target, status, f"program {route.next_hop}", local=True)]
            case Transport.COURIER:
                return [outcome_of(target, NO_COURIER)]
        status = await self._inhouse(item, target, parse(route.next_hop), content)
        return [outcome_of(target, status, route.next_hop, local=True)]
