"""Passwords: how they are kept (argon2id, RFC 9106), how they are compared, how new ones are made up.

Blocking: a comparison takes about 60 ms of one core and 32 MiB, which is its
purpose; `accounts.verified` calls it in a thread and remembers what was right.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Sequence

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from twistmail.accounts.words import WORDS

#: About 60 ms on a small office's machine; above what RFC 9106 and OWASP ask for at least (19 MiB, 2 passes).
HASHER = argon2.PasswordHasher(time_cost=3, memory_cost=32 * 1024, parallelism=1)
#: A hash that no password gives, and that takes as long to refuse as any: what an unknown login is compared with.
NOBODYS = f"$argon2id$v=19$m={HASHER.memory_cost},t={HASHER.time_cost},p={HASHER.parallelism}${'bm9ib2R5' * 2}bm9ibw${'bm9ib2R5' * 5}bm8"
_ARGON2 = re.compile(r"\$argon2(?:id|i|d)\$v=\d{1,3}\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})\$[A-Za-z0-9+/]{8,128}\$[A-Za-z0-9+/]{8,128}")
_SCHEME = re.compile(r"\{([A-Za-z0-9.-]{1,32})\}")
#: What a stored hash may ask of us at most: KiB of memory, passes, lanes. A table may come from elsewhere.
MOST_WORK = (1024 * 1024, 64, 16)
KNOWN_SCHEMES = "ARGON2ID, ARGON2I, PLAIN"


class UnknownScheme(ValueError):
    """A stored password of a kind that we cannot compare; the text says which and what would do."""


def hash_password(password: str) -> str:
    """*password* as it is kept: `$argon2id$...`."""
    return HASHER.hash(password)


def plain(stored: str) -> str | None:
    """The password that *stored* holds in clear (`{PLAIN}secret`), or None where it is hashed. UnknownScheme."""
    kind, secret = _split(stored)
    return secret if kind == "PLAIN" else None


def verify(stored: str, password: str) -> bool:
    """Is *password* the one that *stored* was made of? UnknownScheme where *stored* is of no kind that we know."""
    kind, secret = _split(stored)
    if kind == "PLAIN":
        return hmac.compare_digest(secret.encode(), password.encode())
    try:
        return HASHER.verify(secret, password)
    except (VerificationError, InvalidHashError):
        return False


def needs_rehash(stored: str) -> bool:
    """Was *stored* made with other parameters than we would use now?"""
    kind, secret = _split(stored)
    return kind == "PLAIN" or HASHER.check_needs_rehash(secret)


def check(stored: str) -> str:
    """*stored* itself where `verify` will be able to compare it; UnknownScheme where not."""
    _split(stored)
    return stored


def _split(stored: str) -> tuple[str, str]:
    """("PLAIN", the password) or ("ARGON2", the encoded hash)."""
    scheme = _SCHEME.match(stored)
    kind = scheme[1].upper().removesuffix(".B64") if scheme else ""
    secret = stored[scheme.end() :] if scheme else stored
    if kind in ("PLAIN", "CLEARTEXT", "CLEAR"):
        return "PLAIN", secret
    work = _ARGON2.fullmatch(secret) if kind in ("", "ARGON2ID", "ARGON2I", "CRYPT") else None
    if work is None:
        raise UnknownScheme(f"a password of scheme {kind or 'unknown'} cannot be compared here\nknown schemes: {KNOWN_SCHEMES}")
    if any(int(asked) > most for asked, most in zip(work.groups(), MOST_WORK, strict=True)):
        raise UnknownScheme("a password hash asks for more memory or time than we give\nhash it again with ordinary parameters")
    return "ARGON2", secret


def generate(choose: Callable[[Sequence[str]], str]) -> str:
    """A new password for people, such as `paper-mango-42-quay`. *choose* picks by chance (`secrets.choice`).

    Three words of 512 and two digits: 33 bits, ten thousand years at the fifty guesses a day that one address gets.
    """
    return "-".join((choose(WORDS), choose(WORDS), choose(_NUMBERS), choose(WORDS)))


_NUMBERS = tuple(str(number) for number in range(10, 100))
