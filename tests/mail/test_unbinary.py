"""Binary parts become base64; nothing else changes."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import Message

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.mail.unbinary import LONGEST_LINE, unbinary


def read(message: bytes) -> Message:
    return message_from_bytes(b"".join(unbinary(message)), policy=policy.SMTP)


def mixed(*parts: bytes, head: bytes = b"") -> bytes:
    return (
        b"Subject: x\r\n" + head + b'Content-Type: multipart/mixed; boundary="=b"\r\n\r\npreamble\r\n'
        + b"".join(b"--=b\r\n" + part + b"\r\n" for part in parts) + b"--=b--\r\n"
    )  # fmt: skip


TEXT = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n.\r\n"


def binary(octets: bytes) -> bytes:
    return b"Content-Type: image/x\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <1@x>\r\n\r\n" + octets


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400) | st.text("\r\n.\0a-", max_size=200).map(str.encode))
def test_octets_come_back(octets: bytes) -> None:
    if b"\r\n--=b" in b"\r\n" + octets or b"\n--" in octets:
        return  # no sender chooses such a delimiter
    message = read(mixed(TEXT, binary(octets), head=b"Content-Transfer-Encoding: binary\r\n"))
    assert message["Content-Transfer-Encoding"] == "8bit"
    text, image = message.iter_parts()  # type: ignore[attr-defined]
    assert text["Content-Transfer-Encoding"] == "8bit"
    assert text.get_payload(decode=True) == b"Gr\xc3\xbc\xc3\x9fe\r\n.\r\n"
    assert (image["Content-Transfer-Encoding"], image["Content-ID"]) == ("base64", "<1@x>")
    assert image.get_payload(decode=True) == octets


@pytest.mark.parametrize("octets", [b"\0", b"a\nb", b"a\rb", b"x" * (LONGEST_LINE + 1), bytes(range(256)) * 1000])
def test_what_is_no_text_is_encoded_whatever_it_is_called(octets: bytes) -> None:
    message = read(b"Subject: x\r\nContent-Type: text/plain\r\n\r\n" + octets)
    assert message["Content-Transfer-Encoding"] == "base64"
    assert message.get_payload(decode=True) == octets


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"Subject: x\r\n\r\nlines\r\nof text\r\n", id="plain"),
        pytest.param(mixed(TEXT, TEXT), id="multipart"),
        pytest.param(b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n", id="encoded-already"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"no header\r\n", id="no-header"),
    ],
)
def test_text_stays_as_it_is(message: bytes) -> None:
    assert b"".join(unbinary(message)) == message


def test_a_message_inside_a_message_is_looked_at_too() -> None:
    inner = mixed(binary(b"\n\0"), head=b"Content-Transfer-Encoding: binary\r\n")
    message = read(mixed(b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\n" + inner.replace(b"=b", b"=c")))
    (around,) = message.iter_parts()  # type: ignore[attr-defined]
    assert around["Content-Transfer-Encoding"] == "8bit"
    (image,) = around.get_payload(0).iter_parts()
    assert image.get_payload(decode=True) == b"\n\0"


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300) | st.text("\r\n-=bcCT: ;/\0", max_size=300).map(str.encode))
def test_whatever_comes_lines_of_text_leave(message: bytes) -> None:
    result = b"".join(unbinary(message))
    assert b"\r" not in result.replace(b"\r\n", b"")
    assert b"\n" not in result.replace(b"\r\n", b"")
