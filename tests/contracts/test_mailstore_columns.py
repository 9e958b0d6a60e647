"""What every IMailbox promises to tell of messages, without their being read: columns, pieces, searching, sorting."""

from __future__ import annotations

import re
from itertools import permutations
from random import Random

import pytest

from tests.contracts.mailstores import ALICE, ENCODED, PLAIN, append, column_of, deliver, message, told
from tests.helpers import result_of
from twistmail.mail import headers
from twistmail.mail.folding import folded
from twistmail.mail.mailbox import Column, FlagChange, SortKey, Threading

NOON = 1_700_049_600.0  # Wed, 15 Nov 2023 12:00:00 UTC
#: RFC 8474 §7: objectid.
OBJECTID = re.compile(r"[A-Za-z0-9_-]{1,255}")


# ----- ids (RFC 8474)


def ids_of(mailbox, uid):
    [(_, *ids)] = result_of(mailbox.rows([uid], (Column.EMAILID, Column.THREADID)))
    return ids


def test_the_same_content_has_one_id_wherever_it_lies(store, mailboxes, inbox):
    deliver(store, PLAIN, ENCODED)
    ids = ids_of(inbox, 1)
    assert all(OBJECTID.fullmatch(word) for word in ids)
    assert ids_of(inbox, 2)[0] != ids[0]
    result_of(inbox.copy([1], "Archive"))
    result_of(inbox.move([1], "Trash"))
    assert ids_of(result_of(mailboxes.open("Archive")), 1) == ids
    assert ids_of(result_of(mailboxes.open("Trash")), 1) == ids


def test_flags_do_not_change_an_id(store, inbox):
    deliver(store, PLAIN)
    ids = ids_of(inbox, 1)
    result_of(inbox.store([1], FlagChange.SET, ["\\Seen", "work"]))
    assert ids_of(inbox, 1) == ids


def test_ids_survive_a_rename_and_a_restart(house, store, mailboxes):
    deliver(store, PLAIN, folder="Old")
    ids = ids_of(result_of(mailboxes.open("Old")), 1)
    result_of(mailboxes.rename("Old", "New"))
    assert ids_of(result_of(mailboxes.open("New")), 1) == ids
    again = result_of(house.restart().mailboxes(ALICE))
    assert ids_of(result_of(again.open("New")), 1) == ids


def test_an_answer_is_in_the_thread_of_its_question(store, inbox):
    deliver(
        store,
        message(b"one", Message_ID=b"<1@a.test>"),
        message(b"Re: one", Message_ID=b"<2@b.test>", In_Reply_To=b"<1@a.test>"),
        message(b"Re: one", Message_ID=b"<3@c.test>", References=b"<1@a.test> <2@b.test>"),
        message(b"one", Message_ID=b"<4@d.test>"),
    )
    first, second, third, other = told(inbox, Column.THREADID)
    assert first == second == third != other
    assert told(inbox, Column.THREADING) == ["1@a.test", "2@b.test 1@a.test", "3@c.test 1@a.test 2@b.test", "4@d.test"]


# ----- dates


def test_a_message_that_tells_no_date_was_sent_when_it_came(inbox):
    append(inbox, message(Date=b"Wed, 15 Nov 2023 13:00:00 +0100"), message(), message(Date=b"whenever"), date=1_600_000_000.0)
    assert told(inbox, Column.SENT) == [NOON, 1_600_000_000.0, 1_600_000_000.0]


def test_a_copy_keeps_its_date_and_is_saved_when_it_is_made(house, mailboxes, inbox):
    append(inbox, PLAIN, date=1_600_000_000.0)
    saved = house.now()
    assert column_of(inbox, 1, Column.SAVEDATE) == saved
    house.time += 3600
    result_of(inbox.copy([1], "Archive"))
    house.time += 3600
    result_of(inbox.move([1], "Trash"))
    archive, trash = result_of(mailboxes.open("Archive")), result_of(mailboxes.open("Trash"))
    columns = (Column.INTERNALDATE, Column.SAVEDATE)
    assert result_of(archive.rows([1], columns)) == [(1, 1_600_000_000.0, saved + 3600)]
    assert result_of(trash.rows([1], columns)) == [(1, 1_600_000_000.0, saved + 7200)]


