"""The settings of [sharing]."""

from __future__ import annotations

from twistmail.mail import names
from twistmail.mail.mailbox import StoreError
from twistmail.options import SWITCH, TEXT, WORDS, Kind, Option, Reload, Section


def _read_level(text: str) -> str:
    try:
        if names.normal(text) == text and names.SEPARATOR not in text and text != names.INBOX:
            return text
    except StoreError:
        pass
    raise ValueError(f"{text} cannot be a level of mailbox names\nwrite one name without a slash, such as Shared")


LEVEL = Kind("a level of mailbox names", _read_level)

OPTIONS = Section(
    "sharing",
    "Mailboxes that people have in common (IMAP ACL): each user may let others into his own; roles are [role:NAME] sections.",
    Option("enabled", SWITCH, "yes", "Whether mailboxes can be shared.", Reload.NEW),
    Option("other_users", LEVEL, "Other users", "The level below which users see what others share with them: Other users/NAME/...",
           Reload.NEW),
    Option("shared", LEVEL, "Shared", "The level below which the mailboxes of the house and its roles are: Shared/...", Reload.NEW),
    Option("account", TEXT, "", "The account of the store that keeps the mailboxes of the house; empty: shared in the default domain.",
           Reload.NEW),
    Option("admins", WORDS, "", "Who may do everything with the mailboxes of the house: users, and groups as group=NAME.", Reload.LIVE,
           example="anna@blue.example group=office"),
)  # fmt: skip
