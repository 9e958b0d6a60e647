"""twistmail app-password: passwords for single programs and devices of somebody. Works on the database, whether or not the server runs."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

import click

from twistmail.accounts import app_passwords
from twistmail.accounts.secrets import AppPassword
from twistmail.accounts.sqlite import AccountDatabase
from twistmail.cli.accounts import database_of, existing
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Noun
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import moment

#: What one can be for; `submission` is sending, by whichever port.
SERVICES = ("imap", "pop3", "submission")


@click.group("app-password", cls=Noun)
def group() -> None:
    """Passwords for single programs and devices, which can be taken away one by one."""


def _of(database: AccountDatabase, name: str) -> Sequence[AppPassword]:
    entry = database.entry(name)
    return sorted(entry.app_passwords, key=lambda one: one.label) if entry else ()


def _row(name: str, one: AppPassword) -> dict[str, Any]:
    expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(one.expires)) if one.expires is not None else None
    return {"user": name, "label": one.label, "services": sorted(one.services) or list(SERVICES), "expires": expires,
            "expires_s": one.expires, "expired": one.expires is not None and one.expires <= time.time()}  # fmt: skip


def _until(row: dict[str, Any]) -> str:
    """The last day, where the reader lives."""
    if row["expires_s"] is None:
        return "never"
    return time.strftime("%Y-%m-%d", time.localtime(row["expires_s"] - 1)) + (" (over)" if row["expired"] else "")


@group.command("list")
@click.argument("name", required=False)
@click.pass_obj
def list_(terminal: Terminal, name: str | None) -> None:
    """List the app passwords of a user, or of all."""
    database = database_of(terminal)
    names = [existing(terminal, database, name).name] if name else [account.name for account in database.list()]
    found = [_row(one, made) for one in names for made in _of(database, one)]
    if found:
        rows = [(row["user"], row["label"], " ".join(row["services"]), _until(row)) for row in found]
        terminal.table(("USER", "LABEL", "SERVICES", "UNTIL"), rows, found)
    else:
        terminal.hint(f"no app passwords yet; make one: twistmail app-password add {name or 'anna@blue.example'} telephone")


@group.command()
@click.argument("name")
@click.argument("label")
@click.option("--service", "services", type=click.Choice(SERVICES), multiple=True, help="What it opens; repeatable. Default: everything.")
@click.option("--expires", callback=moment, metavar="WHEN", help="When it ends, as 90d from now or 2027-01-31. Default: never.")
@click.pass_obj
def add(terminal: Terminal, name: str, label: str, services: tuple[str, ...], expires: float | None) -> None:
    """Make an app password and print it, once. LABEL says for what, such as telephone."""
    database = database_of(terminal)
    account = existing(terminal, database, name)
    known = _of(database, account.name)
    if any(one.label == label for one in known):
        raise Failure(f"{account.name} has an app password {label} already", Exit.DATAERR,
                      f"take another label, or first: twistmail app-password remove {account.name} {label}")
    if len(known) >= app_passwords.MOST:
        raise Failure(f"{account.name} has {len(known)} app passwords", Exit.DATAERR, "take some away; twistmail app-password list")
    password = app_passwords.generate(secrets.choice)
    try:
        made = app_passwords.make(label, password, services, expires)
    except ValueError as trouble:
        raise Failure(str(trouble), Exit.USAGE) from None
    database.add_app_password(account.name, made)
    if terminal.as_json:
        terminal.object(_row(account.name, made) | {"password": password})
        return
    terminal.say(f"{account.name}, {label}   password: {password}   (shown once)")
    terminal.hint("for programs that send it (PLAIN, LOGIN); those that prove it (SCRAM) need the password itself")


@group.command()
@click.argument("name")
@click.argument("label")
@click.pass_obj
def remove(terminal: Terminal, name: str, label: str) -> None:
    """Take an app password away. Who is connected with it stays so until he leaves."""
    database = database_of(terminal)
    account = existing(terminal, database, name)
    if not database.remove_app_password(account.name, label):
        labels = [one.label for one in _of(database, account.name)]
        raise Failure(f"{account.name} has no app password {label}", Exit.NOUSER, f"there are: {', '.join(labels)}" if labels else "")
    if terminal.as_json:
        terminal.object({"user": account.name, "label": label})
    else:
        terminal.say(f"{account.name}, {label}: removed")
