"""twistmail queue watch, history: what happens in the queue, and what has happened."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import click

from twistmail.cli.control import ServerDown
from twistmail.cli.exits import Exit
from twistmail.cli.grammar import Verb
from twistmail.cli.offline import WORDS
from twistmail.cli.queue_filter import filter_options, gathered
from twistmail.cli.terminal import Terminal
from twistmail.cli.trace import FOLDER, sentence
from twistmail.cli.words import clock, duration, plural, span
from twistmail.options import DURATION
from twistmail.rows import Filter, iso
from twistmail.steering import history as past

SHOWN = 100


@click.command("watch", cls=Verb)
@filter_options
@click.option("--for", "patience", default=None, callback=duration, help="End after so long, such as 30s.")
@click.pass_obj
def watch(terminal: Terminal, patience: float | None, **chosen: Any) -> int:
    """Show what happens in the queue, as it happens, until Ctrl-C."""
    end = None if patience is None else time.monotonic() + patience
    begun = False
    try:
        for news in terminal.server().hear("queue.watch", **Filter(**chosen).as_arguments()):
            if not begun:
                terminal.hint(f"{plural(news['count'], 'message')} in the queue; Ctrl-C ends")
            begun = True
            _tell(terminal, news)
            if end is not None and time.monotonic() >= end:
                break
    except KeyboardInterrupt:
        terminal.hint("")
    return Exit.OK


def _tell(terminal: Terminal, news: dict[str, Any]) -> None:
    for fact in news["facts"]:
        if terminal.as_json:
            terminal.object(fact | {"at": iso(fact["at"]), "at_s": fact["at"]})
        else:
            terminal.say(f"{clock(fact['at'])}  {fact['id']}  {sentence(fact)}")
    if news["missed"]:
        terminal.hint(f"{news['missed']} more are left out: too much happens at a time")


def _since(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """`2d` as the POSIX seconds of two days ago."""
    try:
        return None if value is None else max(0.0, time.time() - DURATION.read(value))
    except ValueError as trouble:
        raise click.BadParameter(str(trouble).replace("\n", "; ")) from None


@click.command("history", cls=Verb)
@click.argument("id", required=False, default="")
@click.option("--result", type=click.Choice(past.RESULTS), default=None, help="How it ended; without this, however it did.")
@click.option("--from", "sender", default="", help="Part of the sender's address; '<>' for none.")
@click.option("--to", "recipient", default="", help="Part of the recipient's address.")
@click.option("--domain", default="", help="The recipient's domain.")
@click.option("--reason", default="", metavar="TEXT", help="Part of the answer, or of the name of the server that gave it.")
@click.option("--since", default="1d", show_default=True, callback=_since, help="How far back.")
@click.option("--until", default=None, callback=_since, help="Only what ended longer ago than that, such as 2h.")
@click.option("--limit", default=SHOWN, show_default=True, type=click.IntRange(1), help="At most so many, the latest.")
@click.pass_obj
def history(terminal: Terminal, result: str | None, limit: int, **wanted: Any) -> int:
    """List what was delivered, passed on or given up, from the journal. ID may be a beginning. Ends with 1 where there is nothing.

    The journal is kept for as long as [log] journal says.
    """
    wanted = wanted | {"result": result or ""}
    rows = _ends(terminal, wanted, limit)
    headings = ("WHEN", "RESULT", "ID", "FROM", "TO", "TOOK", "ANSWER")
    if rows or terminal.as_json:
        terminal.table(headings, [_cells(row) for row in rows], rows)
    counts = ", ".join(f"{count} {result}" for result, count in sorted(Counter(row["result"] for row in rows).items()))
    terminal.hint(f"{counts or 'nothing found'}" + (f"; only the latest {limit} are shown (--limit)" if len(rows) == limit else ""))
    return Exit.OK if rows else Exit.NOTHING


def _ends(terminal: Terminal, wanted: dict[str, Any], limit: int) -> list[dict[str, Any]]:
    """The server's answer, which has the last second too; else what the files say."""
    try:
        return gathered(terminal.server().hear("queue.history", most=limit, **wanted))["rows"]  # type: ignore[no-any-return]
    except ServerDown:
        terminal.hint(WORDS)
        return past.latest(terminal.glance().file(FOLDER), past.search_in(wanted), limit)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    by = f" ({row['host']})" if row["host"] else ""
    return row["at"], row["result"], row["id"], row["from"], row["to"], span(row["took_s"]), row["answer"] + by
