"""A text of aliases(5) as a table: the same as what the parser says, small, and with every mistake told."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.aliases.index import LARGE, Index, key
from twistmail.aliases.items import Include
from twistmail.aliases.parse import parse
from twistmail.mail.address import Address
from twistmail.mail.alias import ToFile, ToProgram
from twistmail.watched import Broken

PLAIN = "ann: bob\nsales@blue.example: ann, Carl@away.example\n"


def test_an_entry_is_found_by_its_name_in_lower_case() -> None:
    index = Index(PLAIN + "Odd.Name@Blue.Example: dora\n")
    assert len(index) == 3
    assert index.find("ann@").items == (Address("bob"),)  # type: ignore[union-attr]
    assert index.find("odd.name@blue.example").line == 3  # type: ignore[union-attr]
    assert index.find("bob@") is None


def test_lists_with_many_members_are_kept_as_they_were_read() -> None:
    text = "all: " + ", ".join(f"member{number}" for number in range(LARGE + 1)) + "\nann: bob\n"
    index = Index(text)
    assert index.find("all@") is index.find("all@")
    assert len(index.find("all@").items) == LARGE + 1  # type: ignore[union-attr]


def test_what_needs_a_permission_is_known_with_its_line() -> None:
    index = Index("ann: bob,\n /var/box\nlist: :include:/etc/list\nprog: |run\nold: :fail: gone\n")
    assert index.special == [
        (2, Address("ann"), ToFile("/var/box")), (3, Address("list"), Include("/etc/list")), (4, Address("prog"), ToProgram("run"))]


@pytest.mark.parametrize(("text", "line", "words"), [
    pytest.param(PLAIN + "ann: dora\n", 3, "ann stands in line 1 already", id="twice-plain"),
    pytest.param(PLAIN + '"ann": dora\n', 3, "ann stands in line 1 already", id="twice-quoted"),
    pytest.param(PLAIN + "SALES@BLUE.example: x\n", 3, "sales@blue.example stands in line 2 already", id="twice-in-another-case"),
    pytest.param(PLAIN + "x" * 65 + ": ann\n" + PLAIN, 3, "longer than 64 octets", id="too-long-a-name"),
    pytest.param(PLAIN + f"x: a@{'b' * 64}.example\ny: z\n", 3, "not a domain name", id="too-long-a-label"),
    pytest.param(PLAIN + f"x: a@{'.'.join(['abcdefg'] * 40)}\ny: z\n", 3, "not a domain name", id="too-long-a-domain"),
    pytest.param(PLAIN + "x: a@b-.example\ny: z\n", 3, "not a domain name", id="a-hyphen-at-the-end"),
    pytest.param(PLAIN + "x: a..b\ny: z\n", 3, "needs quotes", id="two-dots"),
    pytest.param(PLAIN + "x: a.\ny: z\n", 3, "needs quotes", id="a-dot-at-the-end"),
])
def test_a_mistake_is_told_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(Broken) as raised:
        Index(text)
    assert raised.value.problems[0][0] == line
    assert words in raised.value.problems[0][1]


_WORD = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,9}", fullmatch=True)
_TARGET = st.one_of(_WORD, st.builds("{}@{}.example".format, _WORD, _WORD), st.just("/box"), st.just("\\ann"), st.just('"a b"'))
_END = st.sampled_from(["\n", "\r\n", "\n\n", "\n# x\n", ",\n  ann\n", " \\\n ,ann\n"])
_LINE = st.builds(
    "{}:{}{}{}".format, st.one_of(_WORD, st.just("a@b.example")), st.sampled_from(["", " ", "\t"]),
    st.lists(_TARGET, min_size=1, max_size=4).map(", ".join), _END,
)  # fmt: skip


@given(st.one_of(st.text(alphabet='ab:,"\\# \n\t|/<>@.-_1', max_size=100), st.lists(_LINE, max_size=8).map("".join)))
def test_table_and_parser_agree(text: str) -> None:
    parsed = parse(text)
    if parsed.problems:
        with pytest.raises(Broken) as raised:
            Index(text)
        assert list(raised.value.problems) == parsed.problems[:20]
        return
    index = Index(text)
    assert list(index.entries()) == parsed.entries
    assert [index.find(key(entry.address)) for entry in parsed.entries] == parsed.entries


def test_a_hundred_thousand_aliases_are_small() -> None:
    text = "".join(f"user{number}.name: fred{number}, group{number}@away{number % 50}.example\n" for number in range(20_000))
    tracemalloc.start()
    index = Index(text)
    used = tracemalloc.get_traced_memory()[0] + len(text)
    tracemalloc.stop()
    assert len(index) == 20_000
    assert used * 5 < 64 * 1024 * 1024


def test_whoever_waits_for_the_interpreter_gets_it_every_thousand_entries() -> None:
    pauses: list[None] = []
    Index("".join(f"user{number}: fred\n" for number in range(10_000)), lambda: pauses.append(None))
    assert len(pauses) >= 9


@pytest.mark.parametrize("text", [
    pytest.param(lambda number: "".join(f"n{line}: a, b@c.example\n" for line in range(number)), id="plain"),
    pytest.param(lambda number: "a: " + "b, " * number, id="one-line"),
    pytest.param(lambda number: "a" * number * 10, id="no-colon"),
    pytest.param(lambda number: "a." * number * 10 + ": b", id="dots"),
    pytest.param(lambda number: "a: b@" + "c-" * number * 10, id="hyphens"),
    pytest.param(lambda number: "a: b@" + "c." * number * 10, id="labels"),
    pytest.param(lambda number: "a: b\n" + "#\n" * number * 10, id="comments"),
    pytest.param(lambda number: "a: b\n\n\n" * number, id="duplicates"),
])
def test_hostile_text_costs_time_in_proportion(text: Callable[[int], str]) -> None:
    def seconds(number: int) -> float:
        given_text = text(number)
        began = time.thread_time()
        try:
            Index(given_text)
        except Broken:
            pass
        return time.thread_time() - began

    assert takes_linear_time(seconds, 600)