def test_dates_survive_a_restart(house, inbox):
    append(inbox, PLAIN, date=1_600_000_000.0)
    append(inbox, PLAIN)
    columns = (Column.INTERNALDATE, Column.SAVEDATE)
    before = result_of(inbox.rows([1, 2], columns))
    house.time += 3600
    again = result_of(result_of(house.restart().mailboxes(ALICE)).open("INBOX"))
    assert result_of(again.rows([1, 2], columns)) == before


# ----- those that were asked for


@pytest.mark.parametrize("asked", [[2, 4], [1, 3, 5], [1, 2, 4], [5], [1, 5, 9], [], [7, 8]])
@pytest.mark.parametrize("columns", [(Column.SIZE,), (Column.ENVELOPE,), (Column.SENT, Column.HEADER), tuple(Column)])
def test_rows_are_of_those_that_were_asked_for(store, inbox, asked, columns):
    deliver(store, *[message(b"%d" % number, b"x" * number) for number in range(1, 6)])
    every = {uid: (uid, *values) for uid, *values in result_of(inbox.rows([1, 2, 3, 4, 5], columns))}
    assert result_of(inbox.rows(asked, columns)) == [every[uid] for uid in asked if uid in every]
    result_of(inbox.expunge([3]))
    assert result_of(inbox.rows(asked, columns)) == [every[uid] for uid in asked if uid in every and uid != 3]


# ----- messages of every kind

STRANGE = [
    pytest.param(b"", id="empty"),
    pytest.param(b"\r\n", id="one-empty-line"),
    pytest.param(b"Subject: no end", id="no-line-end"),
    pytest.param(b"Subject: no body\r\n", id="no-empty-line"),
    pytest.param(b"Subject: no body\r\n\r\n", id="no-body"),
    pytest.param(b"\r\nno header\r\n", id="no-header"),
    pytest.param(b"not a field\r\n\r\nbody\r\n", id="no-field"),
    pytest.param(b"Subject: \xff\x00\xfe\r\nFrom: \x00\r\n\r\n\x00\xff\r\n", id="octets"),
    pytest.param(b"A: b\r\n\r\none\rtwo\r three\r", id="lone-carriage-returns"),
    pytest.param(b"Subject: " + b"x" * 100_000 + b"\r\n\r\n", id="long-line"),
    pytest.param(b"".join(b"X-%d: y\r\n" % number for number in range(5000)) + b"Subject: last\r\n\r\n", id="many-fields"),
    pytest.param(b"A: b\r\n\r\n" + b"0123456789abcdef\r\n" * 20_000, id="long"),
]


@pytest.mark.parametrize("content", STRANGE)
def test_no_message_is_too_strange_to_be_kept_and_told_of(store, inbox, content):
    deliver(store, content)
    assert result_of(inbox.load([1])) == [(1, content)]
    [(uid, *values)] = result_of(inbox.rows([1], tuple(Column)))
    told_of = dict(zip(Column, values, strict=True))
    assert (uid, told_of[Column.SIZE]) == (1, len(content))
    assert content.startswith(told_of[Column.HEADER])
    assert told_of[Column.LISTED] == headers.select(told_of[Column.HEADER], headers.LISTED)
    assert len(told_of[Column.PREVIEW]) <= 200
    assert told_of[Column.PREVIEW_AT_HAND] in (None, told_of[Column.PREVIEW])
    assert OBJECTID.fullmatch(told_of[Column.EMAILID])
    assert OBJECTID.fullmatch(told_of[Column.THREADID])
    assert list(result_of(inbox.sort([1], [(key, False) for key in SortKey]))) == [1]


@pytest.mark.parametrize("content", [b"A: b\r\n\r\none\r\r\ntwo\r\n", b"A: b\n\none\ntwo\n"], ids=["too-many-returns", "too-few"])
def test_what_no_message_may_hold_is_as_long_as_it_is_said_to_be(store, inbox, content):
    """RFC 5322 §2.3 forbids it, and the store may mend it; but what was announced is what comes."""
    deliver(store, content)
    [size], [(_, loaded)], [(_, read)] = told(inbox, Column.SIZE), result_of(inbox.load([1])), result_of(inbox.read([1]))
    assert len(loaded) == size == read.size
    assert b"".join(read.chunks()) == loaded == result_of(inbox.span(1, 0, 1000))


# ----- pieces


