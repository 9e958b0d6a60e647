"""Expressions that never go back: they mean what Python's mean, and take linear time where Python's take for ever."""

from __future__ import annotations

import re
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.policy import patterns
from twistmail.policy.patterns import MOST_STEPS, Pattern, PatternError


@pytest.mark.parametrize(("expression", "fits", "fits_not"), [
    pytest.param("worm", ["worm", "a wormhole"], ["Worm", "wor m", ""], id="letters"),
    pytest.param("^worm$", ["worm"], ["worms", "a worm"], id="ends"),
    pytest.param(r"\bworm\b", ["worm", "a worm!", "worm-like"], ["worms", "bookworm", "_worm"], id="words"),
    pytest.param(r"\Borm", ["worm"], ["orm"], id="inside-a-word"),
    pytest.param("a.c", ["abc", "a c"], ["ac", "a\nc"], id="any-letter"),
    pytest.param("[a-c]x", ["ax", "cx"], ["dx", "-x"], id="a-choice"),
    pytest.param("[^a-c]x", ["dx", " x"], ["ax", "x"], id="anything-but"),
    pytest.param("[]a-]x", ["]x", "ax", "-x"], ["bx"], id="bracket-and-hyphen-in-a-choice"),
    pytest.param(r"[\d.]+x", ["1.2x", ".x"], ["x", "ax"], id="a-class-in-a-choice"),
    pytest.param(r"\d\s\w", ["1 a", "9\t_"], ["a a", "1a"], id="classes"),
    pytest.param(r"\D\S\W", ["aa-", "\u00e4a "], ["1a-", "a  "], id="what-is-not-in-them"),
    pytest.param("(cheap|free) (pills|money)", ["cheap pills", "so free money"], ["cheap", "free  pills"], id="ways"),
    pytest.param("a||b", ["", "x"], [], id="an-empty-way"),
    pytest.param("ab*c", ["ac", "abbbc"], ["abb"], id="star"),
    pytest.param("ab+?c", ["abc", "abbc"], ["ac"], id="lazy-plus"),
    pytest.param("colou?r", ["color", "colour"], ["colouur"], id="perhaps"),
    pytest.param("^a{2,3}$", ["aa", "aaa"], ["a", "aaaa"], id="two-or-three"),
    pytest.param("^(ab){2}$", ["abab"], ["ab", "ababab"], id="exactly-two"),
    pytest.param("^a{2,}$", ["aa", "aaaaa"], ["a"], id="two-or-more"),
    pytest.param("a{x", ["a{x"], ["ax"], id="a-brace-that-repeats-nothing"),
    pytest.param(r"\x41\u00e4\.\$\/", ["A\u00e4.$/"], ["A\u00e4x$/"], id="escapes"),
    pytest.param("\u00fcber", ["\u00fcber"], ["uber"], id="beyond-ascii"),
    pytest.param("", ["", "x"], [], id="nothing"),
])
def test_what_an_expression_means(expression: str, fits: list[str], fits_not: list[str]) -> None:
    pattern = Pattern(expression)
    assert [text for text in fits if not pattern.found_in(text)] == []
    assert [text for text in fits_not if pattern.found_in(text)] == []


@pytest.mark.parametrize(("expression", "text", "found"), [
    pytest.param("WORM", "a Worm", True, id="letters"),
    pytest.param("[a-f]X", "Dx", True, id="a-range"),
    pytest.param("[^a-f]", "D", False, id="anything-but"),
    pytest.param("\u00dcBER", "\u00fcber", True, id="beyond-ascii"),
    pytest.param("[a-z]", "\u00df", False, id="a-letter-whose-upper-case-is-two"),
])
def test_case_may_not_matter(expression: str, text: str, found: bool) -> None:
    assert Pattern(expression, folded=True).found_in(text) is found


