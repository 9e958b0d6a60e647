"""The SHA and MD5 methods of crypt(3) in Python say what every libcrypt says."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.accounts.schemes import crypts, shacrypt
from twistmail.accounts.schemes.md import md4

PASSWORDS = ("", "x", "secret", "a password of more than thirty-two letters", "y" * 64, "z" * 65, "ä" * 99)


@pytest.mark.skipif(crypts.library() is None, reason="this system has no crypt(3)")
@pytest.mark.parametrize("password", [pytest.param(password, id=f"{len(password)}-letters") for password in PASSWORDS])
@pytest.mark.parametrize("setting", [
    pytest.param(b"$1$$", id="md5-without-salt"),
    pytest.param(b"$1$abcdefgh$", id="md5"),
    pytest.param(b"$5$rounds=1000$saltsalt", id="sha256"),
    pytest.param(b"$5$rounds=10$rounds", id="sha256-with-fewer-rounds-than-it-takes"),
    pytest.param(b"$6$rounds=1001$abcdefghijklmnop", id="sha512"),
    pytest.param(b"$6$shortsalt", id="sha512-by-default"),
])
def test_it_says_what_libcrypt_says(setting: bytes, password: str) -> None:
    library = crypts.library()
    assert library is not None
    assert shacrypt.crypt(password.encode(), setting) == library(password.encode(), setting)


def test_an_example_of_drepper() -> None:
    assert shacrypt.crypt(b"Hello world!", b"$6$saltstring") == (
        b"$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
    )


@pytest.mark.parametrize("setting", [b"$2b$05$salt", b"$y$j9T$salt", b"ab", b"", b"$1$rounds=99$salt", b"$5$rounds=999$salt"])
def test_other_methods_are_not_known(setting: bytes) -> None:
    assert shacrypt.crypt(b"secret", setting) is None


def test_without_a_libcrypt_the_common_hashes_are_compared_and_the_others_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypts, "library", lambda: None)
    made = crypts.crypt(b"secret", b"$5$salt$")
    assert made == b"$5$salt$kpa26zwgX83BPSR8d7w93OIXbFt/d3UOTZaAu5vsTM6"
    with pytest.raises(crypts.UnknownScheme, match="crypt"):
        crypts.crypt(b"secret", b"ab")


@pytest.mark.parametrize(("octets", "digest"), [
    (b"", "31d6cfe0d16ae931b73c59d7e0c089c0"),
    (b"abc", "a448017aaf21d8525fc10ae87aa6729d"),
    (b"12345678901234567890123456789012345678901234567890123456789012345678901234567890", "e33b4ddc9c38f2199c3e7b164fcc0536"),
])
def test_md4_of_its_rfc(octets: bytes, digest: str) -> None:
    """RFC 1320 appendix A.5."""
    assert md4(octets).hex() == digest


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_a_cram_context_goes_on_to_the_hmac_of_the_key(key: bytes) -> None:
    """What Dovecot keeps is where HMAC-MD5 stands after its key: of an empty text it would make the known HMAC."""
    import hmac
    import struct

    from twistmail.accounts.schemes import md

    states = struct.unpack("<8I", md.cram_context(key))

    def ended(state: tuple[int, ...], text: bytes) -> bytes:
        """MD5 from *state* on, of a *text* that fills one block with its end."""
        block = text + b"\x80" + bytes(55 - len(text)) + struct.pack("<Q", 8 * (64 + len(text)))
        return struct.pack("<4I", *md._md5_block(state, block))  # type: ignore[arg-type]

    assert ended(states[:4], ended(states[4:], b"challenge")) == hmac.digest(key, b"challenge", hashlib.md5)
