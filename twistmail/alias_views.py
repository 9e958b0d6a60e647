"""Aliases as people see them: the list with its sources, the tree of one address, and what is wrong with them.

The rules are `expansion`'s; this only asks it, and its sources, one step at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twistmail.aliases.file import AliasFile
from twistmail.config.settled import Config
from twistmail.expansion import Expansion
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address, parse
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.srs import is_srs

#: Nodes of one tree: what goes beyond it was never meant to be read.
MOST_NODES, DEEPEST = 1000, 50
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
    """Where *address* leads, as nodes {"address", "what", "children"}; the root also tells whether mail "arrives"."""
    followed = await expansion.explain(address)
    root = await _Growing(expansion).node(address, ())
    if followed.fault is not None:
        root["what"] += f"; refused: {followed.fault}"
    return root | {"arrives": bool(followed.targets)}


class _Growing:
    """One tree while it grows."""

    def __init__(self, expansion: Expansion) -> None:
        self.expansion = expansion
        self.nodes = 0

    async def node(self, address: Address, path: tuple[Address, ...]) -> dict[str, Any]:
        """The node of *address*, reached through the aliases in *path*."""
        self.nodes += 1
        if self.nodes > MOST_NODES or len(path) > DEEPEST:
            return {"address": str(address), "what": "and so on"}
        if not self.expansion.is_local(address):
            return await self._elsewhere(address)
        here = Address(address.local.lower(), address.domain or self.expansion.default_domain)
        for name in self.expansion.spellings(here):
            if name not in path and (step := await self.expansion.aliases.lookup(name)):
                whole = [Address(target.local, target.domain or name.domain) for target in step.addresses]
                return {"address": str(here), "what": "alias", "children": [await self.node(target, (*path, name)) for target in whole]}
            if account := await self.expansion.accounts.find(name):
                return {"address": str(here), "what": "mailbox" if account.name == str(here) else f"mailbox {account.name}"}
        if here in path:
            return {"address": str(here), "what": "loop, ignored"}
        return await self._otherwise(here)

    async def _elsewhere(self, address: Address) -> dict[str, Any]:
        """In somebody else's domain; there may be one of ours all the same, by what the world calls him."""
        if not await self.expansion.comes_home(address):
            return {"address": str(address), "what": "outside"}
        targets = (await self.expansion.explain(address)).targets
        return {"address": str(address), "what": "outside, where somebody here is known by it", "children": [_leaf(one) for one in targets]}

    async def _otherwise(self, here: Address) -> dict[str, Any]:
        """Neither alias nor account: a catch-all, postmaster, or nobody."""
        targets = (await self.expansion.explain(here)).targets
        if not targets:
            return {"address": str(here), "what": "neither alias nor user"}
        what = "made for reports about a forwarded message" if is_srs(here) else "neither alias nor user; caught"
        return {"address": str(here), "what": what, "children": [_leaf(target) for target in targets]}


def _leaf(target: Target) -> dict[str, Any]:
    if target.kind is Kind.MAILBOX:
        return {"address": str(target.address), "what": f"mailbox {target.account}"}
    return {"address": str(target.address), "what": "outside"}


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