@pytest.mark.parametrize(("expression", "mistake"), [
    pytest.param("(a", "a ( is not closed", id="open-group"),
    pytest.param("a)", "a ) closes nothing", id="closed-group"),
    pytest.param("[a", "a [ is not closed", id="open-choice"),
    pytest.param("*a", "* repeats nothing", id="star-of-nothing"),
    pytest.param("a|+", "+ repeats nothing", id="plus-of-nothing"),
    pytest.param("^*", "* repeats nothing", id="star-of-an-edge"),
    pytest.param("a**", "* repeats nothing", id="star-of-a-star"),
    pytest.param("a*+", "*+ is not done here; write *", id="possessive"),
    pytest.param(r"(a)\1", "\\1 is not done here: a machine without a memory", id="back-reference"),
    pytest.param("a(?=b)", "(?=b is not done here; there are (...) and (?:...)", id="look-ahead"),
    pytest.param("(?i)a", "(?i) is not done here", id="flags"),
    pytest.param(r"\A", "\\A is not done here", id="unknown-escape"),
    pytest.param("a\\", "nothing behind the last backslash", id="a-last-backslash"),
    pytest.param("[b-a]", "the range from b", id="backwards"),
    pytest.param("[[:alphabet:]]", "[:alphabet:] is no class; there are alnum", id="no-posix-class"),
    pytest.param("a{3,2}", "{3,2} cannot be", id="less-than-least"),
    pytest.param("a{1000}", "{1000} cannot be; at most 200", id="too-often"),
    pytest.param("((a{100}){100}){100}", f"longer than {MOST_STEPS} steps", id="a-big-program"),
    pytest.param("a|" * 900, f"longer than {MOST_STEPS} steps", id="many-ways"),
    pytest.param("(" * 60, "more than 50 groups", id="deep"),
    pytest.param("a" * 2001, "longer than 2000 letters", id="long"),
])
def test_what_is_not_done_is_said(expression: str, mistake: str) -> None:
    with pytest.raises(PatternError) as raised:
        Pattern(expression)
    assert mistake in str(raised.value)


def expressions() -> st.SearchStrategy[str]:
    single = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", r"\b", r"\B", "^", "$", ""])
    return st.recursive(
        single,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map("".join),
            st.lists(inner, min_size=1, max_size=3).map("|".join).map("(?:{})".format),
            st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{2,}"])).map(lambda pair: f"({pair[0]}){pair[1]}"),
        ),
        max_leaves=6,
    )


@given(expressions(), st.text("ab- ", min_size=1, max_size=8))  # in an empty text Python finds no \\B, which is its own secret
@settings(max_examples=200)
def test_python_finds_the_same(expression: str, text: str) -> None:
    assert Pattern(expression).found_in(text) == (re.search(expression, text) is not None)


@given(st.text("ab()[]{}|*+?^$.\\-:=12,dx/ ", max_size=40), st.text("ab1 ", max_size=20))
@settings(max_examples=200)
def test_any_text_is_an_expression_or_says_what_is_wrong(expression: str, text: str) -> None:
    try:
        answer = str(Pattern(expression).found_in(text))
    except PatternError as mistake:
        answer = str(mistake)
    assert answer


@pytest.mark.parametrize("expression", [
    pytest.param("(a+)+b", id="nested"),
    pytest.param("(a*)*b", id="nested-stars"),
    pytest.param("(a|aa)+b", id="overlapping-ways"),
    pytest.param("(a|a?)+b", id="an-empty-way"),
    pytest.param("a*a*a*a*a*b", id="many-stars"),
    pytest.param(".*.*.*=b", id="anything-three-times"),
    pytest.param("(x+x+)+y|(a?){50}a{50}b", id="perhaps-fifty-times"),
])
def test_what_takes_python_for_ever_takes_linear_time(expression: str) -> None:
    def seconds(size: int) -> float:
        pattern, text = Pattern(expression), "a" * size
        began = time.thread_time()
        assert not pattern.found_in(text)
        return time.thread_time() - began

    assert takes_linear_time(seconds, 2000)


def test_what_is_remembered_is_bounded_and_forgetting_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "MOST_REMEMBERED", 100)
    pattern = Pattern("(a|b)*a(a|b){8}c")
    text = "".join("ab"[bin(number).count("1") % 2] for number in range(3000))
    assert not pattern.found_in(text)
    assert len(pattern._sets) <= 110
    assert pattern.found_in(text + "abbbbbbbbc")


def test_several_threads_may_search_at_once() -> None:
    pattern = Pattern("(a|b)*a(a|b){6}c")
    found: list[bool] = []
    texts = ["ab" * 500 + "abbbbbbc", "ba" * 500] * 8
    threads = [threading.Thread(target=lambda text=text: found.append(pattern.found_in(text) is text.endswith("c"))) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [True] * len(texts)
