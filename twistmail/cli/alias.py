"""twistmail alias: which addresses stand for which others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from twistmail.cli.exits import Exit
from twistmail.cli.grammar import Noun
from twistmail.cli.terminal import Terminal


@click.group("alias", cls=Noun)
def group() -> None:
    """Addresses that stand for others."""


@group.command("list")
@click.pass_obj
def list_(terminal: Terminal) -> int:
    """List all aliases with their targets and where they are written."""
    found = terminal.server().ask("alias.list")
    rows = [(alias["address"], " ".join(alias["targets"]), alias["source"]) for alias in found]
    if rows or terminal.as_json:
        terminal.table(("ADDRESS", "TARGETS", "SOURCE"), rows, found)
    else:
        terminal.hint("no aliases")
    return Exit.OK


@group.command()
@click.argument("address")
@click.pass_obj
def resolve(terminal: Terminal, address: str) -> int:
    """Show where mail for ADDRESS goes in the end, as a tree. Ends with 1 where it goes nowhere."""
    return Exit.OK if shown(terminal, terminal.server().ask("alias.resolve", address=address)) else Exit.NOTHING


def shown(terminal: Terminal, tree: dict[str, Any]) -> bool:
    """Show *tree*, the answer to alias.resolve; whether mail arrives."""
    if terminal.as_json:
        terminal.object(tree)
    else:
        for address_part, what in tree_lines(tree):
            terminal.say(f"{address_part:36} {what}".rstrip())
    return bool(tree["arrives"])


def tree_lines(node: dict[str, Any], indent: str = "", mark: str = "") -> Iterator[tuple[str, str]]:
    """(address with its branch, what it is) of *node* and all below it; as deep as aliases may be."""
    yield indent + mark + node["address"], node["what"]
    children = node.get("children", [])
    below = indent + {"": "", "|- ": "|  ", "`- ": "   "}[mark]
    for place, child in enumerate(children, 1):
        yield from tree_lines(child, below, "`- " if place == len(children) else "|- ")


@group.command()
@click.pass_obj
def check(terminal: Terminal) -> int:
    """Find aliases that loop, that lead nowhere, or that lead outside. Ends with 1 where there are problems."""
    found = terminal.server().ask("alias.check")
    rows = [(problem["address"], problem["problem"], problem["source"]) for problem in found]
    if rows or terminal.as_json:
        terminal.table(("ADDRESS", "PROBLEM", "SOURCE"), rows, found)
    else:
        terminal.hint("no problems")
    return Exit.NOTHING if found else Exit.OK
