"""NOTIFY, well and badly spelled."""

from __future__ import annotations

import pytest

from tests.wire.imap.playing import event_of
from twistmail.wire.imap import commands as c
from twistmail.wire.imap.fetchitems import Item
from twistmail.wire.imap.notify import Event, Group, Notify
from twistmail.wire.imap.searching import Scope, Source

T = b"A1"
NEW, EXPUNGE, FLAGS = Event.MESSAGE_NEW, Event.MESSAGE_EXPUNGE, Event.FLAG_CHANGE
BOTH = frozenset({NEW, EXPUNGE})
METADATA = frozenset({Event.MAILBOX_METADATA_CHANGE, Event.SERVER_METADATA_CHANGE})


@pytest.mark.parametrize(("line", "meant"), [
    pytest.param(b"none", Notify(T), id="none"),
    pytest.param(b"SET (selected NONE)", Notify(T, (Group(Source(Scope.SELECTED), frozenset()),)), id="no-events"),
    pytest.param(b"SET STATUS (INBOXES (messagenew MESSAGEEXPUNGE flagCHANGE))",
                 Notify(T, (Group(Source(Scope.INBOXES), BOTH | {FLAGS}),), status=True), id="any-case"),
    pytest.param(b"set (SELECTED-DELAYED (MessageNew (UID FLAGS) MessageExpunge)) (personal (MailboxName SubscriptionChange))",
                 Notify(T, (Group(Source(Scope.SELECTED_DELAYED), BOTH, (Item.UID, Item.FLAGS)),
                            Group(Source(Scope.PERSONAL), frozenset({Event.MAILBOX_NAME, Event.SUBSCRIPTION_CHANGE})))), id="two-lists"),
    pytest.param(b"SET (subtree inbox (MessageNew MessageExpunge)) (mailboxes (a \"b c\") (MailboxMetadataChange ServerMetadataChange))",
                 Notify(T, (Group(Source(Scope.SUBTREE, ("INBOX",)), BOTH),
                            Group(Source(Scope.MAILBOXES, ("a", "b c")), METADATA))),
                 id="names"),
    pytest.param(b"SET (subscribed (AnnotationChange MessageNew MessageExpunge))",
                 Notify(T, (Group(Source(Scope.SUBSCRIBED), BOTH | {Event.ANNOTATION_CHANGE}),)), id="annotations-of-messages"),
])  # fmt: skip
def test_what_is_wanted(line: bytes, meant: Notify) -> None:
    assert event_of(b"A1 NOTIFY " + line) == meant


@pytest.mark.parametrize("line", [
    pytest.param(b"", id="nothing"),
    pytest.param(b" ALL", id="neither-SET-nor-NONE"),
    pytest.param(b" SET", id="no-list"),
    pytest.param(b" SET STATUS", id="status-of-nothing"),
    pytest.param(b" SET STATE (selected NONE)", id="not-STATUS"),
    pytest.param(b" SET (everything NONE)", id="unknown-mailboxes"),
    pytest.param(b" SET (selected)", id="no-events"),
    pytest.param(b" SET (selected ())", id="empty-list-of-events"),
    pytest.param(b" SET (selected ALL)", id="events-without-parentheses"),
    pytest.param(b" SET (subtree-one a NONE)", id="subtree-one"),
    pytest.param(b" SET (subtree NONE)", id="subtree-of-nothing"),
    pytest.param(b" SET (selected (MessageNew))", id="no-expunge"),
    pytest.param(b" SET (selected (MessageExpunge))", id="no-new"),
    pytest.param(b" SET (selected (FlagChange))", id="flags-alone"),
    pytest.param(b" SET (selected (MessageNew MessageExpunge MailboxName))", id="names-of-the-selected"),
    pytest.param(b" SET (personal (MessageNew (UID) MessageExpunge))", id="fetch-from-others"),
    pytest.param(b" SET (selected (MessageNew (UIDS) MessageExpunge))", id="fetch-of-nothing-known"),
    pytest.param(b" SET (selected NONE) (selected-delayed NONE)", id="selected-twice"),
    pytest.param(b" SET (inboxes NONE)" + b" (inboxes NONE)" * 100, id="too-many"),
    pytest.param(b" SET (selected NONE) ", id="something-more"),
])  # fmt: skip
def test_what_is_no_wish(line: bytes) -> None:
    assert isinstance(event_of(b"A1 NOTIFY" + line), c.Bad)


def test_an_unknown_event_is_answered_with_those_that_there_are() -> None:
    assert event_of(b"A1 NOTIFY SET (personal (MessageNew MessageExpunge MessageRead))") == c.No(
        T, b"BADEVENT (MessageNew MessageExpunge FlagChange AnnotationChange MailboxName SubscriptionChange MailboxMetadataChange"
        b" ServerMetadataChange)", "There is no such event here")  # fmt: skip
