"""twistmail mailbox: the verbs are in modules of their own, imported when they are used."""

from __future__ import annotations

import click

from twistmail.cli.grammar import Large

#: As `main.COMMANDS`; a test compares the sentences.
VERBS: dict[str, tuple[str, str]] = {
    "undelete": ("twistmail.cli.undelete:undelete", "Put back what was deleted, as long as [store] keep_expunged keeps it."),
}


@click.group("mailbox", cls=Large, later=VERBS)
def group() -> None:
    """The mail of an account, in our store and in the formats of others."""
