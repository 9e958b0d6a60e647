"""Queries as users of Mailpit write them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.lab.letter_search import MOST_TERMS, Term, parse
from twistmail.web.letters import Person

ROW = SimpleNamespace(
    account="bob@blue.test",
    mailbox="INBOX",
    is_read=False,
    sender=(Person("Alice", "alice@blue.test"),),
    to=(Person("", "bob@blue.test"),),
    cc=(Person("Carol", "carol@green.test"),),
    bcc=(),
    reply_to=(),
    subject="Lunch today?",
    message_id="1@blue.test",
    arrived=1_795_269_600.0,
    size=3000,
    files=1,
)


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("", True),
        ("from:alice", True),
        ("FROM:ALICE", True),
        ("from:bob", False),
        ("-from:bob", True),
        ("!from:alice", False),
        ("to:bob@blue", True),
        ("cc:carol", True),
        ("bcc:carol", False),
        ("reply-to:x", False),
        ("addressed:carol", True),
        ("addressed:eve", False),
        ("subject:lunch", True),
        ('subject:"lunch today"', True),
        ('subject:"today lunch"', False),
        ("message-id:<1@blue.test>", True),
        ("is:unread", True),
        ("is:read", False),
        ("is:strange", False),
        ("has:attachment", True),
        ("-has:attachments", False),
        ("has:legs", False),
        ("after:2026-11-21", True),
        ("before:2026-11-21", False),
        ("before:2026-11-22T00:00:00Z", True),
        ("after:yesterday", False),
        ("larger:2k", True),
        ("smaller:2.5kb", False),
        ("larger:1M", False),
        ("smaller:x", False),
        ("tag:x", False),
        ("-tag:x", True),
        ("in:bob", True),
        ("in:inbox", True),
        ("in:sent", False),
        ("from:alice is:unread subject:lunch", True),
        ("from:alice is:read", False),
        ("after:9999999999999", False),
    ],
)
def test_which_rows_fit(query, fits):
    assert parse(query).fits(ROW) is fits


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("lunch", (Term("", "lunch"),)),
        ('"two words" -three', (Term("", "two words"), Term("", "three", True))),
        ("http://x.test", (Term("", "http://x.test"),)),
        ("from:a", ()),
        ('"never closed', (Term("", "never closed"),)),
        ('""', ()),
        ("- !", ()),
    ],
)
def test_words_that_may_stand_anywhere(query, words):
    assert parse(query).words == words


@given(st.text(max_size=300))
def test_whatever_is_asked_has_an_answer(query):
    wanted = parse(query)
    assert wanted.fits(ROW) in (True, False)
    assert len(wanted.terms) <= MOST_TERMS