@pytest.mark.parametrize("content", STRANGE[:-3])
def test_every_piece_of_a_small_message(store, inbox, content):
    deliver(store, content)
    for start in range(len(content) + 2):
        for length in (0, 1, 7, len(content) + 1):
            assert result_of(inbox.span(1, start, length)) == content[start : start + length]


LINES = [b"x" * (number * 7919 % 150) for number in range(4000)]
LONG = b"Subject: long\r\n\r\n" + b"\r\n".join(LINES) + b"\r\n"


def test_a_long_message_in_pieces_is_the_whole(store, inbox):
    deliver(store, LONG)
    for length in (100_003, 65_536):
        pieces = [result_of(inbox.span(1, start, length)) for start in range(0, len(LONG) + length, length)]
        assert b"".join(pieces) == LONG
        assert pieces[-1] == b""


def test_pieces_may_be_asked_for_in_any_order(store, inbox):
    deliver(store, LONG)
    order = Random(8970)
    for _ in range(100):
        start, length = order.randrange(len(LONG) + 10), order.randrange(150_000)
        assert result_of(inbox.span(1, start, length)) == LONG[start : start + length]


def test_a_piece_of_a_message_that_has_gone(store, inbox):
    deliver(store, PLAIN)
    assert result_of(inbox.span(1, 0, 5)) == PLAIN[:5]
    result_of(inbox.expunge([1]))
    assert result_of(inbox.span(1, 5, 5)) is None
    assert result_of(inbox.span(7, 0, 5)) is None


def test_a_piece_of_a_message_whose_flags_have_changed(store, inbox):
    deliver(store, LONG)
    assert result_of(inbox.span(1, 0, 70_000)) == LONG[:70_000]
    result_of(inbox.store([1], FlagChange.ADD, ["\\Seen", "work"]))
    assert result_of(inbox.span(1, 70_000, 70_000)) == LONG[70_000:140_000]


# ----- searching

SEARCHED = [
    message(b"Herons at =?utf-8?q?D=C3=A4mmerung?=", From=b"Ann <ANN@away.test>", To=b"bob@blue.test", X_Bird=b"grey heron"),
    message(b"second", From=b'"Bob B." <bob@blue.test>', To=b"carol@c.test", Cc=b"dora@d.test", Message_ID=b"<two@blue.test>"),
    b"From: ann@away.test\r\nTO: bob@blue.test\r\nTo: carol@c.test\r\nSubject: a folded\r\n  line\r\nSubject: and another\r\n\r\n",
    b"Bcc: eve@e.test, <fred (at home) @ (in) fred.test>\r\nX-Bird:\r\nReferences: <two@blue.test>\r\n\r\nSubject: herons in the body\r\n",
]


@pytest.mark.parametrize(
    ("field", "needle", "found"),
    [
        pytest.param("Subject", "herons", {1}, id="subject"),
        pytest.param("SUBJECT", "dämmerung", {1}, id="encoded"),
        pytest.param("subject", "at dämm", {1}, id="across-an-encoded-word"),
        pytest.param("subject", "folded", {3}, id="folded"),
        pytest.param("subject", "another", {3}, id="second-of-its-name"),
        pytest.param("from", "ann@away.test", {1, 3}, id="from"),
        pytest.param("from", 'b." <', {2}, id="as-it-is-written"),
        pytest.param("to", "carol", {2, 3}, id="to"),
        pytest.param("cc", "dora", {2}, id="cc"),
        pytest.param("bcc", "eve", {4}, id="bcc"),
        pytest.param("bcc", "fred@fred.test", {4}, id="an-address-with-comments"),
        pytest.param("bcc", "at home", {4}, id="the-comment"),
        pytest.param("x-bird", "heron", {1}, id="any-field"),
        pytest.param("X-Bird", "", {1, 4}, id="a-field-that-is-there"),
        pytest.param("subject", "", {1, 2, 3}, id="a-subject-that-is-there"),
        pytest.param("to", "", {1, 2, 3}, id="a-receiver-that-is-there"),
        pytest.param("message-id", "<TWO@".casefold(), {2}, id="message-id"),
        pytest.param("bird", "heron", set(), id="half-a-name"),
        pytest.param("subject", "100%", set(), id="not-a-pattern"),
        pytest.param("subject", "s_cond", set(), id="not-a-pattern-either"),
        pytest.param("x'; --", "a", set(), id="not-a-name"),
        pytest.param("größe", "a", set(), id="not-ascii"),
    ],
)
def test_header_search(store, inbox, field, needle, found):
    deliver(store, *SEARCHED)
    assert result_of(inbox.header_search([1, 2, 3, 4, 9], field, folded(needle))) == found
    assert result_of(inbox.header_search([2, 4], field, folded(needle))) == found & {2, 4}


