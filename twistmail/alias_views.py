"""Aliases as people see them: the list with its sources, the tree of one address, and what is wrong with them.

The rules are `expansion`'s, and so is the trail that the tree is made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twistmail.aliases.file import AliasFile
from twistmail.config.settled import Config
from twistmail.expansion import Expansion
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address, parse
from twistmail.mail.trail import Move

#: Nodes of one tree: what goes beyond it was never meant to be read.
MOST_NODES = 1000
PLUGIN = "plugin"


@dataclass(frozen=True, slots=True)
class Alias:
    """One alias and where it is written."""

    address: Address
    targets: tuple[Address, ...]
    source: str

    def as_json(self) -> dict[str, Any]:
        return {"address": str(self.address), "targets": list(map(str, self.targets)), "source": self.source}


async def listed(config: Config, resolver: Any) -> list[Alias]:
    """All aliases of the configuration and of alias files; those of other sources cannot be listed. Unavailable."""
    found = []
    for source in getattr(resolver, "sources", (resolver,)):
        if isinstance(source, AliasFile):
            found += [Alias(entry.address, entry.targets, f"{source.path}:{entry.line}") for entry in await source.entries()]
    if "config" in config["aliases"].source:
        found += [Alias(parse(name).folded, one.to, config.place(f"alias:{name}").short) for name, one in config.named("alias").items()]
    return sorted(found, key=lambda alias: (alias.address.domain, alias.address.local))


async def tree(expansion: Expansion, address: Address) -> dict[str, Any]:
    """Where *address* leads, as nodes {"address", "what", "source", "children"}; the root also tells whether mail "arrives"."""
    followed = await expansion.survey(address)
    root = _grown(followed.trail)
    if followed.fault is not None:
        root["what"] += f"; refused: {followed.fault}"
    return root | {"arrives": bool(followed.targets)}


def _grown(trail: Sequence[Move]) -> dict[str, Any]:
    """The moves of *trail* as a tree: each is a child of the last one before it that is less deep."""
    root = _node(trail[0])
    branch = [root]  # the nodes from the root to the last one
    for move in trail[1:MOST_NODES]:
        node = _node(move)
        del branch[max(move.depth, 1) :]  # what the house does for postmaster in the end is part of the root
        branch[-1].setdefault("children", []).append(node)
        branch.append(node)
    if len(trail) > MOST_NODES:
        root["children"].append({"address": f"{len(trail) - MOST_NODES} more", "what": "not shown"})
    return root


def _node(move: Move) -> dict[str, Any]:
    return {"address": move.name, "what": move.text} | ({"source": move.origin} if move.origin else {})


async def problems(config: Config, expansion: Expansion) -> list[dict[str, Any]]:
    """What is wrong with the aliases that can be listed: [{"address", "problem", "source"}]."""
    found = []
    for alias in await listed(config, expansion.aliases):
        domain = alias.address.domain or expansion.default_domain
        for target in alias.targets:
            if text := await _problem(expansion, Address(target.local, target.domain or domain)):
                found.append({"address": str(alias.address), "problem": text, "source": alias.source})
    return found


async def _problem(expansion: Expansion, target: Address) -> str:
    """What is wrong with an alias that leads to *target*, or nothing."""
    if not expansion.is_local(target):
        return f"leads outside, to {target}"
    try:
        fault = await expansion.judge(target)
    except Unavailable as trouble:
        return f"{target} cannot be looked up: {trouble}"
    return f"{target}: {fault.text}" if fault else ""
