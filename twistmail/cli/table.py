"""twistmail table: what the sources of accounts and aliases say of one address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from twistmail.cli.control import ServerDown
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Noun
from twistmail.cli.terminal import Terminal


@click.group("table", cls=Noun)
def group() -> None:
    """What the sources of accounts and aliases say of one address."""


@group.command("list")
@click.pass_obj
def list_(terminal: Terminal) -> int:
    """List the tables in the order in which they are asked."""
    found = _answer(terminal, "table.list", lambda dry: dry.tables(terminal.whole()))
    terminal.table(("TABLE", "KIND", "SOURCE"), [(one["table"], one["kind"], one["source"]) for one in found], found)
    return Exit.OK


@group.command()
@click.argument("name")
@click.argument("key")
@click.pass_obj
def query(terminal: Terminal, name: str, key: str) -> int:
    """Ask the table NAME about the address KEY: users, aliases, or one source of them, such as sql or aliases:config.

    Ends with 1 where it has no answer, with 75 where it does not answer now. A password is never shown, only how it is kept.
    """
    said = _answer(terminal, "table.query", lambda dry: dry.queried(terminal.whole(), name, key), table=name, key=key)
    if terminal.as_json:
        terminal.object(said)
    elif said["found"]:
        for label, value in said.items():
            if label not in ("table", "found"):
                terminal.say(f"{label:10} {_shown(value)}".rstrip())
    else:
        terminal.hint(f"{said['table']} has no {said['key']}")
    return Exit.OK if said["found"] else Exit.NOTHING


def _shown(value: Any) -> str:
    match value:
        case list():
            return ", ".join(value)
        case bool():
            return "yes" if value else "no"
        case None:
            return "unlimited"
    return str(value)


def _answer(terminal: Terminal, verb: str, offline: Callable[[Any], Any], **arguments: Any) -> Any:
    """By the tables of the running server, or by the same ones built here when it does not run."""
    try:
        return terminal.server().ask(verb, **arguments)
    except ServerDown:
        terminal.hint("the server does not run; this is what its sources say")
    from twistmail.cli import dry  # imports nearly everything, which whoever asks a running server need not wait for
    from twistmail.control import Refusal

    try:
        return offline(dry)
    except Refusal as refusal:
        raise Failure(str(refusal), refusal.exit_code, refusal.step) from None