def test_header_search_sees_what_has_come_since_and_not_what_has_gone(store, inbox):
    deliver(store, SEARCHED[0])
    assert result_of(inbox.header_search([1], "subject", "herons")) == {1}
    deliver(store, SEARCHED[0])
    assert result_of(inbox.header_search([1, 2], "subject", "herons")) == {1, 2}
    result_of(inbox.expunge([1]))
    assert result_of(inbox.header_search([1, 2], "subject", "herons")) == {2}


def test_texts_are_compared_by_characters_and_not_by_their_spelling(inbox):
    """RFC 5255 §4.3: i;unicode-casemap."""
    for subject in ("=?utf-8?q?Cafe=CC=81?=", "=?utf-8?q?CAF=C3=89?=", "cafe"):
        append(inbox, message(subject.encode(), "Stra\u00dfe \u0438\u0439".encode(), Content_Type=b"text/plain; charset=utf-8"))
    for needle in ("caf\u00e9", "CAFE\u0301"):
        assert result_of(inbox.header_search(inbox.uids, "subject", folded(needle))) == {1, 2}
    for needle in ("STRASSE", "stra\u00dfe", "\u0418\u0419"):
        assert result_of(inbox.text_search(inbox.uids, folded(needle), False)) == {1, 2, 3}
    assert list(result_of(inbox.sort(inbox.uids, [(SortKey.SUBJECT, False)]))) == [3, 1, 2]
    assert threads_of(inbox, inbox.uids, Threading.ORDEREDSUBJECT) == "(1 2)(3)"


# ----- sorting

#: By the table: (internaldate, size of the body, fields).
SORTED = [
    (3e8, 50, {"subject": b"Re: [list] beta", "From": b"Zoe <ann@x.test>", "To": b"m1@x.test", "Date": b"Wed, 15 Nov 2023 12:00:00 +0000"}),
    (1e8, 50, {"subject": b"alpha", "From": b"carl@x.test", "Cc": b"b@x.test, a@x.test", "Date": b"Wed, 15 Nov 2023 12:30:00 +0100"}),
    (2e8, 90, {"subject": b"Fwd: Beta", "From": b"Adam <bert@x.test>", "To": b"Kate <m2@x.test>"}),
    (2e8, 50, {"subject": b"=?utf-8?q?=C3=A4ther?=", "From": b"=?utf-8?q?B=C3=A4r?= <dora@x.test>", "Cc": b"a@x.test"}),
]


@pytest.mark.parametrize(
    ("keys", "order"),
    [
        pytest.param([(SortKey.ARRIVAL, False)], [2, 3, 4, 1], id="arrival"),
        pytest.param([(SortKey.ARRIVAL, True)], [1, 3, 4, 2], id="arrival-reversed-what-is-equal-is-not"),
        pytest.param([(SortKey.DATE, False)], [3, 4, 2, 1], id="date-or-else-arrival"),
        pytest.param([(SortKey.SUBJECT, False)], [2, 4, 1, 3], id="base-subject"),
        pytest.param([(SortKey.FROM, False)], [1, 3, 2, 4], id="local-part-of-from"),
        pytest.param([(SortKey.DISPLAYFROM, False)], [3, 4, 2, 1], id="display-name-or-address"),
        pytest.param([(SortKey.TO, False)], [2, 4, 1, 3], id="to-nobody-first"),
        pytest.param([(SortKey.DISPLAYTO, False)], [2, 4, 3, 1], id="display-to"),
        pytest.param([(SortKey.CC, False)], [1, 3, 4, 2], id="cc-nobody-first"),
        pytest.param([(SortKey.SUBJECT, False), (SortKey.ARRIVAL, False)], [2, 4, 3, 1], id="two-keys"),
        pytest.param([(SortKey.SUBJECT, True), (SortKey.ARRIVAL, False)], [3, 1, 4, 2], id="the-first-reversed"),
        pytest.param([(SortKey.CC, True), (SortKey.SUBJECT, True), (SortKey.DATE, True)], [2, 4, 1, 3], id="three-reversed"),
        pytest.param([], [1, 2, 3, 4], id="no-key"),
    ],
)
def test_sorting(inbox, keys, order):
    for date, size, fields in SORTED:
        append(inbox, message(fields["subject"], b"x" * size, **{k: v for k, v in fields.items() if k != "subject"}), date=date)
    assert list(result_of(inbox.sort([1, 2, 3, 4, 9], keys))) == order
    assert list(result_of(inbox.sort([1, 3], keys))) == [uid for uid in order if uid in (1, 3)]


