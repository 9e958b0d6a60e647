"""twistmail alias: which addresses stand for which others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from twistmail.cli.completing import ALIAS
from twistmail.cli.desk import Desk
from twistmail.cli.exits import Exit
from twistmail.cli.grammar import Large
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import amount

#: As `main.COMMANDS`; a test compares the sentences.
VERBS: dict[str, tuple[str, str]] = {
    "export": ("twistmail.cli.alias_files:export", "Write the aliases of the database, in the syntax of aliases(5)."),
    "import": ("twistmail.cli.alias_files:import_", "Take the aliases of a file in the syntax of aliases(5) into the database."),
}


@click.group("alias", cls=Large, later=VERBS)
def group() -> None:
    """Addresses that stand for others."""


@group.command("list")
@click.pass_obj
def list_(terminal: Terminal) -> int:
    """List all aliases with their targets and where they are written."""
    found = Desk(terminal).ask("alias.list")
    rows = [(alias["address"], " ".join(alias["targets"]), alias["source"]) for alias in found]
    if rows or terminal.as_json:
        terminal.table(("ADDRESS", "TARGETS", "SOURCE"), rows, found)
    else:
        terminal.hint("no aliases yet; make one: twistmail alias add info@blue.example anna@blue.example")
    return Exit.OK


@group.command()
@click.argument("name", type=ALIAS)
@click.pass_obj
def show(terminal: Terminal, name: str) -> None:
    """Show what NAME stands for, and where that is written: one step of what `resolve` shows whole."""
    row = Desk(terminal).ask("alias.show", name=name)
    terminal.show(row if terminal.as_json else row | {"targets": ", ".join(row["targets"])})


_owner = click.option("--owner", default="", metavar="ADDRESS", help="Who gets the reports about mail that goes on from here.")


@group.command()
@click.argument("name")
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@_owner
@click.pass_obj
def add(terminal: Terminal, name: str, targets: tuple[str, ...], owner: str) -> None:
    """Let NAME stand for other addresses from now on.

    NAME without a domain holds in every domain of ours. A TARGET is an address, or what else aliases(5) knows: '\\anna' (her
    mailbox, whatever aliases say), ':fail: gone away', ':blackhole:', ':include:/etc/lists/staff'; /files and '|programs' where
    [aliases] allows them.
    """
    _tell(terminal, Desk(terminal).ask("alias.add", name=name, targets=list(targets), owner=owner))


@group.command("set")
@click.argument("name", type=ALIAS)
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@_owner
@click.pass_obj
def set_(terminal: Terminal, name: str, targets: tuple[str, ...], owner: str) -> None:
    """Let NAME stand for these and no others, whether or not there was such an alias."""
    _tell(terminal, Desk(terminal).ask("alias.set", name=name, targets=list(targets), owner=owner))


def _tell(terminal: Terminal, row: dict[str, Any]) -> None:
    """The alias that was made or changed."""
    hint = row.pop("hint", "")
    if terminal.as_json:
        terminal.object(row)
    else:
        terminal.say(f"{row['address']}: {', '.join(row['targets'])}" + (f"   (owner {row['owner']})" if "owner" in row else ""))
    if hint:
        terminal.hint(hint)


@group.command()
@click.argument("name", type=ALIAS)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed.")
@click.pass_obj
def remove(terminal: Terminal, name: str, yes: bool, dry_run: bool) -> None:
    """Forget an alias of the database."""
    desk = Desk(terminal)
    row = desk.ask("alias.remove", name=name, dry_run=True)
    line = f"{row['address']}: {', '.join(row['targets'])}"
    if dry_run:
        terminal.object(row) if terminal.as_json else terminal.say(f"{line}   would be removed")
        return
    terminal.sure(f"Remove the alias {line}?", yes)
    desk.ask("alias.remove", name=name)
    terminal.object(row) if terminal.as_json else terminal.say(f"{row['address']} removed")


@group.command()
@click.argument("address")
@click.pass_obj
def resolve(terminal: Terminal, address: str) -> int:
    """Show where mail for ADDRESS goes in the end, as a tree. Ends with 1 where it goes nowhere."""
    return Exit.OK if shown(terminal, Desk(terminal).ask("alias.resolve", address=address)) else Exit.NOTHING


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
    yield indent + mark + node["address"], node["what"] + _more(node)
    children = node.get("children", [])
    below = indent + {"": "", "|- ": "|  ", "`- ": "   "}[mark]
    for place, child in enumerate(children, 1):
        yield from tree_lines(child, below, "`- " if place == len(children) else "|- ")


def _more(node: dict[str, Any]) -> str:
    """What a running server knows of an end of the tree."""
    if "most" in node:
        return f", {amount(node['used'])} of {amount(node['most'])}"
    return f", by {node['rule']}" if node.get("rule") else ""


@group.command()
@click.pass_obj
def check(terminal: Terminal) -> int:
    """Find aliases that loop, lead nowhere or outside, or hide an account. Ends with 1 where there are problems."""
    found = Desk(terminal).ask("alias.check")
    rows = [(problem["address"], problem["problem"], problem["source"]) for problem in found]
    if rows or terminal.as_json:
        terminal.table(("ADDRESS", "PROBLEM", "SOURCE"), rows, found)
    else:
        terminal.hint("no problems")
    return Exit.NOTHING if found else Exit.OK
