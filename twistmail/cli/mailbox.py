"""twistmail mailbox: the verbs are in modules of their own, imported when they are used."""

from __future__ import annotations

import click

from twistmail.cli.grammar import Large

#: As `main.COMMANDS`; a test compares the sentences.
VERBS: dict[str, tuple[str, str]] = {
    "convert": ("twistmail.cli.mailbox_convert:convert", "Convert mailboxes from one format to another."),
    "export": ("twistmail.cli.mailbox_export:export", "Export the mail of ACCOUNT to PATH, with dates, flags and keywords."),
    "import": (
        "twistmail.cli.mailbox_import:import_",
        "Import mailboxes of other programs into ACCOUNT, with dates, flags and keywords; its folders are made and subscribed.",
    ),
    "check": (
        "twistmail.cli.upkeep:check",
        "Look through the mailboxes of an account, as twistmail verify does. Ends with 1 where there are errors.",
    ),
    "expire": ("twistmail.cli.expire:expire", "Delete the mail of a folder that has lain there for long."),
    "list": ("twistmail.cli.upkeep:list_", "List the folders of an account, with what is in them."),
    "pull": (
        "twistmail.cli.mailbox_pull:pull",
        "Pull mail from another IMAP server into ACCOUNT, with folders, dates, flags and keywords. Nothing is changed there.",
    ),
    "repair": (
        "twistmail.cli.upkeep:repair_",
        "Cure what twistmail verify finds in the mailboxes of an account, as far as no mail is lost by it.",
    ),
    "undelete": ("twistmail.cli.undelete:undelete", "Put back what was deleted, as long as [store] keep_expunged keeps it."),
    "usage": ("twistmail.cli.upkeep:usage", "Tell how much mail accounts have."),
}


@click.group("mailbox", cls=Large, later=VERBS)
def group() -> None:
    """The mail of an account, in our store and in the formats of others."""
