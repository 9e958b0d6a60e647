"""What happens in the trees that make up one user's, told under his names, as far as he may know of it (RFC 5465 §5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twistmail import tasks
from twistmail.mail.acl import Rights
from twistmail.mail.annotations import PRIVATE, SERVERS_OWN
from twistmail.mail.mailbox import TreeChange, TreeEvent
from twistmail.mail.names import SEPARATOR

#: What nobody hears of who may not read the mailbox (RFC 5465 §3).
OF_MESSAGES = frozenset({TreeEvent.ARRIVED, TreeEvent.EXPUNGED, TreeEvent.FLAGGED, TreeEvent.STIRRED})

Watcher = Callable[[TreeChange], None]


class Hearing:
    """*watcher* hears what `listen` has been told to listen to, until `end`; *look*(account) is called when rights have changed there,
    with "" where it may be anywhere. Who looks what there is to see then holds `looking`.
    """

    def __init__(self, watcher: Watcher, look: Callable[[str], Any]) -> None:
        self.watcher = watcher
        self.look = look
        self.looking = tasks.Limit(1)
        self._heard: dict[str, tuple[Any, Watcher]] = {}
        self._seen: dict[str, set[str]] = {}  # by account: the mailboxes of others that can be seen, as they are called there
        self._ended = False

    @property
    def accounts(self) -> set[str]:
        """Those in which something was seen."""
        return {account for account, names in self._seen.items() if names}

    def listen(self, account: str, mailboxes: Any, called: Callable[[str], str], rights: Callable[[str], Rights], *, own: bool) -> None:
        """Hear of *mailboxes* (IMailboxes) of *account*, in which the user has *rights*(name) and which he calls *called*(name).

        *own*: they are his own, so that all that happens is his business.
        """
        if self._ended or account in self._heard:
            return

        def heard(change: TreeChange) -> None:
            if told := _told(change, called, rights(change.name), own=own):
                self._note(account, change)
                self.watcher(told)

        mailboxes.watch(heard)
        self._heard[account] = mailboxes, heard

    def _note(self, account: str, change: TreeChange) -> None:
        """What is told of mailboxes that come and go is known."""
        seen = self._seen.setdefault(account, set())
        if change.what is TreeEvent.CREATED:
            seen.add(change.name)
        elif change.what is TreeEvent.DELETED:
            seen.discard(change.name)
        elif change.what is TreeEvent.RENAMED:
            below = change.old + SEPARATOR
            for name in [name for name in seen if name == change.old or name.startswith(below)]:
                seen.remove(name)
                seen.add(change.name + name[len(change.old) :])

    def sees(self, account: str, called: Callable[[str], str], names: set[str], *, at_first: bool) -> None:
        """These are the mailboxes of *account* that the user may see now: he hears which are new, and which are not for him any more."""
        before = self._seen.get(account, set())
        self._seen[account] = names
        if self._ended or at_first:
            return
        for what, some in ((TreeEvent.SHOWN, names - before), (TreeEvent.HIDDEN, before - names)):
            for name in sorted(some):
                self.watcher(TreeChange(what, called(name)))

    def end(self) -> None:
        self._ended = True
        for mailboxes, heard in self._heard.values():
            mailboxes.unwatch(heard)


def _told(change: TreeChange, called: Callable[[str], str], allowed: Rights, *, own: bool) -> TreeChange | None:
    """*change* as the user hears of it; None where it is none of his business."""
    if not own and (not change.name or change.what is TreeEvent.SUBSCRIBED):
        return None
    if "l" not in allowed or (change.what in OF_MESSAGES and "r" not in allowed):
        return None
    hidden = (SERVERS_OWN,) if own else (SERVERS_OWN, PRIVATE)
    entries = tuple(entry for entry in change.entries if not entry.startswith(hidden))
    if change.entries and not entries:
        return None
    old = called(change.old) if change.old else ""
    return replace(change, name=called(change.name) if change.name else "", old=old, entries=entries)
