"""Who wants to hear what happens to an account's mailboxes, and how it is told: the news of a tree, as every store tells it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twistmail.mail.mailbox import Change, TreeChange, TreeEvent

Watcher = Callable[[TreeChange], None]


class TreeNews:
    """Those who watch the tree of one account, in order of coming."""

    __slots__ = ("_watchers",)

    def __init__(self) -> None:
        self._watchers: tuple[Watcher, ...] = ()

    def __bool__(self) -> bool:
        """Whether somebody listens."""
        return bool(self._watchers)

    def watch(self, watcher: Watcher) -> None:
        self._watchers += (watcher,)

    def unwatch(self, watcher: Watcher) -> None:
        self._watchers = tuple(other for other in self._watchers if other != watcher)

    def tell(self, what: TreeEvent, name: str, old: str = "", entries: Iterable[str] = ()) -> None:
        """*what* has happened to mailbox *name*; see TreeChange."""
        if self._watchers:
            change = TreeChange(what, name, old, tuple(entries))
            for watcher in self._watchers:
                watcher(change)

    def tell_messages(self, name: str, change: Change) -> None:
        """What has happened to the messages of mailbox *name*."""
        if not self._watchers:
            return
        for what, uids in ((TreeEvent.ARRIVED, change.arrived), (TreeEvent.EXPUNGED, change.expunged), (TreeEvent.FLAGGED, change.flagged)):
            if uids:
                self.tell(what, name)

    def tell_renamed(self, old: str, new: str, moves: Iterable[tuple[str, str]]) -> None:
        """*old* is *new*, and with it what was below; *moves*: pairs of the names of mailboxes."""
        moved = list(moves)
        self.tell(TreeEvent.RENAMED, new, old)
        for source, target in moved:  # whoever watches one by its name
            if source != old:
                self.tell(TreeEvent.STIRRED, target)
