"""New passwords on the command line: typed twice, read from standard input, or made up. Never an argument: those everybody sees."""

from __future__ import annotations

import secrets
import sys
from typing import Any

import click

from twistmail.accounts import fresh, passwords
from twistmail.accounts.config import OPTIONS as USERS
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.terminal import Terminal


def options(command: Any) -> Any:
    """--password-stdin and --generate, for *command*."""
    command = click.option("--password-stdin", is_flag=True, help="Read the password from standard input, one line.")(command)
    return click.option("--generate", is_flag=True, help="Make one up and print it, once.")(command)


def new(terminal: Terminal, name: str, password_stdin: bool, generate: bool) -> str:
    """The new password of the account *name* (empty: of nobody yet), by whichever way was asked for. Failure where it will not do."""
    if password_stdin and generate:
        raise click.UsageError("--password-stdin and --generate exclude each other")
    if generate:
        return passwords.generate(secrets.choice)
    password = line() if password_stdin else typed("Password", twice=True)
    if said := passwords.complaint(password, shortest(terminal), name):
        raise Failure(said, Exit.DATAERR, "take several words; [users] minimum_password says how long it must be")
    return password


def shortest(terminal: Terminal) -> int:
    """So many characters a new password must have."""
    return int(terminal.glance(USERS)[USERS.name].minimum_password)


def line() -> str:
    """The next line of standard input."""
    return sys.stdin.readline(2 * passwords.LONGEST).rstrip("\r\n")


def typed(prompt: str, *, twice: bool = False) -> str:
    """What somebody types unseen. Failure where nobody is there."""
    if not sys.stdin.isatty():
        raise Failure("nobody is there to ask for the password", Exit.USAGE, "add --password-stdin or --generate")
    return str(click.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True))


def kinds(terminal: Terminal) -> tuple[str, ...]:
    """The kinds of keys that the server keeps beside the hash of a password, by its [auth] mechanisms.

    To be asked before root becomes the owner of the files (`database_of`), who may not be able to read what is imported here.
    """
    from twistmail.servers.login import OPTIONS as AUTH  # slow: it imports Twisted

    return fresh.kinds(terminal.glance(AUTH)[AUTH.name].mechanisms)
