"""What every IMailStore promises, asked of every implementation: mail comes, is read, is flagged, and goes.

The folders are in `test_mailstore_tree`, modification sequences in
`test_mailstore_changes`, columns, searching and sorting in `test_mailstore_columns`,
quotas in `test_mailstore_quota`; `test_mailstores_agree` compares the stores with each other.
"""

from __future__ import annotations

from array import array

import pytest
from zope.interface.verify import verifyObject

from tests.contracts.mailstores import ALICE, BOB, ENCODED, PLAIN, code_of, deliver, flags_of, heard_by
from tests.helpers import result_of
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Change, Column, Delivery, Flag, FlagChange, NewMessage, NoSuchMailbox
from twistmail.store_interfaces import IMailbox, IMailboxes, IMailStore

EVERY_COLUMN = tuple(Column)


def test_each_object_provides_its_interface(store, mailboxes, inbox):
    assert verifyObject(IMailStore, store)
    assert verifyObject(IMailboxes, mailboxes)
    assert verifyObject(IMailbox, inbox)


# ----- delivery


def test_a_delivered_message_is_in_the_inbox_with_its_prefix(store, mailboxes):
    assert result_of(store.deliver([Delivery(ALICE, b"Return-Path: <>\r\n", Memory(PLAIN))])) == [None]
    inbox = result_of(mailboxes.open("INBOX"))
    assert list(inbox.uids) == [1]
    assert result_of(inbox.load([1])) == [(1, b"Return-Path: <>\r\n" + PLAIN)]


def test_several_copies_go_to_several_accounts_and_folders(store):
    copies = [Delivery(ALICE, b"", Memory(PLAIN)), Delivery(BOB, b"", Memory(PLAIN)), Delivery(BOB, b"", Memory(PLAIN), "Lists/Birds")]
    assert result_of(store.deliver(copies)) == [None] * 3
    for account, folder in ((ALICE, "INBOX"), (BOB, "INBOX"), (BOB, "Lists/Birds")):
        assert result_of(result_of(store.mailboxes(account)).status(folder)).messages == 1


def test_who_wants_to_know_hears_where_each_copy_lies(store, mailboxes):
    """A mailbox in one file that nobody has open may not know its UIDs before somebody looks: then nothing is said."""
    result_of(mailboxes.open("INBOX"))
    heard = []
    copies = [
        Delivery(ALICE, b"", Memory(PLAIN), "a//b", landed=lambda *where: heard.append(("first", *where))),
        Delivery("../x@blue.test", b"", Memory(PLAIN), landed=lambda *where: heard.append(("refused", *where))),
        Delivery(ALICE, b"", Memory(PLAIN), landed=lambda *where: heard.append(("second", *where))),
    ]
    result_of(store.deliver(copies))
    assert [(name, mailbox, uid) for name, mailbox, uid, _ in heard] == [("first", "INBOX", 1), ("second", "INBOX", 2)]


@pytest.mark.parametrize("folder", ["", "a//b", "x/../y", "bell\x07", "x" * 300])
def test_a_folder_that_cannot_be_made_becomes_the_inbox(store, mailboxes, folder):
    deliver(store, PLAIN, folder=folder)
    assert result_of(mailboxes.status("INBOX")).messages == 1


def test_an_account_that_cannot_be_hinders_no_other(store, mailboxes):
    refused, taken = result_of(store.deliver([Delivery("../x@blue.test", b"", Memory(PLAIN)), Delivery(ALICE, b"", Memory(PLAIN))]))
    assert isinstance(refused, ValueError)
    assert taken is None
    assert result_of(mailboxes.status("INBOX")).messages == 1


def test_a_look_makes_no_mailboxes_and_finds_those_that_are_there(store):
    assert result_of(store.peek("carl@blue.test")) is None
    assert result_of(store.peek("../x@blue.test")) is None
    deliver(store, PLAIN, account="carl@blue.test")
    seen = result_of(store.peek("carl@blue.test"))
    assert seen is not None
    assert result_of(seen.folders())[0].name == "INBOX"


def test_watchers_hear_of_a_delivery_before_it_returns(store, inbox):
    heard = heard_by(inbox)
    deliver(store, PLAIN, PLAIN)
    assert [uid for change in heard for uid in change.arrived] == [1, 2]
    assert list(inbox.uids) == [1, 2]


def test_who_no_longer_watches_hears_nothing(store, inbox):
    heard = []
    inbox.watch(heard.append)
    inbox.unwatch(heard.append)
    inbox.unwatch(print)
    deliver(store, PLAIN)
    assert heard == []


def test_one_mailbox_is_one_object_for_all_who_have_it_open(bare, mailboxes, inbox):
    assert result_of(mailboxes.open("inbox")) is inbox


