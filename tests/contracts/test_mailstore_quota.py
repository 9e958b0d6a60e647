"""What every IMailStore promises of quotas: it counts exactly, and takes what finds room and nothing else (RFC 9208)."""

from __future__ import annotations

import errno

import pytest

from tests.contracts.mailstores import ALICE, BOB, ENCODED, PLAIN, append, deliver
from tests.helpers import result_of
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Delivery, NewMessage, Quota

P, E = len(PLAIN), len(ENCODED)


@pytest.fixture
def filled(store, inbox):
    """INBOX with PLAIN, ENCODED, PLAIN."""
    deliver(store, PLAIN, ENCODED, PLAIN)
    return inbox


def counted(mailboxes):
    quota = result_of(mailboxes.quota())
    return quota.octets, quota.messages


def held(house, mailboxes):
    """What the account may hold from now on is what it holds, and so much more."""

    def limit(octets=None, messages=None):
        now = counted(mailboxes)
        house.limits[ALICE] = (None if octets is None else now[0] + octets, None if messages is None else now[1] + messages)

    return limit


@pytest.fixture
def room(house, mailboxes):
    return held(house, mailboxes)


@pytest.mark.parametrize(
    ("change", "octets", "messages"),
    [
        pytest.param(lambda mailboxes, inbox: None, 0, 0, id="nothing"),
        pytest.param(lambda mailboxes, inbox: append(inbox, PLAIN, ENCODED), P + E, 2, id="append"),
        pytest.param(lambda mailboxes, inbox: result_of(inbox.copy([1, 2], "Sent")), P + E, 2, id="copy"),
        pytest.param(lambda mailboxes, inbox: result_of(inbox.move([1, 2], "Sent")), 0, 0, id="move"),
        pytest.param(lambda mailboxes, inbox: result_of(inbox.expunge([2, 9])), -E, -1, id="expunge"),
        pytest.param(lambda mailboxes, inbox: result_of(mailboxes.create("More")), 0, 0, id="create"),
        pytest.param(lambda mailboxes, inbox: result_of(mailboxes.rename("Other", "Another")), 0, 0, id="rename"),
        pytest.param(lambda mailboxes, inbox: result_of(mailboxes.rename("INBOX", "Another")), 0, 0, id="rename-of-inbox"),
        pytest.param(lambda mailboxes, inbox: result_of(mailboxes.delete("Other")), -P, -1, id="delete"),
    ],
)
@pytest.mark.parametrize("counted_before", [False, True], ids=["counted-after", "counted-before"])
def test_what_counts(house, mailboxes, filled, change, octets, messages, counted_before):
    append_to_other(mailboxes)
    if counted_before:
        assert counted(mailboxes) == (3 * P + E, 4)
    change(mailboxes, filled)
    assert counted(mailboxes) == (3 * P + E + octets, 4 + messages)
    again = result_of(house.restart().mailboxes(ALICE))
    assert counted(again) == (3 * P + E + octets, 4 + messages)


def append_to_other(mailboxes):
    result_of(mailboxes.create("Other"))
    append(result_of(mailboxes.open("Other")), PLAIN)


def test_each_account_is_counted_by_itself_and_has_its_own_limits(house, store, mailboxes, filled):
    house.limits[ALICE] = (10_000, None)
    house.limits[BOB] = (None, 5)
    deliver(store, ENCODED, account=BOB)
    assert result_of(mailboxes.quota()) == Quota(2 * P + E, 3, 10_000, None)
    assert result_of(result_of(store.mailboxes(BOB)).quota()) == Quota(E, 1, None, 5)


def test_line_ends_count_as_they_go_over_the_wire(store, mailboxes):
    result_of(store.deliver([Delivery(ALICE, b"Return-Path: <>\r\n", Memory(PLAIN))]))
    assert counted(mailboxes) == (len(b"Return-Path: <>\r\n") + P, 1)


# ----- limits

