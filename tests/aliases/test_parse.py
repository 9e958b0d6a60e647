"""The syntax of aliases(5)."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.aliases import items
from twistmail.aliases.items import Include
from twistmail.aliases.parse import Entry, parse
from twistmail.mail.address import Address
from twistmail.mail.alias import Discard, Final, Refusal, ToFile, ToProgram
from twistmail.mail.status import Status


def meanings(text: str) -> dict[str, list[str]]:
    parsed = parse(text)
    assert not parsed.problems
    return {str(entry.address): list(map(str, entry.items)) for entry in parsed.entries}


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
    pytest.param("james: \\james, james@away.example", {"james": ["\\james", "james@away.example"]}, id="backslash-says-no-further"),
    pytest.param("list: Fred Flint <fred@x.example>, <tom>", {"list": ["fred@x.example", "tom"]}, id="with-a-full-name"),
    pytest.param("list: tom,, dick ,", {"list": ["tom", "dick"]}, id="empty-items"),
    pytest.param("blåbær: järg@blåbær.example", {"blåbær": ["järg@xn--blbr-roah.example"]}, id="not-ascii"),
    pytest.param("", {}, id="nothing"),
])
def test_what_a_file_means(text: str, meaning: dict[str, list[str]]) -> None:
    assert meanings(text) == meaning


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
    pytest.param("a: :nonsense: x", 1, ":nonsense: is nothing here", id="no-such-word"),
    pytest.param("a: :include:lists/all", 1, "no path", id="include-without-a-path"),
    pytest.param('a: "|"', 1, "no program", id="bar-alone"),
    pytest.param('a: b,\n "/a\0b"', 2, "control character", id="nul"),
    pytest.param("a: b, :fail: gone", 1, "cannot be refused and go somewhere too", id="answer-beside-a-target"),
    pytest.param("a: :fail: 550 4.7.1 x", 1, "contradict each other", id="codes-that-contradict"),
    pytest.param("a: :defer: 550 x", 1, "for good", id="defer-for-good"),
    pytest.param("a: :fail: \u00fc", 1, "plain ASCII", id="answer-that-is-not-ascii"),
    pytest.param("a: :fail: " + "x" * 401, 1, "at most 400", id="answer-that-is-too-long"),
    pytest.param("a: :moved: nowhere@-", 1, "not a domain name", id="moved-nowhere"),
    pytest.param("a: b\nb: " + "c" * 1_048_576, 2, "too long", id="line-of-a-megabyte"),
])
def test_a_mistake_is_told_with_its_line(text: str, line: int, words: str) -> None:
    (problem,) = parse(text).problems
    assert problem[0] == line
    assert words in problem[1]


def test_all_mistakes_are_told() -> None:
    assert [line for line, _ in parse("one\ntwo\nthree: x\nfour").problems] == [1, 2, 4]


@pytest.mark.parametrize(("item", "meaning"), [
    pytest.param("fred", Address("fred"), id="name"),
    pytest.param("Fred@Away.Example", Address("Fred", "away.example"), id="address"),
    pytest.param("\\fred", Final(Address("fred")), id="final"),
    pytest.param('"\\fred"', Final(Address("fred")), id="final-in-quotes"),
    pytest.param("|/usr/bin/program", ToProgram("/usr/bin/program"), id="program"),
    pytest.param('"|/usr/bin/vacation fred, really"', ToProgram("/usr/bin/vacation fred, really"), id="quoted-program"),
    pytest.param('|"/usr/bin/vacation fred"', ToProgram("/usr/bin/vacation fred"), id="quotes-behind-the-bar"),
    pytest.param('"| program"', ToProgram("program"), id="quoted-program-with-space"),
    pytest.param('"|program \\"two words\\""', ToProgram('program "two words"'), id="quotes-in-quotes"),
    pytest.param("/var/mail/archive", ToFile("/var/mail/archive"), id="file"),
    pytest.param("/var/mail/archive/", ToFile("/var/mail/archive/"), id="maildir"),
    pytest.param('"/var/mail/the archive"', ToFile("/var/mail/the archive"), id="quoted-file"),
    pytest.param("/dev/null", Discard(), id="dev-null"),
    pytest.param(":blackhole:", Discard(), id="blackhole"),
    pytest.param("discard:", Discard(), id="discard"),
    pytest.param(":include:/etc/lists/all", Include("/etc/lists/all"), id="include"),
    pytest.param('":include:/etc/lists/all of us"', Include("/etc/lists/all of us"), id="quoted-include"),
    pytest.param(":INCLUDE: /etc/lists/all", Include("/etc/lists/all"), id="include-in-any-case"),
])
def test_what_an_item_means(item: str, meaning: object) -> None:
    assert parse(f"list: tom,\n  {item}\n").entries == [Entry(Address("list"), (Address("tom"), meaning), 1, (1, 2))]


@pytest.mark.parametrize(("item", "answer"), [
    pytest.param(":fail: gone, away", "550 5.1.1 gone, away", id="fail-with-a-comma"),
    pytest.param(":fail:", "550 5.1.1 There is no mailbox of that name here", id="fail-without-a-word"),
    pytest.param(":unknown:", "550 5.1.1 There is no mailbox of that name here", id="unknown"),
    pytest.param(":fail: 553 5.7.1 No spam", "553 5.7.1 No spam", id="fail-with-codes"),
    pytest.param(":fail: 5.7.1 No spam", "550 5.7.1 No spam", id="fail-with-an-enhanced-code"),
    pytest.param(":fail: 452 later", "452 4.1.1 later", id="fail-that-is-for-later"),
    pytest.param(":defer: on Monday", "451 4.2.1 on Monday", id="defer"),
    pytest.param(":moved: fred@New.example", "551 5.1.6 User has moved; please try <fred@new.example>", id="moved"),
    pytest.param("fred@new.example.REDIRECT", "551 5.1.6 User has moved; please try <fred@new.example>", id="redirect"),
    pytest.param("error:nouser 550 No such user here", "550 5.1.1 No such user here", id="sendmail-nouser"),
    pytest.param("error:5.7.0:550 Address invalid", "550 5.7.0 Address invalid", id="sendmail-enhanced"),
    pytest.param("error:nohost No such host", "550 5.1.2 No such host", id="sendmail-nohost"),
    pytest.param("error:tempfail later", "451 4.2.1 later", id="sendmail-tempfail"),
    pytest.param("error:4.3.0:451 later", "451 4.3.0 later", id="sendmail-enhanced-for-later"),
    pytest.param("error:4.3.0: later", "451 4.3.0 later", id="sendmail-enhanced-alone"),
    pytest.param("error:No such thing", "550 5.1.1 No such thing", id="error-with-no-code"),
])
def test_an_item_may_be_an_answer(item: str, answer: str) -> None:
    ((read,),) = [entry.items for entry in parse(f"old: {item}\n").entries]
    assert isinstance(read, Refusal)
    assert str(read.status) == answer


@pytest.mark.parametrize("item", [
    Address("fred"), Address("odd, name", "x.example"), Final(Address("fred")), ToProgram('a "b, c" \\d'), ToFile("/a/the b,c"), Discard(),
    Include("/etc/lists/all"), Refusal(Status(450, "4.2.0", "Later, please")), Refusal(Status(553, "5.7.1", "No")),
], ids=str)
def test_an_item_is_read_as_it_is_written(item: object) -> None:
    assert items.read(str(item)) == item
    assert [text for _, text in items.split(f"tom, {item}")] == ["tom", str(item)]


def test_an_entry_knows_its_line() -> None:
    assert parse("# x\n\na: b,\n c\nd: e").entries == [
        Entry(Address("a"), (Address("b"), Address("c")), 3, (3, 4)), Entry(Address("d"), (Address("e"),), 5, (5,))]


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


@given(st.text(alphabet='ab:,"\\# \n\t|/<>@.4', max_size=80))
def test_no_text_raises_and_every_line_exists(text: str) -> None:
    parsed = parse(text)
    lines = text.count("\n") + 1
    assert all(1 <= line <= lines for line, _ in parsed.problems)
    assert all(1 <= entry.line <= lines for entry in parsed.entries)


@given(st.lists(st.tuples(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.from_regex(r"[a-z]{1,5}@[a-z]{1,5}\.example", fullmatch=True)),
                min_size=1, max_size=8, unique_by=lambda pair: pair[0]))
def test_what_is_written_is_read(pairs: list[tuple[str, str]]) -> None:
    text = "".join(f"{name}:\n  {target}\n" for name, target in pairs)
    assert meanings(text) == {name: [target] for name, target in pairs}
