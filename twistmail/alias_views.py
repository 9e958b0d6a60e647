"""Aliases as people see them: the list with its sources, and the tree of one address. What is wrong with them tells `alias_problems`.

The rules are `expansion`'s, and so is the trail that the tree is made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twistmail.aliases.listed import Listed
from twistmail.expansion import Expansion
from twistmail.mail.address import Address
from twistmail.mail.trail import Move

#: Nodes of one tree: what goes beyond it was never meant to be read.
MOST_NODES = 1000


async def listed(resolver: Any) -> list[Listed]:
    """All aliases, by domain and name. Directories and plugins cannot be listed. Unavailable."""
    found = [alias for source in getattr(resolver, "sources", (resolver,)) if hasattr(source, "listed") for alias in await source.listed()]
    return sorted(found, key=lambda alias: (alias.name.rpartition("@")[2] if "@" in alias.name else "", alias.name))


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
