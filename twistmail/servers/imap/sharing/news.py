"""What happens in the trees that make up one user's, told under his names, as far as he may know of it (RFC 5465 §5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twistmail.mail.acl import Rights
from twistmail.mail.annotations import PRIVATE, SERVERS_OWN
from twistmail.mail.mailbox import TreeChange, TreeEvent

#: What nobody hears of who may not read the mailbox (RFC 5465 §3).
OF_MESSAGES = frozenset({TreeEvent.ARRIVED, TreeEvent.EXPUNGED, TreeEvent.FLAGGED, TreeEvent.STIRRED})

Watcher = Callable[[TreeChange], None]


class Hearing:
    """*watcher* hears what `listen` has been told to listen to, until `end`."""

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher
        self._heard: list[tuple[Any, Watcher]] = []
        self._ended = False

    def listen(self, mailboxes: Any, prefix: str, rights: Callable[[str], Rights]) -> None:
        """Hear of *mailboxes* (IMailboxes), called *prefix* and their names, in which the user has *rights*(name)."""
        if self._ended:
            return

        def heard(change: TreeChange) -> None:
            if told := _told(change, prefix, rights):
                self.watcher(told)

        mailboxes.watch(heard)
        self._heard.append((mailboxes, heard))

    def end(self) -> None:
        self._ended = True
        for mailboxes, heard in self._heard:
            mailboxes.unwatch(heard)


def _told(change: TreeChange, prefix: str, rights: Callable[[str], Rights]) -> TreeChange | None:
    """*change* as the user hears of it; None where it is none of his business."""
    if prefix and (not change.name or change.what is TreeEvent.SUBSCRIBED):
        return None
    allowed = rights(change.name)
    if "l" not in allowed or (change.what in OF_MESSAGES and "r" not in allowed):
        return None
    hidden = (SERVERS_OWN, PRIVATE) if prefix else (SERVERS_OWN,)
    entries = tuple(entry for entry in change.entries if not entry.startswith(hidden))
    if change.entries and not entries:
        return None
    old = prefix + change.old if change.old else ""
    return replace(change, name=prefix + change.name if change.name else "", old=old, entries=entries)
