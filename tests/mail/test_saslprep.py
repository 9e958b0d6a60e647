"""SASLprep, with the examples of RFC 4013 §3."""

from __future__ import annotations

import pytest

from twistmail.mail.saslprep import saslprep


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        pytest.param("I\u00adX", "IX", id="soft-hyphen-mapped-to-nothing"),
        pytest.param("user", "user", id="no-transformation"),
        pytest.param("USER", "USER", id="case-preserved"),
        pytest.param("\u00aa", "a", id="output-is-NFKC"),
        pytest.param("\u2168", "IX", id="as-the-first"),
        pytest.param("a\u00a0b", "a b", id="other-spaces"),
        pytest.param("\u0627\u0628", "\u0627\u0628", id="right-to-left"),
    ],
)
def test_what_is_prepared(text, prepared):
    assert saslprep(text) == prepared


@pytest.mark.parametrize("text", ["\u0007", "\u06271", "", "\u00ad", "\u200e", "\ufffd", "\U000e0001", "\u0221", "\U000f0000"])
def test_what_is_prohibited(text):
    with pytest.raises(ValueError):
        saslprep(text)
