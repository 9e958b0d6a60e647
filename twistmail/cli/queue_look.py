"""twistmail queue list, show, stats, dump: what waits, and why."""

from __future__ import annotations

import base64
import sys
import time
from typing import Any

import click

from twistmail.cli.control import ServerDown
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Verb
from twistmail.cli.offline import WORDS, spool
from twistmail.cli.queue_filter import ID, filter_options, look, only
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import amount, plural, span
from twistmail.mail.explanation import explain
from twistmail.mail.status import Status
from twistmail.rows import Filter, View

SHOWN = 1000


@click.command("list", cls=Verb)
@filter_options
@click.option("--limit", default=SHOWN, show_default=True, type=click.IntRange(0), help="Show at most so many.")
@click.option("--why", is_flag=True, help="Tell what the last answers mean instead of what they were.")
@click.pass_obj
def list_(terminal: Terminal, limit: int, why: bool, **chosen: Any) -> int:
    """List what waits, oldest first."""
    listing = look(terminal, Filter(**chosen), limit)
    if listing["rows"] or terminal.as_json:
        headings = ("ID", "AGE", "TRIES", "NEXT", "FROM", "TO", "WHY IT WAITS" if why else "LAST ANSWER")
        terminal.table(headings, [_cells(row, why=why) for row in listing["rows"]], listing["rows"])
    terminal.hint(_summary(listing))
    return Exit.OK


def _cells(row: dict[str, Any], *, why: bool) -> tuple[str, ...]:
    last = _reason(row) if why else _last_answer(row)
    return row["id"], span(row["age_s"]), str(row["attempts"]), _next(row), row["from"], _to(row), last


def _next(row: dict[str, Any]) -> str:
    if row.get("state") == "active":
        return "being tried"
    if row["held"]:
        return "held"
    if row["next_s"] is None:
        return "not yet"
    return f"in {span(row['next_s'])}" + (", as asked" if row.get("hold_until") else "") if row["next_s"] else "now"


def _to(row: dict[str, Any]) -> str:
    waiting = [to["address"] for to in row["to"] if to["state"] in ("waiting", "deferred")] or [to["address"] for to in row["to"]]
    return waiting[0] + (f" +{len(waiting) - 1}" if len(waiting) > 1 else "") if waiting else ""


def _last(row: dict[str, Any]) -> dict[str, Any] | None:
    """The recipient whose last answer tells most: one that waits, then any who had one."""
    return next((to for to in row["to"] if to["state"] == "deferred"), None) or next((to for to in row["to"] if to["code"]), None)


def _last_answer(row: dict[str, Any]) -> str:
    if row.get("held_for"):
        return f"held: {row['held_for']}"
    answered = _last(row)
    return answer(answered) if answered and not _hangs(row) else row.get("waits_for", "")


def _hangs(row: dict[str, Any]) -> bool:
    """Whether what it waits for tells more than what was said last: it is not its own time."""
    return bool(row.get("waits_for")) and (row["next_s"] is None or row["next_s"] > 0)


def _reason(row: dict[str, Any]) -> str:
    if row["held"]:
        return f"An operator has to release it{': ' + row['held_for'] if row.get('held_for') else ''}."
    if row.get("hold_until"):
        return f"Its sender wants it to go at {row['hold_until']}."
    if _hangs(row):
        return f"{row['waits_for'][:1].upper()}{row['waits_for'][1:]}."
    answered = _last(row)
    return meaning(answered) if answered else "Nobody has tried it yet."


def answer(to: dict[str, Any]) -> str:
    """What was said last about a recipient, and by whom."""
    said = " ".join(word for word in (to["code"], to["enhanced"], to["text"]) if word)
    return f"{said} ({to['host']})" if said and to["host"] else said


def meaning(to: dict[str, Any]) -> str:
    """The same in plain words; "" where nothing was said."""
    return explain(Status(int(to["code"]), to["enhanced"], to["text"]), to["host"]).happened if to["code"] else ""


def _summary(listing: dict[str, Any]) -> str:
    if not listing["count"]:
        return "nothing waits"
    text = f"{plural(listing['count'], 'message')}, {amount(listing['size'])}"
    if (hidden := listing["count"] - len(listing["rows"])) > 0:
        text += f", {hidden} of them not shown (--limit)"
    first = listing["rows"][0]["id"] if listing["rows"] else "ID"
    return f"{text}.   flush: twistmail queue flush {first}    why: twistmail queue show {first}"


