"""Commands of aliases, taken apart without a shell (row R28)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.mail.commands import program_of, words_of


@pytest.mark.parametrize(("command", "words"), [
    pytest.param("tickets", ("tickets",), id="a-name"),
    pytest.param(" /usr/bin/vacation ann ", ("/usr/bin/vacation", "ann"), id="a-path-and-a-word"),
    pytest.param('x "two words" \'and more\' ""', ("x", "two words", "and more", ""), id="quotes"),
    pytest.param("x\tto=ann@blue.test -v", ("x", "to=ann@blue.test", "-v"), id="a-tab"),
])  # fmt: skip
def test_the_words_of_a_command(command, words):
    assert words_of(command) == words


@pytest.mark.parametrize(("words", "program"), [
    (("/usr/ucb/vacation", "ann"), "vacation"), (("vacation",), "vacation"), (("../../bin/sh",), "sh"), (("/bin/..",), ""), (("-rf",), ""),
])  # fmt: skip
def test_whatever_path_stands_before_a_program_its_name_counts(words, program):
    assert program_of(words) == program


#: What sendmail's smrsh refuses, and what would do something in a shell.
ESCAPES = ["/bin/sh -c 'id; id'", "x; rm y", "x && y", "x || y", "x | y", "x > /etc/passwd", "x < y", "x `id`", "x $(id)", 'x "$HOME"',
           "x\nid", "x & y", "x \\; y", "x *", "x ?", "x [a]", "x {a,b}", "x ~", "x !1", "x # y"]  # fmt: skip


@pytest.mark.parametrize("command", ESCAPES)
def test_what_would_mean_something_to_a_shell_is_refused(command):
    with pytest.raises(ValueError, match=r"shell|one line"):
        words_of(command)


@pytest.mark.parametrize("command", ["", "  ", '""', "..", "/", "x 'unfinished", 'x a"b"', "x\0y", "x" * 3000, "x " * 100, "-x"])
def test_what_is_no_command(command):
    with pytest.raises(ValueError, match="command"):
        words_of(command)


@given(st.text(max_size=60))
def test_whatever_is_written_there_are_words_or_a_sentence(text):
    try:
        words = words_of(text)
    except ValueError:
        return
    assert program_of(words)
    assert "/" not in program_of(words)
    assert not any("\n" in word or "\0" in word for word in words)
