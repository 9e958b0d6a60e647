"""The keys of SCRAM as they are kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.mail.evidence import Clear, ScramKeys, decode

#: What `doveadm pw -s SCRAM-SHA-256` makes.
DOVECOT = ("{SCRAM-SHA-256}4096,fl0jZbYc5bhzGgb5bYQMXA==,"
           "dCYwVmfmEH7pYkbMaLCbUo8FKLLZgrxTKO8pSxBBgQ4=,X2LVK8vKM7F3lNUHcI7ySeVDvU+hDpYYtSXdRMEl1c4=")


def test_what_dovecot_keeps_is_read() -> None:
    keys = decode(DOVECOT)
    assert (keys.mechanism, keys.iterations, len(keys.salt), len(keys.stored_key)) == ("SCRAM-SHA-256", 4096, 16, 32)
    assert keys.encoded == DOVECOT


KEYS = st.binary(min_size=20, max_size=20)


@given(st.binary(min_size=1, max_size=64), st.integers(1, 9_999_999), KEYS, KEYS)
def test_what_is_written_is_read_again(salt: bytes, iterations: int, stored: bytes, server: bytes) -> None:
    keys = ScramKeys("SCRAM-SHA-1", salt, iterations, stored, server)
    assert decode(keys.encoded) == keys


@pytest.mark.parametrize("text", [
    pytest.param("", id="nothing"),
    pytest.param(DOVECOT.replace("256", "512"), id="another-mechanism"),
    pytest.param(DOVECOT.replace("256", "1"), id="keys-of-another-size"),
    pytest.param(DOVECOT.replace("4096", "0"), id="no-iterations"),
    pytest.param(DOVECOT.replace("4096", "-1"), id="fewer"),
    pytest.param(DOVECOT.replace("fl0j", "fl0"), id="no-base64"),
    pytest.param(DOVECOT + ",x", id="more"),
])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        decode(text)


def test_neither_shows_what_it_holds() -> None:
    assert "hunter2" not in repr(Clear("hunter2"))
    assert "dCYw" not in repr(decode(DOVECOT))
    assert repr(decode(DOVECOT).stored_key) not in repr(decode(DOVECOT))
