"""Couriers of other packages, by the names that routes give them (`via = courier:NAME`), built when they are needed first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.logger import Logger

from twistmail.config.settled import Config
from twistmail.foundation import build
from twistmail.interfaces import ICourier
from twistmail.relay.route import Transport, parse_via

log = Logger()


class Couriers:
    """Call it with a name. *ground*: `foundation.Ground`, which every courier is built on; a new one for each configuration."""

    def __init__(self, config: Config, ground: Any) -> None:
        self._config = config
        self._ground = ground
        self._built: dict[str, ICourier | None] = {}

    def __call__(self, name: str) -> ICourier | None:
        """The courier called *name*; None where no package brings one, or it cannot be built: the log says so, once."""
        if name not in self._built:
            self._built[name] = self._build(name)
        return self._built[name]

    def _build(self, name: str) -> ICourier | None:
        if self._ground.discovery.find("courier", name) is None:
            log.error("relay: a route says courier:{name}, and there is no such courier (twistmail plugin list)", name=name)
            return None
        try:
            return build("courier", name, self._ground, config=self._config)  # type: ignore[no-any-return]
        except (OSError, ValueError) as error:
            log.error("relay: the courier {name} cannot be made: {error}", name=name, error=error)
            return None


def named(config: Config) -> Iterator[tuple[str, str, str]]:
    """(section, key, name) of every courier that a section of *config* names."""
    for pattern in ("route", "sender_route"):
        for name, settings in config.named(pattern).items():
            try:
                route = parse_via(settings.via) if settings.via else None
            except ValueError:
                continue  # another check tells
            if route is not None and route.transport is Transport.COURIER:
                yield f"{pattern}:{name}", "via", route.next_hop
