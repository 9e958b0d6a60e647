"""twistmail domain: whose mail is kept here, and what the DNS must say of it."""

from __future__ import annotations

import time

import click

from twistmail.cli.completing import DOMAIN
from twistmail.cli.desk import Desk
from twistmail.cli.exits import Exit
from twistmail.cli.grammar import Noun
from twistmail.cli.terminal import Terminal


@click.group("domain", cls=Noun)
def group() -> None:
    """The domains whose mail is kept here."""


@group.command("list")
@click.pass_obj
def list_(terminal: Terminal) -> None:
    """List the domains, the default one first, and how many users they have."""
    found = Desk(terminal).ask("domain.list")
    rows = [
        (one["name"] + " *" * one["default"], one["same_as"] or "its own", str(one["users"]), one["catchall"] or "-", one["source"])
        for one in found
    ]
    terminal.table(("DOMAIN", "USERS OF", "USERS", "CATCH-ALL", "SOURCE"), rows, found)


@group.command()
@click.argument("name", type=DOMAIN)
@click.pass_obj
def show(terminal: Terminal, name: str) -> None:
    """Show one domain."""
    terminal.show(Desk(terminal).ask("domain.show", name=name))


@group.command()
@click.argument("name")
@click.option("--same-as", default="", metavar="DOMAIN", help="An alias domain: it has the users of DOMAIN.")
@click.option("--catchall", default="", metavar="ADDRESS", help="Who gets mail for names that nobody has.")
@click.option("--description", default="", help="A word about it, for people.")
@click.pass_obj
def add(terminal: Terminal, name: str, same_as: str, catchall: str, description: str) -> None:
    """Take mail for a domain from now on, or change one that was added so."""
    row = Desk(terminal).ask("domain.add", name=name, same_as=same_as, catchall=catchall, description=description)
    if terminal.as_json:
        terminal.object(row)
        return
    terminal.say(f"mail for {row['name']} is taken" + (f", for the users of {row['same_as']}" if row["same_as"] else ""))
    terminal.hint(f"the DNS must send it here: twistmail domain dns {row['name']}")


@group.command()
@click.argument("name", type=DOMAIN)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed.")
@click.pass_obj
def remove(terminal: Terminal, name: str, yes: bool, dry_run: bool) -> None:
    """Take no more mail for a domain. Its users and their mail stay, but are not reached."""
    desk = Desk(terminal)
    row = desk.ask("domain.remove", name=name, dry_run=True)
    users = f" It has {row['users']} users." if row["users"] else ""
    if dry_run:
        terminal.say(f"{row['name']} would be removed.{users}")
        return
    terminal.sure(f"Take no more mail for {row['name']}?{users}", yes)
    desk.ask("domain.remove", name=row["name"])
    terminal.object(row) if terminal.as_json else terminal.say(f"{row['name']} removed")


@group.command()
@click.argument("name", type=DOMAIN)
@click.option("--zone", is_flag=True, help="As lines of a zone file.")
@click.pass_obj
def dns(terminal: Terminal, name: str, zone: bool) -> None:
    """Print the DNS records that the domain needs, ready to paste."""
    from twistmail.certificate_views import certificates_of  # slow: they bring the cryptography
    from twistmail.domain_records import DEFAULT_TTL, host_records, records

    domain = Desk(terminal).ask("domain.show", name=name)["name"]
    config = terminal.whole()
    wanted = (*records(domain, config), *host_records(config, certificates_of(config, time.time, self_sign=False)))
    if any(one.type == "TLSA" for one in wanted):
        terminal.hint("TLSA is for signed zones only; put a new one beside the old before the key of the certificate changes")
    if zone and not terminal.as_json:
        for one in wanted:
            terminal.say(f"{one.name + '.':40} {DEFAULT_TTL} IN {one.type:5} {one.zone_value}")
        return
    rows = [(one.name, one.type, one.value) for one in wanted]
    terminal.table(("NAME", "TYPE", "VALUE"), rows, [{"name": n, "type": t, "value": v} for n, t, v in rows])


@group.command("check")
@click.argument("names", nargs=-1, type=DOMAIN, metavar="[NAME]...")
@click.pass_obj
def check_(terminal: Terminal, names: tuple[str, ...]) -> int:
    """Ask the DNS whether it says what it must. Ends with 1 where it does not.

    All domains, or those named.
    """
    from twistmail.cli.dry import asking
    from twistmail.domain_records import check_all

    desk, config = Desk(terminal), terminal.whole()
    chosen = [desk.ask("domain.show", name=name)["name"] for name in names] or [row["name"] for row in desk.ask("domain.list")]
    found = asking(config, lambda lookup: check_all(chosen, config, lookup))
    rows = [(domain, one.what, "ok" if one.is_right else "WRONG", one.found, one.advice) for domain, one in found]
    names_ = ("domain", "what", "verdict", "found", "advice")
    terminal.table(tuple(map(str.upper, names_)), rows, [dict(zip(names_, row, strict=True)) for row in rows])
    return Exit.OK if all(one.is_right for _, one in found) else Exit.NOTHING
