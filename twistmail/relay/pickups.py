"""Mail for servers that are there only at times: it is kept until they call for it with ETRN (RFC 1985).

`[route:part.example]` sections with `hold = yes` say whose mail is kept, and
`etrn_from` who may call for it. The runner asks `keeps`; the ETRN command, by way
of `assembly`, `call`. Finding and sending the mail is the runner's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from twistmail.interfaces import Pickup
from twistmail.mail.address import canonical_domain
from twistmail.networks import covers
from twistmail.options import Settings
from twistmail.relay.table import nearest


class Collect(Protocol):
    """`Runner.collect`."""

    def __call__(self, domain: str, *, below: bool = False) -> int: ...


class Pickups:
    """`routes`: Settings of ROUTE_OPTIONS by domain; `collect` starts what is kept and tells how many messages that is.

    `held`(domain): whether the route table keeps its mail (`Routes.holds`), which only an operator then sends; None: no table.
    """

    def __init__(self, routes: Mapping[str, Settings], collect: Collect, held: Callable[[str], bool] | None = None) -> None:
        self._routes = {domain.lower(): settings for domain, settings in routes.items()}
        self._collect = collect
        self._held = held

    @property
    def any(self) -> bool:
        """Whether mail is kept for anybody at all."""
        return self._held is not None or any(settings.hold for settings in self._routes.values())

    def keeps(self, domain: str) -> bool:
        """Whether mail for *domain* (A-labels, lower case) waits until it is called for."""
        settings = nearest(self._routes, domain)
        return settings.hold if settings is not None else self._held is not None and self._held(domain)

    def call(self, node: str, address: str) -> Pickup:
        """What comes of `ETRN node` from a client at *address*. `@node` means all domains below as well (RFC 1985 §5.3).

        `#queue` is no name that we know, and neither is what is no domain.
        """
        below = node.startswith("@")
        try:
            domain = canonical_domain(node.removeprefix("@"))
        except ValueError:
            return Pickup(served=False)
        settings = nearest(self._routes, domain) or (self._routes.get("." + domain) if below else None)
        if settings is None or not settings.hold:
            return Pickup(served=False)
        if not covers(settings.etrn_from, address):
            return Pickup(allowed=False)
        return Pickup(self._collect(domain, below=below))
