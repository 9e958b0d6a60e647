"""twistmail status, reload, stop: the running server."""

from __future__ import annotations

import click

from twistmail.cli.exits import Exit
from twistmail.cli.grammar import Verb
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import amount, plural, span


@click.command(cls=Verb)
@click.pass_obj
def status(terminal: Terminal) -> int:
    """Show the services, connections and the queue on one screen."""
    now = terminal.server().ask("status")
    if terminal.as_json:
        terminal.object(now)
        return Exit.OK
    terminal.say(f"{now['hostname']}  twistmail {now['version']}, process {now['pid']}, up {span(now['up_s'])}")
    terminal.say(f"configuration {now['config'] or 'none'}\n")
    rows = [(s["name"], " ".join(s["listen"]) or "off", str(s["connections"]), str(s["most"])) for s in now["services"]]
    terminal.table(("SERVICE", "LISTENS", "CONNECTIONS", "AT MOST"), rows, ())
    queue = now["queue"]
    oldest = f", oldest {span(queue['oldest_s'])}" if queue["oldest_s"] is not None else ""
    terminal.say(f"\nqueue: {plural(queue['count'], 'message')}, {amount(queue['size'])}{oldest}, {queue['held']} held")
    if now["offline_s"] is not None:
        terminal.say(f"offline for {span(now['offline_s'])}: mail for others stays here until twistmail online")
    for warning in now["warnings"]:
        terminal.say(f"warning: {warning}")
    return Exit.OK


@click.command(cls=Verb)
@click.pass_obj
def reload(terminal: Terminal) -> int:
    """Apply the configuration as it is now. On errors the server keeps what it has."""
    result = terminal.server().ask("reload")
    if terminal.as_json:
        terminal.object(result)
    else:
        _tell_reload(terminal, result)
    return Exit.OK if result["applied"] else Exit.CONFIG


def _tell_reload(terminal: Terminal, result: dict[str, object]) -> None:
    for problem in result["problems"]:  # type: ignore[attr-defined]
        click.echo(problem, err=True)
    if not result["applied"]:
        click.echo("error: nothing was changed; the server keeps the configuration it has", err=True)
        return
    for change in result["changes"]:  # type: ignore[attr-defined]
        later = "" if change["reload"] != "restart" else "   (after a restart)"
        terminal.say(f"{change['section']}.{change['key']}: {change['before'] or '-'} -> {change['now'] or '-'}{later}")
    terminal.say("reloaded" if result["changes"] else "reloaded; no setting has changed")


@click.command(cls=Verb)
@click.pass_obj
def metrics(terminal: Terminal) -> int:
    """Print the counters and gauges of the server, as Prometheus reads them."""
    text = terminal.server().ask("metrics")
    if terminal.as_json:
        terminal.object({"text": text})
    else:
        terminal.say(text.rstrip("\n"))
    return Exit.OK


@click.command(cls=Verb)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def stop(terminal: Terminal, yes: bool) -> int:
    """Stop the server once the transactions under way have ended."""
    server = terminal.server()
    terminal.sure("Stop the mail server?", yes)
    server.ask("stop")
    terminal.say("stopping")
    return Exit.OK
