"""Messages become values that a page can show, whatever is in them."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.web import letters
from twistmail.web.letters import MOST_FIELDS, MOST_FILES, MOST_ROWS, Person, images, part, view

PICTURE = b"\x89PNG\r\n\x1a\n"


def crlf(text: str) -> bytes:
    return text.lstrip("\n").replace("\n", "\r\n").encode()


PLAIN = crlf("""
Return-Path: <eve@red.test>
From: "Alice" <alice@blue.test>
To: bob@blue.test, =?utf-8?q?Ren=C3=A9?= <rene@green.test>
Subject: =?utf-8?b?THVuY2g/?=
Date: Sat, 21 Nov 2026 14:00:00 +0000
Message-ID: <1@blue.test>
In-Reply-To: <0@blue.test>

Hello
""")

MIXED = crlf("""
Subject: mixed
Content-Type: multipart/mixed; boundary=a

--a
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe
--b
Content-Type: text/html

<p>Hi <img src="cid:pic@x"></p>
--b--
--a
Content-Type: image/png; name=p.png
Content-ID: <pic@x>
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--a
Content-Type: message/rfc822

Subject: inside
Content-Type: text/plain

inner
--a
Content-Type: application/pdf
Content-Disposition: attachment; filename="../../etc/in\u202evoice.pdf"

x
--a--
""")


def test_a_plain_message():
    found = view(PLAIN)
    assert (found.subject, found.text, found.message_id, found.return_path) == ("Lunch?", "Hello\n", "1@blue.test", "eve@red.test")
    assert found.sender == (Person("Alice", "alice@blue.test"),)
    assert found.to == (Person("", "bob@blue.test"), Person("René", "rene@green.test"))
    assert [str(one) for one in (*found.sender, *found.to)] == ["Alice <alice@blue.test>", "bob@blue.test", "René <rene@green.test>"]
    assert found.references == ("0@blue.test",)
    assert found.sent == 1_795_269_600.0
    assert [(row.number, row.kind) for row in found.rows] == [("1", "text/plain")]
    assert found.files == ()


def test_a_message_with_everything():
    found = view(MIXED)
    assert [(row.number, row.depth, row.kind) for row in found.rows] == [
        ("", 0, "multipart/mixed"), ("1", 1, "multipart/alternative"), ("1.1", 2, "text/plain"), ("1.2", 2, "text/html"),
        ("2", 1, "image/png"), ("3", 1, "message/rfc822"), ("3.1", 2, "text/plain"), ("4", 1, "application/pdf")]  # fmt: skip
    assert (found.text, found.html, found.is_from_html) == ("Grüße", '<p>Hi <img src="cid:pic@x"></p>', False)
    assert [(file.number, file.name, file.is_inline) for file in found.files] == [
        ("2", "p.png", True), ("3", "message-3.eml", False), ("4", "in_voice.pdf", False)]  # fmt: skip


@pytest.mark.parametrize(
    ("number", "kind", "octets"),
    [
        pytest.param("1.1", "text/plain", "Grüße".encode(), id="encoding-undone"),
        pytest.param("2", "image/png", PICTURE, id="picture"),
        pytest.param("3", "message/rfc822", b"Subject: inside\r\nContent-Type: text/plain\r\n\r\ninner", id="message-in-a-message"),
        pytest.param("3.1", "text/plain", b"inner", id="part-of-a-message-in-a-message"),
    ],
)
def test_one_part(number, kind, octets):
    file, content = part(MIXED, number)
    assert (file.kind, content) == (kind, octets)


@pytest.mark.parametrize("number", ["", "0", "9", "1", "1.3", "x", "-1", "1..2", "1.1.1.1.1", "99999999", "\u0661", "1" + ".1" * 500])
def test_parts_that_are_not_there(number):
    assert part(MIXED, number) is None


def test_pictures_that_came_with_it():
    assert images(MIXED) == {"pic@x": "data:image/png;base64,iVBORw0KGgo="}


def test_words_are_made_of_html_where_there_are_no_others():
    found = view(crlf("Content-Type: text/html\n\n<h1>Hi</h1><script>x</script>there"))
    assert (found.text, found.is_from_html) == ("Hi\n\nthere".replace("\n\n", "\n"), True)


def test_halves_of_characters_are_replaced_and_nothing_else():
    half = b"=?utf-7?q?+2AA-?="
    found = view(
        b"Subject: " + half + b"\r\nFrom: " + half + b" <a@b>\r\nX: " + half + b"\r\nContent-Type: text/plain; charset=utf-7\r\n\r\n+2AA-x"
    )
    assert (found.subject, found.sender[0].name, found.fields[2][1], found.text) == ("\ufffd", "\ufffd", "\ufffd", "\ufffdx")
    trick = "\u202egnp\x07"
    found = view(f"Subject: {trick}\r\n\r\n{trick}".encode())
    assert (found.subject, found.text) == (trick, trick), "what people could be tricked by is named where it is shown"


@settings(max_examples=100)
@given(st.binary(max_size=400) | st.tuples(st.sampled_from([PLAIN, MIXED]), st.binary(max_size=20), st.integers(0, 900)).map(
    lambda t: t[0][: t[2]] + t[1] + t[0][t[2] :]))  # fmt: skip
def test_whatever_comes_is_a_letter_whose_parts_can_be_had(message):
    found = view(message)
    for row in found.rows:
        assert (part(message, row.number) is not None) == row.is_leaf


def test_ten_thousand_parts_and_a_megabyte_of_header_are_counted_not_shown():
    many = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\nContent-Type: image/gif\r\n\r\nx\r\n" * 12_000
    found = view(many)
    assert (len(found.rows), len(found.files)) == (MOST_ROWS, MOST_FILES)
    assert (len(found.rows) + found.more_rows, len(found.files) + found.more_files) == (10_000, 9_999)
    found = view(b"X-A: b\r\n" * 150_000 + b"Subject: " + b"s" * 900_000 + b"\r\n\r\nx")
    assert len(found.fields) == MOST_FIELDS
    assert found.more_fields > 100_000
    assert max(len(value) for _, value in found.fields) < 2 * letters.LONGEST_VALUE


@pytest.mark.parametrize("piece", [b"A: b\r\n", b"To: a@b, \r\n", b"Subject: =?utf-8?q?x?=\r\n", b"\r\n--a\r\n\r\n", b"x" * 10],
                         ids=["fields", "addresses", "words", "parts", "body"])  # fmt: skip
def test_reading_takes_linear_time(piece):
    def seconds(size):
        begun = process_time()
        view(b"Content-Type: multipart/mixed; boundary=a\r\n" + piece * size)
        return process_time() - begun

    assert takes_linear_time(seconds, 1000)
