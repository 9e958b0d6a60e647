"""twistmail session and ban: who is connected, and who may not come in. Bans can be changed while the server is down, too."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from typing import Any

import click

from twistmail.bans import OPERATOR, Ban, network_in
from twistmail.cli.control import ServerDown
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Noun
from twistmail.cli.owner import get_ready
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import duration, plural, span
from twistmail.doorbook import FILE, Doorbook
from twistmail.networks import Network, covers

#: Whoever bans these should know it: what this machine says to itself comes from there.
OURSELVES = ("127.0.0.1", "::1")


@click.group("session", cls=Noun)
def sessions() -> None:
    """Who is connected."""


@sessions.command("list")
@click.argument("who", nargs=-1)
@click.pass_obj
def list_(terminal: Terminal, who: tuple[str, ...]) -> int:
    """List the connections: service, user, client, TLS, since when, how long silent.

    WHO is an id, a user or an address; of several one has to fit. Default: everybody.
    """
    found = terminal.server().ask("session.list", who=list(who))
    rows = [
        (s["id"], s["service"], s["user"] or "-", s["client"], s["tls"] or "-", span(s["since_s"]), _span(s["idle_s"])) for s in found
    ]
    if rows or terminal.as_json:
        terminal.table(("ID", "SERVICE", "USER", "CLIENT", "TLS", "SINCE", "IDLE"), rows, found)
    else:
        terminal.hint("nobody of that name is connected" if who else "nobody is connected")
    return Exit.OK


@sessions.command()
@click.argument("who", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only tell who would have to go.")
@click.pass_obj
def kick(terminal: Terminal, who: tuple[str, ...], yes: bool, dry_run: bool) -> int:
    """End connections: of an id, a user or an address. They are told, and have a moment to go.

    Whoever can log in can come back: see twistmail user disable, and twistmail ban.
    """
    server = terminal.server()
    found = server.ask("session.list", who=list(who))
    if not found:
        raise Failure(f"{' '.join(who)}: nobody of that name is connected", Exit.NOTHING, "twistmail session   lists who is")
    if dry_run:
        for one in found:
            terminal.say(f"{one['id']}  {one['service']}  {one['user'] or '-'}  {one['client']}")
        return Exit.OK
    if len(found) > 1:
        terminal.sure(f"End {plural(len(found), 'connection')}?", yes)
    result = server.ask("session.kick", who=[one["id"] for one in found])
    if terminal.as_json:
        terminal.object(result)
    else:
        terminal.say(f"{plural(result['count'], 'connection')} ended")
    return Exit.OK


def _span(seconds: float | None) -> str:
    return "-" if seconds is None else span(seconds)


# ----- bans


@click.group("ban", cls=Noun)
def bans() -> None:
    """Addresses and networks that may not come in."""


@bans.command("list")
@click.pass_obj
def list_bans(terminal: Terminal) -> int:
    """List who is banned, for how long still, by whom and why, and how often he was sent away since the start."""
    try:
        found = terminal.server().ask("ban.list")
    except ServerDown:
        terminal.hint("the server does not run; this is what it will find")
        now = time.time()
        found = [ban.as_json(now) for ban in book(terminal).bans() if ban.holds(now)]
    if found or terminal.as_json:
        _table(terminal, found)
    else:
        terminal.hint("nobody is banned")
    return Exit.OK


@bans.command()
@click.argument("networks", metavar="ADDRESS...", nargs=-1, required=True)
@click.option("--for", "length", callback=duration, metavar="TIME", help="How long, such as 2h or 30d. Default: until it is removed.")
@click.option("--reason", default="", metavar="TEXT", help="Why; shown in the list.")
@click.option("--yes", is_flag=True, help="Do not ask, even where it would shut out this machine itself.")
@click.pass_obj
def add(terminal: Terminal, networks: tuple[str, ...], length: float | None, reason: str, yes: bool) -> int:
    """Let nobody in from an address or a network (192.0.2.7, 192.0.2.0/24, 2001:db8::/32), to no service.

    Connections that are open stay: see twistmail session kick.
    """
    wanted = _networks(networks)
    for network in wanted:
        if any(covers((network,), address) for address in OURSELVES):
            terminal.sure(f"{network} is this machine itself, or has it in it: web mail here, for one, would not come in. Ban it?", yes)
    try:
        made = terminal.server().ask("ban.add", networks=[str(network) for network in wanted], for_s=length, reason=reason)
    except ServerDown:
        now = time.time()
        until = None if length is None else now + length
        made = _written(terminal, {network: Ban(network, now, until, reason, OPERATOR) for network in wanted}, now)
    if terminal.as_json:
        _table(terminal, made)
    else:
        terminal.say(f"{', '.join(one['network'] for one in made)} banned {f'for {span(length)}' if length else 'until it is removed'}")
    return Exit.OK


@bans.command()
@click.argument("networks", metavar="ADDRESS...", nargs=-1, required=True)
@click.pass_obj
def remove(terminal: Terminal, networks: tuple[str, ...]) -> int:
    """Let somebody in again, and forget how often he has failed."""
    wanted = _networks(networks)
    try:
        lifted = terminal.server().ask("ban.remove", networks=[str(network) for network in wanted])["lifted"]
    except ServerDown:
        known = {ban.network: ban for ban in book(terminal).bans()}
        _written(terminal, {network: None for network in wanted if network in known}, time.time())
        lifted = [known[network].place for network in wanted if network in known]
    if terminal.as_json:
        terminal.object({"lifted": lifted})
    elif lifted:
        terminal.say(f"{', '.join(lifted)} may come in again")
    if not lifted:
        raise Failure(f"{', '.join(networks)}: not banned", Exit.NOUSER, "twistmail ban   lists who is; write it as it stands there")
    return Exit.OK


def _networks(texts: Sequence[str]) -> list[Network]:
    try:
        return [network_in(text) for text in texts]
    except ValueError as trouble:
        what, _, right = str(trouble).partition("\n")
        raise Failure(what, Exit.USAGE, right) from None


def _table(terminal: Terminal, found: Sequence[dict[str, Any]]) -> None:
    rows = [
        (one["network"], "for ever" if one["left_s"] is None else span(one["left_s"]), one["by"], str(one["turned_away"]), one["reason"])
        for one in found
    ]
    objects = [one | {"since": _moment(one["since"]), "until": _moment(one["until"])} for one in found]
    terminal.table(("NETWORK", "LEFT", "BY", "SENT AWAY", "REASON"), rows, objects)


def _moment(at: float | None) -> str | None:
    """POSIX seconds in ISO 8601, UTC."""
    return None if at is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


# ----- the door book


def book(terminal: Terminal) -> Doorbook:
    """The door book of the house. Root acts as whom the server runs as, else the server could not write what is made here."""
    folder = terminal.glance().data_dir
    if os.geteuid() == 0 and folder.exists() and (owner := folder.stat()).st_uid != 0:
        get_ready()
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
    return Doorbook(folder / FILE)


def _written(terminal: Terminal, changes: dict[Network, Ban | None], now: float) -> list[dict[str, Any]]:
    """Change the book of a server that does not run."""
    place = book(terminal)
    if not place.path.parent.exists():
        raise Failure(f"{place.path.parent} is not there", Exit.NOINPUT, "start the server once; twistmail config show server")
    place.write(changes, ())
    terminal.hint("the server does not run; it will know when it starts")
    return [ban.as_json(now) for ban in changes.values() if ban is not None]


def last_login_of(terminal: Terminal, account: str) -> dict[str, Any]:
    """When *account* was last used, for `user show`; whether or not the server runs."""
    last = None
    try:
        last = book(terminal).last_login(account)
    except (sqlite3.Error, OSError) as trouble:
        terminal.hint(f"when {account} was last used is not known: {trouble}")
    if terminal.as_json:
        return {"last_login": last and {"at": _moment(last.at), "service": last.service, "address": last.address,
                                        "mechanism": last.mechanism}}  # fmt: skip
    return {"last_login": last and f"{_moment(last.at)} by {last.service} from {last.address}"}
