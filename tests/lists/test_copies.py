"""What the members get: the fields of the list, and everything else as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.lists import copies
from twistmail.lists.settings import LIST
from twistmail.mail import headers
from twistmail.mail.address import parse
from twistmail.mail.ids import identifiers

NEWS = parse("news@blue.test")
LETTER = (
    b"DKIM-Signature: v=1; d=far.test;\r\n b=abc\r\nFrom: eve@far.test\r\nReply-To: desk@far.test\r\nSubject: =?utf-8?q?h=C3=A9?=\r\n\r\n"
)


def header(letter: bytes = LETTER, prefix: bytes = b"", *, one_click: bool = False, nested: bool = False, **settings: object) -> bytes:
    return copies.header(letter, prefix, NEWS, LIST.defaults(**settings), one_click=one_click, nested=nested)


def test_what_the_author_wrote_stands_there_to_the_octet() -> None:
    assert header(prefix=b"Received: by us\r\n").startswith(b"Received: by us\r\n" + LETTER[:-2])


@pytest.mark.parametrize("field", [b"List-Id: <x>", b"LIST-UNSUBSCRIBE:\r\n <mailto:x@y>", b"Precedence: bulk", b"Return-Path: <a@b>",
                                   b"Disposition-Notification-To: a@b", b"List-Unsubscribe-Post: x", b"List-Owner: x"])  # fmt: skip
def test_what_another_list_or_delivery_has_said_goes(field: bytes) -> None:
    assert header(field + b"\r\n" + LETTER) == header()


def test_the_archive_of_another_list_stays_where_we_have_none() -> None:
    """RFC 2369 §4."""
    theirs = b"List-Archive: <https://x.test>\r\n" + LETTER
    assert headers.values(header(theirs), b"list-archive") == [b" <https://x.test>"]
    assert headers.values(header(theirs, archive="https://y.test"), b"list-archive") == [b" <https://y.test>"]


def test_below_another_list_its_id_stays() -> None:
    """RFC 2919 §7."""
    theirs = b"List-Id: <more.blue.test>\r\nX-Loop: more@blue.test\r\n" + LETTER
    nested = header(theirs, nested=True)
    assert headers.values(nested, b"list-id") == [b" <more.blue.test>"]
    assert headers.values(nested, b"x-loop") == [b" more@blue.test", b" news@blue.test"]
    assert headers.values(header(theirs), b"list-id") == [b" <news.blue.test>"]


@pytest.mark.parametrize(("settings", "name", "value"), [
    pytest.param({"description": 'All "news"\r\nX: y \u00e9'}, b"list-id", b' "All newsX: y " <news.blue.test>', id="a-description"),
    pytest.param({"post": "owners"}, b"list-post", b" NO (only its owners may write)", id="where-only-owners-write"),
    pytest.param({"subscribe": "confirm"}, b"list-subscribe", b" <mailto:news-subscribe@blue.test>", id="where-people-may-subscribe"),
    pytest.param({"reply_to": "list"}, b"reply-to", b" news@blue.test", id="answers-to-the-list"),
    pytest.param({"reply_to": parse("a@b.test")}, b"reply-to", b" a@b.test", id="answers-to-somebody"),
])  # fmt: skip
def test_what_the_settings_say(settings: dict[str, object], name: bytes, value: bytes) -> None:
    assert headers.values(header(**settings), name) == [value]


@pytest.mark.parametrize(("subject", "expected"), [
    pytest.param(b"Subject: hello\r\n", b"Subject: [News] hello\r\n", id="plain"),
    pytest.param(b"subject:hello\r\n", b"subject: [News] hello\r\n", id="odd"),
    pytest.param(b"Subject: Re: [news] hello\r\n", b"Subject: Re: [news] hello\r\n", id="it-has-it"),
    pytest.param(b"Subject: =?utf-8?q?Re:_[News]_h=C3=A9?=\r\n", b"Subject: =?utf-8?q?Re:_[News]_h=C3=A9?=\r\n", id="encoded"),
    pytest.param(b"Subject: a\r\n b\r\n", b"Subject: [News] a\r\n b\r\n", id="folded"),
    pytest.param(b"Subject:\r\n b\r\n", b"Subject: [News] \r\n b\r\n", id="folded-at-once"),
    pytest.param(b"", b"Subject: [News]\r\n", id="none"),
    pytest.param(b"Subject: a\r\nSubject: b\r\n", b"Subject: [News] a\r\nSubject: b\r\n", id="two"),
])  # fmt: skip
def test_a_tag_in_the_subject(subject: bytes, expected: bytes) -> None:
    assert copies.tagged(b"From: x\r\n" + subject + b"\r\n", b"[News]") == b"From: x\r\n" + expected + b"\r\n"


def test_what_one_click_needs() -> None:
    """RFC 8058 §3.1: one https page, both fields, once."""
    assert headers.values(header(one_click=True), b"list-unsubscribe") == []
    said = copies.unsubscribing(NEWS, "https://lists.blue.test/u", "abc")
    assert said == (
        b"List-Unsubscribe: <https://lists.blue.test/u/news@blue.test/abc>,\r\n <mailto:news-unsubscribe+abc@blue.test>\r\n"
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    )


def test_odd_names_are_written_as_links_want_them() -> None:
    odd = copies.header(LETTER, b"", parse('"a b&c"@blue.test'), LIST.defaults(), one_click=False)
    assert headers.values(odd, b"list-post") == [b" <mailto:a%20b%26c@blue.test>"]


@given(st.binary(max_size=200))
def test_whatever_somebody_calls_a_header_the_fields_come_out_once(junk: bytes) -> None:
    block, _ = headers.split(junk)
    made = header(block, subject_tag="[News]")
    assert made.count(b"List-Id:") == 1
    assert headers.values(made, b"list-id")[-1] == b" <news.blue.test>"


def test_a_long_header_costs_time_in_proportion() -> None:
    import time

    def seconds(size: int) -> float:
        block = b"List-Id: x\r\nX: y\r\n" * size + b"\r\n"
        began = time.process_time()
        header(block, subject_tag="[News]")
        return time.process_time() - began

    assert takes_linear_time(seconds, 1000)


def test_the_id_of_a_copy_is_always_the_same_and_nobody_else_s() -> None:
    made = identifiers(lambda: 1_800_000_000.0, 1)
    items = [next(made) for _ in range(1000)]
    ids = {copies.copy_id(item, name) for item in items for name in (NEWS, parse("more@blue.test"))}
    assert len(ids) == 2000
    assert all(map(copies.is_copy, ids))
    assert not any(map(copies.is_copy, items))
    assert copies.copy_id(items[0], NEWS) == copies.copy_id(items[0], NEWS)