def test_removing_an_account_removes_its_mail(store, inbox):
    deliver(store, PLAIN)
    heard = heard_by(inbox)
    result_of(store.remove_account(ALICE))
    assert heard == [Change(gone=True)]
    again = result_of(store.mailboxes(ALICE))
    assert result_of(again.status("INBOX")).messages == 0


# ----- reading


def test_status_counts(store, mailboxes, inbox):
    deliver(store, PLAIN, PLAIN, ENCODED)
    result_of(inbox.store([1], FlagChange.ADD, ["\\Seen"]))
    status = result_of(mailboxes.status("INBOX"))
    assert (status.messages, status.recent, status.unseen, status.uidnext) == (3, 3, 2, 4)
    assert status.size == 2 * len(PLAIN) + len(ENCODED)
    assert status.uidvalidity == inbox.uidvalidity
    assert status.highest_modseq == inbox.highest_modseq >= 1


def test_recent_messages_are_claimed_once(store, mailboxes, inbox):
    deliver(store, PLAIN, PLAIN)
    assert result_of(inbox.claim_recent()) == (1, 2)
    deliver(store, PLAIN)
    assert result_of(inbox.claim_recent()) == (3,)
    assert result_of(inbox.claim_recent()) == ()
    assert result_of(mailboxes.status("INBOX")).recent == 0


def test_rows_tell_every_column_of_those_that_exist(store, inbox):
    deliver(store, PLAIN, ENCODED)
    rows = result_of(inbox.rows([1, 2, 7], EVERY_COLUMN))
    assert [row[0] for row in rows] == [1, 2]
    first = dict(zip(EVERY_COLUMN, rows[0][1:], strict=True))
    assert first[Column.SIZE] == len(PLAIN)
    assert first[Column.INTERNALDATE] > 1_000_000_000
    assert b'"first light"' in first[Column.ENVELOPE]
    assert first[Column.HEADER] == b"From: ann@away.test\r\nSubject: first light\r\n\r\n"
    assert first[Column.LISTED] == first[Column.HEADER]
    assert first[Column.BODY].upper().startswith(b'("TEXT" "PLAIN"')
    assert first[Column.BODYSTRUCTURE].startswith(first[Column.BODY][:-1])


@pytest.mark.parametrize("columns", [(), (Column.SIZE,), (Column.HEADER, Column.SIZE), (Column.SIZE, Column.BODY, Column.INTERNALDATE)])
def test_rows_come_in_the_order_of_the_columns(store, inbox, columns):
    deliver(store, PLAIN)
    whole = dict(zip(EVERY_COLUMN, result_of(inbox.rows([1], EVERY_COLUMN))[0][1:], strict=True))
    assert result_of(inbox.rows([1], columns)) == [(1, *(whole[column] for column in columns))]
    assert result_of(inbox.rows([5], columns)) == []


def test_what_is_read_has_crlf_line_ends_and_the_size_that_was_told(store, inbox):
    deliver(store, PLAIN, ENCODED)
    for (uid, content), (_, size) in zip(result_of(inbox.read([1, 2, 3])), result_of(inbox.rows([1, 2], (Column.SIZE,))), strict=True):
        whole = b"".join(content.chunks())
        assert whole == {1: PLAIN, 2: ENCODED}[uid]
        assert len(whole) == content.size == size
        assert content.beginning(10) == whole[:10]


@pytest.mark.parametrize(
    ("needle", "headers", "found"),
    [
        ("HERONS", False, {1}),
        ("first light", False, set()),
        ("First Light", True, {1}),
        ("grüsse", True, {2}),
        ("über den wäldern", False, {2}),
        ("absent", True, set()),
    ],
)
def test_text_search_sees_what_people_read(store, inbox, needle, headers, found):
    deliver(store, PLAIN, ENCODED)
    assert result_of(inbox.text_search([1, 2], needle, headers)) == found


# ----- flags


@pytest.mark.parametrize(
    ("change", "flags", "after"),
    [
        (FlagChange.SET, ["\\Deleted"], (Flag.DELETED, set())),
        (FlagChange.ADD, ["\\answered", "$Later"], (Flag.SEEN | Flag.FLAGGED | Flag.ANSWERED, {"work", "$Later"})),
        (FlagChange.REMOVE, ["\\Seen", "WORK", "unheard-of"], (Flag.FLAGGED, set())),
        (FlagChange.SET, [], (Flag(0), set())),
    ],
)
def test_flags_are_set_added_and_removed(store, inbox, change, flags, after):
    deliver(store, PLAIN)
    result_of(inbox.store([1], FlagChange.SET, ["\\Seen", "\\Flagged", "work"]))
    assert result_of(inbox.store([1], change, flags)) == ([1], [])
    assert flags_of(inbox, 1) == after


