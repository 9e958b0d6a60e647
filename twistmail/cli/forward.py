"""twistmail forward: where somebody's own mail goes on to.

Three ways lead to it. A user of the machine changes ~/.forward in his home, and
needs no server for that (`homes`). An operator asks the server, or the files
while it is down. Everybody else asks the server by his own password (`own`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from twistmail.aliases.forward import LONGEST_TEXT, written
from twistmail.cli import own, secrets
from twistmail.cli.completing import USER
from twistmail.cli.control import Control
from twistmail.cli.desk import Desk
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Noun
from twistmail.cli.homes import home_of
from twistmail.cli.terminal import Terminal
from twistmail.dotfiles_helper import EXTENSION
from twistmail.mail.address import parse
from twistmail.mail.alias import Final, Goal


@click.group("forward", cls=Noun)
def group() -> None:
    """Where somebody's own mail goes on to: ~/.forward, and what stands for it.

    \b
    twistmail forward set anna anna@partner.example        a copy stays here
    twistmail forward set anna anna@partner.example --no-keep
    twistmail forward set anna anna.lists@partner.example --extension lists
    twistmail forward show anna
    twistmail forward clear anna

    Users of this machine change ~/.forward in their homes; others give their password, unless they are operators.
    """


def _about(command: Any) -> Any:
    """What all verbs take."""
    password = "Read your own password from standard input, where you may not read the server's files."
    extension = "For mail to NAME+EXT only; other mail goes as before."
    command = click.option("--password-stdin", is_flag=True, help=password)(command)
    return click.option("--extension", metavar="EXT", default="", callback=_extension, help=extension)(command)


def _extension(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if value and not EXTENSION.fullmatch(value):
        raise click.BadParameter(f"{value} cannot be part of a file's name; use lower-case letters, digits, - and _")
    return value


@group.command()
@click.argument("name", type=USER, required=False)
@_about
@click.pass_obj
def show(terminal: Terminal, name: str | None, extension: str, password_stdin: bool) -> int:
    """Tell where somebody's mail goes on to, and what is wrong with that. NAME is your own where it is left out.

    Ends with 1 where something is wrong.
    """
    row = _asked(terminal, "forward.show", name, password_stdin, extension=extension)
    _tell(terminal, row)
    return Exit.NOTHING if row["problems"] else Exit.OK


@group.command("set")
@click.argument("name", type=USER)
@click.argument("addresses", nargs=-1, metavar="[ADDRESS]...")
@click.option("--keep/--no-keep", default=True, help="Whether a copy stays in the mailbox.  [default: keep]")
@click.option("--file", "file", metavar="FILE", help="Take the whole text from FILE (-: standard input), as ~/.forward has it.")
@_about
@click.pass_obj
def set_(
    terminal: Terminal, name: str, addresses: tuple[str, ...], keep: bool, file: str | None, extension: str, password_stdin: bool
) -> None:
    """Send somebody's mail on to other addresses."""
    if bool(addresses) == (file is not None):
        raise click.UsageError("name the addresses, or --file; to send nothing on any more: twistmail forward clear")
    text = _text(file) if file is not None else written(_goals(name, addresses, keep=keep))
    _tell(terminal, _asked(terminal, "forward.set", name, password_stdin, extension=extension, text=text))


@group.command()
@click.argument("name", type=USER, required=False)
@_about
@click.pass_obj
def clear(terminal: Terminal, name: str | None, extension: str, password_stdin: bool) -> None:
    """Send nothing on any more; what an operator has set for the account goes on to hold."""
    _tell(terminal, _asked(terminal, "forward.clear", name, password_stdin, extension=extension))


def _goals(name: str, addresses: Sequence[str], *, keep: bool) -> list[Goal]:
    try:
        copy: list[Goal] = [Final(parse(name))] if keep else []
        return [*copy, *map(parse, addresses)]
    except ValueError as trouble:
        raise Failure(str(trouble).partition("\n")[0], Exit.USAGE, "write addresses, such as anna@partner.example") from None


def _text(file: str) -> str:
    try:
        octets = sys.stdin.buffer.read(LONGEST_TEXT + 1) if file == "-" else Path(file).read_bytes()
        return octets.decode()
    except FileNotFoundError:
        raise Failure(f"there is no {file}", Exit.NOINPUT, "name the file with the text, or - for standard input") from None
    except UnicodeDecodeError:
        raise Failure(f"{file} is not UTF-8", Exit.DATAERR) from None


def _asked(terminal: Terminal, verb: str, name: str | None, password_stdin: bool, **arguments: Any) -> Any:
    """What is said to *verb*, by whoever can tell."""
    whom = name or own.user()
    if (home := home_of(terminal, whom)) is not None:
        return home.ask(verb, arguments)
    place = own.socket(terminal, files_first=True)
    if place is not None:
        password = secrets.line() if password_stdin else secrets.typed("Your password")
        return Control(place).ask(verb, login=whom, old=password, **arguments)
    return Desk(terminal).ask(verb, name=whom, **arguments)


def _tell(terminal: Terminal, row: dict[str, Any]) -> None:
    if terminal.as_json:
        terminal.object(row)
        return
    goals, whose = row["goals"] or row["settled"], row["name"] + (f" (+{row['extension']})" if row["extension"] else "")
    if row["text"] is not None and not row["goals"]:
        goals = []
    if not goals and not row["problems"]:
        terminal.say(f"mail for {whose} goes on to nobody" + (f": {row['file']} says so" if row["file"] else ""))
        return
    where = row["file"] or "what is set for the account: twistmail user forward"
    for goal in goals:
        terminal.say(f"{goal:36} {where}" if not goal.startswith("\\") else f"{'a copy stays here':36} {where}")
    for problem in row["problems"]:
        click.echo(f"warning: {problem}", err=True)
