"""twistmail user: who has a mailbox. Works on the database of accounts, whether or not the server runs."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import Any

import click

from twistmail.accounts import passwords
from twistmail.accounts.config import OPTIONS as USERS
from twistmail.accounts.sqlite import AccountDatabase, AccountExists, NoSuchAccount
from twistmail.accounts.table import account_name
from twistmail.cli.door import last_login_of
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Noun
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import amount, octets
from twistmail.mail.account import Account

LONGEST_PASSWORD = 1024


@click.group("user", cls=Noun)
def group() -> None:
    """Who has a mailbox and may log in."""


def _database(terminal: Terminal) -> AccountDatabase:
    """The accounts; the folder is made where it is missing, so that users can be added before the first start."""
    config = terminal.glance(USERS)
    if not config.data_dir.exists():
        config.data_dir.mkdir(mode=0o700, parents=True)
        if os.geteuid() == 0:
            terminal.hint(f"{config.data_dir} belongs to root now; the server may need it: chown -R twistmail: {config.data_dir}")
    _become_owner(config.data_dir)
    return AccountDatabase(config.file(config[USERS.name].database))


def _become_owner(folder: Path) -> None:
    """Root acts as whom the server runs as, else the server could not read what is made here."""
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)


def _name(terminal: Terminal, database: AccountDatabase, text: str) -> str:
    """*text* as a full address; a missing domain is completed where there is only one."""
    if "@" not in text:
        domains = {account.domain for account in database.list()}
        if len(domains) != 1:
            raise Failure(f"{text} has no domain", Exit.USAGE, f"write the full address, such as {text}@blue.example")
        text = f"{text}@{domains.pop()}"
        terminal.hint(f"meaning {text}")
    try:
        return account_name(text)
    except ValueError as trouble:
        raise Failure(str(trouble).partition("\n")[0], Exit.USAGE) from None


def _existing(terminal: Terminal, database: AccountDatabase, text: str) -> Account:
    name = _name(terminal, database, text)
    account = database.get(name)
    if account is None:
        raise _unknown(database, name)
    return account


def _unknown(database: AccountDatabase, name: str) -> Failure:
    from difflib import get_close_matches

    matches = get_close_matches(name, [account.name for account in database.list()], 1, 0.6)
    step = f"did you mean {matches[0]}?" if matches else f"make it: twistmail user add {name}"
    return Failure(f"no user {name}", Exit.NOUSER, step)


def _password_options(command: Any) -> Any:
    command = click.option("--password-stdin", is_flag=True, help="Read the password from standard input, one line.")(command)
    return click.option("--generate", is_flag=True, help="Make one up and print it, once.")(command)


def _password(terminal: Terminal, password_stdin: bool, generate: bool) -> str:
    """The new password, by whichever way was asked for. Never an argument: those are seen by everybody on the machine."""
    if password_stdin and generate:
        raise click.UsageError("--password-stdin and --generate exclude each other")
    if generate:
        return passwords.generate(secrets.choice)
    if password_stdin:
        password = sys.stdin.readline(LONGEST_PASSWORD).rstrip("\r\n")
    elif sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        raise Failure("nobody is there to ask for the password", Exit.USAGE, "add --password-stdin or --generate")
    shortest = terminal.glance(USERS)[USERS.name].minimum_password
    if len(password) < shortest:
        raise Failure(f"the password is shorter than {shortest} characters", Exit.DATAERR, "so long it must be: [users] minimum_password")
    return password


def _quota_text(account: Account) -> str:
    return "unlimited" if account.quota is None else amount(account.quota)


def _row(account: Account) -> dict[str, Any]:
    return {"name": account.name, "display_name": account.display_name, "enabled": account.enabled, "quota": account.quota,
            "source": "database"}


@group.command("list")
@click.argument("domain", required=False)
@click.pass_obj
def list_(terminal: Terminal, domain: str | None) -> None:
    """List the users, all or those of one domain."""
    found = [account for account in _database(terminal).list() if domain in (None, account.domain)]
    rows = [(account.name, "enabled" if account.enabled else "disabled", _quota_text(account), account.display_name) for account in found]
    if rows:
        terminal.table(("NAME", "STATE", "QUOTA", "DISPLAY NAME"), rows, [_row(account) for account in found])
    else:
        terminal.hint("no users yet; make one: twistmail user add anna@blue.example")


@group.command()
@click.argument("name")
@click.option("--display-name", default="", help="As people call them.")
@click.option("--quota", callback=octets, metavar="SIZE", help="How much the mailbox may hold, such as 2G. Default: unlimited.")
@_password_options
@click.pass_obj
def add(terminal: Terminal, name: str, display_name: str, quota: int | None, password_stdin: bool, generate: bool) -> None:
    """Give somebody a mailbox. NAME is the full address; it is also the login."""
    database = _database(terminal)
    full = _name(terminal, database, name)
    if database.get(full):
        raise Failure(f"there is a user {full} already", Exit.DATAERR, f"change the password: twistmail user password {full}")
    password = _password(terminal, password_stdin, generate)
    try:
        account = database.add(full, password, display_name=display_name, quota=quota)
    except AccountExists as trouble:
        raise Failure(str(trouble), Exit.DATAERR) from None
    _tell(terminal, account, f"{full} added", password if generate else None)
    if not f".{terminal.glance()['server'].hostname}".endswith(f".{account.domain}"):
        terminal.hint(f"mail for {account.domain} is taken where [domains] local or [domain:{account.domain}] names it")


def _tell(terminal: Terminal, account: Account, text: str, password: str | None) -> None:
    """What was done; with *password* where it was made up, which is the only time it is seen."""
    if terminal.as_json:
        terminal.object(_row(account) | ({"password": password} if password else {}))
        return
    terminal.say(text + (f"   password: {password}   (shown once)" if password else ""))


@group.command()
@click.argument("name")
@click.pass_obj
def show(terminal: Terminal, name: str) -> None:
    """Show one user."""
    account = _existing(terminal, _database(terminal), name)
    terminal.show(_row(account) | ({} if terminal.as_json else {"quota": _quota_text(account)}) | last_login_of(terminal, account.name))


@group.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed.")
@click.pass_obj
def remove(terminal: Terminal, name: str, yes: bool, dry_run: bool) -> None:
    """Take somebody's account away. The mail stays on the disk."""
    database = _database(terminal)
    account = _existing(terminal, database, name)
    if dry_run:
        terminal.say(f"{account.name} would be removed; the mail would stay")
        return
    terminal.sure(f"Remove {account.name}? Mail to it will be refused; the mail it has stays on the disk.", yes)
    database.remove(account.name)
    _tell(terminal, account, f"{account.name} removed", None)


