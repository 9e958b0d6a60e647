"""Sizes as they may be written: shares of a file system, and a word for none at all."""

from __future__ import annotations

import pytest

from twistmail.options import SIZE_OR_SHARE, Share, size_or

NONE = size_or("none")


@pytest.mark.parametrize(("kind", "text", "value"), [
    pytest.param(SIZE_OR_SHARE, "20%", Share(0.2), id="a-share"),
    pytest.param(SIZE_OR_SHARE, "0.5 %", Share(0.005), id="a-small-share-with-a-space"),
    pytest.param(SIZE_OR_SHARE, "100%", Share(1.0), id="all-of-it"),
    pytest.param(SIZE_OR_SHARE, "2G", 2 * 1024**3, id="a-size"),
    pytest.param(SIZE_OR_SHARE, "unlimited", None, id="unlimited"),
    pytest.param(NONE, "256M", 256 * 1024**2, id="a-size-beside-a-word"),
    pytest.param(NONE, "none", None, id="the-word"),
])
def test_what_a_value_means(kind, text, value):
    assert kind.read(text) == value
    assert kind.read(kind.write(value)) == value


@pytest.mark.parametrize(("kind", "text", "right"), [
    pytest.param(SIZE_OR_SHARE, "0%", "at most 100%", id="nothing"),
    pytest.param(SIZE_OR_SHARE, "120%", "at most 100%", id="more-than-there-is"),
    pytest.param(SIZE_OR_SHARE, "%", "20%, or the word unlimited", id="no-number"),
    pytest.param(SIZE_OR_SHARE, "-5%", "20%, or the word unlimited", id="less-than-nothing"),
    pytest.param(SIZE_OR_SHARE, "lots", "20%, or the word unlimited", id="a-word-of-one-s-own"),
    pytest.param(NONE, "0", "or the word none", id="zero-means-none"),
    pytest.param(NONE, "unlimited", "or the word none", id="another-word"),
    pytest.param(NONE, "", "or the word none", id="empty"),
])
def test_what_makes_no_sense_is_told_with_what_would(kind, text, right):
    with pytest.raises(ValueError) as trouble:
        kind.read(text)
    what, _, suggestion = str(trouble.value).partition("\n")
    assert what
    assert right in suggestion
