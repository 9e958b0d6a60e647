"""Which mailboxes a client means that tells them as NOTIFY does (RFC 5465 §6) and ESEARCH (RFC 7377 §2.2)."""

from __future__ import annotations

from collections.abc import Callable, Collection

from twistmail.mail.names import SEPARATOR
from twistmail.servers.imap.client import Client
from twistmail.wire.imap.searching import Scope, Source


def meant(client: Client, source: Source, subscribed: Collection[str]) -> Callable[[str], bool]:
    """Whether a mailbox, by its name, is among those of *source*; none is by being selected. *subscribed*: as it is now."""
    names = source.names
    match source.scope:
        case Scope.INBOXES | Scope.PERSONAL:  # a filter may put mail anywhere, so §6.3 wants them to be the same
            return client.is_personal
        case Scope.SUBSCRIBED:
            return lambda name: name in subscribed
        case Scope.SUBTREE:
            below = tuple(name + SEPARATOR for name in names)
            return lambda name: name in names or name.startswith(below)
        case Scope.SUBTREE_ONE:
            return lambda name: name in names or name.rpartition(SEPARATOR)[0] in names
        case Scope.MAILBOXES:
            return lambda name: name in names
    return lambda name: False