def test_a_change_that_changes_nothing_is_silent(store, inbox):
    deliver(store, PLAIN)
    result_of(inbox.store([1], FlagChange.ADD, ["\\Seen"]))
    heard = heard_by(inbox)
    assert result_of(inbox.store([1, 9], FlagChange.ADD, ["\\Seen"])) == ([], [])
    assert heard == []


def test_watchers_hear_who_changed_flags(store, inbox):
    deliver(store, PLAIN, PLAIN)
    heard = heard_by(inbox)
    result_of(inbox.store([2, 1], FlagChange.ADD, ["\\Seen"], by="me"))
    assert heard == [Change(flagged=[1, 2], by="me")]


def test_bits_change_in_place(store, inbox):
    deliver(store, PLAIN)
    bits = inbox.bits
    result_of(inbox.store([1], FlagChange.ADD, ["\\Seen"]))
    assert inbox.bits is bits
    assert bits == array("Q", [Flag.SEEN])


def test_many_flags_change_at_once(store, mailboxes, inbox):
    deliver(store, *[PLAIN] * 300)
    changed, failed = result_of(inbox.store(range(1, 301), FlagChange.ADD, ["\\Seen"]))
    assert (changed, failed) == (list(range(1, 301)), [])
    assert result_of(mailboxes.status("INBOX")).unseen == 0
    assert len(result_of(inbox.load(range(1, 301)))) == 300


def test_unchanged_since_spares_what_is_newer(store, inbox):
    deliver(store, PLAIN, PLAIN)
    before = inbox.highest_modseq
    result_of(inbox.store([1], FlagChange.ADD, ["\\Seen"]))
    assert inbox.highest_modseq > before
    assert result_of(inbox.store([1, 2], FlagChange.ADD, ["\\Flagged"], unchanged_since=before)) == ([2], [1])


def test_there_is_an_end_to_keywords(store, inbox):
    deliver(store, PLAIN)
    result_of(inbox.store([1], FlagChange.ADD, [f"k{number}" for number in range(26)]))
    assert code_of(inbox.store([1], FlagChange.ADD, ["one-more"])) == "LIMIT"
    assert code_of(inbox.store([1], FlagChange.ADD, ["x" * 51])) == "LIMIT"
    assert len(flags_of(inbox, 1)[1]) == 26


# ----- coming and going


def test_expunge_removes_whatever_the_flags(store, inbox):
    deliver(store, PLAIN, PLAIN, PLAIN)
    uids, heard = inbox.uids, heard_by(inbox)
    assert result_of(inbox.expunge([3, 1, 9], by="me")) == [1, 3]
    assert heard == [Change(expunged=[1, 3], by="me")]
    assert list(inbox.uids) == [2]
    assert list(uids) == [1, 2, 3]
    assert len(inbox.bits) == 1
    assert result_of(inbox.load([1, 2, 3])) == [(2, PLAIN)]
    assert result_of(inbox.expunge([1])) == []


def test_uids_are_never_used_again(store, inbox):
    deliver(store, PLAIN, PLAIN)
    result_of(inbox.expunge([2]))
    deliver(store, PLAIN)
    assert list(inbox.uids) == [1, 3]
    assert inbox.uidnext == 4


def test_append_keeps_flags_and_date(mailboxes):
    drafts = result_of(mailboxes.open("Drafts"))
    heard = heard_by(drafts)
    messages = [NewMessage(Memory(PLAIN), ("\\Draft", "\\Seen", "idea"), 1_000_000_000.0), NewMessage(Memory(ENCODED))]
    copied = result_of(drafts.append(messages))
    assert (copied.uidvalidity, copied.source, copied.target) == (drafts.uidvalidity, (), (1, 2))
    assert flags_of(drafts, 1) == (Flag.DRAFT | Flag.SEEN, {"idea"})
    assert result_of(drafts.rows([1], (Column.INTERNALDATE,))) == [(1, 1_000_000_000.0)]
    assert result_of(drafts.load([2])) == [(2, ENCODED)]
    assert [uid for change in heard for uid in change.arrived] == [1, 2]
    assert result_of(drafts.claim_recent()) == (1, 2)


def test_append_is_all_or_none(mailboxes):
    drafts = result_of(mailboxes.open("Drafts"))
    assert code_of(drafts.append([NewMessage(Memory(PLAIN)), NewMessage(Memory(PLAIN), ("x" * 51,))])) == "LIMIT"
    assert list(drafts.uids) == []


