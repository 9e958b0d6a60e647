"""Parameters in parentheses: SELECT, FETCH and STORE with CONDSTORE and QRESYNC, and MODSEQ in SEARCH (RFC 4466, RFC 7162 §7)."""

from __future__ import annotations

import pytest

from tests.wire.imap.playing import event_of
from twistmail.wire.imap import commands as c
from twistmail.wire.imap import listing
from twistmail.wire.imap import searchkeys as k
from twistmail.wire.imap.fetchitems import Item
from twistmail.wire.imap.sequence import STAR, SequenceSet

T = b"A1"
ONE = SequenceSet(((1, 1),))
LARGEST = (1 << 63) - 1


def select(**parameters):
    return c.Select(T, "INBOX", False, **parameters)


def known(*ranges):
    return SequenceSet(ranges)


@pytest.mark.parametrize(
    ("line", "event"),
    [
        pytest.param(b"SELECT inbox (CONDSTORE)", select(condstore=True), id="condstore"),
        pytest.param(b"EXAMINE inbox (condstore)", c.Select(T, "INBOX", True, condstore=True), id="examine"),
        pytest.param(b"SELECT inbox (QRESYNC (7 9))", select(resync=c.Resync(7, 9)), id="qresync"),
        pytest.param(b"SELECT inbox (QRESYNC (7 9 41,43:211))", select(resync=c.Resync(7, 9, known((41, 41), (43, 211)))), id="known-uids"),
        pytest.param(b"SELECT inbox (QRESYNC (7 9 (1,3 8,16)))",
                     select(resync=c.Resync(7, 9, None, (known((1, 1), (3, 3)), known((8, 8), (16, 16))))), id="sample"),
        pytest.param(b"SELECT inbox (QRESYNC (7 9 1:9 (1:2 8:9)) CONDSTORE)",
                     select(resync=c.Resync(7, 9, known((1, 9)), (known((1, 2)), known((8, 9)))), condstore=True), id="everything"),
        pytest.param(b"FETCH 1 FLAGS (CHANGEDSINCE 12)", c.Fetch(T, ONE, (Item.FLAGS,), False, 12), id="changedsince"),
        pytest.param(b"FETCH 1 FAST (CHANGEDSINCE 12)", c.Fetch(T, ONE, (Item.FLAGS, Item.INTERNALDATE, Item.SIZE), False, 12), id="macro"),
        pytest.param(b"UID FETCH 1:* (FLAGS) (changedsince 0 vanished)",
                     c.Fetch(T, SequenceSet(((1, STAR),)), (Item.FLAGS,), True, 0, True), id="vanished"),
        pytest.param(b"UID FETCH 1:* (FLAGS) (VANISHED CHANGEDSINCE %d)" % LARGEST,
                     c.Fetch(T, SequenceSet(((1, STAR),)), (Item.FLAGS,), True, LARGEST, True), id="in-any-order"),
        pytest.param(b"FETCH 1 (MODSEQ)", c.Fetch(T, ONE, (Item.MODSEQ,), False), id="modseq"),
        pytest.param(b"STORE 1 (UNCHANGEDSINCE 5) +FLAGS.SILENT \\Seen",
                     c.Store(T, ONE, c.StoreMode.ADD, ("\\Seen",), True, False, 5), id="unchangedsince"),
        pytest.param(b"UID STORE 1 (UNCHANGEDSINCE 0) FLAGS ()", c.Store(T, ONE, c.StoreMode.SET, (), False, True, 0), id="by-uid"),
        pytest.param(b"STATUS x (HIGHESTMODSEQ)", listing.Status(T, "x", ("HIGHESTMODSEQ",)), id="status"),
        pytest.param(b"SEARCH MODSEQ 620162338", c.Search(T, k.ModSeq(620162338), "", False), id="search"),
        pytest.param(b'SEARCH MODSEQ "/flags/\\\\draft" all 7', c.Search(T, k.ModSeq(7), "", False), id="search-with-an-entry"),
        pytest.param(b"SEARCH OR NOT MODSEQ 7 LARGER 5", c.Search(T, k.Or(k.Not(k.ModSeq(7)), k.Larger(5)), "", False), id="search-deep"),
    ],
)  # fmt: skip
def test_parameters_are_understood(line, event):
    assert event_of(T + b" " + line) == event


