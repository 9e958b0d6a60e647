"""Messages in which other headers stand: the same octets, however they are read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.mail.content import Memory
from twistmail.mail.mime import describe
from twistmail.mail.replaced import Replaced
from twistmail.mail.surrogate import replacements, surrogate

WHOLE = (
    "From: ä@b.example\r\nSubject: außen\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: inline; filename=ö.txt\r\n\r\nText ö\r\n"
    "--b\r\nContent-Type: message/global\r\n\r\nSubject: innen ü\r\n\r\ninside ü\r\n\r\n--b--\r\n"
).encode()
#: What strangers may send.
PIECES = ["From:", "To:", "Subject:", "Content-Type:", " multipart/mixed; boundary=b", " text/plain; name=", "ä", '"', "<", ">", "@", ",",
          ":", ";", "(", ")", "\\", "=?utf-8?q?", "?=", "x.y", "\r\n", "\r\n ", "\r\n\r\n", "--b", "--b--", "\0", "%", "*0*=", "X-A: ",
          "junk ö", " message/rfc822"]  # fmt: skip


@pytest.mark.parametrize("length", [1, 23, 1000])
def test_it_can_be_read_from_anywhere(length: int) -> None:
    whole, content = b"".join(surrogate(WHOLE)), Replaced(Memory(WHOLE), replacements(WHOLE))
    assert content.size == len(whole)
    assert b"".join(content.chunks()) == whole
    assert content.beginning(17) == whole[:17]
    assert all(content.span(at, length) == whole[at : at + length] for at in range(len(whole) + 2))


def test_what_is_told_of_a_surrogate_is_ascii() -> None:
    told = describe(b"".join(surrogate(WHOLE)))
    assert all(text.isascii() for text in (told.header, told.envelope, told.body, told.bodystructure))


@settings(max_examples=200)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_whatever_comes_it_is_what_the_surrogate_is(text: str) -> None:
    message = text.encode()
    content = Replaced(Memory(message), replacements(message))
    assert b"".join(content.chunks()) == b"".join(surrogate(message))
    assert describe(b"".join(content.chunks())).header.isascii()
