"""LIST's wildcards."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.servers.imap.patterns import Patterns


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
    pytest.param("inB%", "INBOX/Below", False, id="inbox-is-no-prefix"),
    pytest.param("inbox/%", "INBOX/Below", True, id="what-is-below-inbox-in-any-case"),
    pytest.param("a.b", "axb", False, id="no-regular-expressions"),
    pytest.param("", "a", False, id="nothing"),
])  # fmt: skip
def test_matching(pattern: str, name: str, fits: bool) -> None:
    assert Patterns([pattern]).matches(name) is fits


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("ab/*%", max_size=8), max_size=4), st.text("ab/", min_size=1, max_size=10))
def test_it_means_the_same_as_regular_expressions(patterns: list[str], name: str) -> None:
    wanted = ["".join({"*": ".*", "%": "[^/]*"}.get(character, re.escape(character)) for character in pattern) for pattern in patterns]
    assert Patterns(patterns).matches(name) is any(re.fullmatch(expression, name) for expression in wanted)


def test_patterns_that_no_name_can_fit_are_ignored() -> None:
    assert not Patterns(["a" * 3000 + "*"]).matches("a" * 3000)
    assert Patterns(["a" * 3000 + "*", "b"]).matches("b")


def test_a_hundred_patterns_cost_about_as_much_as_one() -> None:
    patterns = Patterns([f"*{number}%x{'*y' * 10}" for number in range(100)])
    began = time.thread_time()
    assert not any(patterns.matches(f"Projects/{number}/2026/some name") for number in range(2_000))
    assert time.thread_time() - began < 1


def test_many_wildcards_are_quick() -> None:
    pattern = Patterns(["*a" * 500 + "b"])
    began = time.thread_time()
    assert not pattern.matches("a" * 1000)
    assert time.thread_time() - began < 0.5