COMPARED = {
    SortKey.ARRIVAL: Column.INTERNALDATE, SortKey.SIZE: Column.SIZE, SortKey.DATE: Column.SENT, SortKey.SUBJECT: Column.BASE_SUBJECT
}


def test_any_two_keys_sort_by_their_columns(inbox):
    for number in range(24):
        subject = (b"a", b"Re: b", b"B", b"c")[number % 4]
        content = message(subject, b"x" * (number * 7 % 5), Date=b"%d Nov 2023 12:00:00 +0000" % (1 + number % 3))
        append(inbox, content, date=1e9 + number % 6)
    told_of = {key: dict(result_of(inbox.rows(inbox.uids, (column,)))) for key, column in COMPARED.items()}
    for first, second in permutations(COMPARED, 2):
        plain = sorted(inbox.uids, key=lambda uid: (told_of[first][uid], told_of[second][uid], uid))
        assert list(result_of(inbox.sort(inbox.uids, [(first, False), (second, False)]))) == plain
        turned = sorted(inbox.uids, key=lambda uid: (told_of[second][uid], -uid), reverse=True)
        turned.sort(key=lambda uid: told_of[first][uid])
        assert list(result_of(inbox.sort(inbox.uids, [(first, False), (second, True)]))) == turned


# ----- threading


def threads_of(mailbox, uids, how):
    return b"".join(result_of(mailbox.thread(uids, how)).rendered(lambda uids: uids)).decode()


@pytest.mark.parametrize(
    ("how", "all_of_them", "some"),
    [
        pytest.param(Threading.REFERENCES, "(3)(1 (2)(4))", "((2)(4))", id="references"),
        pytest.param(Threading.REFS, "(3)(1 2)(4)", "(2)(4)", id="refs"),
        pytest.param(Threading.ORDEREDSUBJECT, "(3)(1 (2)(4))", "(2 4)", id="ordered-subject"),
    ],
)
def test_threading(inbox, how, all_of_them, some):
    for number, subject, fields in (
        (3, b"lunch", {"Message_ID": b"<1@a.test>"}),
        (5, b"Re: lunch", {"Message_ID": b"<2@a.test>", "In_Reply_To": b'<"1"@a.test>'}),
        (1, b"supper", {"Message_ID": b"<3@a.test>"}),
        (4, b"Fwd: Lunch", {"Message_ID": b"<4@a.test>", "Date": b"Thu, 01 Jan 1970 00:00:07 +0000"}),
    ):
        append(inbox, message(subject, **fields), date=1e9 if number == 4 else number)
    assert threads_of(inbox, [], how) == ""
    assert threads_of(inbox, [1, 2, 3, 4], how) == all_of_them
    assert threads_of(inbox, [2, 4, 9], how) == some


def test_what_is_in_order_stays_true_when_messages_come_and_go(inbox):
    keys = [(SortKey.SUBJECT, False)]

    def as_told():
        return list(result_of(inbox.sort(inbox.uids, keys))), threads_of(inbox, inbox.uids, Threading.REFERENCES)

    for subject in (b"c", b"a", b"b"):
        append(inbox, message(subject), date=1e9)
    assert as_told() == ([2, 3, 1], "(1)(2)(3)")
    append(inbox, message(b"Re: a"), date=1e9)
    assert as_told() == ([2, 4, 3, 1], "(1)(2 4)(3)")
    result_of(inbox.expunge([2]))
    assert as_told() == ([4, 3, 1], "(1)(3)(4)")
    result_of(inbox.expunge([1, 3, 4]))
    assert as_told() == ([], "")
