"""twistmail user: who has a mailbox. Works on the database of accounts, whether or not the server runs."""

from __future__ import annotations

from typing import Any

import click

from twistmail.accounts import fresh, passwords
from twistmail.accounts.sqlite import AccountExists, NoSuchAccount
from twistmail.cli import app_password, secrets
from twistmail.cli.accounts import database_of, existing, full_name, unknown
from twistmail.cli.door import last_login_of
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Noun
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import amount, octets
from twistmail.mail.account import Account


@click.group("user", cls=Noun)
def group() -> None:
    """Who has a mailbox and may log in."""


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
    found = [account for account in database_of(terminal).list() if domain in (None, account.domain)]
    rows = [(account.name, "enabled" if account.enabled else "disabled", _quota_text(account), account.display_name) for account in found]
    if rows:
        terminal.table(("NAME", "STATE", "QUOTA", "DISPLAY NAME"), rows, [_row(account) for account in found])
    else:
        terminal.hint("no users yet; make one: twistmail user add anna@blue.example")


@group.command()
@click.argument("name")
@click.option("--display-name", default="", help="As people call them.")
@click.option("--quota", callback=octets, metavar="SIZE", help="How much the mailbox may hold, such as 2G. Default: unlimited.")
@secrets.options
@click.pass_obj
def add(terminal: Terminal, name: str, display_name: str, quota: int | None, password_stdin: bool, generate: bool) -> None:
    """Give somebody a mailbox. NAME is the full address; it is also the login."""
    kinds = secrets.kinds(terminal)
    database = database_of(terminal)
    full = full_name(terminal, database, name)
    if database.get(full):
        raise Failure(f"there is a user {full} already", Exit.DATAERR, f"change the password: twistmail user password {full}")
    password = secrets.new(terminal, full, password_stdin, generate)
    account = Account(full, display_name, quota)
    try:
        database.put(account, *fresh.keep(password, kinds))
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
    account = existing(terminal, database_of(terminal), name)
    terminal.show(_row(account) | ({} if terminal.as_json else {"quota": _quota_text(account)}) | last_login_of(terminal, account.name))


@group.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed.")
@click.pass_obj
def remove(terminal: Terminal, name: str, yes: bool, dry_run: bool) -> None:
    """Take somebody's account away. The mail stays on the disk."""
    database = database_of(terminal)
    account = existing(terminal, database, name)
    if dry_run:
        terminal.say(f"{account.name} would be removed; the mail would stay")
        return
    terminal.sure(f"Remove {account.name}? Mail to it will be refused; the mail it has stays on the disk.", yes)
    database.remove(account.name)
    _tell(terminal, account, f"{account.name} removed", None)


@group.command()
@click.argument("name")
@secrets.options
@click.pass_obj
def password(terminal: Terminal, name: str, password_stdin: bool, generate: bool) -> None:
    """Give somebody a new password."""
    kinds = secrets.kinds(terminal)
    database = database_of(terminal)
    account = existing(terminal, database, name)
    new = secrets.new(terminal, account.name, password_stdin, generate)
    database.set_secret(account.name, *fresh.keep(new, kinds))
    _tell(terminal, account, f"{account.name} has a new password", new if generate else None)


@group.command("hash")
@click.option("--scheme", default="", metavar="NAME", help="How to hash: ARGON2ID (the default), SHA512-CRYPT, SCRAM-SHA-256, ...")
@click.option("--login", default="", metavar="NAME", help="For DIGEST-MD5, which mixes it in.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, one line.")
@click.pass_obj
def hash_(terminal: Terminal, scheme: str, login: str, password_stdin: bool) -> None:
    """Print the hash of a password, for a [user:NAME] section or a passwd file."""
    try:
        hashed = passwords.hash_password(secrets.new(terminal, login, password_stdin, False), scheme, login)
    except ValueError as trouble:
        raise Failure(str(trouble), Exit.USAGE) from None
    terminal.object({"hash": hashed}) if terminal.as_json else terminal.say(hashed)


group.add_command(app_password.group)


def _set_enabled(terminal: Terminal, name: str, enabled: bool) -> None:
    database = database_of(terminal)
    account = existing(terminal, database, name)
    try:
        database.set_enabled(account.name, enabled)
    except NoSuchAccount:
        raise unknown(database, account.name) from None
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