@group.command()
@click.argument("name")
@_password_options
@click.pass_obj
def password(terminal: Terminal, name: str, password_stdin: bool, generate: bool) -> None:
    """Give somebody a new password."""
    database = _database(terminal)
    account = _existing(terminal, database, name)
    new = _password(terminal, password_stdin, generate)
    database.set_password(account.name, new)
    _tell(terminal, account, f"{account.name} has a new password", new if generate else None)


@group.command("hash")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, one line.")
@click.pass_obj
def hash_(terminal: Terminal, password_stdin: bool) -> None:
    """Print the hash of a password, for a [user:NAME] section or a passwd file."""
    hashed = passwords.hash_password(_password(terminal, password_stdin, False))
    terminal.object({"hash": hashed}) if terminal.as_json else terminal.say(hashed)


def _set_enabled(terminal: Terminal, name: str, enabled: bool) -> None:
    database = _database(terminal)
    account = _existing(terminal, database, name)
    try:
        database.set_enabled(account.name, enabled)
    except NoSuchAccount:
        raise _unknown(database, account.name) from None
    after = database.get(account.name) or account
    _tell(terminal, after, f"{account.name} {'may log in' if enabled else 'may not log in; mail still arrives'}", None)


@group.command()
@click.argument("name")
@click.pass_obj
def enable(terminal: Terminal, name: str) -> None:
    """Let somebody log in again."""
    _set_enabled(terminal, name, True)


@group.command()
@click.argument("name")
@click.pass_obj
def disable(terminal: Terminal, name: str) -> None:
    """Keep somebody from logging in. Mail still arrives."""
    _set_enabled(terminal, name, False)