@click.command("show", cls=Verb)
@click.argument("id", type=ID)
@click.pass_obj
def show(terminal: Terminal, id: str) -> int:
    """Show one message: every recipient with its last answer, and what that means. ID may be a beginning."""
    row = only(terminal, look(terminal, Filter(ids=(id,)), 20), id)
    for to in row["to"]:
        to["means"] = meaning(to) if to["state"] in ("deferred", "failed") else ""
    if terminal.as_json:
        terminal.object(row)
        return Exit.OK
    arrived = f"{row['arrived']} ({span(row['age_s'])} ago)"
    terminal.show({"id": row["id"], "from": row["from"], "submitted_by": row["account"] or "a stranger", "arrived": arrived,
                   "size": amount(row["size"]), "tries": row["attempts"], "next": _next_exactly(row)} | _asked(row))
    for to in row["to"]:
        through = f" (for {to['original']})" if to["original"] != to["address"] else ""
        told = f" (reports go to {to['sender']})" if to.get("sender") else ""
        terminal.say(f"  {to['address']}{through}{told}: {to['state']}  {answer(to)}".rstrip())
        if to["means"]:
            terminal.say(f"      {to['means']}")
    return Exit.OK


def _next_exactly(row: dict[str, Any]) -> str:
    at = row.get("next")
    return f"{_next(row)}, at {at}" if at and row["next_s"] else _next(row)


def _asked(row: dict[str, Any]) -> dict[str, Any]:
    """What is special about it, as far as it is."""
    special = {"held_for": "held_for", "hold_until": "not_before", "deadline": "deadline", "priority": "priority", "via": "route",
               "waits_for": "waits_for"}
    return {name: row[key] for key, name in special.items() if row.get(key)}


@click.command("stats", cls=Verb)
@filter_options
@click.option("--by", type=click.Choice(["domain", "sender", "place"]), default="domain", show_default=True,
              help="A line for each domain of recipients, domain of senders, or next hop.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="At most so many lines, the longest.")
@click.pass_obj
def stats(terminal: Terminal, by: str, limit: int, **chosen: Any) -> int:
    """Show how old what waits is, and where it wants to go.

    A column for messages of less than 5 minutes, 10, 20, and so on; a message for several domains stands in the line of each.
    """
    shape = _shape(terminal, Filter(**chosen), by, limit)
    if terminal.as_json:
        terminal.object(shape)
        return Exit.OK
    if not shape["count"]:
        terminal.hint("nothing waits")
        return Exit.OK
    headings = (by.upper(), "T", *(f"<{_minutes(bound)}" for bound in shape["minutes"]), f">{_minutes(shape['minutes'][-1])}")
    lines = [{"name": "TOTAL", "count": shape["count"], "ages": shape["total"]}, *shape["rows"]]
    terminal.table(headings, [(line["name"], str(line["count"]), *map(str, line["ages"])) for line in lines], [])
    if shape["others"]:
        terminal.hint(f"{shape['others']} more lines are not shown (--limit)")
    states = ", ".join(f"{count} {state}" for state, count in shape["states"].items() if count)
    terminal.hint(f"{plural(shape['count'], 'message')}, {amount(shape['size'])}, oldest {span(shape['oldest_s'])}: {states}")
    return Exit.OK


def _minutes(bound: int) -> str:
    return span(bound * 60) if bound % 60 == 0 else f"{bound}m"


def _shape(terminal: Terminal, chosen: Filter, by: str, limit: int) -> dict[str, Any]:
    try:
        return terminal.server().ask("queue.stats", by=by, most=limit, **chosen.as_arguments())  # type: ignore[no-any-return]
    except ServerDown:
        terminal.hint(WORDS)
    from twistmail.steering.shape import Shape

    view = View(time.time())
    shape = Shape(view, by)
    for item in spool(terminal).items():
        if chosen.fits(item, view):
            shape.add(item)
    return shape.as_json(limit)


@click.command("dump", cls=Verb)
@click.argument("id", type=ID)
@click.pass_obj
def dump(terminal: Terminal, id: str) -> int:
    """Write one message to standard output, as it is, with CRLF line ends. ID may be a beginning."""
    out = sys.stdout.buffer
    if terminal.as_json:
        raise click.UsageError("a message is no JSON; leave --json out")
    try:
        for part in terminal.server().hear("queue.dump", id=id):
            out.write(base64.b64decode(part))
    except ServerDown:
        terminal.hint(WORDS)
        files = spool(terminal)
        row = only(terminal, look(terminal, Filter(ids=(id,)), 20), id)
        item = next((item for item in files.items() if item.id == row["id"]), None)
        if item is None:
            raise Failure(f"{row['id']} has gone", Exit.NOUSER, f"what became of it: twistmail trace show {id}") from None
        for piece in files.pieces(item):
            out.write(piece)
    out.flush()
    return Exit.OK
