"""LIST's wildcards."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.servers.imap.patterns import Pattern


@pytest.mark.parametrize(("pattern", "name", "fits"), [
    pytest.param("*", "a/b", True, id="star-is-anything"),
    pytest.param("%", "a", True, id="percent-is-one-level"),
    pytest.param("%", "a/b", False, id="percent-stops-at-a-slash"),
    pytest.param("%/%", "a/b", True, id="two-levels"),
    pytest.param("a*", "a", True, id="star-may-be-nothing"),
    pytest.param("a/%", "a/", True, id="percent-may-be-nothing"),
    pytest.param("*b", "a/bb", True, id="star-in-front"),
    pytest.param("a%c", "abc", True, id="in-the-middle"),
    pytest.param("a%c", "ab/c", False, id="not-across-levels"),
    pytest.param("abc", "abc", True, id="plain"),
    pytest.param("abc", "abcd", False, id="plain-is-whole"),
    pytest.param("Abc", "abc", False, id="case-counts"),
    pytest.param("inbox", "INBOX", True, id="but-not-for-inbox"),
    pytest.param("inB%", "INBOX", True, id="nor-with-wildcards"),
    pytest.param("a.b", "axb", False, id="no-regular-expressions"),
    pytest.param("", "a", False, id="nothing"),
])  # fmt: skip
def test_matching(pattern: str, name: str, fits: bool) -> None:
    assert Pattern(pattern).matches(name) is fits


@settings(max_examples=200, deadline=None)
@given(st.text("ab/*%", max_size=8), st.text("ab/", max_size=10))
def test_it_means_the_same_as_a_regular_expression(pattern: str, name: str) -> None:
    expression = "".join({"*": ".*", "%": "[^/]*"}.get(character, re.escape(character)) for character in pattern)
    assert Pattern(pattern).matches(name) is bool(re.fullmatch(expression, name))


def test_many_wildcards_are_quick() -> None:
    pattern = Pattern("*a" * 500 + "b")
    began = time.thread_time()
    assert not pattern.matches("a" * 1000)
    assert time.thread_time() - began < 0.5
