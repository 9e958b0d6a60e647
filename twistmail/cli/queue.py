"""twistmail queue: what waits, why, and what to do about it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click

from twistmail.cli.control import ServerDown
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Noun
from twistmail.cli.offline import spooled
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import amount, duration, plural, span
from twistmail.rows import Filter

SHOWN = 1000


@click.group("queue", cls=Noun)
def group() -> None:
    """Mail that waits."""


def _filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.argument("ids", nargs=-1, metavar="[ID]..."),
        click.option("--from", "sender", default="", help="Part of the sender's address."),
        click.option("--to", "recipient", default="", help="Part of a recipient's address."),
        click.option("--domain", default="", help="A recipient's domain."),
        click.option("--age", "older_than", default=None, callback=duration, help="At least so old, such as 2h."),
    ):
        command = option(command)
    return command


@group.command("list")
@_filter_options
@click.option("--limit", default=SHOWN, show_default=True, help="Show at most so many.")
@click.pass_obj
def list_(terminal: Terminal, limit: int, **chosen: Any) -> int:
    """List what waits, oldest first."""
    listing = _listing(terminal, Filter(**chosen), limit)
    if listing["rows"] or terminal.as_json:
        headings = ("ID", "AGE", "TRIES", "NEXT", "FROM", "TO", "LAST ANSWER")
        terminal.table(headings, [_cells(row) for row in listing["rows"]], listing["rows"])
    terminal.hint(_summary(listing))
    return Exit.OK


def _listing(terminal: Terminal, chosen: Filter, limit: int | None) -> dict[str, Any]:
    """The server's list, or that of the files when it does not run."""
    try:
        return terminal.server().ask("queue.list", most=limit, **chosen.as_arguments())  # type: ignore[no-any-return]
    except ServerDown:
        terminal.hint("--offline: the server does not run; this is what its files say")
        return spooled(terminal, chosen, time.time(), limit)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return row["id"], span(row["age_s"]), str(row["attempts"]), _next(row), row["from"], _to(row), _last_answer(row)


def _next(row: dict[str, Any]) -> str:
    if row["held"]:
        return "held"
    return f"in {span(row['next_s'])}" + (", as asked" if row.get("hold_until") else "") if row["next_s"] else "now"


def _to(row: dict[str, Any]) -> str:
    waiting = [to["address"] for to in row["to"] if to["state"] in ("waiting", "deferred")] or [to["address"] for to in row["to"]]
    return waiting[0] + (f" +{len(waiting) - 1}" if len(waiting) > 1 else "") if waiting else ""


def _last_answer(row: dict[str, Any]) -> str:
    if row.get("held_for"):
        return f"held: {row['held_for']}"
    answered = next((to for to in row["to"] if to["state"] == "deferred"), None) or next((to for to in row["to"] if to["code"]), None)
    return _answer(answered) if answered else ""


def _answer(to: dict[str, Any]) -> str:
    said = " ".join(word for word in (to["code"], to["enhanced"], to["text"]) if word)
    return f"{said} ({to['host']})" if said and to["host"] else said


def _summary(listing: dict[str, Any]) -> str:
    if not listing["count"]:
        return "nothing waits"
    text = f"{plural(listing['count'], 'message')}, {amount(listing['size'])}"
    if (hidden := listing["count"] - len(listing["rows"])) > 0:
        text += f", {hidden} of them not shown (--limit)"
    first = listing["rows"][0]["id"] if listing["rows"] else "ID"
    return f"{text}.   flush: twistmail queue flush {first}    why: twistmail trace show {first}"


@group.command()
@click.argument("id")
@click.pass_obj
def show(terminal: Terminal, id: str) -> int:
    """Show one message: every recipient with its last answer. ID may be a beginning."""
    row = _only(_listing(terminal, Filter(ids=(id,)), 2), id)
    if terminal.as_json:
        terminal.object(row)
        return Exit.OK
    arrived = f"{row['arrived']} ({span(row['age_s'])} ago)"
    terminal.show({"id": row["id"], "from": row["from"], "submitted_by": row["account"] or "a stranger", "arrived": arrived,
                   "size": amount(row["size"]), "tries": row["attempts"], "next": _next(row)} | _asked(row))
    for to in row["to"]:
        through = f" (for {to['original']})" if to["original"] != to["address"] else ""
        terminal.say(f"  {to['address']}{through}: {to['state']}  {_answer(to)}".rstrip())
    return Exit.OK


