"""twistmail queue: what waits, why, and what to do about it."""

from __future__ import annotations

import click

from twistmail.cli.grammar import Large

#: As `main.COMMANDS`; a test compares the sentences.
VERBS: dict[str, tuple[str, str]] = {
    "bounce": ("twistmail.cli.queue_orders:bounce", "Give messages up: their senders get them back, with a report."),
    "delete": ("twistmail.cli.queue_orders:delete", "Delete messages; their senders are not told."),
    "dump": ("twistmail.cli.queue_look:dump", "Write one message to standard output, as it is."),
    "flush": ("twistmail.cli.queue_orders:flush", "Try again now: everything, or what fits; what is held stays held."),
    "history": ("twistmail.cli.queue_past:history", "List what was delivered, passed on or given up, from the journal."),
    "hold": ("twistmail.cli.queue_orders:hold", "Keep messages from being tried until they are released."),
    "list": ("twistmail.cli.queue_look:list_", "List what waits, oldest first."),
    "release": ("twistmail.cli.queue_orders:release", "End a hold; the messages are tried now."),
    "route": ("twistmail.cli.queue_orders:route", "Send messages by another way, and now."),
    "show": ("twistmail.cli.queue_look:show", "Show one message: every recipient with its last answer, and what that means."),
    "stats": ("twistmail.cli.queue_look:stats", "Show how old what waits is, and where it wants to go."),
    "watch": ("twistmail.cli.queue_past:watch", "Show what happens in the queue, as it happens, until Ctrl-C."),
}


@click.group("queue", cls=Large, later=VERBS)
def group() -> None:
    """Mail that waits."""
