"""twistmail queue flush, hold, release, bounce, delete, route: what an operator does about it.

The running server does it; when it does not run, what is safe is written into
its files, and what takes a server (trying a message) is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import click

from twistmail.cli.control import ServerDown
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Verb
from twistmail.cli.offline import taken
from twistmail.cli.queue_filter import filter_options, look
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import amount, plural
from twistmail.mail.item import Item
from twistmail.mail.outcome import Rerouted
from twistmail.queue.ends import given_up
from twistmail.queue.stopped import StoppedSpool
from twistmail.rows import Filter, View

OFFLINE = "--offline: the server does not run; its files were changed"
ALL = click.option("--all", "everything", is_flag=True, help="The whole queue.")
YES = click.option("--yes", is_flag=True, help="Do not ask.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
#: What undoes `queue route`.
USUAL = "usual"


@dataclass(frozen=True)
class Order:
    """One verb: what the server is asked, what was *done*, and how it is done to the files of a stopped server (None: it is not)."""

    verb: str
    done: str
    to_files: Callable[[StoppedSpool, Item], None] | None
    more: tuple[tuple[str, str], ...] = ()

    def give(self, terminal: Terminal, chosen: Filter) -> int:
        """Let it be done to all that fit; tell how many there were."""
        try:
            result = terminal.server().ask(self.verb, **chosen.as_arguments(), **dict(self.more), all=chosen.is_empty)
        except ServerDown:
            if self.to_files is None:
                raise
            result = {"count": self._to_files(terminal, chosen, self.to_files)}
            terminal.hint(OFFLINE)
        if terminal.as_json:
            terminal.object(result)
        else:
            terminal.say(f"{plural(result['count'], 'message')} {self.done}")
        return Exit.OK if result["count"] else Exit.NOTHING

    def _to_files(self, terminal: Terminal, chosen: Filter, change: Callable[[StoppedSpool, Item], None]) -> int:
        with taken(terminal) as files:
            view = View(time.time())
            fitting = [item for item in files.items() if chosen.fits(item, view)]
            for item in fitting:
                change(files, item)
        return len(fitting)


class _Asked(NamedTuple):
    """How an order was given that cannot be taken back."""

    yes: bool
    dry_run: bool


def _chosen(chosen: dict[str, Any], everything: bool, verb: str) -> Filter:
    """The filter. No order is for the whole queue unless --all is said, and --all beside a filter would mean two things."""
    wanted = Filter(**chosen)
    if wanted.is_empty and not everything:
        raise click.UsageError(f"which messages? Give ids or a filter; twistmail queue {verb} --all means all of them")
    if everything and not wanted.is_empty:
        raise click.UsageError("--all is the whole queue; leave it out, or the ids and filters")
    return wanted


def _sure(terminal: Terminal, verb: str, consequence: str, chosen: Filter, asked: _Asked) -> int | None:
    """Ask before an order that cannot be taken back, showing what it would hit; an exit code where nothing is to be done."""
    listing = look(terminal, chosen, 3)
    if not listing["count"]:
        terminal.hint("nothing fits; nothing was changed")
        return Exit.NOTHING
    senders = ", ".join(sorted({row["from"] for row in listing["rows"]}))
    more = " and others" if listing["count"] > len(listing["rows"]) else ""
    what = f"{plural(listing['count'], 'message')}, {amount(listing['size'])}, from {senders}{more}"
    if asked.dry_run:
        terminal.say(f"{verb} {what}: that is what would be done. {consequence}")
        return Exit.OK
    terminal.sure(f"{verb} {what}? {consequence}", asked.yes)
    return None


@click.command("flush", cls=Verb)
@filter_options
@click.pass_obj
def flush(terminal: Terminal, **chosen: Any) -> int:
    """Try again now: everything, or what fits; what is held stays held.

    A DOMAIN in place of an ID means all mail for it, also that which is kept until it is called for.
    """
    return Order("queue.flush", "will be tried now", None).give(terminal, _with_domain(chosen))


def _with_domain(chosen: dict[str, Any]) -> Filter:
    """The filter of `flush part.example`; ids have no dots."""
    domains = [word for word in chosen["ids"] if "." in word]
    if len(domains) > 1 or (domains and chosen["domain"]):
        raise click.UsageError("one domain at a time")
    if domains:
        chosen = chosen | {"ids": tuple(word for word in chosen["ids"] if word != domains[0]), "domain": domains[0]}
    return Filter(**chosen)


@click.command("hold", cls=Verb)
@filter_options
@ALL
@click.option("--because", "words", default="", metavar="TEXT", help="Why; shown beside the message.")
@click.pass_obj
def hold(terminal: Terminal, everything: bool, words: str, **chosen: Any) -> int:
    """Keep messages from being tried until they are released."""
    order = Order("queue.hold", "held", lambda files, item: files.hold(item.id, held=True, why=words), (("words", words),))
    return order.give(terminal, _chosen(chosen, everything, "hold"))


@click.command("release", cls=Verb)
@filter_options
@ALL
@click.pass_obj
def release(terminal: Terminal, everything: bool, **chosen: Any) -> int:
    """End a hold; the messages are tried now."""
    wanted = _chosen(chosen, everything, "release")
    return Order("queue.release", "released", lambda files, item: files.hold(item.id, held=False)).give(terminal, wanted)


@click.command("bounce", cls=Verb)
@filter_options
@ALL
@YES
@DRY_RUN
@click.option("--because", "words", default="", metavar="TEXT", help="Why; the sender reads it.")
@click.pass_obj
def bounce(terminal: Terminal, everything: bool, yes: bool, dry_run: bool, words: str, **chosen: Any) -> int:
    """Give messages up: their senders get them back, with a report."""
    wanted = _chosen(chosen, everything, "bounce")
    consequence = "They will not be tried any more, and their senders are told."
    if (code := _sure(terminal, "Return", consequence, wanted, _Asked(yes, dry_run))) is not None:
        return code
    status = given_up(words)
    order = Order("queue.bounce", "returned", lambda files, item: files.give_up(item, status, time.time()), (("words", words),))
    return order.give(terminal, wanted)


@click.command("delete", cls=Verb)
@filter_options
@ALL
@YES
@DRY_RUN
@click.pass_obj
def delete(terminal: Terminal, everything: bool, yes: bool, dry_run: bool, **chosen: Any) -> int:
    """Delete messages; their senders are not told."""
    wanted = _chosen(chosen, everything, "delete")
    consequence = "They will not be returned to the sender."
    if (code := _sure(terminal, "Delete", consequence, wanted, _Asked(yes, dry_run))) is not None:
        return code
    return Order("queue.delete", "deleted", lambda files, item: files.remove(item.id)).give(terminal, wanted)


@click.command("route", cls=Verb)
@filter_options
@ALL
@click.option("--via", "by_option", default="", metavar="SERVER", help="The server, where no ID stands before it.")
@click.pass_obj
def route(terminal: Terminal, everything: bool, by_option: str, **chosen: Any) -> int:
    """Send messages by another way, and now: twistmail queue route ID... SERVER.

    SERVER is written as in a route table: [10.0.0.2]:2525, smtp:[relay.example]:587, lmtp:unix:/path, or a name.
    The word usual means: as all others.
    """
    ids = chosen["ids"]
    if not by_option:
        if not ids:
            raise click.UsageError("by which server? Name it last, or with --via; usual means: as all others")
        *ids, by_option = ids
    via = _via(by_option)
    wanted = _chosen(chosen | {"ids": tuple(ids)}, everything, "route")
    done = f"will go by {via}" if via else "will go as all others"
    return Order("queue.route", done, lambda files, item: files.record(item.id, Rerouted(via)), (("via", via),)).give(terminal, wanted)


def _via(word: str) -> str:
    """As an item has it. Failure where it names no server."""
    from twistmail.relay.route import parse_via

    if word == USUAL:
        return ""
    try:
        parse_via(word)
    except ValueError as trouble:
        text, _, step = str(trouble).partition("\n")
        raise Failure(text, Exit.USAGE, step) from None
    return word