def _asked(row: dict[str, Any]) -> dict[str, Any]:
    """What is special about it, as far as it is."""
    special = {"held_for": "held_for", "hold_until": "not_before", "deadline": "deadline", "priority": "priority"}
    return {name: row[key] for key, name in special.items() if row.get(key)}


def _only(listing: dict[str, Any], id: str) -> dict[str, Any]:
    if not listing["count"]:
        raise Failure(f"no message {id} is in the queue", Exit.NOUSER, f"what became of it: twistmail trace show {id}")
    if listing["count"] > 1:
        raise Failure(f"{id} fits {listing['count']} messages", Exit.USAGE, "type more of it")
    return listing["rows"][0]  # type: ignore[no-any-return]


def _change(terminal: Terminal, verb: str, done: str, chosen: Filter) -> int:
    """Let the server do *verb* to the items that fit; tell how many *done*."""
    result = terminal.server().ask(verb, **chosen.as_arguments(), all=chosen.is_empty)
    if terminal.as_json:
        terminal.object(result)
    else:
        terminal.say(f"{plural(result['count'], 'message')} {done}")
    return Exit.OK if result["count"] else Exit.NOTHING


@group.command()
@_filter_options
@click.pass_obj
def flush(terminal: Terminal, **chosen: Any) -> int:
    """Try again now: everything, or what fits. What is held stays held.

    A DOMAIN in place of an ID means all mail for it, also that which is kept until it is called for.
    """
    return _change(terminal, "queue.flush", "will be tried now", _with_domain(chosen))


def _with_domain(chosen: dict[str, Any]) -> Filter:
    """The filter of `flush part.example`; ids have no dots."""
    domains = [word for word in chosen["ids"] if "." in word]
    if len(domains) > 1 or (domains and chosen["domain"]):
        raise click.UsageError("one domain at a time")
    if domains:
        chosen = chosen | {"ids": tuple(word for word in chosen["ids"] if word != domains[0]), "domain": domains[0]}
    return Filter(**chosen)


def _chosen(chosen: dict[str, Any], everything: bool, verb: str) -> Filter:
    wanted = Filter(**chosen)
    if wanted.is_empty and not everything:
        raise click.UsageError(f"which messages? Give ids or a filter; twistmail queue {verb} --all means all of them")
    return wanted


@group.command()
@_filter_options
@click.option("--all", "everything", is_flag=True, help="The whole queue.")
@click.pass_obj
def hold(terminal: Terminal, everything: bool, **chosen: Any) -> int:
    """Keep messages from being tried until they are released."""
    return _change(terminal, "queue.hold", "held", _chosen(chosen, everything, "hold"))


@group.command()
@_filter_options
@click.option("--all", "everything", is_flag=True, help="The whole queue.")
@click.pass_obj
def release(terminal: Terminal, everything: bool, **chosen: Any) -> int:
    """End a hold; the messages are tried now."""
    return _change(terminal, "queue.release", "released", _chosen(chosen, everything, "release"))


@group.command()
@_filter_options
@click.option("--all", "everything", is_flag=True, help="The whole queue.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be deleted.")
@click.pass_obj
def delete(terminal: Terminal, everything: bool, yes: bool, dry_run: bool, **chosen: Any) -> int:
    """Delete messages. Their senders are not told."""
    wanted = _chosen(chosen, everything, "delete")
    listing = terminal.server().ask("queue.list", most=3, **wanted.as_arguments())
    if not listing["count"]:
        terminal.hint("nothing fits; nothing was deleted")
        return Exit.NOTHING
    senders = ", ".join(sorted({row["from"] for row in listing["rows"]}))
    more = " and others" if listing["count"] > len(listing["rows"]) else ""
    what = f"{plural(listing['count'], 'message')}, {amount(listing['size'])}, from {senders}{more}"
    if dry_run:
        terminal.say(f"{what}; would be deleted")
        return Exit.OK
    terminal.sure(f"Delete {what}? They will not be returned to the sender.", yes)
    return _change(terminal, "queue.delete", "deleted", wanted)
