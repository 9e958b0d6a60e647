"""argon2 (RFC 9106), in the one spelling that it has everywhere. What new passwords are kept as."""

from __future__ import annotations

import re
from functools import partial

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from twistmail.accounts.schemes.kept import MOST_MEMORY, Chance, Match, Scheme, TooMuchWork

#: About 60 ms on a small office's machine; above what RFC 9106 and OWASP ask for at least (19 MiB, 2 passes).
HASHER = argon2.PasswordHasher(time_cost=3, memory_cost=32 * 1024, parallelism=1)
#: KiB of memory, passes and lanes that a stored hash may ask for; and KiB times passes, which is what takes the time.
MOST = (MOST_MEMORY // 1024, 64, 16)
MOST_WORK = 4 * MOST[0]
_HASH = re.compile(rb"\$argon2(?:id|i|d)\$v=\d{1,3}\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})\$[A-Za-z0-9+/]{8,128}\$[A-Za-z0-9+/]{8,128}")


def _read(secret: bytes) -> Match:
    work = _HASH.fullmatch(secret)
    if work is None:
        raise ValueError("no argon2 hash")
    memory, passes, lanes = map(int, work.groups())
    if any(asked > most for asked, most in zip((memory, passes, lanes), MOST, strict=True)) or memory * passes > MOST_WORK:
        raise TooMuchWork
    return partial(_match, secret)


def _match(secret: bytes, password: bytes, name: str) -> bool:
    try:
        return HASHER.verify(secret, password)
    except (VerificationError, InvalidHashError):
        return False


def needs_rehash(secret: str) -> bool:
    """Was *secret* made with other parameters than `HASHER`'s?"""
    return HASHER.check_needs_rehash(secret)


def _make(password: bytes, name: str, chance: Chance) -> bytes:
    return HASHER.hash(password, salt=chance(16)).encode()


def _make_argon2i(password: bytes, name: str, chance: Chance) -> bytes:
    hasher = argon2.PasswordHasher(HASHER.time_cost + 1, HASHER.memory_cost, HASHER.parallelism, type=argon2.Type.I)
    return hasher.hash(password, salt=chance(16)).encode()


SCHEMES = (
    Scheme("ARGON2ID", _read, _make, slow=True),
    Scheme("ARGON2I", _read, _make_argon2i, slow=True),
    Scheme("ARGON2", _read, slow=True),
)
