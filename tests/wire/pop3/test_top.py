"""TOP: where the beginning ends, in any feeding."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.wire.pop3.top import Beginning

MESSAGE = b"A: 1\r\nB: 2\r\n\r\none\r\n\r\nthree\r\nfour"
HEADER = b"A: 1\r\nB: 2\r\n\r\n"


@pytest.mark.parametrize(("message", "lines", "beginning"), [
    pytest.param(MESSAGE, 0, HEADER, id="header-only"),
    pytest.param(MESSAGE, 1, HEADER + b"one\r\n", id="one-line"),
    pytest.param(MESSAGE, 2, HEADER + b"one\r\n\r\n", id="an-empty-line-is-a-line"),
    pytest.param(MESSAGE, 4, MESSAGE, id="as-many-as-there-are"),
    pytest.param(MESSAGE, 10**9, MESSAGE, id="more-than-there-are"),
    pytest.param(b"A: 1\r\nno body", 3, b"A: 1\r\nno body", id="no-empty-line"),
    pytest.param(b"\r\nbody\r\nmore\r\n", 1, b"\r\nbody\r\n", id="no-header"),
    pytest.param(b"", 1, b"", id="nothing"),
])
def test_where_it_ends(message: bytes, lines: int, beginning: bytes) -> None:
    assert Beginning(lines).feed(message) == beginning


@given(st.lists(st.sampled_from([b"x", b"\r\n", b"\r", b"\n", b"ab"]), max_size=20), st.integers(0, 4))
def test_every_feeding_ends_at_the_same_place(pieces: list[bytes], lines: int) -> None:
    whole = Beginning(lines).feed(b"".join(pieces))
    singly = Beginning(lines)
    assert b"".join(singly.feed(piece[at : at + 1]) for piece in pieces for at in range(len(piece))) == whole


def test_it_tells_when_no_more_is_wanted() -> None:
    beginning = Beginning(1)
    beginning.feed(HEADER)
    assert not beginning.complete
    beginning.feed(b"one\r\n")
    assert beginning.complete
    assert beginning.feed(b"two\r\n") == b""
