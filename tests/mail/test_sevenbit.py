"""What a server without 8BITMIME gets means the same, as Python's email package reads it."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import Message

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.mail import paged
from twistmail.mail import sevenbit as module
from twistmail.mail.content import Memory
from twistmail.mail.paged import Paged
from twistmail.mail.sevenbit import can_be_sevenbit, sevenbit

TEXT = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
IMAGE = b"Content-Type: image/x\r\nContent-Transfer-Encoding: 8bit\r\nContent-ID: <1@x>\r\n\r\n"
GREETING = "Grüße\r\n".encode()


def converted(message: bytes) -> bytes:
    assert can_be_sevenbit(message)
    pieces = list(sevenbit(message))
    assert all(pieces)
    return b"".join(pieces)


def read(message: bytes) -> Message:
    return message_from_bytes(message, policy=policy.SMTP)


def leaves(message: Message) -> list[tuple[str, bytes]]:
    return [(part.get_content_type(), part.get_payload(decode=True)) for part in message.walk() if not part.is_multipart()]


def multipart(*parts: bytes, kind: bytes = b"mixed", boundary: bytes = b"=b") -> bytes:
    return (
        b"Content-Type: multipart/%b; boundary=\"%b\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\npr\xc3\xa9amble\r\n" % (kind, boundary)
        + b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n\xc3\xa9pilogue\r\n"
    )  # fmt: skip


def mail(rest: bytes) -> bytes:
    return b"Subject: x\r\nMIME-Version: 1.0\r\n" + rest


LINES = st.lists(st.text("aäß€ \t=.-F\0", max_size=200).map(str.encode) | st.just(b"From us") | st.binary(max_size=90), max_size=6).map(
    lambda lines: b"".join(line.replace(b"\r", b"").replace(b"\n", b"") + b"\r\n" for line in lines)
)


def harmless(*bodies: bytes) -> bool:
    """No sender chooses a delimiter that is in the text."""
    return not any(b"--=b" in body or b"--in" in body for body in bodies)


@given(LINES, st.sampled_from([TEXT, IMAGE]))
@settings(max_examples=200, deadline=None)
def test_a_message_means_the_same(body, head):
    message = mail(head + body)
    seven = converted(message)
    assert seven.isascii()
    assert max(map(len, seven.split(b"\r\n"))) <= 76 or body.isascii()
    assert leaves(read(seven)) == leaves(read(message))
    assert read(seven)["Content-Transfer-Encoding"] in ("7bit", "quoted-printable", "base64")
    if body.isascii():
        assert seven.partition(b"\r\n\r\n")[2] == message.partition(b"\r\n\r\n")[2]


@given(LINES, LINES, LINES)
@settings(max_examples=150, deadline=None)
def test_a_structure_stays_what_it_is(first, second, third):
    if not harmless(first, second, third):
        return
    inner = multipart(TEXT + first, IMAGE + second, kind=b"alternative", boundary=b"in")
    forwarded = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + mail(TEXT + third)
    message = mail(multipart(inner, forwarded, TEXT + third))
    seven = converted(message)
    assert seven.isascii()
    assert leaves(read(seven)) == leaves(read(message))
    assert [part.get_content_type() for part in read(seven).walk()] == [part.get_content_type() for part in read(message).walk()]
    assert {part["Content-Transfer-Encoding"] for part in read(seven).walk() if part.is_multipart()} <= {"7bit", None}


def test_what_has_no_eighth_bit_stays_to_the_octet():
    for message in (mail(b"\r\nhello\r\n"), mail(b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n"), b"", b"\r\n", b"no header"):
        assert b"".join(sevenbit(message)) == message


def test_an_image_keeps_its_other_fields_and_text_stays_legible():
    seven = read(converted(mail(multipart(IMAGE + b"\xff\xd8", TEXT + GREETING))))
    image, text = seven.get_payload()
    assert (image["Content-Transfer-Encoding"], image["Content-ID"]) == ("base64", "<1@x>")
    assert (text["Content-Transfer-Encoding"], text.get_payload()) == ("quoted-printable", "Gr=C3=BC=C3=9Fe\r\n")


def test_text_of_which_little_is_ascii_becomes_base64():
    assert read(converted(mail(TEXT + "Привет, мир\r\n".encode())))["Content-Transfer-Encoding"] == "base64"


def test_text_that_says_nothing_of_itself_is_said_to_be_unknown():
    """RFC 1428 §3."""
    seven = read(converted(b"Subject: x\r\n\r\n" + b"hello " * 5 + b"\xe4\r\n"))
    assert seven["MIME-Version"] == "1.0"
    assert seven.get_param("charset") == "unknown-8bit"
    assert seven.get_payload(decode=True) == b"hello " * 5 + b"\xe4\r\n"


def test_a_broken_line_makes_no_delimiter():
    body = ("ä" + "x" * 67 + "--=b and more " + "y" * 80).encode() + b"\r\n"
    seven = read(converted(mail(multipart(TEXT + body))))
    assert [part.get_payload(decode=True) for part in seven.get_payload()] == [body]


@pytest.mark.parametrize("message", [
    pytest.param(multipart(TEXT + GREETING, b"Content-Type: application/pgp-signature\r\n\r\nAAAA", kind=b"signed"), id="signed"),
    pytest.param(multipart(multipart(TEXT + GREETING, kind=b"signed", boundary=b"in")), id="signed-inside"),
    pytest.param(b"Content-Type: multipart/mixed\r\n\r\n" + GREETING, id="a-multipart-without-a-boundary"),
    pytest.param(b"Content-Type: message/partial; id=1; number=1\r\n\r\n" + GREETING, id="a-piece-of-a-message"),
    pytest.param(b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\xff\r\n", id="base64-that-is-none"),
    pytest.param(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3\xff\r\n", id="quoted-printable-that-is-none"),
])  # fmt: skip
def test_what_cannot_be_encoded_is_told(message):
    assert not can_be_sevenbit(mail(message))
    assert can_be_sevenbit(mail(message.replace(b"\xff", b"").replace("üß".encode(), b"").replace("é".encode(), b"")))


def test_a_message_on_disk_is_the_same_as_one_in_memory(monkeypatch):
    monkeypatch.setattr(module, "WINDOW", 57)
    message = mail(multipart(TEXT + GREETING * 40 + "ü".encode() + b"x" * 300, IMAGE + bytes(range(128, 256)) * 9))
    monkeypatch.setattr(paged, "WINDOW", 200)
    disk = Paged(Memory(message))
    assert can_be_sevenbit(disk)
    seven = b"".join(sevenbit(disk))
    assert leaves(read(seven)) == leaves(read(message))
    assert seven.isascii()


@pytest.mark.parametrize("grown", [
    pytest.param(lambda size: mail(TEXT + b"\xc3" * size), id="one-line"),
    pytest.param(lambda size: mail(TEXT + b"\xc3\r\n" * size), id="short-lines"),
    pytest.param(lambda size: mail(multipart(*[TEXT + b"\xc3"] * (size // 100))), id="parts"),
])  # fmt: skip
def test_it_takes_linear_time(grown):
    import time

    def seconds(size: int) -> float:
        message = grown(size)
        began = time.thread_time()
        can_be_sevenbit(message)
        for _ in sevenbit(message):
            pass
        return time.thread_time() - began

    assert takes_linear_time(seconds, 20_000)
