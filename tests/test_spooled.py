"""A message on disk that is looked at as if it were bytes: every answer is that of the bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail import spooled as module
from twistmail.mail import mime
from twistmail.spooled import spooled

PIECES = [b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: message/rfc822", b"--b", b"--b--", b"\r\n", b"\r\n", b"text",
          b"Subject: x", b"\n", b"\0", b"Date: Sat, 21 Nov 2026 03:20:00 +0000", b"x" * 40]  # fmt: skip


@pytest.fixture(autouse=True)
def small_windows(monkeypatch):
    """So small that everything that is looked for lies across a border sooner or later."""
    monkeypatch.setattr(module, "WINDOW", 7)


@given(st.binary(max_size=60), st.binary(min_size=1, max_size=9), st.integers(0, 60), st.integers(0, 60))
def test_it_answers_as_bytes_do(octets, what, start, end):
    with spooled([octets[:20], octets[20:]], Path("/tmp")) as message:
        assert len(message) == len(octets)
        assert b"".join(message.windows()) == octets
        assert message[start:end] == octets[start:end]
        assert (message[start:], message[:end]) == (octets[start:], octets[:end])
        assert message.find(what, start, end) == octets.find(what, start, end)
        assert message.find(what, start) == octets.find(what, start)
        assert message.startswith(what, start) == octets.startswith(what, start)
        assert message.count(what[:1], start, end) == octets.count(what[:1], start, end)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_a_message_is_described_as_from_memory(pieces):
    whole = b"".join(pieces)
    with spooled([whole], Path("/tmp")) as message:
        assert mime.describe(message) == mime.describe(whole)


def test_nothing_is_left_behind(tmp_path):
    with spooled([b"x" * 100], tmp_path):
        assert os.listdir(tmp_path) == []
    with pytest.raises(RuntimeError), spooled([b"x"], tmp_path):
        raise RuntimeError
    assert os.listdir(tmp_path) == []
