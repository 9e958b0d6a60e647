"""How unique ids are spelled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.servers.pop3 import uniqueids

UIDVALIDITY, UID = 0x5F000001, 11


@pytest.mark.parametrize(("text", "spelled"), [
    pytest.param("%08Xu%08Xv", b"0000000b5f000001", id="dovecot"),
    pytest.param("%v.%u", b"1593835521.11", id="cyrus"),
    pytest.param("%u", b"11", id="the-uid-alone"),
    pytest.param("UID%u-%v", b"UID11-1593835521", id="words-around"),
    pytest.param("%010u", b"0000000011", id="decimal-with-zeros"),
    pytest.param("%%%u%%x%v", b"%11%x1593835521", id="percent-signs"),
    pytest.param("%v%u%v", b"1593835521111593835521", id="twice-the-same"),
])
def test_formats(text: str, spelled: bytes) -> None:
    assert uniqueids.read(text).within(UIDVALIDITY) % UID == spelled
    assert uniqueids.UNIQUE_IDS.write(uniqueids.read(text)) == text


@pytest.mark.parametrize("text", ["", "%v", "%u%u", "%f", "%8u", "%", "%u ", "%u\u00fc", "%u\n", "%061u%v", "x" * 61 + "%u", "%0Xu"])
def test_what_is_no_format_is_refused_with_advice(text: str) -> None:
    with pytest.raises(ValueError, match=r"\n.*%08Xu%08Xv"):
        uniqueids.read(text)


@given(st.integers(1, 0xFFFFFFFF), st.integers(1, 0xFFFFFFFF))
def test_any_unique_id_has_at_most_seventy_printable_characters(uid: int, uidvalidity: int) -> None:
    for text in ("%08Xu%08Xv", "%v.%u", "!~%u%%%v"):
        spelled = uniqueids.read(text).within(uidvalidity) % uid
        assert 1 <= len(spelled) <= 70
        assert all(0x21 <= octet <= 0x7E for octet in spelled)
