"""A stored message that is looked at as if it were bytes: every answer is that of the bytes."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.mail import headers, matching, mime, paged, texts
from twistmail.mail.content import Memory
from twistmail.mail.paged import Paged
from twistmail.mail.parts import scan

MIB = 1024 * 1024
PIECES = [b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: message/rfc822", b"--b", b"--b--", b"\r\n", b"\r\n", b"text",
          b"Subject: x", b"\n", b"\0", b"Date: Sat, 21 Nov 2026 03:20:00 +0000", b"x" * 40, b"=C3=A9",
          b"Content-Transfer-Encoding: quoted-printable", b"Content-Transfer-Encoding: base64", b"Content-Type: text/html"]  # fmt: skip


@pytest.fixture(autouse=True)
def small_windows(monkeypatch):
    """So small that everything that is looked for lies across a border sooner or later."""
    monkeypatch.setattr(paged, "WINDOW", 7)
    monkeypatch.setattr(texts, "PIECE", 20)


@given(st.binary(max_size=60), st.binary(min_size=1, max_size=9), st.integers(0, 60), st.integers(0, 60))
def test_it_answers_as_bytes_do(octets, what, start, end):
    message = Paged(Memory(octets))
    assert len(message) == len(octets)
    assert message[start:end] == octets[start:end]
    assert (message[start:], message[:end]) == (octets[start:], octets[:end])
    assert message.find(what, start, end) == octets.find(what, start, end)
    assert message.find(what, start) == octets.find(what, start)
    assert message.rfind(what, start, end) == octets.rfind(what, start, end)
    assert message.startswith(what, start) == octets.startswith(what, start)
    assert message.count(what[:1], start, end) == octets.count(what[:1], start, end)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_a_message_is_described_and_searched_as_from_memory(pieces):
    whole = b"".join(pieces)
    message = Paged(Memory(whole))
    assert mime.describe(message) == mime.describe(whole)
    assert texts.header_of(message) == texts.header_of(whole)
    assert list(map("".join, texts.texts_of(message))) == list(map("".join, texts.texts_of(whole)))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_headers_that_do_not_end_are_cut_off_in_the_same_way(pieces):
    whole = b"".join(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(headers, "MOST", 45)
        root = scan(whole)
        assert root.body == headers.split(whole)[1]
        assert all(part.body - part.start <= 45 for part in root.walk())
        assert mime.describe(Paged(Memory(whole))) == mime.describe(whole)


class Repeated:
    """*beginning*, and then *line* again and again, which nobody has in memory. See `content.Stored`."""

    def __init__(self, beginning, line, size):
        self.beginning, self.line, self.size = beginning, line, size

    def span(self, start, length):
        end = min(start + length, self.size)
        head = self.beginning[start:end]
        at = max(start - len(self.beginning), 0)
        count = max(end - start - len(head), 0)
        first = at % len(self.line)
        return head + (self.line * ((first + count) // len(self.line) + 1))[first : first + count]


@pytest.mark.parametrize(("beginning", "line"), [
    pytest.param(b"Content-Type: message/rfc822\r\n\r\n", b"To: a@b\r\n", id="header-inside-that-does-not-end"),
    pytest.param(b"", b"x: y\r\n", id="header-that-does-not-end"),
    pytest.param(b"Content-Type: message/rfc822\r\n\r\n", b"x" * 997 + b"\r\n", id="lines-that-are-no-fields"),
    pytest.param(b"Content-Type: message/rfc822\r\n\r\nSubject:", b" word\r\n", id="field-that-does-not-end"),
    pytest.param(b"Content-Type: text/html; charset=utf-8\r\n\r\n", b"\xc3\xa9" * 30 + b"\r\n", id="text"),
])  # fmt: skip
def test_a_big_message_takes_little_memory(monkeypatch, beginning, line):
    monkeypatch.undo()  # windows as they are
    message = Paged(Repeated(beginning, line, 40 * MIB))
    tracemalloc.start()
    try:
        mime.describe(message)
        assert not matching.holds(message, "no such word", headers=True)
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    finally:
        tracemalloc.stop()


class Counting(Memory):
    """Counts the octets that are read of it."""

    __slots__ = ("read",)

    def span(self, start, length):
        octets = super().span(start, length)
        self.read = getattr(self, "read", 0) + len(octets)
        return octets


@pytest.mark.parametrize("lines", [
    pytest.param([b"--", b"x" * 30], id="lines-that-might-be-delimiters"),
    pytest.param([b"--b", b"x"], id="parts-without-end"),
    pytest.param([b"--b", b"Content-Type: text/plain", b"", b"x" * 50], id="parts"),
    pytest.param([b"--b", b"Content-Type: message/rfc822", b"", b"A: b", b"", b"x" * 20], id="messages"),
    pytest.param([b"--b" + b"x" * 90], id="long-lines"),
])  # fmt: skip
def test_nothing_is_read_again_and_again(monkeypatch, lines):
    monkeypatch.setattr(paged, "WINDOW", 64)
    whole = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"\r\n".join(lines * 600)
    content = Counting(whole)
    assert mime.describe(Paged(content)) == mime.describe(whole)
    assert content.read < 16 * len(whole)
