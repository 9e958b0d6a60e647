"""Names of mailboxes as people write them, with "/" between the levels, and the special uses that a mailbox may have. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from twistmail.mail.mailbox import NoSuchMailbox, StoreError

INBOX = "INBOX"
SEPARATOR = "/"
LONGEST_PART = 255
LONGEST_NAME = 1024
MOST_LEVELS = 16
#: The special uses that standard folders have (RFC 6154 §2), and all that there are, by their names in lower case.
USES = {"Sent": "\\Sent", "Drafts": "\\Drafts", "Junk": "\\Junk", "Trash": "\\Trash", "Archive": "\\Archive"}
EVERY_USE = {use.lower(): use for use in (*USES.values(), "\\All", "\\Flagged", "\\Important")}

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def normal(name: str) -> str:
    """*name* with its first level INBOX spelled so (RFC 3501 §5.1). Raises StoreError CANNOT for a name that cannot be one."""
    parts = name.split(SEPARATOR)
    if parts[0].upper() == INBOX:
        parts[0] = INBOX
    for part in parts:
        if part in ("", ".", "..") or _CONTROLS.search(part) or len(part.encode()) > LONGEST_PART:
            raise StoreError("That is not a name for a mailbox", "CANNOT")
    if len(parts) > MOST_LEVELS or len(name.encode()) > LONGEST_NAME:
        raise StoreError("That mailbox name is too long", "CANNOT")
    return SEPARATOR.join(parts)


def existing(name: str) -> str:
    """*name* as it would be called if it existed; what cannot be a name does not exist: NoSuchMailbox."""
    try:
        return normal(name)
    except StoreError:
        raise NoSuchMailbox(name) from None


def checked_uses(uses: Iterable[str], taken: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """The special uses that a mailbox asks for, as we spell them; *taken*: what others have. StoreError USEATTR (RFC 6154 §3)."""
    asked = tuple(dict.fromkeys(EVERY_USE.get(use.lower(), "") for use in uses))
    if "" in asked:
        raise StoreError("That is not a special use that we know", "USEATTR")
    if asked and any(use in some for some in taken for use in asked):
        raise StoreError("Another mailbox has that special use", "USEATTR")
    return asked


def parents(name: str) -> list[str]:
    """The levels above *name*, the highest first."""
    parts = name.split(SEPARATOR)
    return [SEPARATOR.join(parts[:depth]) for depth in range(1, len(parts))]
