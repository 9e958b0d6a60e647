"""i;unicode-casemap: what is compared instead of a text."""

from __future__ import annotations

import pytest

from twistmail.mail.collation import casemap


@pytest.mark.parametrize(
    ("text", "mapped"),
    [
        pytest.param("lunch 1", "LUNCH 1", id="ascii"),
        pytest.param("JÖRG", "JO\u0308RG", id="decomposed"),
        pytest.param("jo\u0308rg", "JO\u0308RG", id="was-decomposed"),
        pytest.param("Straße", "STRAßE", id="no-character-becomes-two-by-case"),
        pytest.param("ǆ", "Dž".replace("ž", "z\u030c"), id="title-case-and-not-upper-case"),
        pytest.param("ﬁ", "fi", id="compatibility"),
        pytest.param("σίς", "ΣΙ\u0301Σ", id="final-sigma"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_the_mapping(text, mapped):
    assert casemap(text) == mapped
