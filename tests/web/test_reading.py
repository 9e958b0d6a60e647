"""Queries, forms and cookies, as strangers write them."""

from __future__ import annotations

from contextlib import suppress
from time import process_time

import pytest
from hypothesis import example, given
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


def test_a_form_that_is_too_long_is_none():
    body = b"a=" + b"%41" * (reading.LONGEST_FORM // 3)
    with pytest.raises(reading.Unreadable, match="256 KB"):
        reading.form(reading.FORM, body)
    assert reading.form(reading.FORM, body[:-2])[0]["a"].startswith("A")


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
        pytest.param(b'name="f"; filename="a\\"\r\n\r\n1', {}, {"f": (Upload("a\\", "application/octet-stream", b"1"),)},
                     id="a-backslash-at-the-end-as-browsers-write-it"),
        pytest.param(b'name="f"; filename="a\\\\\\"b; name=c"\r\n\r\n1', {},
                     {"f": (Upload('a\\"b; name=c', "application/octet-stream", b"1"),)}, id="quoted-pairs-as-programs-write-them"),
        pytest.param(b"NAME = a ; x=\r\n\r\n1", {"a": "1"}, {}, id="without-quotation-marks"),
        pytest.param(b'name="a";\r\n filename*=utf-8\'\'x;\r\n\r\n1', {"a": "1"}, {}, id="another-charset-is-no-parameter-of-a-form"),
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
        pytest.param("multipart/form-data; boundary=x-y", parts(*[b'name="a";' + b";" * 900 + b"\r\n\r\n1"] * 100), id="heads-without-end"),
        pytest.param("multipart/form-data; boundary=x-y", parts(b"x=y\r\n\r\n1"), id="a-part-without-a-name"),
        pytest.param("multipart/form-data; boundary=x-y", parts(b'name="a\r\n\r\n1'), id="a-name-without-an-end"),
        pytest.param("multipart/form-data; boundary*=x-y; boundary*0=x-y", parts(b'name="a"\r\n\r\n1'), id="a-boundary-in-pieces"),
        pytest.param("multipart/form-data; boundary*=undefined''a", parts(b'name="a"\r\n\r\n1'), id="a-boundary-in-a-charset"),
    ],
)
def test_what_is_no_form_with_files(kind, body):
    with pytest.raises(reading.Unreadable):
        reading.form(kind, body)


#: What parameters are made of, and what has gone wrong in them before: RFC 2231 is no part of forms.
PIECES = st.lists(
    st.sampled_from(["; ", ";", "name=", 'name="a"', "filename=", "filename*=", "filename*0=", "boundary=", "boundary*=",
                     "boundary*0*=", "x-y", "x", '"', "\\",
                     "idna''", "undefined''", "\0''a", "utf-8'en'%ff", " ", "\r\n ", "\r\n", "\r\n\r\n", "=", "\ud800"])
    | st.text(max_size=5),
    max_size=12,
).map("".join)  # fmt: skip


@given(st.binary(max_size=300), PIECES, PIECES)
@example(b"", "", "name=a; filename*=x; filename*0=y\r\n\r\n")
@example(b"", "; boundary*=x; boundary*0=y", "")
@example(b"", "; boundary*=idna''%ff", "")
@example(b"", "; boundary*=\0''a", "")
def test_whatever_strangers_send_is_read_or_refused(body, kind, head):
    for kind_of_form in (f"multipart/form-data; boundary=x-y{kind}", f"multipart/form-data{kind}"):
        for sent in (body, parts(body), parts(b'name="a"' + body), parts(head.encode("utf-8", "replace"))):
            try:
                reading.form(kind_of_form, sent)
            except reading.Unreadable:
                pass


@pytest.mark.parametrize("piece", [";", '";', ' ;a="\\"', '="', "; a", "\\", " ", "%22", '; a="\\\\"', "a=b; "])
def test_what_is_read_before_anybody_is_asked_who_he_is_takes_linear_time(piece):
    def seconds(times: int) -> float:
        kind = 'multipart/form-data; boundary=x-y; a="' + piece * times
        tries = []
        for _ in range(5):
            begun = process_time()
            with suppress(reading.Unreadable):
                reading.form(kind, parts(b'name="a"\r\n\r\n1'))
            tries.append(process_time() - begun)
        return min(tries)

    assert seconds(64_000) < 100 * max(seconds(4_000), 0.0005)  # sixteen times as much; a square were 256 times
