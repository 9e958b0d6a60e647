"""What every IMailbox promises of modification sequences: CONDSTORE and QRESYNC rest on it (RFC 7162)."""

from __future__ import annotations

import pytest

from tests.contracts.mailstores import ALICE, ENCODED, PLAIN, append, deliver, flags_of, modseq_of, told, vanished_since
from tests.helpers import result_of
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Column, FlagChange, NewMessage


@pytest.fixture
def filled(store, inbox):
    """INBOX with four messages, each of which came by itself."""
    for _ in range(4):
        deliver(store, PLAIN)
    return inbox


def store_flags(mailbox, uids, *flags, change=FlagChange.ADD, **more):
    return result_of(mailbox.store(uids, change, flags, **more))


def again(house, name="INBOX"):
    """The mailbox after a new start of the store."""
    return result_of(result_of(house.restart().mailboxes(ALICE)).open(name))


CHANGES = [
    pytest.param(lambda mailbox: append(mailbox, PLAIN), [5], id="append"),
    pytest.param(lambda mailbox: append(mailbox, PLAIN, ENCODED), [5, 6], id="append-many"),
    pytest.param(lambda mailbox: result_of(mailbox.copy([2], "INBOX")), [5], id="copy"),
    pytest.param(lambda mailbox: store_flags(mailbox, [2, 3], "\\Seen"), [2, 3], id="flags"),
    pytest.param(lambda mailbox: store_flags(mailbox, range(1, 5), "work", change=FlagChange.SET), [1, 2, 3, 4], id="keywords"),
    pytest.param(lambda mailbox: result_of(mailbox.expunge([2])), [], id="expunge"),
    pytest.param(lambda mailbox: result_of(mailbox.expunge([4])), [], id="expunge-of-the-newest"),
    pytest.param(lambda mailbox: result_of(mailbox.move([1, 3], "Trash")), [], id="move"),
]


@pytest.mark.parametrize(("change", "touched"), CHANGES)
def test_what_a_change_touches_gets_a_number_above_all_before(mailboxes, filled, change, touched):
    highest, before = filled.highest_modseq, dict(zip(filled.uids, filled.modseqs, strict=True))
    change(filled)
    assert filled.highest_modseq > highest
    assert result_of(mailboxes.status("INBOX")).highest_modseq == filled.highest_modseq
    after = dict(zip(filled.uids, filled.modseqs, strict=True))
    assert all(highest < after[uid] <= filled.highest_modseq for uid in touched)
    assert {uid: modseq for uid, modseq in after.items() if uid not in touched} == {
        uid: modseq for uid, modseq in before.items() if uid not in touched and uid in after
    }


@pytest.mark.parametrize(("change", "touched"), CHANGES)
def test_changed_since_tells_what_was_touched_and_nothing_else(filled, change, touched):
    highest = filled.highest_modseq
    assert filled.changed_since(highest) == []
    change(filled)
    assert filled.changed_since(highest) == touched
    assert filled.changed_since(0) == list(filled.uids)
    assert filled.changed_since(filled.highest_modseq) == []


@pytest.mark.parametrize(
    "nothing",
    [
        pytest.param(lambda mailbox: store_flags(mailbox, [1], "\\Seen"), id="flags-that-are-set"),
        pytest.param(lambda mailbox: store_flags(mailbox, [2], "\\Seen", "work", change=FlagChange.REMOVE), id="flags-that-are-not"),
        pytest.param(lambda mailbox: store_flags(mailbox, [9], "\\Seen"), id="flags-of-nobody"),
        pytest.param(lambda mailbox: store_flags(mailbox, [1], "\\Flagged", unchanged_since=0), id="flags-that-fail"),
        pytest.param(lambda mailbox: result_of(mailbox.expunge([9])), id="expunge-of-nobody"),
        pytest.param(lambda mailbox: result_of(mailbox.copy([1], "Trash")), id="copy-elsewhere"),
        pytest.param(lambda mailbox: result_of(mailbox.move([9], "Trash")), id="move-of-nobody"),
        pytest.param(lambda mailbox: result_of(mailbox.claim_recent()), id="claim"),
        pytest.param(lambda mailbox: result_of(mailbox.refresh()), id="refresh"),
    ],
)
def test_what_changes_nothing_takes_no_number(filled, nothing):
    store_flags(filled, [1], "\\Seen")
    highest, modseqs = filled.highest_modseq, list(filled.modseqs)
    nothing(filled)
    assert (filled.highest_modseq, list(filled.modseqs)) == (highest, modseqs)
    assert vanished_since(filled, 0) == []


