"""What people write into ~/.forward."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.aliases.forward import LONGEST_TEXT, MOST_GOALS, Permissions, read, written
from twistmail.mail.address import Address, parse
from twistmail.mail.alias import Discard, Final, ToFile, ToProgram
from twistmail.watched import Broken

ALL = Permissions(files=True, programs=True)
JAMES, HERE = Address("james", "example.com"), Final(Address("james"))


@pytest.mark.parametrize(("text", "goals"), [
    pytest.param("", (), id="nothing"),
    pytest.param("# a comment\n\n  \t\n  # another\n", (), id="comments-only"),
    pytest.param("james@example.com", (JAMES,), id="an-address"),
    pytest.param("james", (Address("james"),), id="a-name"),
    pytest.param('"/home/james/archive", james@example.com\n', (ToFile("/home/james/archive"), JAMES), id="the-book's-example"),
    pytest.param('"/home/james/archive"\njames@example.com\n', (ToFile("/home/james/archive"), JAMES), id="on-several-lines"),
    pytest.param("\\james, james@example.com", (HERE, JAMES), id="a-copy-stays"),
    pytest.param('"\\james", james@example.com', (HERE, JAMES), id="a-copy-in-quotes"),
    pytest.param("\\james@example.com", (Final(JAMES),), id="a-whole-address-that-is-final"),
    pytest.param("\\james\r\njames@example.com\r\n", (HERE, JAMES), id="crlf"),
    pytest.param("a@x.test,,b@x.test, ,\n", (parse("a@x.test"), parse("b@x.test")), id="empty-items"),
    pytest.param("a@x.test\na@x.test", (parse("a@x.test"),), id="each-once"),
    pytest.param("James Other <james@example.com>", (JAMES,), id="with-a-name"),
    pytest.param('"Other, James" <james@example.com>', (JAMES,), id="with-a-name-in-quotes"),
    pytest.param('"odd name"@example.com', (Address("odd name", "example.com"),), id="a-quoted-local-part"),
    pytest.param("/var/mail/old", (ToFile("/var/mail/old"),), id="a-file-without-quotes"),
    pytest.param("/home/james/Maildir/", (ToFile("/home/james/Maildir/"),), id="a-maildir"),
    pytest.param("/dev/null", (Discard(),), id="thrown-away"),
    pytest.param(":blackhole:", (Discard(),), id="blackhole"),
    pytest.param('"|/usr/bin/sort -a, b"', (ToProgram("/usr/bin/sort -a, b"),), id="a-program"),
    pytest.param('|"/usr/bin/sort -a, b"', (ToProgram("/usr/bin/sort -a, b"),), id="a-program-with-the-bar-outside"),
    pytest.param("|/usr/bin/sort -a", (ToProgram("/usr/bin/sort -a"),), id="a-program-without-quotes"),
    pytest.param('"|say \\"hi\\""', (ToProgram('say "hi"'),), id="quotes-in-quotes"),
])  # fmt: skip
def test_what_a_text_means(text: str, goals: tuple[object, ...]) -> None:
    assert read(text, ALL) == goals


@pytest.mark.parametrize(("text", "line", "said"), [
    pytest.param("james@", 1, "not a domain", id="no-domain"),
    pytest.param("\n\ntwo words", 3, "white space", id="two-words"),
    pytest.param('"unfinished', 1, "unfinished", id="an-unfinished-quotation"),
    pytest.param("ok@x.test\n:include:/etc/passwd", 2, ":include:", id="include"),
    pytest.param(":fail: gone", 1, ":fail:", id="fail"),
    pytest.param("james@new.example.REDIRECT", 1, "aliases of the house", id="redirect"),
    pytest.param("~/archive", 1, "whole path", id="tilde"),
    pytest.param("$HOME/archive", 1, "whole path", id="a-variable"),
    pytest.param("a\0b@x.test", 1, "no text", id="nul"),
    pytest.param("a\udcffb@x.test", 1, "no text", id="no-utf-8"),
    pytest.param('"|vacation james"', 1, "not built in yet", id="vacation"),
    pytest.param('\\james, "|/usr/bin/vacation -a x james"', 1, "not built in yet", id="vacation-with-its-path"),
    pytest.param("|", 1, "no program", id="a-bar-alone"),
    pytest.param('"|/bin/sort; rm -rf /"', 1, "mean something to a shell", id="a-second-command"),
    pytest.param('"|IFS=\' \' && exec /usr/bin/procmail || exit 75 #ann"', 1, "mean something to a shell", id="procmail-s-old-line"),
    pytest.param('|"/bin/x `id`"', 1, "mean something to a shell", id="a-backtick"),
    pytest.param("x" * (LONGEST_TEXT + 1), 1, "longer than", id="endless"),
    pytest.param("\n".join(f"a{number}@x.test" for number in range(MOST_GOALS + 1)), MOST_GOALS + 1, "more than", id="too-many"),
])  # fmt: skip
def test_what_means_nothing_is_told_with_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(Broken) as raised:
        read(text, ALL)
    assert [(place, said in why) for place, why in raised.value.problems] == [(line, True)]


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(Broken) as raised:
        read("fine@x.test\ntwo words\n:fail:\n", ALL)
    assert [line for line, _ in raised.value.problems] == [2, 3]


@pytest.mark.parametrize(("text", "allowed", "said"), [
    pytest.param("/home/james/archive", Permissions(programs=True), "no file", id="a-file"),
    pytest.param("|/usr/bin/sort", Permissions(files=True), "none is run", id="a-program"),
    pytest.param("|/bin/sh -c 'rm -rf /'", Permissions(), "none is run", id="a-shell"),
])
def test_what_is_not_allowed_is_no_goal(text: str, allowed: Permissions, said: str) -> None:
    with pytest.raises(Broken, match=said):
        read(text, allowed)


def test_throwing_away_needs_no_permission() -> None:
    assert read("/dev/null", Permissions()) == (Discard(),)


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12).filter(lambda word: '"' not in word)
GOALS = st.one_of(
    st.builds(Address, WORDS, st.just("x.test")),
    st.builds(Final, st.builds(Address, WORDS, st.sampled_from(["", "x.test"]))),
    st.builds(ToFile, WORDS.map(lambda word: f"/{word}")).filter(lambda goal: goal.path != "/dev/null"),
    st.builds(ToProgram, st.text("abcdefgh-_.", min_size=1).map(lambda word: f'/bin/x{word} "-x, {word}" y')),
    st.just(Discard()),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(GOALS, unique=True, max_size=8))
def test_what_is_written_is_read_again(goals: list[object]) -> None:
    assert list(read(written(goals), ALL)) == goals


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from('ab@.,\\"|/:# \t\n\r\0<>~\udcff'), max_size=60))
def test_no_text_does_more_than_mean_nothing(text: str) -> None:
    assert all(line >= 1 and why for line, why in mistakes(text))


def mistakes(text: str) -> tuple[tuple[int, str], ...]:
    try:
        read(text, ALL)
    except Broken as broken:
        return broken.problems
    return ()


@pytest.mark.parametrize("piece", ['"', ',\\', '"\\"', "<", "a,", "\n#", "|\""])
def test_hostile_text_costs_time_in_proportion(piece: str) -> None:
    def seconds(size: int) -> float:
        began = time.process_time()
        with suppress(Broken):
            read(piece * (size // len(piece)), ALL)
        return time.process_time() - began

    assert takes_linear_time(seconds, LONGEST_TEXT // 16)
