"""twistmail plugin: which parts there are, and where they come from."""

from __future__ import annotations

import click

from twistmail.cli.exits import Exit
from twistmail.cli.grammar import Noun
from twistmail.cli.terminal import Terminal


@click.group("plugin", cls=Noun)
def group() -> None:
    """Parts from this and other packages."""


@group.command("list")
@click.pass_obj
def list_(terminal: Terminal) -> int:
    """List every part: its kind, its name, and the module it comes from. Ends with 1 where one is broken."""
    from twisted.logger import globalLogBeginner

    from twistmail.plugins import discover

    # What Twisted logs about a broken plugin is told below, in one line instead of forty.
    globalLogBeginner.beginLoggingTo((), discardBuffer=True, redirectStandardIO=False)
    found = discover()
    rows = [(part.kind, part.name, part.origin) for part in found.parts]
    terminal.table(("KIND", "NAME", "FROM"), rows, [dict(zip(("kind", "name", "from"), row, strict=True)) for row in rows])
    for broken in found.broken:
        click.echo(f"warning: {broken}", err=True)
    return Exit.NOTHING if found.broken else Exit.OK
