"""The SHA and MD5 methods of crypt(3) in Python, for systems without a libcrypt that knows them.

SHA-crypt is Ulrich Drepper's "Unix crypt using SHA-256 and SHA-512" (2008), whose
steps are numbered there; the MD5 method is Poul-Henning Kamp's of FreeBSD.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from hashlib import md5, sha256, sha512
from typing import Any

ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SETTING = re.compile(rb"\$([156])\$(?:rounds=(\d{1,9})\$)?([^$]{0,16})")
#: Drepper's numbers: rounds by default, and the fewest that his method takes.
_ROUNDS, _FEWEST_ROUNDS = 5000, 1000
#: In which order three octets of a digest become four letters.
_ORDER_512 = tuple((place * 22 % 63, (place * 22 + 21) % 63, (place * 22 + 42) % 63) for place in range(21))
_ORDER_256 = tuple((place * 21 % 30, (place * 21 + 10) % 30, (place * 21 + 20) % 30) for place in range(10))
_ORDER_MD5 = ((0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5))

_md5 = partial(md5, usedforsecurity=False)


def crypt(password: bytes, setting: bytes) -> bytes | None:
    """*password* by the method, rounds and salt that *setting* begins with; None where it is none of ours."""
    found = _SETTING.match(setting)
    if found is None:
        return None
    method, rounds, salt = found.groups()
    if method == b"1":
        return b"$1$%b$%b" % (salt[:8], _crypt_md5(password, salt[:8])) if rounds is None else None
    count = int(rounds) if rounds else _ROUNDS
    if count < _FEWEST_ROUNDS:
        return None
    spelled = b"rounds=%d$" % count if rounds else b""
    hashed = _sha(sha512 if method == b"6" else sha256, password, salt, count)
    return b"$%b$%b%b$%b" % (method, spelled, salt, _letters_512(hashed) if method == b"6" else _letters_256(hashed))


def _sha(new: Any, password: bytes, salt: bytes, rounds: int) -> bytes:
    other = new(password + salt + password).digest()  # steps 4 to 8
    first = new(password + salt + _stretched(other, len(password)))  # 1 to 3, 9 and 10
    for bit in _bits(len(password)):  # 11
        first.update(other if bit else password)
    p = _stretched(new(password * len(password)).digest(), len(password))  # 13 to 16
    hashed = first.digest()  # 12
    s = new(salt * (16 + hashed[0])).digest()[: len(salt)]  # 17 to 20
    for turn in range(rounds):  # 21
        one = p if turn % 2 else hashed
        two = (s if turn % 3 else b"") + (p if turn % 7 else b"")
        hashed = new(one + two + (hashed if turn % 2 else p)).digest()
    return hashed


def _crypt_md5(password: bytes, salt: bytes) -> bytes:
    other = _md5(password + salt + password).digest()
    first = _md5(password + b"$1$" + salt + _stretched(other, len(password)))
    for bit in _bits(len(password)):
        first.update(b"\0" if bit else password[:1])
    hashed = first.digest()
    for turn in range(1000):
        one = password if turn % 2 else hashed
        two = (salt if turn % 3 else b"") + (password if turn % 7 else b"")
        hashed = _md5(one + two + (hashed if turn % 2 else password)).digest()
    return _letters(hashed, _ORDER_MD5) + _spelled(hashed[11], 2)


def _bits(number: int) -> Iterator[int]:
    """The bits of *number*, the least first."""
    while number:
        yield number & 1
        number >>= 1


def _stretched(octets: bytes, size: int) -> bytes:
    """So many octets of *octets* again and again."""
    return (octets * (size // len(octets) + 1))[:size]


# ----- letters


def _letters_512(hashed: bytes) -> bytes:
    return _letters(hashed, _ORDER_512) + _spelled(hashed[63], 2)


def _letters_256(hashed: bytes) -> bytes:
    return _letters(hashed, _ORDER_256) + _spelled(hashed[31] << 8 | hashed[30], 3)


def _letters(hashed: bytes, order: tuple[tuple[int, int, int], ...]) -> bytes:
    return b"".join(_spelled(hashed[high] << 16 | hashed[middle] << 8 | hashed[low], 4) for high, middle, low in order)


def _spelled(number: int, count: int) -> bytes:
    """*number* in so many letters, the least six bits first."""
    return "".join(ALPHABET[number >> 6 * place & 63] for place in range(count)).encode()