@pytest.mark.parametrize(
    ("line", "text"),
    [
        pytest.param(b"SELECT x ()", "empty", id="no-parameters"),
        pytest.param(b"SELECT x (FOO)", "CONDSTORE, QRESYNC", id="unknown"),
        pytest.param(b"SELECT x (CONDSTORE CONDSTORE)", "each once", id="twice"),
        pytest.param(b"SELECT x CONDSTORE", "in parentheses", id="without-parentheses"),
        pytest.param(b"SELECT x (CONDSTORE) y", "end of the line", id="something-behind"),
        pytest.param(b"SELECT x (QRESYNC)", "QRESYNC (...)", id="qresync-alone"),
        pytest.param(b"SELECT x (QRESYNC (7))", "one space", id="qresync-without-modseq"),
        pytest.param(b"SELECT x (QRESYNC (4294967296 1))", "4294967295", id="uidvalidity-too-large"),
        pytest.param(b"SELECT x (QRESYNC (7 9223372036854775808))", "9223372036854775807", id="modseq-of-64-bits"),
        pytest.param(b"SELECT x (QRESYNC (7 9 1:*))", '"*"', id="known-star"),
        pytest.param(b"SELECT x (QRESYNC (7 9 ))", "message numbers", id="space-at-the-end"),
        pytest.param(b"SELECT x (QRESYNC (7 9 1 (1:2 8:9) 3))", ")", id="something-behind-the-sample"),
        pytest.param(b"SELECT x (QRESYNC (7 9 1 (1:2 8)))", "as many UIDs", id="sample-of-unequal-length"),
        pytest.param(b"SELECT x (QRESYNC (7 9 1 (1:* 8:*)))", '"*"', id="sample-with-star"),
        pytest.param(b"SELECT x (QRESYNC (7 9 $))", '"$"', id="what-was-saved"),
        pytest.param(b"SELECT x (QRESYNC (7 9 1 (1:2)))", "one space", id="sample-without-uids"),
        pytest.param(b"FETCH 1 FLAGS (CHANGEDSINCE)", "one space", id="changedsince-what"),
        pytest.param(b"FETCH 1 FLAGS (CHANGEDSINCE x)", "modification sequence", id="changedsince-a-word"),
        pytest.param(b"FETCH 1 FLAGS ()", "empty", id="no-modifiers"),
        pytest.param(b"FETCH 1 FLAGS (UNCHANGEDSINCE 1)", "CHANGEDSINCE, PARTIAL, VANISHED", id="modifier-of-another-command"),
        pytest.param(b"FETCH 1 FLAGS (PARTIAL 1:2)", "UID FETCH", id="partial-by-number"),
        pytest.param(b"FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)", "UID FETCH", id="vanished-by-number"),
        pytest.param(b"UID FETCH 1 FLAGS (VANISHED)", "CHANGEDSINCE", id="vanished-alone"),
        pytest.param(b"STORE 1 (UNCHANGEDSINCE 1)+FLAGS x", "one space", id="no-space-behind"),
        pytest.param(b"STORE 1 () FLAGS x", "empty", id="store-no-modifiers"),
        pytest.param(b"STORE 1 (CHANGEDSINCE 1) FLAGS x", "UNCHANGEDSINCE", id="store-with-a-modifier-of-fetch"),
        pytest.param(b"SEARCH MODSEQ", "one space", id="search-nothing"),
        pytest.param(b"SEARCH MODSEQ x", "modification sequence", id="search-a-word"),
        pytest.param(b'SEARCH MODSEQ "/flags/x" 7', "priv, shared or all", id="entry-without-a-type"),
        pytest.param(b'SEARCH MODSEQ "/flags/x" mine 7', "priv, shared or all", id="entry-of-no-type"),
    ],
)
def test_badly_spelled_parameters_are_bad(line, text):
    event = event_of(T + b" " + line)
    assert isinstance(event, c.Bad)
    assert text in event.text


@pytest.mark.parametrize(
    ("line", "wants_modseqs", "by_number"),
    [
        pytest.param(b"FETCH 1 FLAGS", False, True, id="fetch"),
        pytest.param(b"UID FETCH 1 FLAGS", False, False, id="uid-fetch"),
        pytest.param(b"UID FETCH 1 MODSEQ", True, False, id="fetch-modseq"),
        pytest.param(b"UID FETCH 1 FLAGS (CHANGEDSINCE 1)", True, False, id="changedsince"),
        pytest.param(b"UID STORE 1 FLAGS x", False, False, id="uid-store"),
        pytest.param(b"STORE 1 (UNCHANGEDSINCE 1) FLAGS x", True, True, id="unchangedsince"),
        pytest.param(b"COPY 1 x", False, True, id="copy"),
        pytest.param(b"UID MOVE 1 x", False, False, id="uid-move"),
        pytest.param(b"UID SEARCH ALL", False, False, id="uid-search"),
        pytest.param(b"UID SEARCH NOT $", False, False, id="uid-search-among-what-was-saved"),
        pytest.param(b"UID SEARCH OR NOT (SEEN 1) ALL", False, True, id="uid-search-for-a-number"),
        pytest.param(b"SEARCH (OR SEEN MODSEQ 1)", True, True, id="search-modseq-deep"),
        pytest.param(b"EXPUNGE", False, False, id="expunge"),
        pytest.param(b"SELECT x (QRESYNC (1 1 1))", False, False, id="qresync"),
        pytest.param(b"SELECT x (QRESYNC (1 1 (1 1)))", False, True, id="qresync-with-numbers"),
        pytest.param(b"STATUS x (MESSAGES)", False, False, id="status"),
        pytest.param(b"STATUS x (MESSAGES HIGHESTMODSEQ)", True, False, id="status-highestmodseq"),
    ],
)
def test_commands_that_count_changes_and_commands_that_use_numbers(line, wants_modseqs, by_number):
    event = event_of(T + b" " + line)
    assert (event.wants_modseqs, event.by_number) == (wants_modseqs, by_number)
