from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.relay.frames import HEAD, MOST_LOAD, MOST_WORDS, Broken, Frames, frame

WORDS = st.recursive(st.none() | st.booleans() | st.integers(0, 2**53) | st.text(max_size=9), lambda inner: st.lists(inner, max_size=4))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from([b"D", b"c", b"q"]), WORDS, st.binary(max_size=40)), max_size=5), st.integers(1, 30))
def test_what_is_said_is_heard_however_it_is_cut(said, size):
    octets = b"".join(frame(kind, words, load) for kind, words, load in said)
    frames = Frames()
    heard = [one for at in range(0, len(octets), size) for one in frames.feed(octets[at : at + size])]
    assert heard == said


@pytest.mark.parametrize("octets", [
    pytest.param(HEAD.pack(b"D", MOST_WORDS + 1, 0), id="too-many-words"),
    pytest.param(HEAD.pack(b"D", 0, MOST_LOAD + 1), id="too-large-a-load"),
    pytest.param(HEAD.pack(b"D", 3, 0) + b"[1,", id="no-json"),
    pytest.param(HEAD.pack(b"D", 0, 0), id="no-words"),
    pytest.param(b"220 mx.far.test ESMTP\r\n", id="another-protocol"),
])
def test_what_is_no_frame_is_told_as_soon_as_that_is_certain(octets):
    with pytest.raises(Broken):
        list(Frames().feed(octets))


@pytest.mark.parametrize(("words", "load"), [
    pytest.param("\ud800", b"", id="a-text-that-is-none"),
    pytest.param("x" * MOST_WORDS, b"", id="too-many-words"),
    pytest.param(None, bytes(MOST_LOAD + 1), id="too-large-a-load"),
])
def test_what_cannot_be_said_is_not_said(words, load):
    with pytest.raises(ValueError, match=r"octets|str"):
        frame(b"D", words, load)