def test_an_empty_mailbox_has_a_number_too(inbox):
    """RFC 7162 §3.1.2.1: HIGHESTMODSEQ is at least 1."""
    assert inbox.highest_modseq >= 1
    assert inbox.changed_since(0) == []
    assert vanished_since(inbox, 0) == []


def test_the_column_tells_what_the_array_holds(filled):
    store_flags(filled, [3], "\\Seen")
    assert told(filled, Column.MODSEQ) == list(filled.modseqs)


def test_arrays_change_in_place_and_are_new_after_an_expunge(store, filled):
    uids, bits, modseqs = filled.uids, filled.bits, filled.modseqs
    deliver(store, PLAIN)
    store_flags(filled, [1], "\\Seen")
    assert filled.uids is uids
    assert filled.bits is bits
    assert filled.modseqs is modseqs
    assert len(uids) == len(bits) == len(modseqs) == 5
    result_of(filled.expunge([2]))
    assert filled.uids is not uids
    assert list(uids) == [1, 2, 3, 4, 5]
    assert len(filled.uids) == len(filled.bits) == len(filled.modseqs) == 4


def test_flags_fail_for_what_is_newer_and_only_for_that(filled):
    since = filled.highest_modseq
    store_flags(filled, [2, 4], "\\Seen")
    assert store_flags(filled, [1, 2, 3, 4, 9], "\\Flagged", unchanged_since=since) == ([1, 3], [2, 4])
    assert flags_of(filled, 2)[0].name == "SEEN"
    assert modseq_of(filled, 1) == modseq_of(filled, 3) == filled.highest_modseq
    assert store_flags(filled, [1, 2], "\\Flagged", unchanged_since=filled.highest_modseq) == ([2], [])


# ----- what has vanished


def test_vanished_since_tells_what_was_expunged_after(store, filled):
    marks, gone = [filled.highest_modseq], []
    for uids in ([3], [1, 4], [2]):
        deliver(store, PLAIN)
        gone.append(result_of(filled.expunge(uids)))
        marks.append(filled.highest_modseq)
    for place, mark in enumerate(marks):
        assert vanished_since(filled, mark) == sorted(uid for some in gone[place:] for uid in some)


def test_what_came_and_went_since_has_vanished(store, filled):
    mark = filled.highest_modseq
    deliver(store, PLAIN)
    result_of(filled.expunge([5]))
    assert vanished_since(filled, mark) == [5]
    assert filled.changed_since(mark) == []


def test_what_was_moved_has_vanished_here_and_is_new_there(mailboxes, filled):
    trash = result_of(mailboxes.open("Trash"))
    here, there = filled.highest_modseq, trash.highest_modseq
    result_of(filled.move([2, 3], "Trash"))
    assert vanished_since(filled, here) == [2, 3]
    assert trash.changed_since(there) == [1, 2]
    assert vanished_since(trash, 0) == []


def test_many_expunges_are_remembered_one_by_one(inbox):
    append(inbox, *[PLAIN] * 100)
    marks = {}
    for uid in range(1, 101):
        marks[uid] = inbox.highest_modseq
        result_of(inbox.expunge([uid]))
    assert [vanished_since(inbox, marks[uid]) for uid in (1, 50, 100)] == [
        list(range(1, 101)), list(range(50, 101)), [100]
    ]


# ----- numbers that last


def numbers_of(mailbox):
    return mailbox.uidvalidity, mailbox.uidnext, mailbox.highest_modseq, list(mailbox.uids), list(mailbox.bits), list(mailbox.modseqs)


def changed_in_many_ways(mailbox):
    """Some changes; a mark in their middle."""
    store_flags(mailbox, [1, 2], "\\Seen", "work")
    result_of(mailbox.expunge([2]))
    mark = mailbox.highest_modseq
    store_flags(mailbox, [3], "\\Flagged")
    append(mailbox, ENCODED, flags=["\\Draft"])
    result_of(mailbox.expunge([4]))
    return mark


def test_a_restart_changes_no_number(house, filled):
    mark = changed_in_many_ways(filled)
    before = numbers_of(filled)
    after = again(house)
    assert numbers_of(after) == before
    assert after.changed_since(mark) == [3, 5]
    assert vanished_since(after, mark) == [4]
    assert vanished_since(after, 0) == [2, 4]


def test_what_came_before_anybody_looked_is_above_what_was_told(house, filled):
    highest = filled.highest_modseq
    deliver(house.restart(), PLAIN)
    mailbox = result_of(result_of(house.running.mailboxes(ALICE)).open("INBOX"))
    assert mailbox.changed_since(highest) == [5]


