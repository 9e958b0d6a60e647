"""Encoded words and charsets: RFC 2047 §8's examples, and input that wants to hurt."""

from __future__ import annotations

import encodings
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.mail.words import base64, codec_of, decode, decode_words


@pytest.mark.parametrize(("value", "text"), [
    pytest.param(b"(=?ISO-8859-1?Q?a?=)", "(a)", id="rfc2047-one"),
    pytest.param(b"(=?ISO-8859-1?Q?a?= b)", "(a b)", id="rfc2047-word-and-text"),
    pytest.param(b"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)", id="rfc2047-blank-between-goes"),
    pytest.param(b"(=?ISO-8859-1?Q?a?=  \r\n =?ISO-8859-1?Q?b?=)", "(ab)", id="rfc2047-folding-between-goes"),
    pytest.param(b"(=?ISO-8859-1?Q?a_b?=)", "(a b)", id="rfc2047-underscore"),
    pytest.param(b"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)", id="rfc2047-two-charsets"),
    pytest.param(b"=?utf-8?B?w7zDtg==?= plain", "\u00fc\u00f6 plain", id="base64"),
    pytest.param(b"=?utf-8?B?w7zD?= =?UTF-8?b?tg==?=", "\u00fc\u00f6", id="a-character-cut-in-two"),
    pytest.param(b"=?utf-8*en?q?x?=", "x", id="with-a-language"),
    pytest.param(b"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "\u65e5\u672c", id="iso-2022-jp"),
    pytest.param(b"=?x-nonsense?q?=C3=BC?=", "\u00fc", id="unknown-charset-is-utf8"),
    pytest.param(b"=?x-nonsense?q?=FC?=", "\u00fc", id="or-latin-1"),
    pytest.param(b"gr\xc3\xbcn", "gr\u00fcn", id="raw-utf8"),
    pytest.param(b"gr\xfcn", "gr\u00fcn", id="raw-latin-1"),
    pytest.param(b"=?utf-8?q?unfinished", "=?utf-8?q?unfinished", id="unfinished"),
    pytest.param(b"=?utf-8?B?AAA?=", "\0\0", id="torn-base64"),
    pytest.param(b"folded\r\n line", "folded line", id="folded"),
])  # fmt: skip
def test_decoding(value: bytes, text: str) -> None:
    assert decode_words(value) == text


@pytest.mark.parametrize("charset", ["punycode", "idna", "zip", "hex", "rot13", "unicode_escape", "uu", "undefined", "../../x", "utf-8\0"])
def test_codecs_that_are_no_charsets_are_unknown(charset: str) -> None:
    assert codec_of(charset) in (None, "utf_8")
    assert decode(b"abc", charset) == "abc"


def test_every_codec_of_the_table_decodes_anything() -> None:
    for name in {alias for alias in encodings.aliases.aliases if codec_of(alias)}:
        assert isinstance(decode(bytes(range(256)) + b"+&- ~{", name), str), name


@pytest.mark.parametrize("octets", [b"+2AA-", b"a+2ADYAA-b", b"+3AA-"])
def test_a_half_of_a_character_is_none(octets: bytes) -> None:
    """Python's UTF-7 lets them through, and whoever wrote them into a database or to a client would fail."""
    assert "\ufffd" in decode(octets, "utf-7")
    decode(octets, "utf-7").encode()
    assert decode(b"+2D3eAA-", "utf-7") == "\U0001f600"


def test_unknown_names_are_not_remembered() -> None:
    before = len(encodings._cache)  # type: ignore[attr-defined]
    for number in range(100):
        decode_words(b"=?x-nobody-%d?q?a?=" % number)
    assert len(encodings._cache) == before  # type: ignore[attr-defined]


def test_base64_skips_junk() -> None:
    assert base64(b"a G=V-s\r\nbG8") == b"hello"


@pytest.mark.parametrize("piece", [b"=?utf-8?q?a", b"=?utf-8?q?a?= ", b"=?", b"?=", b"=?a?b?"])
def test_a_long_value_is_quick(piece: bytes) -> None:
    began = time.thread_time()
    decode_words(piece * 200_000)
    assert time.thread_time() - began < 1.0


@settings(max_examples=200, deadline=None)
@given(st.binary(), st.sampled_from([b"utf-8", b"utf-7", b"iso-2022-kr", b"gb18030", b"hz", b"utf-16", b"big5", b"nope"]))
def test_nothing_raises(octets: bytes, charset: bytes) -> None:
    assert isinstance(decode_words(b"=?" + charset + b"?B?" + octets + b"?= " + octets), str)
    assert isinstance(decode(octets, charset.decode()), str)
