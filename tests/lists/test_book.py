"""What lists remember: on the disk, for several processes at a time."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from twistmail.lists.book import ASK_AGAIN, CONFIRM_WITHIN, HELP, POTS, REMEMBERED, SUBSCRIBE, UNSUBSCRIBE, Book, Sent
from twistmail.lists.notes import FRESH, Note
from twistmail.mail.address import parse

NEWS, MORE = parse("news@blue.test"), parse("more@blue.test")
NOW = 1_800_000_000.0


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "lists")


def test_before_anything_was_written_nothing_is_known_and_no_file_is_made(book: Book) -> None:
    assert (book.notes(NEWS), book.note(NEWS, "a@b.test"), book.doubtful()) == ({}, None, [])
    assert not book.path.exists()


def test_what_is_noted_is_what_was_noted(book: Book) -> None:
    note = Note(True, False, 1.5, 2, 3.5, 4.5, 5.5, "550 \u00e9")
    book.keep(NEWS, [("a@b.test", note), ("c@d.test", FRESH)])
    book.keep(MORE, [("a@b.test", FRESH)])
    other = Book(book.path)
    assert other.notes(NEWS) == {"a@b.test": note, "c@d.test": FRESH}
    book.keep(NEWS, [("a@b.test", replace(note, bounces=9))])
    assert other.note(NEWS, "a@b.test") == replace(note, bounces=9)
    book.forget(NEWS, "a@b.test")
    assert (other.note(NEWS, "a@b.test"), other.note(MORE, "a@b.test")) == (None, FRESH)
    assert book.path.stat().st_mode & 0o077 == 0, "who is on a list is nobody else's business"


def test_what_was_let_in_is_known_to_the_next_process_for_as_long_as_mail_may_wait(book: Book) -> None:
    book.let_in("i1", NEWS, NOW)
    other = Book(book.path)
    assert [other.was_let_in("i1", NEWS), other.was_let_in("i1", MORE), other.was_let_in("i2", NEWS)] == [True, False, False]
    other.let_in("i2", NEWS, NOW + REMEMBERED + 1)
    assert not book.was_let_in("i1", NEWS)


def test_a_book_of_an_earlier_version_is_read_and_written(book: Book) -> None:
    book.keep(NEWS, [("a@b.test", FRESH)])
    with closing(sqlite3.connect(book.path)) as connection:
        connection.execute("DROP TABLE let_in")
        connection.execute("PRAGMA user_version = 1")
    assert not book.was_let_in("i1", NEWS)
    book.let_in("i1", NEWS, NOW)
    assert (book.was_let_in("i1", NEWS), book.note(NEWS, "a@b.test")) == (True, FRESH)


def test_a_request_is_confirmed_once_and_in_time(book: Book) -> None:
    token = book.ask(NEWS, "a@b.test", "subscribe", NOW)
    assert token is not None
    assert book.confirmed(MORE, token, NOW) is None
    assert book.confirmed(NEWS, token, NOW + CONFIRM_WITHIN + 1) is None
    assert book.confirmed(NEWS, token, NOW + 60) == ("a@b.test", "subscribe")
    assert book.confirmed(NEWS, token, NOW + 60) is None


def test_nobody_is_asked_again_the_same_day_and_not_very_many_at_all(book: Book) -> None:
    assert book.ask(NEWS, "a@b.test", "subscribe", NOW)
    assert book.ask(NEWS, "a@b.test", "subscribe", NOW + ASK_AGAIN - 1) is None
    assert book.ask(NEWS, "a@b.test", "unsubscribe", NOW)
    assert book.ask(NEWS, "a@b.test", "subscribe", NOW + ASK_AGAIN)


@pytest.mark.parametrize("action", [SUBSCRIBE, HELP])
def test_very_many_are_not_written_to_and_that_is_over_after_a_day(book: Book, action: str) -> None:
    for number in range(POTS[action].most):
        assert book.ask(NEWS, f"m@b{number}.test", action, NOW)
    assert book.ask(NEWS, "last@b.test", action, NOW + 1) is None
    assert book.ask(MORE, "last@b.test", action, NOW + 1), "another list is not concerned"
    assert all(book.ask(NEWS, "last@b.test", other, NOW + 1) for other in (SUBSCRIBE, HELP, UNSUBSCRIBE) if other != action)
    assert book.ask(NEWS, "last@b.test", action, NOW + ASK_AGAIN + 1)


@pytest.mark.parametrize("action", [SUBSCRIBE, HELP])
def test_a_domain_can_use_up_its_own_share_only(book: Book, action: str) -> None:
    answers = [book.ask(NEWS, f"m{number}@evil.test", action, NOW) for number in range(POTS[action].most_of_domain + 5)]
    assert [bool(one) for one in answers[-6:]] == [True] + [False] * 5
    assert book.ask(NEWS, "a@b.test", action, NOW)


def test_however_many_ask_a_member_can_leave(book: Book) -> None:
    for number in range(600):
        book.ask(NEWS, f"m{number}@b.test", UNSUBSCRIBE, NOW)
    assert book.ask(NEWS, "last@b.test", UNSUBSCRIBE, NOW)


def test_one_mailbox_is_one_however_it_is_written(book: Book) -> None:
    assert book.ask(NEWS, "a+1@b.test", SUBSCRIBE, NOW)
    assert [book.ask(NEWS, f"{name}@b.test", SUBSCRIBE, NOW) for name in ("a", "a+2", "a+1+2")] == [None] * 3
    assert book.ask(NEWS, "b+1@b.test", SUBSCRIBE, NOW)


def test_what_was_answered_with_help_is_forgotten_after_a_day(book: Book) -> None:
    book.ask(NEWS, "a@b.test", HELP, NOW)
    token = book.ask(NEWS, "a@b.test", SUBSCRIBE, NOW)
    book.ask(MORE, "a@b.test", SUBSCRIBE, NOW + ASK_AGAIN + 1)
    assert sorted(book.rows("SELECT list, action FROM asked")) == [(str(MORE), SUBSCRIBE), (str(NEWS), SUBSCRIBE)]
    assert token is not None
    assert book.confirmed(NEWS, token, NOW + ASK_AGAIN + 1) == ("a@b.test", SUBSCRIBE)


def test_how_far_a_copy_has_come(book: Book) -> None:
    assert book.begin("i1", NOW) is Sent.NEW
    assert book.begin("i1", NOW) is Sent.BEGUN
    assert book.doubtful() == ["i1"]
    book.done(["i1", "never-begun"])
    assert book.begin("i1", NOW) is Sent.DONE
    assert book.doubtful() == []
    assert book.begin("i2", NOW + REMEMBERED + 1) is Sent.NEW
    assert book.begin("i1", NOW + REMEMBERED + 1) is Sent.NEW, "the queue keeps nothing for so long"


def test_what_is_written_is_on_the_disk(book: Book) -> None:
    book.begin("i1", NOW)
    with book.writing() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
