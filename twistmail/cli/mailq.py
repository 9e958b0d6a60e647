"""mailq, sendmail -bp, sendmail -q: what waits, in the form that programs have read for decades, and having it tried now.

Operators ask over the control socket, everybody else over the one that [queue]
socket names, where the kernel tells who they are and they see their own mail.
Where no server runs, who may read its files sees what they say.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from twistmail.cli.control import Control, ServerDown
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.offline import spooled
from twistmail.cli.queue_filter import gathered
from twistmail.cli.queue_look import answer
from twistmail.cli.sendmail_words import Task, Wanted
from twistmail.cli.terminal import Terminal, safe
from twistmail.rows import Filter

#: Where the server is looked for by who may not read the configuration; and the variable that names another place.
USUAL_PLACE = Path("/run/twistmail/queue.sock")
PLACE = "TWISTMAIL_QUEUE"
EMPTY = "Mail queue is empty"
#: As Postfix's postqueue(1) writes it with long ids; an id is followed by its mark.
_HEADINGS = ("----Queue ID-----", "--Size--", "---Arrival Time----", "--Sender/Recipient------")
_MARKS = {"active": "*", "held": "!"}


def attend(terminal: Terminal, wanted: Wanted) -> int:
    """Do what *wanted* says about what waits. Raises Failure."""
    if wanted.recipients:
        raise Failure(f"{wanted.recipients[0]}: nobody is written to by -bp and -q", Exit.USAGE, "leave addresses out")
    if wanted.task is Task.NOTHING:
        return Exit.OK  # the server tries again by itself, by its own schedule
    return _list(terminal, wanted) if wanted.task is Task.LIST else _flush(terminal, wanted)


def _list(terminal: Terminal, wanted: Wanted) -> int:
    chosen = _filter(wanted)
    try:
        listing = gathered(desk(terminal).hear("queue.list", **chosen.as_arguments()))
    except ServerDown:
        if not _may_look(terminal):
            raise
        listing = spooled(terminal, chosen, time.time(), None)
    if wanted.as_json or terminal.as_json:
        for row in listing["rows"]:
            terminal.object(row)
    else:
        for line in traditional(listing):
            click.echo(safe(line))
    return Exit.OK


def _flush(terminal: Terminal, wanted: Wanted) -> int:
    """As cron jobs expect it: nothing is said where it went well, whether or not there was something to try."""
    chosen = _filter(wanted)
    desk(terminal).ask("queue.flush", **chosen.as_arguments(), all=chosen.is_empty)
    return Exit.OK


def _filter(wanted: Wanted) -> Filter:
    parts = dict(wanted.parts)
    if len(parts) < len(wanted.parts):
        raise Failure("the same part is named twice", Exit.USAGE, "one -qR, one -qS, one -qI at a time")
    return Filter(ids=(parts["id"],) if "id" in parts else (), sender=parts.get("sender", ""), recipient=parts.get("recipient", ""))


def desk(terminal: Terminal) -> Control:
    """Whom we ask: the control socket where we may open it, else the one for users of this machine."""
    if named := terminal.environ.get(PLACE):
        return Control(Path(named))
    try:
        if (control := operators_door(terminal)) is not None:
            return control
        control = terminal.server()
        from twistmail.queue.spool import OPTIONS  # it needs Twisted, which operators need not wait for

        config = terminal.glance(OPTIONS)
    except (OSError, Failure):
        return Control(USUAL_PLACE)  # the configuration is not for everybody's eyes
    place = config[OPTIONS.name].socket
    return Control(config.file(place)) if place else control


def operators_door(terminal: Terminal) -> Control | None:
    """The control socket of the server, where it is ours to open."""
    try:
        control = terminal.server()
    except (OSError, Failure):
        return None  # the configuration is not for everybody's eyes
    return control if terminal.socket or os.access(control.path, os.W_OK) else None


def _may_look(terminal: Terminal) -> bool:
    """Whether the files of the queue are ours to read."""
    try:
        return os.access(terminal.glance().data_dir, os.R_OK | os.X_OK)
    except (OSError, Failure):
        return False


def traditional(listing: dict[str, Any]) -> Iterator[str]:
    """The lines of mailq(1), as Postfix writes them."""
    if not listing["count"]:
        yield EMPTY
        return
    yield "{:<17} {:>8} {:<19} {}".format(*_HEADINGS)
    for row in listing["rows"]:
        yield f"{row['id'] + _MARKS.get(row['state'], ' '):<17} {row['size']:>8} {_arrival(row['arrived']):<19.19} {_sender(row)}"
        yield from _recipients(row)
        yield ""
    count = listing["count"]
    yield f"-- {listing['size'] // 1024} Kbytes in {count} Request{'' if count == 1 else 's'}."


def _recipients(row: dict[str, Any]) -> Iterator[str]:
    """Each that still waits on a line of its own, below what was said last."""
    said = ""
    if row["held"] and row["held_for"]:
        yield _reason(f"held: {row['held_for']}")
    for to in row["to"]:
        if to["state"] not in ("waiting", "deferred"):
            continue
        if (reason := answer(to) or row.get("waits_for", "")) and reason != said:
            yield _reason(reason)
        said = reason
        yield f"{'':<17} {'':>8} {'':<19} {to['address']}"


def _reason(text: str) -> str:
    text = text.replace("\n", " ")
    return f"{'':{max(0, 76 - len(text))}}({text})"


def _sender(row: dict[str, Any]) -> str:
    return "MAILER-DAEMON" if row["from"] == "<>" else str(row["from"])


def _arrival(iso: str) -> str:
    """`Sat Nov 21 14:02:11`, where the reader lives."""
    return datetime.fromisoformat(iso).astimezone().strftime("%a %b %e %H:%M:%S")
