"""Modified UTF-7."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.mail import mutf7


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        pytest.param("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-", id="rfc-3501-5.1.3"),
        pytest.param("a & b", "a &- b", id="ampersand"),
        pytest.param("Grüße", "Gr&APwA3w-e", id="german"),
        pytest.param("🦉", "&2D7diQ-", id="outside-the-basic-plane"),
        pytest.param("", "", id="empty"),
    ],
)
def test_names_as_they_are_written(text, encoded):
    assert mutf7.encode(text) == encoded
    assert mutf7.decode(encoded) == text


@given(st.text(max_size=50))
def test_every_text_comes_back(text):
    assert mutf7.decode(mutf7.encode(text)) == text


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param("Grüße", id="not-ascii"),
        pytest.param("a\x01", id="control"),
        pytest.param("&", id="open"),
        pytest.param("&AGE-", id="printable-in-base64"),
        pytest.param("&APw-&AN8-", id="two-runs-where-one-would-do"),
        pytest.param("&APx-", id="bits-left-over"),
        pytest.param("&2D4-", id="half-a-pair"),
        pytest.param("&A-", id="too-short"),
        pytest.param("&AP/8-", id="slash"),
    ],
)
def test_a_name_has_one_spelling(encoded):
    with pytest.raises(ValueError):
        mutf7.decode(encoded)