def test_copy_keeps_content_flags_keywords_and_date(store, mailboxes, inbox):
    deliver(store, PLAIN, PLAIN, PLAIN)
    trash = result_of(mailboxes.open("Trash"))
    result_of(trash.append([NewMessage(Memory(ENCODED), ("other",))]))
    result_of(inbox.store([3], FlagChange.ADD, ["\\Flagged", "work"]))
    copied = result_of(inbox.copy([1, 3, 8], "Trash"))
    assert (copied.uidvalidity, copied.source, copied.target) == (trash.uidvalidity, (1, 3), (2, 3))
    assert flags_of(trash, 3) == (Flag.FLAGGED, {"work"})
    assert result_of(trash.load([2])) == [(2, PLAIN)]
    assert result_of(trash.rows([2], (Column.INTERNALDATE,)))[0][1] == result_of(inbox.rows([1], (Column.INTERNALDATE,)))[0][1]
    assert list(inbox.uids) == [1, 2, 3]


def test_copy_into_the_same_mailbox(store, inbox):
    deliver(store, PLAIN)
    assert result_of(inbox.copy([1], "INBOX")).target == (2,)
    assert result_of(inbox.load([1, 2])) == [(1, PLAIN), (2, PLAIN)]


def test_copy_of_nothing_is_nothing(inbox):
    copied = result_of(inbox.copy([4], "Trash"))
    assert (copied.source, copied.target) == ((), ())


def test_move_copies_and_then_expunges(store, mailboxes, inbox):
    deliver(store, PLAIN, ENCODED)
    heard = heard_by(inbox)
    copied = result_of(inbox.move([2], "Archive", by="me"))
    assert (copied.source, copied.target) == ((2,), (1,))
    assert heard == [Change(expunged=[2], by="me")]
    assert result_of(result_of(mailboxes.open("Archive")).load([1])) == [(1, ENCODED)]


@pytest.mark.parametrize("verb", ["copy", "move"])
def test_copy_needs_a_target(store, inbox, verb):
    deliver(store, PLAIN)
    with pytest.raises(NoSuchMailbox):
        result_of(getattr(inbox, verb)([1], "Nowhere"))
    assert list(inbox.uids) == [1]


def test_refresh_of_an_unchanged_mailbox_changes_nothing(store, inbox):
    deliver(store, PLAIN)
    heard = heard_by(inbox)
    result_of(inbox.refresh())
    assert heard == []
    assert list(inbox.uids) == [1]


def test_a_closed_mailbox_opens_again_as_it_was(store, mailboxes, inbox):
    deliver(store, PLAIN, ENCODED)
    result_of(inbox.store([2], FlagChange.ADD, ["\\Seen", "work"]))
    inbox.close()
    again = result_of(mailboxes.open("INBOX"))
    assert list(again.uids) == [1, 2]
    assert flags_of(again, 2) == (Flag.SEEN, {"work"})


def test_what_is_delivered_as_seen_is_seen_and_what_is_not_is_not(house, store, mailboxes):
    errors = result_of(store.deliver([Delivery(ALICE, b"", Memory(PLAIN), "Sent", seen=seen) for seen in (True, False, True)]))
    assert errors == [None, None, None]
    for one in (mailboxes, result_of(house.restart().mailboxes(ALICE))):
        mailbox = result_of(one.open("Sent"))
        assert [bool(flags_of(mailbox, uid)[0] & Flag.SEEN) for uid in mailbox.uids] == [True, False, True]
        mailbox.close()


def test_mail_follows_an_account_that_gets_another_name(store, inbox):
    carol = "carol@green.test"
    deliver(store, PLAIN)
    result_of(result_of(store.mailboxes(ALICE)).create("Birds/Herons"))
    heard = heard_by(inbox)
    result_of(store.rename_account(ALICE, carol))
    assert heard[-1] == Change(gone=True)
    boxes = result_of(store.mailboxes(carol))
    assert "Birds/Herons" in [folder.name for folder in result_of(boxes.folders())]
    assert list(result_of(boxes.open("INBOX")).uids) == [1]
    assert result_of(result_of(store.mailboxes(ALICE)).status("INBOX")).messages == 0


def test_nobody_gets_the_mail_of_somebody_else_by_another_name(store):
    deliver(store, PLAIN)
    deliver(store, PLAIN, account=BOB)
    with pytest.raises(FileExistsError):
        result_of(store.rename_account(ALICE, BOB))
    for account in (ALICE, BOB):
        assert result_of(result_of(store.mailboxes(account)).status("INBOX")).messages == 1


def test_an_account_without_mail_gets_another_name(store):
    result_of(store.rename_account(ALICE, BOB))
    assert result_of(result_of(store.mailboxes(BOB)).status("INBOX")).messages == 0
