"""twistmail route ADDRESS: how mail for it would go, by which rule, to which servers, and how it would be protected."""

from __future__ import annotations

from typing import Any

import click

from twistmail.cli.control import ServerDown
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Verb
from twistmail.cli.terminal import Terminal


@click.command("route", cls=Verb)
@click.argument("address")
@click.option("--from", "sender", default="", metavar="ADDRESS", help="Who writes; it may have a route of its own. Default: nobody.")
@click.option("--attempts", type=click.IntRange(0, 1000), default=0, metavar="N", help="As if it had been tried so often in vain.")
@click.pass_obj
def route(terminal: Terminal, **question: Any) -> int:
    """Tell how mail for ADDRESS (or a domain) would go: the rule, the servers in their order, their addresses, TLS and why.

    Aliases are followed and the DNS is asked; nobody is connected to. Ends with 1 where the mail would come back or wait.
    """
    told = _answer(terminal, question)
    if terminal.as_json:
        terminal.object(told)
    else:
        _show(terminal, told)
    return Exit.NOTHING if told["refusal"] or any(way["status"] for way in told["ways"]) else Exit.OK


def _answer(terminal: Terminal, question: dict[str, Any]) -> dict[str, Any]:
    """By the running server, or by the same routes built here when it does not run."""
    try:
        return terminal.server().ask("route.show", **question)  # type: ignore[no-any-return]
    except ServerDown:
        terminal.hint("the server does not run; this is where its configuration would send it")
    from twistmail.cli import dry  # imports nearly everything, which whoever asks a running server need not wait for
    from twistmail.control import Refusal

    try:
        return dry.routed(terminal.whole(), question)
    except Refusal as refusal:
        raise Failure(str(refusal), refusal.exit_code, refusal.step) from None


def _show(terminal: Terminal, told: dict[str, Any]) -> None:
    if told["refusal"]:
        by = f" ({told['by']})" if told["by"] else ""
        terminal.say(f"{told['address']} is refused{by}: {told['refusal']}")
    if told["by"] and told["ways"]:
        terminal.say(f"{told['address']} is somebody here: {told['by']}")
    for number, way in enumerate(told["ways"]):
        if number:
            terminal.say("")
        show_way(terminal, told["address"], way)


def show_way(terminal: Terminal, address: str, way: dict[str, Any]) -> None:
    """One way (`route_views.way`) of mail for *address*, which led there."""
    terminal.say(f"{way['address']} (for {address})" if way["address"] != address else address)
    for label, value in _lines(way):
        terminal.say(f"  {label:10}{value}")
    rows = [(str(n), host["name"], host["address"], str(host["port"] or "-"), host["why"]) for n, host in enumerate(way["hosts"], 1)]
    if rows:
        terminal.table(("  TRY", "SERVER", "ADDRESS", "PORT", "TLS"), [(f"  {row[0]}", *row[1:]) for row in rows], ())
    for out in way["out"]:
        terminal.say(f"  not {out['name']} [{out['address']}]: {out['why']}")


def _lines(way: dict[str, Any]) -> list[tuple[str, str]]:
    lines = [("rule", way["rule"]), ("goes", f"by {way['transport']}" + (f" to {way['next_hop']}" if way["next_hop"] else ""))]
    if way.get("held"):
        lines.append(("kept", "until its server calls for it (ETRN), or twistmail queue flush names it"))
    if way.get("offline"):
        lines.append(("kept", "until twistmail online: the line is down"))
    if way.get("sender_by"):
        lines.append(("sender", f"{way['sender']} ({way['sender_by']})"))
    lines += [(label, way[key]) for label, key in (("login", "login"), ("proxy", "proxy"), ("fallback", "fallback"), ("tls", "tls"))
              if way.get(key)]
    if way.get("from"):
        lines.append(("from", " ".join(way["from"])))
    if way["status"]:
        word = "waits" if way["status"].startswith("4") else "returns"
        lines.append((word, way["status"]))
    return lines
