"""twistmail app-password: passwords for single programs and devices of somebody.

Works on the database, whether or not the server runs; who may not read that asks the server, by his own password (`own`).
"""

from __future__ import annotations

import time
from typing import Any

import click

from twistmail.accounts.keyring import DONE_BY, SERVICES, Keyring
from twistmail.cli import own, secrets
from twistmail.cli.accounts import database_of, existing
from twistmail.cli.control import Control
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Noun
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import moment


@click.group("app-password", cls=Noun)
def group() -> None:
    """Passwords for single programs and devices, which can be taken away one by one."""


def _asked(terminal: Terminal, verb: str, name: str | None, password_stdin: bool, **arguments: Any) -> Any:
    """What the keyring says to *verb*: from the files, or by the server to who proves that it is his own."""
    place = own.socket(terminal, files_first=True)
    if place is not None:
        password = secrets.line() if password_stdin else secrets.typed("Your password")
        return Control(place).ask(f"app-password.{verb}", login=name or own.user(), old=password, **arguments)
    database = database_of(terminal)
    if name is None:
        return [row for account in database.list() for row in Keyring(database).rows(account.name)]
    try:
        return getattr(Keyring(database), DONE_BY[verb])(existing(terminal, database, name).name, **arguments)
    except (ValueError, LookupError) as trouble:
        text, _, step = str(trouble.args[0]).partition("\n")
        raise Failure(text, Exit.NOUSER if isinstance(trouble, LookupError) else Exit.DATAERR, step) from None


def _proof(command: Any) -> Any:
    """--password-stdin, for *command*."""
    told = "Read your own password from standard input, where you may not read the server's files."
    return click.option("--password-stdin", is_flag=True, help=told)(command)


def _until(row: dict[str, Any]) -> str:
    """The last day, where the reader lives."""
    if row["expires_s"] is None:
        return "never"
    return time.strftime("%Y-%m-%d", time.localtime(row["expires_s"] - 1)) + (" (over)" if row["expired"] else "")


@group.command("list")
@click.argument("name", required=False)
@_proof
@click.pass_obj
def list_(terminal: Terminal, name: str | None, password_stdin: bool) -> None:
    """List the app passwords of a user, or of all."""
    if found := _asked(terminal, "list", name, password_stdin):
        rows = [(row["user"], row["label"], " ".join(row["services"]), _until(row)) for row in found]
        terminal.table(("USER", "LABEL", "SERVICES", "UNTIL"), rows, found)
    else:
        terminal.hint(f"no app passwords yet; make one: twistmail app-password add {name or 'anna@blue.example'} telephone")


@group.command()
@click.argument("name")
@click.argument("label")
@click.option("--service", "services", type=click.Choice(SERVICES), multiple=True, help="What it opens; repeatable. Default: everything.")
@click.option("--expires", callback=moment, metavar="WHEN", help="When it ends, as 90d from now or 2027-01-31. Default: never.")
@_proof
@click.pass_obj
def add(terminal: Terminal, name: str, label: str, services: tuple[str, ...], expires: float | None, password_stdin: bool) -> None:
    """Make an app password and print it, once. LABEL says for what, such as telephone."""
    made = _asked(terminal, "add", name, password_stdin, label=label, services=services, expires=expires)
    if terminal.as_json:
        terminal.object(made)
        return
    terminal.say(f"{made['user']}, {label}   password: {made['password']}   (shown once)")
    terminal.hint("for programs that send it (PLAIN, LOGIN); those that prove it (SCRAM) need the password itself")


@group.command()
@click.argument("name")
@click.argument("label")
@_proof
@click.pass_obj
def remove(terminal: Terminal, name: str, label: str, password_stdin: bool) -> None:
    """Take an app password away. Who is connected with it stays so until he leaves."""
    was = _asked(terminal, "remove", name, password_stdin, label=label)
    if terminal.as_json:
        terminal.object(was)
    else:
        terminal.say(f"{was['user']}, {label}: removed")
