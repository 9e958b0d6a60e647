"""Queries, forms and cookies, as strangers write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.web import reading
from twistmail.web.page import Upload


@pytest.mark.parametrize(
    ("header", "found"),
    [
        pytest.param("a=b; c=d", {"a": "b", "c": "d"}, id="two"),
        pytest.param("a=1; a=2", {"a": "1"}, id="the-first-of-a-name"),
        pytest.param("nothing; =x; b=", {"": "x", "b": ""}, id="what-is-no-pair-is-passed-over"),
        pytest.param("", {}, id="none"),
        pytest.param("a=b=c", {"a": "b=c"}, id="an-equals-sign-in-a-value"),
    ],
)
def test_cookies(header, found):
    assert reading.cookies(header) == found


def test_of_a_thousand_cookies_some_are_looked_at():
    assert len(reading.cookies("; ".join(f"a{n}=b" for n in range(1000)))) == reading.MOST_COOKIES


@pytest.mark.parametrize(
    ("words", "found"),
    [
        pytest.param("a=1&a=2", {"a": "2"}, id="the-last-of-a-name"),
        pytest.param("a=b+c%26d&e", {"a": "b c&d", "e": ""}, id="encoded"),
        pytest.param("a=%ff", {"a": "\ufffd"}, id="no-utf-8"),
    ],
)
def test_fields(words, found):
    assert reading.fields(words) == found


def test_a_form_is_read_and_nothing_else_is():
    assert reading.form("Application/X-WWW-Form-URLencoded ; charset=utf-8", b"a=b") == ({"a": "b"}, {})
    assert reading.form("application/json", b"a=b") == ({}, {})


def test_too_many_fields_are_no_form():
    with pytest.raises(reading.Unreadable):
        reading.fields("a&" * 1000)


@given(st.text(), st.binary(max_size=200))
def test_nothing_is_too_strange_to_read(header, body):
    reading.cookies(header)
    reading.form(reading.FORM, body)


def parts(*several: bytes, boundary: bytes = b"x-y") -> bytes:
    line = b"--" + boundary
    return b"".join(line + b"\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in several) + line + b"--\r\n"


@pytest.mark.parametrize(
    ("part", "words", "files"),
    [
        pytest.param(b'name="to"\r\n\r\ncarol', {"to": "carol"}, {}, id="a-field"),
        pytest.param("name=\"to\"\r\n\r\nJürgen\r\n--x".encode(), {"to": "Jürgen\r\n--x"}, {}, id="what-looks-like-a-boundary"),
        pytest.param(b'name="f"; filename=""\r\nContent-Type: application/octet-stream\r\n\r\n', {}, {}, id="no-file-chosen"),
        pytest.param(b'name="f"; filename="a.png"\r\nContent-Type: Image/PNG\r\n\r\n\0\r\n\xff', {},
                     {"f": (Upload("a.png", "image/png", b"\0\r\n\xff"),)}, id="a-file"),
        pytest.param('name="f"; filename="Ä%22.txt"\r\n\r\n'.encode(), {}, {"f": (Upload('Ä".txt', "application/octet-stream", b""),)},
                     id="an-empty-file-with-a-name"),
        pytest.param(b'name="f"; filename="C:\\x.txt"\r\n\r\n1', {}, {"f": (Upload("C:\\x.txt", "application/octet-stream", b"1"),)},
                     id="a-path"),
    ],
)  # fmt: skip
def test_a_form_with_files(part, words, files):
    assert reading.form("multipart/form-data; boundary=x-y", parts(part)) == (words, files)


def test_all_files_of_a_field_count_and_the_last_of_its_words():
    body = parts(b'name="a"\r\n\r\n1', b'name="f"; filename="1"\r\n\r\n1', b'name="f"; filename="2"\r\n\r\n2', b'name="a"\r\n\r\n2')
    words, files = reading.form('multipart/form-data; boundary="x-y"', body)
    assert (words, [file.name for file in files["f"]]) == ({"a": "2"}, ["1", "2"])


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param("multipart/form-data", parts(b'name="a"\r\n\r\n1'), id="no-boundary"),
        pytest.param("multipart/form-data; boundary=" + "x" * 71, b"", id="a-boundary-without-end"),
        pytest.param("multipart/form-data; boundary=x-y", parts(b'name="a"\r\n\r\n1')[:-4], id="cut-off"),
        pytest.param("multipart/form-data; boundary=x-y", b"", id="empty"),
        pytest.param("multipart/form-data; boundary=x-y", parts(b'name="a"\r\n1'), id="a-part-without-an-end-of-its-head"),
        pytest.param("multipart/form-data; boundary=x-y", parts(b'name="' + b"a" * 5000 + b'"\r\n\r\n'), id="a-head-without-end"),
        pytest.param("multipart/form-data; boundary=x-y", parts(*[b'name="a"\r\n\r\n1'] * 401), id="too-many-fields"),
    ],
)
def test_what_is_no_form_with_files(kind, body):
    with pytest.raises(reading.Unreadable):
        reading.form(kind, body)


@given(st.binary(max_size=300), st.text(max_size=100))
def test_whatever_strangers_send_is_read_or_refused(body, kind):
    for sent in (body, parts(body), parts(b'name="a"' + body)):
        try:
            reading.form(f"multipart/form-data; boundary=x-y{kind}", sent)
        except reading.Unreadable:
            pass
