"""One-time passwords (RFC 2289) as Dovecot keeps them: `sha1 1024 SEED HEX`, the last link of a chain of hashes.

Compared with the password that the chain begins with; the chain does not get shorter by that.
"""

from __future__ import annotations

import hmac
import re
import struct
from collections.abc import Callable
from hashlib import md5, sha1

from twistmail.accounts.schemes.kept import Match, Scheme
from twistmail.accounts.schemes.md import md4

_KEPT = re.compile(rb"(md4|md5|sha1) (\d{1,4}) ([A-Za-z0-9]{1,32}) ([0-9A-Fa-f]{16})")


def _fold(words: tuple[int, ...]) -> bytes:
    """64 bits of the four or five *words* of a digest (RFC 2289 appendix A)."""
    first, second = words[0] ^ words[2], words[1] ^ words[3]
    if len(words) == 5:
        first ^= words[4]
    return struct.pack("<2I", first, second)


def _md4(octets: bytes) -> bytes:
    return _fold(struct.unpack("<4I", md4(octets)))


def _md5(octets: bytes) -> bytes:
    return _fold(struct.unpack("<4I", md5(octets, usedforsecurity=False).digest()))


def _sha1(octets: bytes) -> bytes:
    return _fold(struct.unpack(">5I", sha1(octets, usedforsecurity=False).digest()))


_STEPS: dict[bytes, Callable[[bytes], bytes]] = {b"md4": _md4, b"md5": _md5, b"sha1": _sha1}


def _read(secret: bytes) -> Match:
    found = _KEPT.fullmatch(secret)
    if found is None:
        raise ValueError("no one-time password")
    step, count, seed, known = _STEPS[found[1]], int(found[2]), found[3].lower(), bytes.fromhex(found[4].decode())

    def match(password: bytes, name: str) -> bool:
        link = seed + password
        for _ in range(count + 1):
            link = step(link)
        return hmac.compare_digest(link, known)

    return match


SCHEMES = (Scheme("OTP", _read, slow=True),)
