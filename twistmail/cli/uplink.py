"""twistmail offline, online: whether mail for others goes out at all; and what is known of the places where it goes."""

from __future__ import annotations

import time
from typing import Any

import click

from twistmail.cli.control import ServerDown
from twistmail.cli.exits import Exit
from twistmail.cli.grammar import Verb
from twistmail.cli.offline import occupied
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import plural, span
from twistmail.queue import absence


@click.command(cls=Verb)
@click.pass_obj
def offline(terminal: Terminal) -> int:
    """Keep mail for others here, without a question to anybody, until twistmail online; also over a restart.

    Mail for this server's own users is delivered as ever, and what twistmail queue flush names goes all the same.
    """
    said = _go(terminal, offline=True)
    if not terminal.as_json:
        terminal.say("mail for others stays here from now on" if said["changed"] else f"it does so already, for {span(said['since_s'])}")
        terminal.hint("twistmail online   lets it go")
    return Exit.OK


@click.command(cls=Verb)
@click.pass_obj
def online(terminal: Terminal) -> int:
    """Let mail for others go out again, at once."""
    said = _go(terminal, offline=False)
    if not terminal.as_json:
        waiting = "" if said["waiting"] is None else f"; {plural(said['waiting'], 'message')} in the queue"
        terminal.say((f"mail goes out again{waiting}") if said["changed"] else f"it does so already{waiting}")
    return Exit.OK


def _go(terminal: Terminal, *, offline: bool) -> dict[str, Any]:
    """Tell the server; where it does not run, write down what it shall find."""
    try:
        said: dict[str, Any] = terminal.server().ask("uplink.down" if offline else "uplink.up")
    except ServerDown:
        terminal.hint("--offline: the server does not run; it will find it so when it starts")
        said = _written(terminal, offline=offline)
    if terminal.as_json:
        terminal.object(said)
    return said


def _written(terminal: Terminal, *, offline: bool) -> dict[str, Any]:
    with occupied(terminal) as folder:
        file, now = folder / absence.FILE, time.time()
        try:
            before = absence.read(file)
        except ValueError as trouble:
            click.echo(f"warning: {trouble}; it is written anew", err=True)
            before = absence.UP
            absence.write(file, before)
        after = before.go(offline=offline, now=now)
        if after is not before:
            absence.write(file, after)
    since = after.since
    return {
        "offline": offline,
        "since": "" if since is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(since)),
        "since_s": None if since is None else int(now - since),
        "changed": after is not before,
        "waiting": None,
    }


@click.command(cls=Verb)
@click.pass_obj
def places(terminal: Terminal) -> int:
    """List the servers and domains where mail goes: who waits for each, how fast it may go, and what stands against it."""
    rows = terminal.server().ask("uplink.places")
    if rows or terminal.as_json:
        headings = ("PLACE", "WAITING", "UNDER WAY", "AT A TIME", "STATE")
        cells = [(r["place"], str(r["waiting"]), str(r["running"]), str(r["at_a_time"]), _state(r)) for r in rows]
        terminal.table(headings, cells, rows)
    else:
        terminal.hint("no mail is on its way to anybody, and nothing is known of any place")
    return Exit.OK


def _state(row: dict[str, Any]) -> str:
    if row["rests_s"]:
        return f"rests, tried in {span(row['rests_s'])}: {row['why']}"
    return row["rule"] or "open"