LIMITS = [pytest.param({"octets": P - 1}, id="octets"), pytest.param({"messages": 0}, id="messages")]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize(
    "verb",
    [
        pytest.param(lambda inbox: inbox.append([NewMessage(Memory(PLAIN))]), id="append"),
        pytest.param(lambda inbox: inbox.copy([1], "Sent"), id="copy"),
        pytest.param(lambda inbox: inbox.copy([1], "INBOX"), id="copy-here"),
    ],
)
def test_what_finds_no_room_is_refused(mailboxes, filled, room, limit, verb):
    room(**limit)
    before = counted(mailboxes), filled.highest_modseq
    with pytest.raises(OSError, match="full") as caught:
        result_of(verb(filled))
    assert caught.value.errno == errno.EDQUOT
    assert (counted(mailboxes), filled.highest_modseq, list(filled.uids)) == (*before, [1, 2, 3])


@pytest.mark.parametrize("limit", [{"octets": P}, {"messages": 1}, {"octets": P, "messages": 1}], ids=str)
def test_what_just_finds_room_is_taken(filled, room, limit):
    room(**limit)
    assert append(filled, PLAIN) == (4,)
    with pytest.raises(OSError, match="full"):
        append(filled, PLAIN)


def test_an_append_of_many_finds_room_for_all_or_none(filled, room):
    room(octets=2 * P)
    with pytest.raises(OSError, match="full"):
        append(filled, PLAIN, PLAIN, PLAIN)
    assert list(filled.uids) == [1, 2, 3]
    assert append(filled, PLAIN, PLAIN) == (4, 5)


@pytest.mark.parametrize("limit", LIMITS)
def test_a_delivery_that_finds_no_room_hinders_no_other(store, mailboxes, filled, room, limit):
    room(**limit)
    copies = [Delivery(ALICE, b"", Memory(PLAIN)), Delivery(BOB, b"", Memory(PLAIN)), Delivery(ALICE, b"", Memory(PLAIN), "New/Folder")]
    first, second, third = result_of(store.deliver(copies))
    assert (first.errno, second, third.errno) == (errno.EDQUOT, None, errno.EDQUOT)
    assert list(filled.uids) == [1, 2, 3]
    assert result_of(result_of(store.mailboxes(BOB)).status("INBOX")).messages == 1


@pytest.mark.parametrize("limit", [{"octets": 2 * P + 1}, {"messages": 2}], ids=str)
def test_deliveries_of_one_call_count_together(store, mailboxes, filled, room, limit):
    room(**limit)
    errors = result_of(store.deliver([Delivery(ALICE, b"", Memory(PLAIN), folder) for folder in ("INBOX", "Sent", "INBOX", "Trash")]))
    assert [error and error.errno for error in errors] == [None, None, errno.EDQUOT, errno.EDQUOT]
    assert counted(mailboxes) == (4 * P + E, 5)


def test_what_is_full_can_be_tidied_up(mailboxes, filled, room):
    """RFC 9208 §4.3: moving needs no room, flags neither, and what was expunged makes some."""
    room(octets=0, messages=0)
    assert result_of(filled.move([1], "Trash")).target == (1,)
    result_of(mailboxes.rename("Trash", "Rubbish"))
    assert result_of(result_of(mailboxes.open("Rubbish")).expunge([1])) == [1]
    assert append(filled, PLAIN) == (4,)


def test_a_limit_below_what_there_is_takes_nothing_away(house, mailboxes, filled):
    house.limits[ALICE] = (10, 1)
    assert len(result_of(filled.load([1, 2, 3]))) == 3
    assert result_of(mailboxes.quota()) == Quota(2 * P + E, 3, 10, 1)
    house.limits[ALICE] = (None, None)
    assert append(filled, PLAIN) == (4,)


def test_a_copy_of_nothing_needs_no_room(filled, room):
    room(octets=0, messages=0)
    assert result_of(filled.copy([9], "Sent")).target == ()


def test_what_goes_for_a_new_message_makes_room_for_it(filled, room):
    room(octets=0, messages=0)
    assert result_of(filled.room_for(0, 0))
    assert not result_of(filled.room_for(1, 0))
    assert not result_of(filled.room_for(0, 1))
    new = NewMessage(Memory(PLAIN))
    with pytest.raises(OSError, match="full") as refused:
        result_of(filled.append([new]))
    assert refused.value.errno == errno.EDQUOT
    with pytest.raises(OSError, match="full"):
        result_of(filled.append([new], freed=[P - 1]))
    assert len(result_of(filled.append([new], freed=[P])).target) == 1
