"""Strict base64."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.wire.sasl.spelling import decode, encode


@pytest.mark.parametrize(("line", "octets"), [
    pytest.param(b"=", b"", id="the-empty-initial-response"),
    pytest.param(b"", b"", id="nothing"),
    pytest.param(b"AGFubgBzZWNyZXQ=", b"\0ann\0secret", id="plain"),
    pytest.param(b"AGFubgBzZWNyZXQ", None, id="no-padding"),
    pytest.param(b"AGFubg BzZWNyZXQ=", None, id="space"),
    pytest.param(b"AGFubg\nBzZWNyZXQ=", None, id="line-feed"),
    pytest.param(b"AGFu=bgBzZWNyZXQ", None, id="padding-inside"),
    pytest.param(b"AA==AA==", None, id="two-in-one"),
    pytest.param(b"A===", None, id="too-much-padding"),
    pytest.param(b"-_-_", None, id="the-other-alphabet"),
    pytest.param(b"\xff\xff\xff\xff", None, id="not-ascii"),
])
def test_base64_is_read_strictly(line: bytes, octets: bytes | None) -> None:
    assert decode(line) == octets


@given(st.binary(max_size=200))
def test_what_is_encoded_decodes(data: bytes) -> None:
    assert decode(encode(data)) == data


@given(st.binary(max_size=60))
def test_what_decodes_is_what_the_library_reads(line: bytes) -> None:
    decoded = decode(line)
    if decoded is not None and line != b"=":
        assert base64.b64encode(decoded).rstrip(b"=") == line.rstrip(b"=") or base64.b64decode(line) == decoded
