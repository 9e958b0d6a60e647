"""NOTIFY as a client says it (RFC 5465 §3.1, §8): which mailboxes it wants to hear of, and what."""

from __future__ import annotations

from collections.abc import Set
from enum import Enum
from functools import partial

from twistmail.mail.values import frozen
from twistmail.wire.imap.commands import Command
from twistmail.wire.imap.fetchitems import FetchItem
from twistmail.wire.imap.parse_fetch import fetch_items
from twistmail.wire.imap.rows import AFTER_LOGIN, Row
from twistmail.wire.imap.searching import Scope, Source, source
from twistmail.wire.imap.tokens import Cursor, Misspelled, Refused

MOST_GROUPS = 100


class Event(Enum):
    """What may happen (§5); the value is its name."""

    MESSAGE_NEW = "MessageNew"
    MESSAGE_EXPUNGE = "MessageExpunge"
    FLAG_CHANGE = "FlagChange"
    ANNOTATION_CHANGE = "AnnotationChange"  # of messages (RFC 5257): it may be asked for, and never happens here
    MAILBOX_NAME = "MailboxName"
    SUBSCRIPTION_CHANGE = "SubscriptionChange"
    MAILBOX_METADATA_CHANGE = "MailboxMetadataChange"
    SERVER_METADATA_CHANGE = "ServerMetadataChange"


#: What happens to messages; the rest happens to mailboxes, or to the account.
OF_MESSAGES = frozenset({Event.MESSAGE_NEW, Event.MESSAGE_EXPUNGE, Event.FLAG_CHANGE, Event.ANNOTATION_CHANGE})
_CHANGES = frozenset({Event.FLAG_CHANGE, Event.ANNOTATION_CHANGE})
_BOTH = frozenset({Event.MESSAGE_NEW, Event.MESSAGE_EXPUNGE})


SELECTED_ONES = frozenset({Scope.SELECTED, Scope.SELECTED_DELAYED})


@frozen
class Group:
    """`events` (none for NONE) of the mailboxes that `source` means.

    `items`: what is fetched of each new message of the selected mailbox; None: it is not fetched.
    """

    source: Source
    events: frozenset[Event]
    items: tuple[FetchItem, ...] | None = None


@frozen
class Notify(Command):
    """NOTIFY SET with `groups`, or NOTIFY NONE where there are none. `status`: tell now how the mailboxes are."""

    groups: tuple[Group, ...] = ()
    status: bool = False


def _notify(cursor: Cursor, tag: bytes) -> Notify:
    cursor.space()
    match cursor.word("SET or NONE"):
        case b"NONE":
            return Notify(tag)
        case b"SET":
            return _set(cursor, tag)
    raise Misspelled("NOTIFY is followed by SET or NONE")


def _set(cursor: Cursor, tag: bytes) -> Notify:
    cursor.space()
    status = not cursor.next_is(b"(")
    if status:
        if cursor.word("STATUS, or a list") != b"STATUS":
            raise Misspelled("Behind SET come STATUS and lists of mailboxes and events")
        cursor.space()
    groups = [_group(cursor)]
    while cursor.takes(b" "):
        groups.append(_group(cursor))
        if len(groups) > MOST_GROUPS:
            raise Misspelled(f"NOTIFY takes {MOST_GROUPS} lists at most")
    if sum(group.source.scope in SELECTED_ONES for group in groups) > 1:
        raise Misspelled("SELECTED or SELECTED-DELAYED may be said once (RFC 5465 section 6.1)")
    return Notify(tag, tuple(groups), status)


def _group(cursor: Cursor) -> Group:
    cursor.expect(b"(", "a list of mailboxes and events")
    mailboxes = source(cursor)
    if mailboxes.scope is Scope.SUBTREE_ONE:
        raise Misspelled("NOTIFY does not know subtree-one")
    cursor.space()
    items: list[tuple[FetchItem, ...]] = []
    if cursor.next_is(b"("):
        events = frozenset(cursor.several(partial(_event, cursor, items), "events"))
    elif cursor.word("events, or NONE") == b"NONE":
        events = frozenset()
    else:
        raise cursor.lacking("events in parentheses, or NONE")
    cursor.expect(b")", ")")
    _check(mailboxes.scope, events, fetches=bool(items))
    return Group(mailboxes, events, items[0] if items else None)


_EVENTS = {event.value.upper().encode("ascii"): event for event in Event}


def _event(cursor: Cursor, items: list[tuple[FetchItem, ...]]) -> Event:
    """One event; what is to be fetched with it goes to *items*. Refused where there is no such event (§3.1)."""
    event = _EVENTS.get(cursor.word("an event"))
    if event is None:
        known = " ".join(each.value for each in Event)
        raise Refused(f"BADEVENT ({known})".encode("ascii"), "There is no such event here")
    if event is Event.MESSAGE_NEW and cursor.takes(b" ("):
        cursor.position -= 1
        items.append(fetch_items(cursor))
    return event


def _check(scope: Scope, events: Set[Event], *, fetches: bool) -> None:
    """§5 and §6.1."""
    if len(events & _BOTH) == 1 or (events & _CHANGES and not events & _BOTH):
        raise Misspelled("MessageNew and MessageExpunge belong together, and to FlagChange and AnnotationChange")
    if scope in SELECTED_ONES and not events <= OF_MESSAGES:
        raise Misspelled("Of the selected mailbox only events of messages are told")
    if fetches and scope not in SELECTED_ONES:
        raise Misspelled("New messages are fetched from the selected mailbox only")


ROWS = {b"NOTIFY": Row(_notify, AFTER_LOGIN)}
