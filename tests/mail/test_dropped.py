"""What is left for a server that does not run: only whole messages, as they were written, are ever read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.mail.dropped import FIRST, LONGEST_ENVELOPE, Dropped, Unreadable, read, written

MESSAGE = Dropped(None, ("bob", "harry@far.test"), b"Subject: x\r\n\r\nhello\r\n", "SUCCESS,FAILURE", "HDRS", "QQ+3D")
addresses = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cf", "Zl", "Zp", "Zs", "Cn", "Co"), exclude_characters="<>"),
                    min_size=1, max_size=60)  # fmt: skip


@settings(max_examples=100)
@given(st.none() | st.just("") | addresses, st.lists(addresses, min_size=1, max_size=5), st.binary(max_size=300))
def test_what_was_written_is_read(sender, recipients, content):
    message = Dropped(sender, tuple(recipients), content)
    assert read(written(message)) == message


def test_what_was_asked_for_comes_along():
    assert read(written(MESSAGE)) == MESSAGE


@settings(max_examples=200)
@given(st.data())
def test_no_message_that_was_cut_short_or_changed_is_read(data):
    octets = written(MESSAGE)
    place = data.draw(st.integers(0, len(octets) - 1))
    change = data.draw(st.sampled_from(["cut", "flip", "insert", "more"]))
    spoilt = {
        "cut": octets[:place],
        "flip": octets[:place] + bytes([octets[place] ^ 1]) + octets[place + 1 :],
        "insert": octets[:place] + b"x" + octets[place:],
        "more": octets + b"\n",
    }[change]
    with pytest.raises(Unreadable):
        read(spoilt)


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_other_files_are_refused_with_a_reason(octets):
    with pytest.raises(Unreadable) as refusal:
        read(octets)
    assert str(refusal.value)


def with_envelope(envelope: bytes) -> bytes:
    """A file that is whole, with an envelope that we would not write."""
    import hashlib

    body = FIRST + envelope + b"\nSubject: x\r\n"
    return body + b"\nEND %d %b\n" % (len(body), hashlib.sha256(body).hexdigest().encode())


GOOD = {"sender": None, "recipients": ["bob"], "notify": "", "ret": "", "envid": ""}


def test_the_envelope_that_the_others_are_made_of_is_good():
    assert read(with_envelope(json.dumps(GOOD).encode())).recipients == ("bob",)


@pytest.mark.parametrize("envelope", [
    pytest.param(b"", id="none"),
    pytest.param(b"[]", id="a-list"),
    pytest.param(b"{", id="no-JSON"),
    pytest.param(b"[" * 100_000, id="a-deep-hole"),
    pytest.param(b"\xff", id="no-UTF-8"),
    pytest.param(b"{}" + b" " * LONGEST_ENVELOPE, id="too-long"),
    *(pytest.param(json.dumps(GOOD | change).encode(), id=name) for name, change in {
        "sender-is-a-number": {"sender": 5},
        "sender-with-a-line-end": {"sender": "a@b\r\nRCPT TO:<c@d>"},
        "sender-in-brackets": {"sender": "<a@b>"},
        "no-recipients": {"recipients": []},
        "recipients-are-text": {"recipients": "bob"},
        "too-many-recipients": {"recipients": ["bob"] * 10_001},
        "a-recipient-with-a-line-end": {"recipients": ["bob", "eve\n"]},
        "a-recipient-with-a-NUL": {"recipients": ["bob\0"]},
        "a-recipient-that-closes-its-bracket": {"recipients": ["bob> NOTIFY=NEVER <x"]},
        "a-long-recipient": {"recipients": ["b" * 500]},
        "envid-with-a-space": {"envid": "a b"},
        "verp-with-one-delimiter": {"verp": "+"},
        "verp-with-a-space": {"verp": "+ "},
        "verp-that-is-no-text": {"verp": 1},
        "notify-is-a-list": {"notify": ["NEVER"]},
        "ret-with-a-line-end": {"ret": "FULL\r\n"},
    }.items()),
])  # fmt: skip
def test_an_envelope_of_somebody_else_s_making_is_refused(envelope):
    with pytest.raises(Unreadable):
        read(with_envelope(envelope))
