"""Line ends, however the chunks fall."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from twistmail.mail import lines

TEXT = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"bc"]), max_size=30).map(b"".join)
CUTS = st.lists(st.integers(1, 5), min_size=30, max_size=80)


def cut(data, sizes):
    chunks = []
    for size in sizes:
        chunks.append(data[:size])
        data = data[size:]
    return [*chunks, data]


@given(TEXT, CUTS)
def test_chunks_become_what_the_whole_becomes(data, sizes):
    assert b"".join(lines.stream_to_lf(cut(data, sizes))) == lines.to_lf(data)
    assert b"".join(lines.stream_to_crlf(cut(data, sizes))) == lines.to_crlf(data)


@given(TEXT)
def test_on_the_wire_every_line_feed_follows_a_carriage_return(data):
    assert not re.search(rb"(?<!\r)\n", lines.to_crlf(data))
    assert lines.to_crlf(data).replace(b"\r\n", b"\n") == data.replace(b"\r\n", b"\n")


@given(TEXT, CUTS)
def test_the_size_is_that_of_the_wire(data, sizes):
    assert lines.size_with_crlf(cut(data, sizes)) == len(lines.to_crlf(data))
