"""Lines as people type them: how the first one ends, and the octets of telnet before it."""

from __future__ import annotations

import pytest

from twistmail.wire.buffer import LineTooLong
from twistmail.wire.typed import TypedBuffer

LIMIT = 20


def lines(data: bytes, piece: int) -> tuple[list[bytes], TypedBuffer]:
    """All lines of *data*, fed in pieces of so many octets, and the buffer."""
    buffer, found = TypedBuffer(), []
    for at in range(0, len(data), piece):
        buffer.feed(data[at : at + piece])
        while (line := buffer.line(LIMIT)) is not None:
            found.append(line)
    return found, buffer


@pytest.mark.parametrize("piece", [1, 2, 3, 100])
@pytest.mark.parametrize(("data", "found", "lone_lf"), [
    pytest.param(b"a\r\nb\nc\r\n", [b"a", b"b\nc"], False, id="CRLF-stays-CRLF"),
    pytest.param(b"a\nb\r\nc\n", [b"a", b"b\r", b"c"], True, id="LF-stays-LF"),
    pytest.param(b"\nb\r\n", [b"", b"b\r"], True, id="an-empty-line-with-LF"),
    pytest.param(b"\r\nb\n\r\n", [b"", b"b\n"], False, id="an-empty-line-with-CRLF"),
    pytest.param(b"a\rb\nc\n", [b"a\rb", b"c"], True, id="a-CR-that-ends-nothing"),
    pytest.param(b"\xff\xfb\x1fa\r\n", [b"a"], False, id="an-option"),
    pytest.param(b"\xff\xfb\x0a\xff\xfd\x0da\r\n\xff\xfe\x0ab\n\r\n", [b"a", b"b\n"], False, id="options-with-the-numbers-of-LF-and-CR"),
    pytest.param(b"\xff\xf4\xff\xfd\x06a\nb\xff\xfb\x01c\n", [b"a", b"b\xff\xfb\x01c"], True, id="an-interrupt-and-an-option-inside"),
    pytest.param(b"\xff\xff\xff\xfb\x01\n", [b"\xff\xff\xff\xfb\x01"], True, id="the-octet-255-itself"),
])
def test_lines(data: bytes, found: list[bytes], lone_lf: bool, piece: int) -> None:
    got, buffer = lines(data, piece)
    assert (got, buffer.lone_lf, len(buffer)) == (found, lone_lf, 0)


def test_half_an_option_is_waited_for() -> None:
    for beginning in (b"\xff", b"\xff\xfb"):
        found, buffer = lines(beginning, 1)
        assert (found, len(buffer)) == ([], len(beginning))


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_first_line_that_is_too_long_says_how_lines_end_too(end: bytes) -> None:
    buffer = TypedBuffer()
    buffer.feed(b"x" * 30)
    with pytest.raises(LineTooLong):
        buffer.line(LIMIT)
    buffer.feed(b"x" * 5 + end + b"b" + end)
    assert buffer.skip_line() == 5 + len(end)
    assert buffer.line(LIMIT) == b"b"


def test_the_next_dialogue_says_it_anew() -> None:
    _, buffer = lines(b"a\nb", 100)
    buffer.clear()
    assert not buffer.lone_lf
    buffer.feed(b"a\r\nb\n\r\n")
    assert [buffer.line(LIMIT), buffer.line(LIMIT)] == [b"a", b"b\n"]


def test_content_is_given_with_crlf_and_what_is_given_back_is_what_came() -> None:
    rest = b"one\ntwo\r\n\r\r\n\n\r"
    _, buffer = lines(b"DATA\n", 100)
    buffer.feed(rest)
    given = buffer.take_lines(100)
    assert given == b"one\r\ntwo\r\r\n\r\r\r\n\r\n\r"
    buffer.put_back_lines(given)
    assert buffer.take(100) == rest
