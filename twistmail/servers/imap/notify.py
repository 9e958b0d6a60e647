"""NOTIFY (RFC 5465): a client hears at any time of what it has asked for, of the selected mailbox and of all others.

`Listening` keeps what a client wants and what has happened that it was not told yet. Of another mailbox is kept only that
something has happened; how it is now is asked when the client can be told (`IMailboxes.status`), and told if it is another
than before. So a client that reads nothing costs no more than the names of its mailboxes, and watching costs nothing while
nothing happens. News of the selected mailbox are those of its `View`, which tells what is wanted (`View.wants`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Set
from dataclasses import replace
from typing import Any, NamedTuple

from twisted.logger import Logger

from twistmail.interfaces import Unavailable
from twistmail.mail.mailbox import Folder, MailboxStatus, StoreError, TreeChange, TreeEvent
from twistmail.mail.names import parents
from twistmail.servers.imap.client import Client, Refusal, Responses
from twistmail.servers.imap.listing import one_listed
from twistmail.servers.imap.scopes import meant
from twistmail.servers.imap.view import Wants
from twistmail.wire.imap.notify import OF_MESSAGES, SELECTED_ONES, Event, Group, Notify
from twistmail.wire.imap.responses import OK, Response, Tagged, Untagged, astring
from twistmail.wire.imap.searching import Scope

log = Logger()

#: Mailboxes whose status one NOTIFY tells, and events of mailboxes that wait to be told.
MOST_STATUSES = 1000
MOST_WAITING = 1000

#: Fields of commands that name mailboxes.
_NAMES = ("mailbox", "old", "new")
_MESSAGES = frozenset({TreeEvent.ARRIVED, TreeEvent.EXPUNGED, TreeEvent.FLAGGED, TreeEvent.STIRRED})
#: Of which events of a mailbox another one speaks.
_EVENT_OF = {
    TreeEvent.CREATED: Event.MAILBOX_NAME,
    TreeEvent.DELETED: Event.MAILBOX_NAME,
    TreeEvent.RENAMED: Event.MAILBOX_NAME,
    TreeEvent.SUBSCRIBED: Event.SUBSCRIPTION_CHANGE,
    TreeEvent.ANNOTATED: Event.MAILBOX_METADATA_CHANGE,
}
#: What comes and goes with a right: whoever hears anything of the mailbox hears that (RFC 5465 §5.9).
_BY_RIGHTS = frozenset({TreeEvent.SHOWN, TreeEvent.HIDDEN})


class Untold(NamedTuple):
    """A change that waits to be told; `own`: the client has made it and need not hear it."""

    change: TreeChange
    own: bool


async def notify(client: Client, event: Notify) -> Responses:
    listening = Listening(client, event.groups, frozenset(await client.folders.subscriptions()))
    names = await listening.mailboxes() if event.status else ()
    if len(names) > MOST_STATUSES:
        raise Refusal(f"That would be the status of more than {MOST_STATUSES} mailboxes", "NOTIFICATIONOVERFLOW")
    client.listen(listening)
    if client.view is not None:
        await client.view.mailbox.refresh()
    for name in names:
        async for line in listening.status_of(name, baseline=True):
            yield line
    yield Tagged(event.tag, OK, "Done")


class Listening:
    """What one client wants to hear of, and what it has not been told yet. Heard from `begin` until `close`."""

    def __init__(self, client: Client, groups: tuple[Group, ...], subscribed: frozenset[str]) -> None:
        self._client = client
        self._folders = client.folders
        self._groups = groups
        self._subscribe(subscribed)
        self._stirred: dict[str, None] = {}  # names of mailboxes whose messages are others, in order
        self._waiting: deque[Untold] = deque()
        self._overflowed = False
        self._told: dict[str, bytes] = {}  # the status that was told last
        self._choose(next((group for group in groups if group.source.scope in SELECTED_ONES), None))

    def _subscribe(self, names: frozenset[str]) -> None:
        """These are the subscriptions now."""
        self._subscribed = names
        self._wishes = [(meant(self._client, group.source, names), group.events) for group in self._groups]

    def _choose(self, selected: Group | None) -> None:
        """What is told of the selected mailbox: nothing, where it is not mentioned (RFC 5465 §3.1)."""
        events = selected.events if selected else frozenset()
        #: What is told of the selected mailbox, and whether its expunges wait for a command.
        self.wants = Wants(Event.MESSAGE_NEW in events, Event.MESSAGE_EXPUNGE in events, Event.FLAG_CHANGE in events)
        self.delayed = selected is None or selected.source.scope is Scope.SELECTED_DELAYED
        self.fetched = selected.items if selected else None  # of its new messages

    def begin(self) -> None:
        if any(group.events for group in self._groups if group.source.scope not in SELECTED_ONES):
            self._folders.watch(self._heard)

    def close(self) -> None:
        self._folders.unwatch(self._heard)
        self._forget()

    async def mailboxes(self) -> list[str]:
        """The mailboxes whose messages are watched; the selected one is not among them."""
        folders = await self._folders.folders()
        return [folder.name for folder in folders if folder.selectable and self._events_of_messages(folder.name)]

    def _forget(self) -> None:
        self._stirred.clear()
        self._waiting.clear()

    def _events(self, name: str) -> frozenset[Event]:
        """What is wanted of mailbox *name*."""
        return frozenset().union(*(events for means, events in self._wishes if means(name)))

    def _events_of_messages(self, name: str) -> Set[Event]:
        """What is wanted of the messages of *name*, where it is not selected."""
        view = self._client.view
        return frozenset() if view is not None and view.mailbox.name == name else self._events(name) & OF_MESSAGES

    # ----- what happens

    def _heard(self, change: TreeChange) -> None:
        """The store tells of *change*. What the client does itself it need not hear (RFC 5465 §5)."""
        own = self._is_own(change)
        if change.what in _MESSAGES:
            if own or change.name in self._stirred or not self._events_of_messages(change.name):
                return
            self._stirred[change.name] = None
        elif not self._subscriptions_change(change) and (own or not self._wants(change)):
            return
        elif len(self._waiting) < MOST_WAITING:
            self._waiting.append(Untold(change, own))
            if change.what is TreeEvent.SHOWN and self._events_of_messages(change.name):
                self._stirred[change.name] = None
        else:
            self._overflowed = True
        self._client.poke()

    def _subscriptions_change(self, change: TreeChange) -> bool:
        """Whether other mailboxes are meant from now on."""
        return change.what is TreeEvent.SUBSCRIBED and any(group.source.scope is Scope.SUBSCRIBED for group in self._groups)

    def _wants(self, change: TreeChange) -> bool:
        """Whether *change* is to be told of any mailbox, or of the account."""
        if not change.name:
            return any(Event.SERVER_METADATA_CHANGE in group.events for group in self._groups)
        return any(self._wants_of(name, change) for name in _concerned(change))

    def _wants_of(self, name: str, change: TreeChange) -> bool:
        if change.what in _BY_RIGHTS:
            return bool(self._events(name))
        event = _EVENT_OF[change.what]
        return event in self._events(name) or (bool(change.old) and event in self._events(change.old))

    def _is_own(self, change: TreeChange) -> bool:
        """The client's present command speaks of that mailbox."""
        doing = self._client.doing
        return doing is not None and any(getattr(doing, field, None) in (change.name, change.old or change.name) for field in _NAMES)

    # ----- what is told

    async def said(self) -> AsyncIterator[Response]:
        """All that has happened outside the selected mailbox, said once."""
        if self._overflowed:
            yield self._give_up()
        while self._waiting:
            async for line in self._tree_lines(self._waiting.popleft()):
                yield line
        while self._stirred:
            name = next(iter(self._stirred))
            del self._stirred[name]
            async for line in self.status_of(name):
                yield line

    def _give_up(self) -> Untagged:
        """It was too much: from now on as after NOTIFY NONE (RFC 5465 §5.8)."""
        self.close()
        self._client.listen(Listening(self._client, (), frozenset()))
        return Untagged(b"OK [NOTIFICATIONOVERFLOW] Too much has happened; please ask again")

    async def status_of(self, name: str, *, baseline: bool = False) -> AsyncIterator[Untagged]:
        """How mailbox *name* is now, if it is another than was told before; *baseline*: in any case, with UIDVALIDITY."""
        events = self._events_of_messages(name)
        if not events:
            return
        try:
            status = await self._folders.status(name)
        except (StoreError, OSError, Unavailable) as error:  # it is gone, or out of reach: whoever asks for it will hear so
            log.debug("{id}: {name} is not told of: {error}", id=self._client.connection, name=name, error=error)
            return
        told = b"STATUS %b (%b)"
        spelled = self._client.spelled(name)
        now = told % (spelled, self._items(status, events, baseline=False))
        if baseline or self._told.get(name) != now:
            self._told[name] = now
            yield Untagged(told % (spelled, self._items(status, events, baseline=True)) if baseline else now)

    def _items(self, status: MailboxStatus, events: Set[Event], *, baseline: bool) -> bytes:
        """RFC 5465 §3.1, §5.1 to §5.3."""
        items = [b"MESSAGES %d UIDNEXT %d" % (status.messages, status.uidnext)]
        changes = Event.FLAG_CHANGE in events or Event.ANNOTATION_CHANGE in events
        if baseline or changes:
            items.append(b"UIDVALIDITY %d" % status.uidvalidity)
        if changes:
            items.append(b"UNSEEN %d" % status.unseen)
        if not self._client.enabled.isdisjoint({"CONDSTORE", "QRESYNC"}) or (baseline and changes):
            items.append(b"HIGHESTMODSEQ %d" % status.highest_modseq)
        return b" ".join(items)

    async def _tree_lines(self, untold: Untold) -> AsyncIterator[Untagged]:
        """What a change of the tree is told as: METADATA (§5.6, §5.7), or a LIST of each name that it concerns (§5.4, §5.5)."""
        change = untold.change
        if change.what is TreeEvent.ANNOTATED:
            entries = [astring(entry.encode("ascii")) for entry in change.entries if entry.startswith(("/private/", "/shared/"))]
            if entries:
                spelled = self._client.spelled(change.name) if change.name else b'""'
                yield Untagged(b"METADATA %b %b" % (spelled, b" ".join(entries)))
            return
        self._subscribe(frozenset(await self._folders.subscriptions()))
        names = [name for name in _concerned(change) if self._wants_of(name, change)]
        if names and not untold.own:
            folders = {folder.name: folder for folder in await self._folders.folders()}
            for name in names:
                folder = replace(folders.get(name) or Folder(name, selectable=False), subscribed=name in self._subscribed)
                yield Untagged(one_listed(self._client, folder, change.old, forbidden=change.what is TreeEvent.HIDDEN))


def _concerned(change: TreeChange) -> Iterable[str]:
    """The names of which a change tells: where one comes or goes, its parent too (RFC 5465 §5.4)."""
    if change.what in (TreeEvent.CREATED, TreeEvent.DELETED):
        return (*parents(change.name)[-1:], change.name)
    return (change.name,)


ANSWERS: dict[type, Callable[[Client, Any], Responses]] = {Notify: notify}
