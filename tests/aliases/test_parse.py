"""The syntax of aliases(5)."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.aliases.parse import Entry, parse
from twistmail.mail.address import Address


def targets(text: str) -> dict[str, list[str]]:
    parsed = parse(text)
    assert not parsed.problems
    assert not parsed.refusals
    return {str(entry.address): [str(target) for target in entry.targets] for entry in parsed.entries}


@pytest.mark.parametrize(("text", "meaning"), [
    pytest.param("flintstone: fred", {"flintstone": ["fred"]}, id="one"),
    pytest.param("authors: tom, dick,harry@Somewhere.else.com", {"authors": ["tom", "dick", "harry@somewhere.else.com"]}, id="list"),
    pytest.param("Flintstone:\tFred", {"flintstone": ["Fred"]}, id="name-in-any-case-target-as-written"),
    pytest.param("authors: tom,\n  dick,\n\tharry", {"authors": ["tom", "dick", "harry"]}, id="continued-by-white-space"),
    pytest.param("authors: tom, \\\ndick", {"authors": ["tom", "dick"]}, id="continued-by-a-backslash"),
    pytest.param("authors: tom,\n# not dick\n\n  harry", {"authors": ["tom", "harry"]}, id="comment-inside"),
    pytest.param("# a: b\n  # c: d\n\n\ne: f\n", {"e": ["f"]}, id="comments"),
    pytest.param("a: b\r\nc: d\r\n", {"a": ["b"], "c": ["d"]}, id="carriage-returns"),
    pytest.param('"odd, name": fred', {'"odd, name"': ["fred"]}, id="quoted-name"),
    pytest.param('"a:b": fred', {'"a:b"': ["fred"]}, id="colon-in-quotes"),
    pytest.param('list: "odd, name"@x.example, tom', {"list": ['"odd, name"@x.example', "tom"]}, id="quoted-target"),
    pytest.param('"a\\"b": fred', {'"a\\"b"': ["fred"]}, id="escaped-quote"),
    pytest.param("info@Blue.example: anna", {"info@blue.example": ["anna"]}, id="full-address"),
    pytest.param("james: \\james, james@away.example", {"james": ["james", "james@away.example"]}, id="backslash-says-no-further"),
    pytest.param("list: Fred Flint <fred@x.example>, <tom>", {"list": ["fred@x.example", "tom"]}, id="with-a-full-name"),
    pytest.param("list: tom,, dick ,", {"list": ["tom", "dick"]}, id="empty-items"),
    pytest.param("blåbær: järg@blåbær.example", {"blåbær": ["järg@xn--blbr-roah.example"]}, id="not-ascii"),
    pytest.param("", {}, id="nothing"),
])
def test_what_a_file_means(text: str, meaning: dict[str, list[str]]) -> None:
    assert targets(text) == meaning


@pytest.mark.parametrize(("text", "line", "words"), [
    pytest.param("a: b\nflintstone fred\n", 2, "no colon", id="no-colon"),
    pytest.param(" a: b", 1, "begins with white space", id="continues-nothing"),
    pytest.param("a:\nb: c", 1, "leads nowhere", id="no-target"),
    pytest.param("a: ,", 1, "leads nowhere", id="only-a-comma"),
    pytest.param(": b", 1, "nothing before the @", id="no-name"),
    pytest.param("a: b\nb: c\nA: d", 3, "stands in line 1 already", id="twice"),
    pytest.param("a: tom dick", 1, "divide addresses by commas", id="no-comma"),
    pytest.param("a: b,\n  c,\n  d@-.\n", 3, "not a domain name", id="the-line-of-the-item-not-of-the-entry"),
    pytest.param('a: "b', 1, "unfinished", id="unfinished-quotes"),
    pytest.param("a: b@", 1, "not a domain name", id="no-domain"),
])
def test_a_mistake_is_told_with_its_line(text: str, line: int, words: str) -> None:
    (problem,) = parse(text).problems
    assert problem[0] == line
    assert words in problem[1]


def test_all_mistakes_are_told() -> None:
    assert [line for line, _ in parse("one\ntwo\nthree: x\nfour").problems] == [1, 2, 4]


@pytest.mark.parametrize(("item", "kind"), [
    pytest.param("|/usr/bin/program", "a command", id="command"),
    pytest.param('"|/usr/bin/vacation fred, really"', "a command", id="quoted-command"),
    pytest.param('"| program"', "a command", id="quoted-command-with-space"),
    pytest.param("/var/mail/archive", "a file", id="file"),
    pytest.param('"/var/mail/the archive"', "a file", id="quoted-file"),
    pytest.param("/dev/null", "a file", id="dev-null"),
    pytest.param(":include:/etc/lists/all", "a list in a file", id="include"),
    pytest.param(":fail: gone away", "a special answer", id="special"),
])
def test_what_is_no_address_is_understood_and_refused(item: str, kind: str) -> None:
    parsed = parse(f"a: b\nlist: tom,\n  {item}\n")
    assert parsed.problems == []
    assert parsed.refusals == [(3, f"list leads to {kind}, which is not done here")]
    assert [bool(entry.refused) for entry in parsed.entries] == [False, True]


def test_an_entry_knows_its_line() -> None:
    assert parse("# x\n\na: b,\n c\nd: e").entries == [
        Entry(Address("a"), (Address("b"), Address("c")), 3), Entry(Address("d"), (Address("e"),), 5)]


def lines(number: int) -> str:
    return "".join(f'name{line}: "odd {line}", other{line}@away.example\n' for line in range(number))


@pytest.mark.parametrize("text", [
    pytest.param(lines, id="lines"),
    pytest.param(lambda number: '"' * 10 * number, id="quotes"),
    pytest.param(lambda number: "a: " + "," * 10 * number, id="commas"),
    pytest.param(lambda number: "a: b\n" + " ,\n" * number, id="continuations"),
    pytest.param(lambda number: "a: " + '"x",' * number, id="quoted-items"),
    pytest.param(lambda number: "\\\n" * number, id="backslashes"),
])
def test_hostile_text_costs_time_in_proportion(text: Callable[[int], str]) -> None:
    def seconds(number: int) -> float:
        given = text(number)
        began = time.thread_time()
        parse(given)
        return time.thread_time() - began

    assert takes_linear_time(seconds, 600)


@given(st.text(alphabet='ab:,"\\# \n\t|/<>@.', max_size=80))
def test_no_text_raises_and_every_line_exists(text: str) -> None:
    parsed = parse(text)
    lines = text.count("\n") + 1
    assert all(1 <= line <= lines for line, _ in (*parsed.problems, *parsed.refusals))
    assert all(1 <= entry.line <= lines for entry in parsed.entries)


@given(st.lists(st.tuples(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.from_regex(r"[a-z]{1,5}@[a-z]{1,5}\.example", fullmatch=True)),
                min_size=1, max_size=8, unique_by=lambda pair: pair[0]))
def test_what_is_written_is_read(pairs: list[tuple[str, str]]) -> None:
    text = "".join(f"{name}:\n  {target}\n" for name, target in pairs)
    assert targets(text) == {name: [target] for name, target in pairs}
