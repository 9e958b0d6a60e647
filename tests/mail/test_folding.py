"""Folding for SEARCH, against the definition of i;unicode-casemap (RFC 5051 §2)."""

from __future__ import annotations

import sys
import time
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.mail.folding import folded


def casemap(text: str) -> str:
    """RFC 5051 §2, letter by letter: the simple title case, decomposed."""
    return "".join(normalize("NFKD", titled if len(titled := letter.title()) == 1 else letter) for letter in text)


def test_what_the_comparator_calls_equal_is_folded_to_the_same() -> None:
    kinds: dict[str, str] = {}
    for code in range(sys.maxunicode + 1):
        if not 0xD800 <= code < 0xE000:
            letter = chr(code)
            assert kinds.setdefault(casemap(letter), folded(letter)) == folded(letter), f"U+{code:04X}"


@pytest.mark.parametrize(("needle", "text"), [
    pytest.param("STRASSE", "Straße", id="sharp-s"),
    pytest.param("gru\u0308n", "GRÜN", id="composed-or-not"),
    pytest.param("ΣΊΣΥΦΟΣ", "Σίσυφος", id="final-sigma"),
    pytest.param("ffi", "e\ufb03cient", id="a-ligature"),
    pytest.param("istanbul", "\u0130stanbul".replace("\u0130", "I"), id="plain-i"),
    pytest.param("sik", "s\u0131k", id="dotless-i"),
    pytest.param("cafe", "Café", id="accents-follow-their-letter"),
])  # fmt: skip
def test_what_is_found(needle: str, text: str) -> None:
    assert folded(needle) in folded(text)


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert folded(folded(text)) == folded(text)


def test_combining_characters_cost_no_more_than_others() -> None:
    start = time.process_time()
    assert len(folded("\u0315\u0327" * 100_000)) == 200_000
    assert time.process_time() - start < 1
