"""Queries, forms and cookies, as strangers write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.web import reading


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
    assert reading.form("Application/X-WWW-Form-URLencoded ; charset=utf-8", b"a=b") == {"a": "b"}
    assert reading.form("application/json", b"a=b") == {}


def test_too_many_fields_are_no_form():
    with pytest.raises(reading.Unreadable):
        reading.fields("a&" * 1000)


@given(st.text(), st.binary(max_size=200))
def test_nothing_is_too_strange_to_read(header, body):
    reading.cookies(header)
    reading.form(reading.FORM, body)
