"""What the verbs of `twistmail queue` have in common: filters, the list that they pick from, and what the shell may offer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import click
from click.shell_completion import CompletionItem

from twistmail.cli.control import ServerDown
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.offline import WORDS, spooled
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import duration
from twistmail.mail.address import canonical_domain
from twistmail.rows import STATES, Filter

#: The queue's rows from which a shell's offers are made.
MOST_OFFERED = 200


class Waiting(click.ParamType):
    """A word of what waits: *of*(row) gives those of one row. Only a running server is asked: a shell cannot wait for more."""

    def __init__(self, name: str, of: Callable[[dict[str, Any]], Iterator[str]]) -> None:
        self.name = name
        self._of = of

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        terminal = ctx.find_object(Terminal) or Terminal()
        try:
            rows = listed(terminal, Filter(), MOST_OFFERED)["rows"]
        except (Failure, OSError, ValueError):
            return []
        return [CompletionItem(word) for word in sorted({word for row in rows for word in self._of(row)}) if word.startswith(incomplete)]


ID = Waiting("id", lambda row: iter([row["id"]]))
_SENDER = Waiting("address", lambda row: iter([row["from"]]))
_RECIPIENT = Waiting("address", lambda row: (to["address"] for to in row["to"]))
_DOMAIN = Waiting("domain", lambda row: (to["address"].rpartition("@")[2] for to in row["to"]))
_PLACE = Waiting("place", lambda row: (to["place"] for to in row["to"] if to["place"]))


def _canonical(_: click.Context, __: click.Parameter, value: str) -> str:
    """A domain as the queue has it: in small letters, in ASCII."""
    try:
        return canonical_domain(value) if value else ""
    except ValueError as trouble:
        raise click.BadParameter(str(trouble)) from None


def _or_nothing(_: click.Context, __: click.Parameter, value: str | None) -> str:
    return value or ""


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that `Filter` takes, and ids."""
    for option in (
        click.argument("ids", nargs=-1, metavar="[ID]...", type=ID),
        click.option("--place", default="", type=_PLACE, help="The next hop, as queue list --json and queue stats --by place name it."),
        click.option("--reason", default="", metavar="TEXT", help="Part of the last answer, or of why it is held."),
        click.option("--state", type=click.Choice(STATES), callback=_or_nothing, help="Only what is in that state."),
        click.option("--age", "older_than", default=None, callback=duration, help="At least so old, such as 2h."),
        click.option("--domain", default="", type=_DOMAIN, callback=_canonical, help="A recipient's domain."),
        click.option("--to", "recipient", default="", type=_RECIPIENT, help="Part of a recipient's address."),
        click.option("--from", "sender", default="", type=_SENDER, help="Part of the sender's address; '<>' for none."),
    ):
        command = option(command)
    return command


def listed(terminal: Terminal, chosen: Filter, limit: int | None) -> dict[str, Any]:
    """What `queue.list` says, all parts together. ServerDown."""
    return gathered(terminal.server().hear("queue.list", most=limit, **chosen.as_arguments()))


def gathered(said: Iterator[Any]) -> dict[str, Any]:
    """An answer whose rows came in parts, with all of them. *said*: of `Control.hear`."""
    rows: list[Any] = []

    def run() -> Iterator[Any]:
        return (yield from said)  # type: ignore[misc]

    hearing = run()
    while True:
        try:
            rows += next(hearing)
        except StopIteration as end:
            return end.value | {"rows": [*rows, *end.value["rows"]]}  # type: ignore[no-any-return]


def look(terminal: Terminal, chosen: Filter, limit: int | None) -> dict[str, Any]:
    """The server's list, or that of the files when it does not run."""
    try:
        return listed(terminal, chosen, limit)
    except ServerDown:
        terminal.hint(WORDS)
        return spooled(terminal, chosen, time.time(), limit)


def only(terminal: Terminal, listing: dict[str, Any], id: str) -> dict[str, Any]:
    """The one row of *listing*, which was picked by *id*."""
    if not listing["count"]:
        near = _near(terminal, id)
        step = f"did you mean {near}?" if near else f"what became of it: twistmail trace show {id}"
        raise Failure(f"no message {id} is in the queue", Exit.NOUSER, step)
    if listing["count"] > 1 and (exact := [row for row in listing["rows"] if row["id"] == id]):
        return exact[0]  # type: ignore[no-any-return]
    if listing["count"] > 1:
        raise Failure(f"{id} fits {listing['count']} messages", Exit.USAGE, "type more of it")
    return listing["rows"][0]  # type: ignore[no-any-return]


def _near(terminal: Terminal, id: str) -> str:
    """What was probably meant; "" where nothing is like it."""
    from difflib import get_close_matches

    try:
        known = [row["id"] for row in listed(terminal, Filter(), MOST_OFFERED)["rows"]]
    except ServerDown:
        known = [row["id"] for row in spooled(terminal, Filter(), time.time(), MOST_OFFERED)["rows"]]
    known += [one[: len(id)] for one in known]
    return next(iter(get_close_matches(id, known, 1, 0.75)), "")
