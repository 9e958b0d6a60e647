"""What groups fit: the same as in Python's `re`, in linear time."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.policy.groups import groups_in
from twistmail.policy.patterns import Pattern


@pytest.mark.parametrize(("expression", "text", "groups"), [
    pytest.param("^(.*)-outgoing@(.*)$", "sales-outgoing@x.example", ("sales", "x.example"), id="two"),
    pytest.param("(a+)(a*)", "aaa", ("aaa", ""), id="greedy"),
    pytest.param("(a+?)(a*)", "aaa", ("a", "aa"), id="lazy"),
    pytest.param("(a|ab)(c|bcd)(d*)", "abcd", ("a", "bcd", ""), id="the-first-way-that-fits"),
    pytest.param("(a)|(b)", "b", ("", "b"), id="passed-by"),
    pytest.param("(?:a)(b)", "ab", ("b",), id="not-counted"),
    pytest.param("(a(b)?)+", "aba", ("a", "b"), id="the-last-time-around"),
    pytest.param("((x)(y))", "xy", ("xy", "x", "y"), id="inside-each-other"),
    pytest.param("(b+)", "aabba", ("bb",), id="in-the-middle"),
    pytest.param("(a*)*b", "aab", ("aa",), id="nothing-again-and-again"),
    pytest.param("^(A)$", "a", ("a",), id="in-another-case"),
    pytest.param(r"\b(b)\b", "a b c", ("b",), id="at-the-edges-of-a-word"),
    pytest.param("(a)", "b", None, id="nowhere"),
    pytest.param("(x{2,3})(x*)", "xxxx", ("xxx", "x"), id="counted"),
    pytest.param("([[:alnum:]+]+)@", "a+1@b", ("a+1",), id="named-classes"),
])
def test_groups(expression: str, text: str, groups: tuple[str, ...] | None) -> None:
    assert groups_in(Pattern(expression, folded=True), text) == groups


_ATOM = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\b"])
_EXPRESSION = st.recursive(
    _ATOM,
    lambda inner: st.one_of(
        st.builds("({})".format, inner), st.builds("(?:{})".format, inner), st.builds("{}{}".format, inner, inner),
        st.builds("(?:{}|{})".format, inner, inner),
        st.builds("(?:{}){}".format, _ATOM, st.sampled_from(["*", "+", "?", "*?", "+?", "??"])),
        st.builds("(?:({})c){}".format, inner, st.sampled_from(["*", "+", "?", "*?", "{1,2}"])),
    ),
    max_leaves=6,
)  # fmt: skip


@given(_EXPRESSION.filter(lambda expression: r"\b)" not in expression or ")*" not in expression), st.text("abc ", max_size=8))
def test_they_fit_what_perl_s_fit(expression: str, text: str) -> None:
    try:
        pattern = Pattern(expression)
    except ValueError:
        return
    found = re.search(expression, text)
    ours = groups_in(pattern, text)
    assert (ours is None) == (found is None) == (not pattern.found_in(text))
    if found is not None and "*" not in expression and "+" not in expression and "{" not in expression:
        assert ours == tuple(group or "" for group in found.groups())


def test_an_expression_that_is_built_to_explode_takes_linear_time() -> None:
    pattern = Pattern("((a+)+)+b")

    def seconds(number: int) -> float:
        began = time.thread_time()
        groups_in(pattern, "a" * number)
        return time.thread_time() - began

    assert takes_linear_time(seconds, 200)
