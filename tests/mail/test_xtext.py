from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.mail import xtext

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS)
def test_what_is_encoded_is_decoded(text):
    assert xtext.encoded(text).isascii()
    assert not set(xtext.encoded(text)) & set(" =\r\n")
    assert xtext.decoded(xtext.encoded(text)) == text


@given(TEXTS)
def test_unitext_comes_back_too(text):
    assert xtext.to_unitext(text).isascii()
    assert not set(xtext.to_unitext(text)) & set(" +=\r\n")
    assert xtext.from_unitext(xtext.to_unitext(text)) == text


@given(TEXTS)
def test_nothing_makes_it_raise(text):
    xtext.decoded(text)
    xtext.from_unitext(text)
    xtext.original_recipient(text)


@pytest.mark.parametrize(("text", "meant"), [
    pytest.param("a+2Bb", "a+b", id="plus"),
    pytest.param("a+2bb", "a+2bb", id="lower-case-is-no-xtext"),
    pytest.param("a+", "a+", id="an-end-too-early"),
    pytest.param("+C3+B6", "ö", id="UTF-8"),
    pytest.param("+FF", "\ufffd", id="no-UTF-8"),
])  # fmt: skip
def test_xtext(text, meant):
    assert xtext.decoded(text) == meant


@pytest.mark.parametrize(("orcpt", "meant"), [
    pytest.param("RFC822;Bob+2Bx@far.test", ("rfc822", "Bob+x@far.test"), id="rfc822"),
    pytest.param("utf-8;j\\x{F6}rg@far.test", ("utf-8", "jörg@far.test"), id="unitext"),
    pytest.param("utf-8;jörg@far.test", ("utf-8", "jörg@far.test"), id="as-it-is"),
    pytest.param("utf-8;\\x{D800}\\x{110000}", ("utf-8", "\\x{D800}\\x{110000}"), id="no-characters"),
    pytest.param("bob", ("bob", ""), id="no-address"),
])  # fmt: skip
def test_the_original_recipient(orcpt, meant):
    assert xtext.original_recipient(orcpt) == meant