@pytest.mark.parametrize("restarted", [False, True], ids=["at-once", "after-a-restart"])
def test_numbers_are_not_used_again_when_the_newest_has_gone(house, filled, restarted):
    """The last change was an expunge: no message has the highest number, and it must not be lost with it."""
    store_flags(filled, [4], "\\Seen")
    result_of(filled.expunge([4]))
    highest = filled.highest_modseq
    mailbox = again(house) if restarted else filled
    assert append(mailbox, PLAIN) == (5,)
    assert modseq_of(mailbox, 5) > highest


def test_a_mailbox_that_was_let_go_of_comes_back_with_its_numbers(mailboxes, filled):
    mark = changed_in_many_ways(filled)
    before = numbers_of(filled)
    filled.close()
    after = result_of(mailboxes.open("INBOX"))
    assert numbers_of(after) == before
    assert vanished_since(after, mark) == [4]


@pytest.mark.parametrize("restarted", [False, True], ids=["at-once", "after-a-restart"])
def test_a_rename_keeps_numbers_flags_and_what_has_vanished(house, mailboxes, restarted):
    result_of(mailboxes.create("Old/Child"))
    old = result_of(mailboxes.open("Old/Child"))
    append(old, PLAIN, PLAIN, PLAIN, PLAIN)
    mark = changed_in_many_ways(old)
    highest, before = old.highest_modseq, (old.uidvalidity, old.uidnext, list(old.uids), list(old.modseqs))
    flags = [flags_of(old, uid) for uid in old.uids]
    result_of(mailboxes.rename("Old", "New"))
    new = again(house, "New/Child") if restarted else result_of(mailboxes.open("New/Child"))
    assert new.highest_modseq >= highest
    assert (new.uidvalidity, new.uidnext, list(new.uids), list(new.modseqs)) == before
    assert [flags_of(new, uid) for uid in new.uids] == flags
    assert new.changed_since(mark) == [3, 5]
    assert vanished_since(new, mark) in ([4], [2, 4])  # "of all that are missing where that is not remembered"
    assert store_flags(new, [1], "\\Answered") == ([1], [])
    assert modseq_of(new, 1) > highest


def test_a_new_mailbox_of_an_old_name_remembers_nothing(mailboxes):
    result_of(mailboxes.create("Again"))
    old = result_of(mailboxes.open("Again"))
    append(old, PLAIN, PLAIN)
    result_of(old.expunge([1]))
    old.close()
    result_of(mailboxes.delete("Again"))
    result_of(mailboxes.create("Again"))
    new = result_of(mailboxes.open("Again"))
    assert (list(new.uids), new.uidnext) == ([], 1)
    assert vanished_since(new, 0) == []
    assert append(new, PLAIN) == (1,)


# ----- one after another


def test_appends_that_wait_together_come_in_the_order_of_the_calls(mailboxes):
    drafts = result_of(mailboxes.open("Drafts"))
    waiting = [drafts.append([NewMessage(Memory(b"Subject: %d\r\n\r\n" % number))] * (1 + number % 3)) for number in range(20)]
    targets = [result_of(one).target for one in waiting]
    assert [uid for target in targets for uid in target] == list(drafts.uids)
    loaded = dict(result_of(drafts.load(drafts.uids)))
    assert all(loaded[uid] == b"Subject: %d\r\n\r\n" % number for number, target in enumerate(targets) for uid in target)
    assert list(drafts.modseqs) == sorted(drafts.modseqs)


# ----- annotations


def test_an_annotation_is_a_change_of_its_mailbox(house, mailboxes, filled):
    """RFC 7162 §3.2: SETMETADATA raises the number of the mailbox, whether or not somebody has it open; no message changes."""
    mark = filled.highest_modseq
    sent = result_of(mailboxes.status("Sent")).highest_modseq
    result_of(mailboxes.annotate("INBOX", {"/private/comment": b"x"}))
    result_of(mailboxes.annotate("Sent", {"/private/comment": b"x"}))
    result_of(mailboxes.annotate("", {"/private/comment": b"x"}))
    assert filled.highest_modseq > mark
    assert filled.changed_since(mark) == vanished_since(filled, mark) == []
    highest = filled.highest_modseq, result_of(mailboxes.status("Sent")).highest_modseq
    assert highest[1] > sent
    assert again(house).highest_modseq == highest[0]
    assert again(house, "Sent").highest_modseq == highest[1]
