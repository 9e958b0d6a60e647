"""twistmail password: everybody's way to another password of his own, by the old one.

It goes over the socket that [users] password_socket names, which any user of the
machine may open. Who may read the database of accounts needs no server for it.
"""

from __future__ import annotations

import secrets as chance

import click

from twistmail.accounts import fresh, passwords
from twistmail.cli import own, secrets
from twistmail.cli.accounts import database_of, full_name
from twistmail.cli.control import Control
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Verb
from twistmail.cli.terminal import Terminal


@click.command("password", cls=Verb)
@click.argument("name", required=False)
@click.option("--password-stdin", is_flag=True, help="Read the old and the new password from standard input, a line each.")
@click.option("--generate", is_flag=True, help="Make a new one up and print it, once.")
@click.pass_obj
def password(terminal: Terminal, name: str | None, password_stdin: bool, generate: bool) -> None:
    """Change your own password, by the old one.

    An administrator gives others new ones by `twistmail user password`. NAME is what you log in by; without it, your name on this machine.
    """
    login = name or own.user()
    place = own.socket(terminal)
    if place is None:
        _at_the_files(terminal, login, password_stdin, generate)
        return
    old, new = _both(password_stdin, generate)
    account = Control(place).ask("password.change", login=login, old=old, new=new)["account"]
    _tell(terminal, account, new if generate else "")


def _both(password_stdin: bool, generate: bool) -> tuple[str, str]:
    """The old password and the new one."""
    old = secrets.line() if password_stdin else secrets.typed("Old password")
    if generate:
        return old, passwords.generate(chance.choice)
    return old, secrets.line() if password_stdin else secrets.typed("New password", twice=True)


def _at_the_files(terminal: Terminal, login: str, password_stdin: bool, generate: bool) -> None:
    """Do it without a server."""
    kinds = secrets.kinds(terminal)
    database = database_of(terminal)
    name = full_name(terminal, database, login)
    old, new = _both(password_stdin, generate)
    entry = database.entry(name)
    if not passwords.verify((entry.secret if entry else "") or passwords.NOBODYS, old, name) or entry is None:
        raise Failure("the old password is wrong", Exit.NOPERM, f"who has forgotten it: twistmail user password {name}")
    if said := passwords.complaint(new, secrets.shortest(terminal), entry.account.name):
        raise Failure(said, Exit.DATAERR, "take several words")
    database.set_secret(entry.account.name, *fresh.keep(new, kinds))
    _tell(terminal, entry.account.name, new if generate else "")


def _tell(terminal: Terminal, account: str, made: str) -> None:
    if terminal.as_json:
        terminal.object({"name": account} | ({"password": made} if made else {}))
    else:
        terminal.say(f"{account} has a new password" + (f"   password: {made}   (shown once)" if made else ""))
