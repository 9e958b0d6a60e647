"""newaliases, which is sendmail -bi too: look at the alias files, tell what is in them, and let them count from now on."""

from __future__ import annotations

import click

from twistmail.cli.desk import Desk
from twistmail.cli.exits import Exit
from twistmail.cli.grammar import Verb
from twistmail.cli.terminal import Terminal


def rebuild(terminal: Terminal) -> int:
    """Do it; the exit code. A line for each file on stdout, as sendmail prints it; mistakes, with their lines, on stderr."""
    rows, code = Desk(terminal).ask("alias.rebuild"), int(Exit.OK)
    for row in rows:
        for line, text in row["problems"]:
            click.echo(f"{row['file']}{f':{line}' if line else ''}: {text}", err=True)
        if row["problems"]:
            terminal.hint(f"{row['file']}: nothing has changed; the aliases that were read before stay in use")
            code = code or row["exit"]
        elif not terminal.as_json:
            terminal.say(f"{row['file']}: {row['aliases']} aliases, longest {row['longest']} bytes, {row['bytes']} bytes total")
        if terminal.as_json:
            terminal.object(row)
    if not rows:
        terminal.hint("no source of aliases is a file that could be rebuilt: [aliases] source")
    return code


@click.command("newaliases", cls=Verb)
@click.pass_obj
def newaliases(terminal: Terminal) -> int:
    """Check the alias files and let them count from now on.

    With [aliases] reload = auto an edited file counts with the next message anyway. Ends with 65 where a file has mistakes; then
    its old aliases stay in use.
    """
    return rebuild(terminal)
