"""Surrogates of messages whose header is UTF-8."""

from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.mail import headers
from twistmail.mail.content import Memory
from twistmail.mail.paged import Paged
from twistmail.mail.surrogate import needs_surrogate, surrogate


def made(message: bytes) -> bytes:
    return b"".join(surrogate(message))


def field(line: str) -> str:
    """What becomes of one field."""
    return made(f"{line}\r\n\r\n".encode()).decode("ascii")[:-4]


@pytest.mark.parametrize(("line", "turned"), [
    pytest.param("Subject: Gr\u00fc\u00dfe", "Subject: =?utf-8?b?R3LDvMOfZQ==?=", id="text"),
    pytest.param("Subject: to all:  sch\u00f6ne Gr\u00fc\u00dfe from us", "Subject: to all:  =?utf-8?b?c2Now7ZuZSBHcsO8w59l?= from us",
                 id="ascii-words-stay"),
    pytest.param("X-Anything: \u00e9", "X-Anything: =?utf-8?b?w6k=?=", id="unknown-field"),
    pytest.param("From: J\u00fcrgen <j@b.test>", "From: =?utf-8?b?SsO8cmdlbg==?= <j@b.test>", id="name"),
    pytest.param("From: j\u00fcrgen@b\u00fccher.test", "From: =?utf-8?b?asO8cmdlbkBiw7xjaGVyLnRlc3Q=?=:;", id="address"),
    pytest.param("From: J <j@b\u00fccher.test>", "From: J <j@xn--bcher-kva.test>", id="a-domain-has-another-spelling"),
    pytest.param("From: J\u00fc <j\u00fc@b.test>", "From: =?utf-8?b?SsO8IDxqw7xAYi50ZXN0Pg==?=:;", id="name-and-address"),
    pytest.param('To: "Ann, too" <a@b.test>, \u00e9 <c@d.test>', 'To: "Ann, too" <a@b.test>,\r\n =?utf-8?b?w6k=?= <c@d.test>',
                 id="list"),
    pytest.param("To: Fr\u00e8res: a@b.test, \u00e9@f.test;", "To: =?utf-8?b?RnLDqHJlcw==?=: a@b.test,"
                 " =?utf-8?b?w6lAZi50ZXN0?= <invalid@invalid.invalid>;", id="group"),
    pytest.param("Message-ID: <\u00fc@x>", "Downgraded-Message-ID: =?utf-8?b?PMO8QHg+?=", id="message-id"),
    pytest.param("Received: from a by b for <\u00fc@x>; now", "Received: from a by b for <?@x>; now", id="received"),
    pytest.param('Content-Type: text/plain; charset=utf-8; name="\u00fc a.txt"',
                 "Content-Type: text/plain; charset=utf-8; name*=utf-8''%C3%BC%20a.txt", id="parameter"),
    pytest.param("Content-Disposition: attachment; filename=\u00fc", "Content-Disposition: attachment; filename*=utf-8''%C3%BC",
                 id="token"),
    pytest.param("\u00fc\u00fc", "?", id="no-field"),
    pytest.param("\u00fc: \u00fc", "?: ?", id="no-name"),
])
def test_fields(line: str, turned: str) -> None:
    assert field(line) == turned


PARTS = """\
From: a@b.test\r
Content-Type: multipart/mixed; boundary=x\r
\r
--x\r
Content-Disposition: attachment; filename="{name}"\r
\r
{name}\r
--x\r
Content-Type: message/global\r
\r
Subject: {name}\r
\r
{name}\r
--x--\r
"""


def test_parts_and_the_messages_in_them_are_turned_and_bodies_are_not() -> None:
    turned = made(PARTS.format(name="\u00fc").encode()).decode()
    assert turned.count("\u00fc") == 2
    assert turned.count("\r\n\u00fc\r\n") == 2
    assert "filename*=utf-8''%C3%BC" in turned
    assert "Content-Type: message/rfc822\r\n\r\nSubject: =?utf-8?b?w7w=?=\r\n" in turned


@pytest.mark.parametrize("message", [
    pytest.param(b"", id="empty"),
    pytest.param(b"Subject: x\r\n\r\n.\r\nno end", id="ascii"),
    pytest.param("Subject: x\r\n\r\n\u00fc".encode(), id="body-only"),
    pytest.param(b"Subject: gr\xfc\xdfe\r\n\r\nx", id="latin-1"),
    pytest.param(PARTS.format(name="x").encode(), id="parts"),
])
def test_what_needs_no_surrogate_stays_to_the_octet(message: bytes) -> None:
    assert made(message) == message
    assert not needs_surrogate(message)


WORDS = st.lists(st.text(st.characters(min_codepoint=33, exclude_categories=("Cs", "Zs", "Zl", "Zp", "Cc"), exclude_characters="=?_"),
                         min_size=1, max_size=30), min_size=1, max_size=40)  # fmt: skip


@given(WORDS)
def test_a_mail_program_reads_the_subject_that_was_written(words: list[str]) -> None:
    subject = " ".join(words)
    turned = made(f"Subject: {subject}\r\n\r\nbody".encode())
    read = email.message_from_bytes(turned, policy=email.policy.default)
    assert turned.isascii()
    assert str(read["Subject"]).split() == subject.split()
    assert all(len(line) <= 76 for line in turned.split(b"\r\n")) or max(map(len, words)) > 60


@given(st.lists(st.sampled_from([b"From", b"To", b"Subject", b"Content-Type", b"Message-ID", b"Received", b"X-Y"]), max_size=4),
       st.text(max_size=80), st.integers(0, 3))  # fmt: skip
def test_whatever_is_utf_8_becomes_ascii_and_is_left_alone_after_that(names: list[bytes], value: str, ends: int) -> None:
    header = b"".join(b"%b: %b\r\n" % (name, value.replace("\r", "").replace("\n", " ").encode()) for name in names)
    turned = made(header + b"\r\n" * (ends > 0) + "\u00fc".encode() * (ends > 1))
    assert headers.split(turned)[0].isascii()
    assert made(turned) == turned


def test_a_big_message_is_turned_in_pieces() -> None:
    message = "Subject: \u00fc\r\n\r\n".encode() + b"line\r\n" * 500_000
    pieces = list(surrogate(Paged(Memory(message))))
    assert max(map(len, pieces)) <= 64 * 1024
    assert b"".join(pieces) == made(message)


@pytest.mark.parametrize("header", [
    pytest.param("To: " + "\u00fc@b.test, " * 40_000, id="addresses"),
    pytest.param("Subject: " + "\u00fc " * 200_000, id="words"),
    pytest.param("Subject: " + "\u00fc" * 200_000, id="one-word"),
    pytest.param("Content-Type: a/b" + "; a=\u00fc" * 50_000, id="parameters"),
    pytest.param('Content-Type: a/b; a="' + "\\\u00fc" * 100_000, id="a-quote-without-end"),
    pytest.param("X: \u00fc\r\n" * 50_000 + "Y: z", id="fields"),
])
def test_headers_without_end_cost_what_they_weigh(header: str) -> None:
    assert len(made(f"{header}\r\n\r\n".encode())) < 20 * len(header)
