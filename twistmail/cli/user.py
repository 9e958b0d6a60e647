"""twistmail user: who has a mailbox. Done by the server, or on the files while it is down (`desk`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from twistmail.accounts import fresh, passwords
from twistmail.cli import app_password, secrets
from twistmail.cli.completing import USER
from twistmail.cli.desk import Desk
from twistmail.cli.door import last_login_of
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Large
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import amount, octets

#: As `main.COMMANDS`; a test compares the sentences.
VERBS: dict[str, tuple[str, str]] = {
    "export": ("twistmail.cli.user_files:export",
               "Write users with all that is kept of them, hashes of passwords too: one JSON object a line."),
    "forward": ("twistmail.cli.user_more:forward", "Send somebody's mail on to other addresses."),
    "import": ("twistmail.cli.user_files:import_", "Make users of what `user export` has written, or of a passwd-file of Dovecot."),
    "quota": ("twistmail.cli.user_more:quota", "Tell how much somebody's mailbox may hold, or change it."),
    "rename": ("twistmail.cli.user_more:rename", "Give somebody another address. The mail goes along."),
    "set": ("twistmail.cli.user_more:set_", "Change what is kept of somebody: FIELD=VALUE, as in a [user:NAME] section."),
    "settings": ("twistmail.cli.user_more:settings", "Print what somebody types into a mail program."),
    "usage": ("twistmail.cli.user_more:usage", "Tell how full mailboxes are."),
}


@click.group("user", cls=Large, later=VERBS)
def group() -> None:
    """Who has a mailbox and may log in."""


def tell_meaning(terminal: Terminal, text: str, name: str) -> None:
    """*text* was taken for *name*."""
    if "@" not in text:
        terminal.hint(f"meaning {name}")


def _kept(password: str, kinds: Sequence[str]) -> dict[str, Any]:
    """What is kept of *password*, for mechanisms of these *kinds*, as `user.add` and `user.secret` take it."""
    secret, keys = fresh.keep(password, kinds)
    return {"secret": secret, "keys": [one.encoded for one in keys]}


def quota_text(quota: int | None) -> str:
    return "unlimited" if quota is None else amount(quota)


@group.command("list")
@click.argument("domain", required=False)
@click.pass_obj
def list_(terminal: Terminal, domain: str | None) -> None:
    """List the users, all or those of one domain."""
    found = Desk(terminal).ask("user.list", domain=domain.lower() if domain else None)
    rows = [(one["name"], "enabled" if one["enabled"] else "disabled", quota_text(one["quota"]), one["source"], one["display_name"])
            for one in found]
    if rows:
        terminal.table(("NAME", "STATE", "QUOTA", "SOURCE", "DISPLAY NAME"), rows, found)
    else:
        terminal.hint("no users yet; make one: twistmail user add anna@blue.example")


@group.command()
@click.argument("name")
@click.option("--display-name", default="", help="As people call them.")
@click.option("--quota", callback=octets, metavar="SIZE", help="How much the mailbox may hold, such as 2G. Default: unlimited.")
@click.option("--address", "addresses", multiple=True, help="A further address whose mail goes into the mailbox; repeatable.")
@secrets.options
@click.pass_obj
def add(
    terminal: Terminal,
    name: str,
    display_name: str,
    quota: int | None,
    addresses: tuple[str, ...],
    password_stdin: bool,
    generate: bool,
) -> None:
    """Give somebody a mailbox. NAME is the full address; it is also the login."""
    kinds = secrets.kinds(terminal)
    desk = Desk(terminal)
    fields = {"display_name": display_name, "quota": quota or "unlimited", "addresses": " ".join(addresses)}
    full = desk.ask("user.add", name=name, dry_run=True, **fields)["name"]
    tell_meaning(terminal, name, full)
    password = secrets.new(terminal, full, password_stdin, generate)
    made = desk.ask("user.add", name=full, **fields, **_kept(password, kinds))
    is_ours = made.pop("is_ours")
    tell(terminal, made, f"{full} added", password if generate else None)
    if not is_ours:
        domain = full.rpartition("@")[2]
        terminal.hint(f"mail for {domain} is not taken yet: twistmail domain add {domain}")


def tell(terminal: Terminal, row: dict[str, Any], text: str, password: str | None = None) -> None:
    """What was done; with *password* where it was made up, which is the only time it is seen."""
    if terminal.as_json:
        terminal.object(row | ({"password": password} if password else {}))
        return
    terminal.say(text + (f"   password: {password}   (shown once)" if password else ""))


@group.command()
@click.argument("name", type=USER)
@click.pass_obj
def show(terminal: Terminal, name: str) -> None:
    """Show one user."""
    row = Desk(terminal).ask("user.show", name=name)
    tell_meaning(terminal, name, row["name"])
    row |= last_login_of(terminal, row["name"])
    if terminal.as_json:
        terminal.object(row)
        return
    words = {"addresses": " ".join(row["addresses"]), "app_passwords": ", ".join(row["app_passwords"]), "quota": quota_text(row["quota"])}
    settings = row.pop("settings")
    terminal.show(row | words | settings)


@group.command()
@click.argument("name", type=USER)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed.")
@click.pass_obj
def remove(terminal: Terminal, name: str, yes: bool, dry_run: bool) -> None:
    """Take somebody's account away. The mail stays on the disk."""
    desk = Desk(terminal)
    row = desk.ask("user.remove", name=name, dry_run=True)
    tell_meaning(terminal, name, row["name"])
    if dry_run:
        terminal.say(f"{row['name']} would be removed; the mail would stay")
        return
    terminal.sure(f"Remove {row['name']}? Mail to it will be refused; the mail it has stays on the disk.", yes)
    tell(terminal, desk.ask("user.remove", name=row["name"]), f"{row['name']} removed")


@group.command()
@click.argument("name", type=USER)
@secrets.options
@click.pass_obj
def password(terminal: Terminal, name: str, password_stdin: bool, generate: bool) -> None:
    """Give somebody a new password."""
    kinds = secrets.kinds(terminal)
    desk = Desk(terminal)
    full = desk.ask("user.show", name=name)["name"]
    tell_meaning(terminal, name, full)
    new = secrets.new(terminal, full, password_stdin, generate)
    tell(terminal, desk.ask("user.secret", name=full, **_kept(new, kinds)), f"{full} has a new password", new if generate else None)


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
    row = Desk(terminal).ask("user.change", name=name, fields={"enabled": "yes" if enabled else "no"})
    tell_meaning(terminal, name, row["name"])
    tell(terminal, row, f"{row['name']} {'may log in' if enabled else 'may not log in; mail still arrives'}")
    if not enabled:
        terminal.hint(f"whoever is logged in stays so: twistmail session kick {row['name']}")


@group.command()
@click.argument("name", type=USER)
@click.pass_obj
def enable(terminal: Terminal, name: str) -> None:
    """Let somebody log in again."""
    _set_enabled(terminal, name, True)


@group.command()
@click.argument("name", type=USER)
@click.pass_obj
def disable(terminal: Terminal, name: str) -> None:
    """Keep somebody from logging in. Mail still arrives."""
    _set_enabled(terminal, name, False)
