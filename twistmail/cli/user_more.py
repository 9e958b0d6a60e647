"""twistmail user quota, rename, set, forward, usage, settings."""

from __future__ import annotations

from typing import Any

import click

from twistmail.cli.completing import USER
from twistmail.cli.desk import Desk
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Verb
from twistmail.cli.terminal import Terminal
from twistmail.cli.user import quota_text, tell, tell_meaning
from twistmail.cli.words import amount

#: What a service is called in a mail program, and by whom it is offered.
_KINDS = (("Incoming mail", "IMAP", "imap"), ("Incoming mail", "POP3", "pop3"), ("Outgoing mail", "SMTP", "submission"))


def _changed(terminal: Terminal, name: str, **fields: str) -> dict[str, Any]:
    row: dict[str, Any] = Desk(terminal).ask("user.change", name=name, fields=fields)
    tell_meaning(terminal, name, row["name"])
    return row


@click.command("quota", cls=Verb)
@click.argument("name", type=USER)
@click.argument("size", required=False)
@click.pass_obj
def quota(terminal: Terminal, name: str, size: str | None) -> None:
    """Tell how much somebody's mailbox may hold, or change it.

    SIZE is such as 2G, or the word unlimited.
    """
    if size is None:
        row = Desk(terminal).ask("user.show", name=name)
        tell_meaning(terminal, name, row["name"])
        tell(terminal, row, quota_text(row["quota"]))
        return
    row = _changed(terminal, name, quota=size)
    tell(terminal, row, f"{row['name']} may hold {quota_text(row['quota'])}")


@click.command("set", cls=Verb)
@click.argument("name", type=USER)
@click.argument("settings", nargs=-1, required=True, metavar="FIELD=VALUE...")
@click.pass_obj
def set_(terminal: Terminal, name: str, settings: tuple[str, ...]) -> None:
    """Change what is kept of somebody: FIELD=VALUE, as in a [user:NAME] section.

    \b
    twistmail user set anna@blue.example display_name="Anna Other" rate=1000/1h
    twistmail user set anna@blue.example addresses="a@blue.example anna@green.example"
    """
    fields = {}
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not sign:
            raise click.UsageError(f"{setting} sets nothing; write FIELD=VALUE")
        fields[key] = value
    row = _changed(terminal, name, **fields)
    tell(terminal, row, f"{row['name']}: {', '.join(fields)} changed")


@click.command("forward", cls=Verb)
@click.argument("name", type=USER)
@click.argument("addresses", nargs=-1, metavar="[ADDRESS]...")
@click.option("--keep/--no-keep", default=True, help="Whether a copy stays in the mailbox.  [default: keep]")
@click.option("--off", is_flag=True, help="Send nothing on any more.")
@click.pass_obj
def forward(terminal: Terminal, name: str, addresses: tuple[str, ...], keep: bool, off: bool) -> None:
    """Send somebody's mail on to other addresses.

    Without an address, tell where it goes now.
    """
    if addresses and off:
        raise click.UsageError("--off and addresses exclude each other")
    if not addresses and not off:
        row = Desk(terminal).ask("user.show", name=name)
        tell(terminal, row, row["settings"].get("forward") or "nowhere")
        return
    row = _changed(terminal, name, forward=" ".join(addresses), keep_copy="yes" if keep else "no")
    onward = " ".join(addresses)
    copy = "a copy stays" if keep else "no copy stays"
    tell(terminal, row, f"mail for {row['name']} goes on to {onward}; {copy}" if onward else f"mail for {row['name']} stays here")


@click.command("rename", cls=Verb)
@click.argument("name", type=USER)
@click.argument("new_name")
@click.option("--keep-address", is_flag=True, help="Mail for the old address still arrives.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.pass_obj
def rename(terminal: Terminal, name: str, new_name: str, keep_address: bool, yes: bool, dry_run: bool) -> None:
    """Give somebody another address. The mail goes along.

    Sessions of the old name lose its mailboxes; the password stays.
    """
    desk = Desk(terminal)
    old = desk.ask("user.show", name=name)
    tell_meaning(terminal, name, old["name"])
    if dry_run:
        terminal.say(f"{old['name']} would become {new_name}, with all mail")
        return
    terminal.sure(f"Rename {old['name']} to {new_name}, with all mail? Mail programs have to log in by the new name.", yes)
    row = desk.ask("user.rename", name=old["name"], to=new_name)
    if keep_address:
        row = desk.ask("user.change", name=row["name"], fields={"addresses": " ".join([*row["addresses"], old["name"]])})
    tell(terminal, row, f"{old['name']} is {row['name']} now")


@click.command("usage", cls=Verb)
@click.argument("names", nargs=-1, type=USER, metavar="[NAME]...")
@click.option("--all", "everybody", is_flag=True, help="All users.")
@click.pass_obj
def usage(terminal: Terminal, names: tuple[str, ...], everybody: bool) -> None:
    """Tell how full mailboxes are.

    Counted with CRLF line ends, as quotas are.
    """
    if not names and not everybody:
        raise Failure("whose mail?", Exit.USAGE, "name users, or write --all")
    desk = Desk(terminal)
    chosen = names or tuple(row["name"] for row in desk.ask("user.list"))
    found = [desk.ask("user.usage", name=name) for name in chosen]
    rows = [(one["name"], str(one["messages"]), amount(one["octets"]), quota_text(one["quota"]), _percent(one)) for one in found]
    terminal.table(("NAME", "MESSAGES", "SIZE", "QUOTA", "FULL"), rows, found)


def _percent(one: dict[str, Any]) -> str:
    return f"{100 * one['octets'] // one['quota']} %" if one["quota"] else "-"


@click.command("settings", cls=Verb)
@click.argument("name", type=USER)
@click.pass_obj
def settings(terminal: Terminal, name: str) -> None:
    """Print what somebody types into a mail program.

    No password is on it: that is known to its owner alone.
    """
    row = Desk(terminal).ask("user.show", name=name)
    tell_meaning(terminal, name, row["name"])
    config = terminal.whole()
    login = row["name"].rpartition("@")[0] if config["users"].login == "local" else row["name"]
    services = [
        {"for": purpose, "protocol": protocol, "host": config["server"].hostname, "port": listen.port, "security": security}
        for purpose, protocol, service in _KINDS
        for listen in config[service].listen
        if listen.port and (security := "TLS" if listen.implicit_tls else "STARTTLS" if config[service].tls != "off" else "none")
    ]
    if terminal.as_json:
        terminal.object({"name": row["name"], "display_name": row["display_name"], "login": login, "services": services})
        return
    terminal.say(f"Mail of {row['name']}\n")
    lines = [(one["for"], one["protocol"], one["host"], str(one["port"]), one["security"]) for one in services]
    terminal.table(("FOR", "PROTOCOL", "SERVER", "PORT", "SECURITY"), lines, ())
    terminal.say(f"\nUser name  {login}\nPassword   the one of the account")
