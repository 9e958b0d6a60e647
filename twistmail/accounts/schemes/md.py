"""MD4 (RFC 1320), which OpenSSL no longer gives, and the state that MD5 (RFC 1321) has after one block, which Python does not give.

Only for reading what Dovecot keeps: {PLAIN-MD4}, and {CRAM-MD5}, which is where
HMAC-MD5 stands after its key. Both are short inputs; speed is no matter.
"""

from __future__ import annotations

import struct
from hashlib import md5
from math import floor, sin

_START = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
_MASK = 0xFFFFFFFF
_BLOCK = 64
_MD5_SINES = tuple(floor(abs(sin(step + 1)) * 2**32) for step in range(64))
_MD5_SHIFTS = ((7, 12, 17, 22), (5, 9, 14, 20), (4, 11, 16, 23), (6, 10, 15, 21))
#: (addend, order of words, shifts) of MD4's three rounds.
_MD4_ROUNDS = (
    (0, tuple(range(16)), (3, 7, 11, 19)),
    (0x5A827999, (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), (3, 5, 9, 13)),
    (0x6ED9EBA1, (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15), (3, 9, 11, 15)),
)
_State = tuple[int, int, int, int]


def md4(octets: bytes) -> bytes:
    """The MD4 digest of *octets*."""
    padded = octets + b"\x80" + bytes(-(len(octets) + 9) % _BLOCK) + struct.pack("<Q", len(octets) * 8 & (2**64 - 1))
    state: _State = _START
    for place in range(0, len(padded), _BLOCK):
        state = _md4_block(state, padded[place : place + _BLOCK])
    return struct.pack("<4I", *state)


def cram_context(key: bytes) -> bytes:
    """HMAC-MD5 (RFC 2104) after its *key*: the state of the outer and then of the inner MD5, as Dovecot keeps it."""
    if len(key) > _BLOCK:
        key = md5(key, usedforsecurity=False).digest()
    padded = key.ljust(_BLOCK, b"\0")
    outer = _md5_block(_START, bytes(octet ^ 0x5C for octet in padded))
    inner = _md5_block(_START, bytes(octet ^ 0x36 for octet in padded))
    return struct.pack("<8I", *outer, *inner)


def _left(value: int, places: int) -> int:
    return ((value << places) | (value >> (32 - places))) & _MASK


def _md4_block(state: _State, block: bytes) -> _State:
    words = struct.unpack("<16I", block)
    a, b, c, d = state
    for number, (addend, order, shifts) in enumerate(_MD4_ROUNDS):
        for step, place in enumerate(order):
            mixed = (b & c) | (~b & d) if number == 0 else (b & c) | (b & d) | (c & d) if number == 1 else b ^ c ^ d
            a, b, c, d = d, _left((a + (mixed & _MASK) + words[place] + addend) & _MASK, shifts[step % 4]), b, c
    return _sum(state, (a, b, c, d))


def _md5_block(state: _State, block: bytes) -> _State:
    words = struct.unpack("<16I", block)
    a, b, c, d = state
    for step, addend in enumerate(_MD5_SINES):
        round_ = step // 16
        if round_ == 0:
            mixed, place = (b & c) | (~b & d), step
        elif round_ == 1:
            mixed, place = (d & b) | (~d & c), (5 * step + 1) % 16
        elif round_ == 2:
            mixed, place = b ^ c ^ d, (3 * step + 5) % 16
        else:
            mixed, place = c ^ (b | (~d & _MASK)), 7 * step % 16
        turned = _left((a + (mixed & _MASK) + addend + words[place]) & _MASK, _MD5_SHIFTS[round_][step % 4])
        a, b, c, d = d, (b + turned) & _MASK, b, c
    return _sum(state, (a, b, c, d))


def _sum(before: _State, after: _State) -> _State:
    a, b, c, d = ((one + other) & _MASK for one, other in zip(before, after, strict=True))
    return a, b, c, d
