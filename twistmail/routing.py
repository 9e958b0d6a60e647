"""Where mail goes, as the configuration says it: what `relay.routes` is given, and what brings mail that needs no server."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.logger import Logger

from twistmail import delivering, piping
from twistmail.config.settled import Config
from twistmail.couriers import Couriers
from twistmail.disk import status_of
from twistmail.expansion import Expansion
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address, parse
from twistmail.mail.content import Content
from twistmail.mail.envelope import Target
from twistmail.mail.item import Errand, Item, without_success
from twistmail.mail.status import UNAVAILABLE, Status
from twistmail.outbound import own_addresses
from twistmail.relay import table
from twistmail.relay.programs import Program
from twistmail.relay.route import Transport, parse_via
from twistmail.relay.routes import Further, Routes
from twistmail.relay.servers import Identity
from twistmail.relay.transports import NOBODY, RoutedCourier

log = Logger()


def further(config: Config, ground: Any) -> Further:
    """Senders' routes, the route table, and the second servers of our own domains. *ground*: `foundation.Ground`."""
    name = config["relay"].route_table
    return Further(
        senders=config.named("sender_route"),
        table=ground.watched.file(config.file(name), table.parse) if name else None,
        seconds={domain: one.other_server for domain, one in config.named("domain").items() if one.other_server},
        place=lambda section, key: config.place(section, key).short,
    )


def routes_of(config: Config, ground: Any, lookup: Any) -> Routes:
    """How mail goes, as *config* says. *lookup*: INameLookup."""
    identity = Identity(config["server"].hostname, own_addresses(config))
    return Routes(lookup, identity, config["relay"], config.named("route"), ground.random, further(config, ground))


def routed(config: Config, foundation: Any, expansion: Expansion, relay: Any, programs: dict[str, Program]) -> RoutedCourier:
    """The courier for everybody who is not here, around the one to servers (*relay*)."""
    bring = partial(_bring_here, foundation, expansion)
    return RoutedCourier(relay.routes, relay, bring, programs, Couriers(config, foundation.ground))


def programs_of(config: Config, ground: Any) -> dict[str, Program]:
    """The programs of the [pipe:NAME] sections that were there when the server started."""
    if ground.piper is None:
        return {}
    return {
        name: Program(name, ground.piper, ground.lasting.threads(f"pipe {name}", max(one.concurrency, 1)), one.concurrency)
        for name, one in config.named("pipe").items() if name in ground.piper.names
    }


def piper_of(config: Config, user: int | None) -> piping.Piper | None:
    """The helper that runs programs, where there are any. *user*: the numeric user that the server will be; None: it stays who it is.

    Started while the server may still be root. What keeps a program from being run is told, and mail for it waits.
    """
    named = {
        name: (f"[pipe:{name}]", piping.Command(one.command, one.user, one.timeout, one.output, max(one.concurrency, 1)))
        for name, one in config.named("pipe").items()
    }
    commands = {}
    for name, (place, command) in (named | delivering.commands_of(config, user)).items():
        if why := piping.objection(command, user):
            log.error("{place} mail for it waits: {why}", place=place, why=why)
        else:
            commands[name] = command
    return piping.start(commands, config.data_dir, user) if commands else None


async def _bring_here(foundation: Any, expansion: Expansion, item: Item, target: Target, address: Address, content: Content) -> Status:
    """*item* goes on to *address* here, as a message of its own; the sender hears of a failure from that."""
    try:
        targets = await expansion.follow(expansion.complete(address))
    except Unavailable:
        return UNAVAILABLE
    if not targets:
        return NOBODY
    asked = next(errand for errand in item.errands if errand.target == target)
    errands = tuple(Errand(one, notify=without_success(asked.notify), orcpt=asked.orcpt) for one in targets)
    ground = foundation.ground
    sender, now = item.sender_for(target), ground.epoch()
    onward = Item(next(ground.identifiers), sender, errands, now, item.size, item.prefix, item.account, item.body, wishes=item.wishes)
    try:
        await foundation.runner.submit(onward, content)
    except OSError as error:
        return status_of(error)
    return Status(250, "2.0.0", f"Goes on to {address} as {onward.id}")


class Elsewhere:
    """What the routes say of addresses that are not local before mail for them is accepted: that they are somebody here, or a refusal."""

    def __init__(self, config: Config, ground: Any) -> None:
        nobody: Any = None  # no server is looked for
        self._routes = Routes(nobody, Identity(""), config["relay"], config.named("route"), nobody, further(config, ground))

    async def __call__(self, address: Address) -> Address | Status | None:
        """Who *address* is here, or why mail for it is not taken; None: it is somewhere else. Raises Unavailable."""
        await self._routes.freshen()
        found = self._routes.inside(address)
        if found is None:
            return None
        return parse(found.route.next_hop) if found.route.transport is Transport.LOCAL else found.route.answer


def elsewhere(config: Config, ground: Any) -> Elsewhere | None:
    """Elsewhere, where any route may say so."""
    inside = (Transport.LOCAL, Transport.ERROR)
    sections = any(one.via and parse_via(one.via).transport in inside for one in config.named("route").values())
    return Elsewhere(config, ground) if sections or config["relay"].route_table else None


def second_servers(config: Config) -> dict[str, bool]:
    """The domains with a second server -> whether that gets a copy of everything."""
    return {domain: one.other_gets == "all" for domain, one in config.named("domain").items() if one.other_server}
