"""Aliases as people see them: the list with its sources, and the tree of one address. What is wrong with them tells `alias_problems`.

The rules are `expansion`'s, and so is the trail that the tree is made of.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from twistmail.aliases.listed import Listed
from twistmail.expansion import Expansion
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.trail import Move

#: More of a target, as JSON.
Further = Callable[[Target], Awaitable[dict[str, Any]]]

#: Nodes of one tree: what goes beyond it was never meant to be read.
MOST_NODES = 1000


async def listed(resolver: Any) -> list[Listed]:
    """All aliases, by domain and name. Directories and plugins cannot be listed. Unavailable."""
    found = [alias for source in getattr(resolver, "sources", (resolver,)) if hasattr(source, "listed") for alias in await source.listed()]
    return sorted(found, key=lambda alias: (alias.name.rpartition("@")[2] if "@" in alias.name else "", alias.name))


async def tree(expansion: Expansion, address: Address, further: Further | None = None) -> dict[str, Any]:
    """Where *address* leads, as nodes {"address", "what", "source", "children"}; the root also tells whether mail "arrives".

    *further* tells more of the targets, as members of their nodes.
    """
    followed = await expansion.survey(address)
    shown = followed.trail[:MOST_NODES]
    more = [await further(move.target) if further and move.target else {} for move in shown]
    root = _grown([_node(move) | told for move, told in zip(shown, more, strict=True)], [move.depth for move in shown])
    if len(followed.trail) > MOST_NODES:
        root["children"].append({"address": f"{len(followed.trail) - MOST_NODES} more", "what": "not shown"})
    if followed.fault is not None:
        root["what"] += f"; refused: {followed.fault}"
    return root | {"arrives": bool(followed.targets)}


def _grown(nodes: Sequence[dict[str, Any]], depths: Sequence[int]) -> dict[str, Any]:
    """*nodes* as a tree: each is a child of the last one before it that is less deep."""
    root = nodes[0]
    branch = [root]  # the nodes from the root to the last one
    for node, depth in zip(nodes[1:], depths[1:], strict=True):
        del branch[max(depth, 1) :]  # what the house does for postmaster in the end is part of the root
        branch[-1].setdefault("children", []).append(node)
        branch.append(node)
    return root


def _node(move: Move) -> dict[str, Any]:
    return {"address": move.name, "what": move.text} | ({"source": move.origin} if move.origin else {})


class Ends:
    """What a running server knows of where mail ends: how full a mailbox is, and by which rule mail goes outside."""

    def __init__(self, service: Any) -> None:
        self._service = service

    async def __call__(self, target: Target) -> dict[str, Any]:
        """{"used", "most"} (octets) of a mailbox with a limit, {"rule"} of an address elsewhere for which there is one."""
        if target.kind is Kind.MAILBOX:
            return await self._mailbox(target.account)
        if target.kind is not Kind.REMOTE:
            return {}
        routes = self._service.parts.relay.routes
        with suppress(Unavailable):
            await routes.freshen()
            return {"rule": str(routes.choice(target, Item("", None, (Errand(target),), 0.0, 0)).rule)}
        return {}

    async def _mailbox(self, account: str) -> dict[str, Any]:
        foundation = self._service.foundation
        most, _ = await foundation.ground.terms.quota_of(account)
        if most is None:
            return {}
        with suppress(OSError, Unavailable):
            boxes = await foundation.store.peek(account)
            return {"used": (await boxes.quota()).octets if boxes else 0, "most": most}
        return {}
