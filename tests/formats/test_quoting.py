"""Quoting of lines that would end a message: exact both ways, wherever the chunks end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.formats.quoting import Quoting

FROM = Quoting(b"From ")
LINES = st.lists(
    st.sampled_from([b"From ", b">From ", b">>From x", b"From", b">", b">>>", b"Fro", b"x From ", b"", b">F", b">" * 200 + b"From "])
)
TEXTS = st.builds(lambda lines, end: b"\n".join(lines) + end, LINES, st.sampled_from([b"", b"\n", b"From"]))


def cut(text, sizes):
    """*text* in chunks of *sizes*, over and over."""
    chunks, at = [], 0
    while at < len(text):
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(text[at : at + size])
        at += size
    return chunks


@pytest.mark.parametrize(
    ("plain", "quoted"),
    [
        pytest.param(b"From x\n", b">From x\n", id="first-line"),
        pytest.param(b"a\nFrom x\n", b"a\n>From x\n", id="other-line"),
        pytest.param(b">From x\n>>From \n", b">>From x\n>>>From \n", id="quoted-already"),
        pytest.param(b"from x\nFrom\nFrom:\n From \n> From \n", b"from x\nFrom\nFrom:\n From \n> From \n", id="nothing-to-do"),
        pytest.param(b"From ", b">From ", id="without-line-end"),
    ],
)
def test_lines_that_look_like_postmarks_are_quoted(plain, quoted):
    assert b"".join(FROM.quoted([plain])) == quoted
    assert b"".join(FROM.unquoted([quoted])) == plain


@given(TEXTS, st.lists(st.integers(1, 90), min_size=1))
def test_chunks_make_no_difference(text, sizes):
    whole = b"".join(FROM.quoted([text]))
    assert b"".join(FROM.quoted(cut(text, sizes))) == whole
    assert b"".join(FROM.unquoted(cut(text, sizes))) == b"".join(FROM.unquoted([text]))
    assert b"".join(FROM.unquoted(cut(whole, sizes))) == text
    assert not any(line.startswith(b"From ") for line in whole.split(b"\n"))


@given(st.binary(), st.lists(st.integers(1, 9), min_size=1))
def test_anything_comes_back(text, sizes):
    assert b"".join(FROM.unquoted(cut(b"".join(FROM.quoted(cut(text, sizes))), sizes))) == text


def test_mboxo_undoes_one_and_only_one():
    assert b"".join(Quoting(b"From ", only_one=True).unquoted([b">From a\n>>From b\n"])) == b"From a\n>>From b\n"


def test_a_line_of_any_length_is_not_kept():
    chunks = [b">" * 60_000] * 20 + [b"From x\n"]
    kept = list(FROM.quoted(chunks))
    assert max(map(len, kept)) < 70_000
    assert b"".join(kept) == b">" * 1_200_001 + b"From x\n"
