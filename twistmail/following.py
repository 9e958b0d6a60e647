"""How far addresses are followed, as the configuration says it: what `assembly` gives to `expansion` besides the tables."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twistmail import tasks
from twistmail.config.settled import Config
from twistmail.mail.address import Address
from twistmail.mail.spelled import spellings

#: What a domain says that has no separators, where there are some for the others.
NONE = "none"


def limits(config: Config, reactor: Any) -> dict[str, Any]:
    """The keywords of `Expansion` that only need settings."""
    settings = config["aliases"]
    return {
        "separators": _characters(settings.subaddress),
        "separators_of": separators_of(config),
        "depth_limit": settings.depth_limit,
        "limit": settings.expansion_limit,
        "to_postmaster": frozenset(name.lower() for name in settings.to_postmaster),
        "pause": partial(tasks.sleep, reactor, 0.0),
    }


def separators_of(config: Config) -> dict[str, str]:
    """The separators of the domains that have some of their own."""
    said = {name: one.subaddress for name, one in config.named("domain").items() if one.subaddress}
    return {name: _characters(text) for name, text in said.items()}


def _characters(text: str) -> str:
    return "" if text == NONE else text


def spelled(config: Config) -> Callable[[Address], tuple[Address, ...]]:
    """What tells the names that an address has without what stands behind a separator (`mail.spelled`)."""
    usual, own = _characters(config["aliases"].subaddress), separators_of(config)
    return lambda address: spellings(address, own.get(address.domain, usual))
