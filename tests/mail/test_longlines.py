"""Lines that other servers may refuse are found, and cut where that changes nothing."""

from __future__ import annotations

import base64
import quopri
from email import message_from_bytes, policy
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.mail.longlines import LONGEST, cut, folded, has_long_line
from twistmail.mail.sevenbit import sevenbit, shortened

LONG = b"word " * 400
PLAIN = b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"


def encoded(encoding: str) -> bytes:
    return PLAIN.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: %b\r\n\r\n" % encoding.encode())


def longest(data: bytes) -> int:
    return max(map(len, data.split(b"\r\n")))


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


LENGTHS = st.lists(st.sampled_from([0, 1, 500, 997, 998, 999, 1000, 3000]) | st.integers(0, 2100), max_size=8)


@given(LENGTHS, st.integers(1, 2500), st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_long_line_is_found_wherever_the_message_is_cut(lengths, size, ended):
    data = b"\r\n".join(b"x" * length for length in lengths) + (b"\r\n" if ended else b"")
    assert has_long_line(pieces(data, size)) == any(length > LONGEST for length in lengths)


def test_looking_is_linear_also_where_no_line_ends():
    def seconds(size: int) -> float:
        chunks = [b"x\r\n" * 20_000] * size
        begun = process_time()
        has_long_line(chunks)
        return process_time() - begun

    assert takes_linear_time(seconds, 20)


@pytest.mark.parametrize(("header", "expected"), [
    pytest.param(b"Subject: x\r\n\r\n", b"Subject: x\r\n\r\n", id="short-ones-stay"),
    pytest.param(b"A: " + b"x" * 990 + b" y" * 10 + b"\r\n", b"A: " + b"x" * 990 + b" y y\r\n" + b" y" * 8 + b"\r\n", id="at-a-blank"),
    pytest.param(b"A:" + b"x" * 1500 + b"\r\n\r\n", b"A:" + b"x" * 996 + b"\r\n " + b"x" * 504 + b"\r\n\r\n", id="where-there-is-none"),
    pytest.param(b"A:" + b"x" * 995 + "ä".encode() * 9 + b"\r\n", b"A:" + b"x" * 995 + b"\r\n " + "ä".encode() * 9 + b"\r\n",
                 id="not-within-a-character"),
    pytest.param(b"A: " + b" " * 1200 + b"\r\n", b"A: " + b" " * 994 + b"\r\n" + b" " * 206 + b"\r\n", id="nothing-but-blanks"),
])  # fmt: skip
def test_fields_are_folded(header, expected):
    assert folded(header) == expected


@given(st.binary(max_size=5000).map(lambda data: data.replace(b"\r", b"").replace(b"\n", b" ")))
@settings(max_examples=150, deadline=None)
def test_whatever_stands_in_a_header_its_lines_end_in_time(data):
    header = b"Subject: " + data + b"\r\n\r\n"
    assert longest(folded(header)) <= LONGEST
    assert folded(header).replace(b"\r\n", b"").replace(b" ", b"") == header.replace(b"\r\n", b"").replace(b" ", b"")


@given(st.binary(max_size=6000), st.integers(50, 3000))
@settings(max_examples=150, deadline=None)
def test_what_is_encoded_already_means_the_same_when_it_is_cut(data, size):
    in_base64 = base64.b64encode(data)
    assert base64.b64decode(b"".join(cut(pieces(in_base64, size)))) == data
    quoted = quopri.encodestring(data).replace(b"=\n", b"").replace(b"\n", b"=0A").replace(b"\r", b"=0D")
    shorter = b"".join(cut(pieces(quoted, size), soft=True))
    assert longest(shorter) <= LONGEST
    assert quopri.decodestring(shorter) == quopri.decodestring(quoted)


@pytest.mark.parametrize("convert", [pytest.param(shortened, id="8-bit"), pytest.param(sevenbit, id="7-bit")])
@pytest.mark.parametrize(("head", "body"), [
    pytest.param(PLAIN, LONG + b"\r\nend\r\n", id="text"),
    pytest.param(PLAIN, "Grüße ".encode() * 400 + b"\r\n", id="text-in-utf-8"),
    pytest.param(PLAIN.replace(b"text/plain", b"application/json"), b"[1," * 800 + b"\r\n", id="not-text"),
    pytest.param(encoded("base64"), base64.b64encode(b"x" * 3000) + b"\r\n", id="base64"),
    pytest.param(encoded("quoted-printable"), b"=41" * 800 + b"\r\n", id="quoted"),
    pytest.param(b"Subject: x\r\n\r\n", LONG + b"\r\n", id="without-MIME"),
    pytest.param(b"Subject: " + LONG + b"\r\n\r\n", b"short\r\n", id="in-the-header"),
])  # fmt: skip
def test_a_message_means_the_same(convert, head, body):
    message = b"".join(convert(head + body))
    assert longest(message) <= LONGEST
    before, after = (message_from_bytes(one, policy=policy.SMTP) for one in (head + body, message))
    assert after.get_payload(decode=True) == before.get_payload(decode=True)
    assert after["Subject"].split() == before["Subject"].split()
    assert after.get_content_type() == before.get_content_type()


def test_only_the_part_that_needs_it_is_encoded():
    part = b"Content-Type: text/plain\r\n\r\n%b\r\n"
    message = (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + LONG + b"\r\n--b\r\n" + part % "Grüße".encode()
        + b"--b\r\n" + part % LONG + b"--b--\r\n")  # fmt: skip
    short = b"".join(shortened(message))
    assert longest(short) <= LONGEST
    first, second = message_from_bytes(short, policy=policy.SMTP).iter_parts()
    assert (first["Content-Transfer-Encoding"], first.get_payload(decode=True)) == (None, "Grüße".encode())
    assert (second["Content-Transfer-Encoding"], second.get_payload(decode=True)) == ("quoted-printable", LONG)


def test_what_is_signed_stays_to_the_octet():
    inner = b"--b\r\nContent-Type: text/plain\r\n\r\n" + LONG + b"\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nAAAA\r\n--b--"
    signed = b"Content-Type: multipart/signed; boundary=b\r\n\r\n" + inner
    assert b"".join(shortened(signed + b"\r\n")) == signed + b"\r\n"
    outer = b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n" + signed + b"\r\n--o\r\n\r\n" + LONG + b"\r\n--o--\r\n"
    short = b"".join(shortened(outer))
    assert signed in short
    assert message_from_bytes(short).get_payload(1).get_payload(decode=True) == LONG


def test_a_forwarded_message_is_never_encoded_as_a_whole():
    whole = b"Content-Type: message/partial\r\n\r\n" + LONG + b"\r\n"
    assert b"".join(shortened(whole)) == whole
