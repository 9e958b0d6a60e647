"""scrypt (RFC 7914), in the spellings that are about.

    $scrypt$ln=16,r=8,p=1$SALT$HASH        passlib, the PHC's: base64
    scrypt$N$SALT$R$P$HASH                 Django: the salt as it is written, the hash in base64
    scrypt:N:R:P$SALT$HEX                  Werkzeug: the salt as it is written
"""

from __future__ import annotations

import hmac
import re
from hashlib import scrypt

from twistmail.accounts.schemes.kept import Chance, Match, Scheme, bounded
from twistmail.accounts.schemes.spelling import BASE64, HEX, SALT, Spellings, octets, read, unpadded

#: What we make: N, r and p, as OWASP asks for; 64 MiB.
_MADE = (1 << 16, 8, 1)
#: Of N times r times p, so much takes as long as one round of a hash.
_WORK_OF_A_ROUND = 4
_COST, _SMALL = rb"(\d{1,8})", rb"(\d{1,3})"


def _memory(cost: int, blocks: int, lanes: int) -> int:
    return 128 * blocks * (cost + lanes + 2)


def _derived(factors: tuple[int, int, int], salt: bytes, known: bytes) -> Match:
    """What compares with *known*, by *factors* N, r and p. ValueError where there are no such ones, TooMuchWork."""
    cost, blocks, lanes = factors
    if cost < 2 or cost & (cost - 1) or not blocks or not lanes:
        raise ValueError("scrypt's cost is a power of two")
    memory = _memory(*factors)
    bounded(1 + cost * blocks * lanes // _WORK_OF_A_ROUND, memory)

    def match(password: bytes, name: str) -> bool:
        return hmac.compare_digest(known, scrypt(password, salt=salt, n=cost, r=blocks, p=lanes, maxmem=2 * memory, dklen=len(known)))

    return match


def _modular(log: bytes, blocks: bytes, lanes: bytes, salt: bytes, known: bytes) -> Match:
    return _derived((1 << int(log), int(blocks), int(lanes)), octets(salt), octets(known))


def _django(cost: bytes, salt: bytes, blocks: bytes, lanes: bytes, known: bytes) -> Match:
    return _derived((int(cost), int(blocks), int(lanes)), salt, octets(known))


def _werkzeug(cost: bytes, blocks: bytes, lanes: bytes, salt: bytes, known: bytes) -> Match:
    return _derived((int(cost), int(blocks), int(lanes)), salt, bytes.fromhex(known.decode()))


_SPELLINGS: Spellings = {
    re.compile(rb"\$scrypt\$ln=(\d{1,2}),r=%b,p=%b\$%b\$%b" % (_SMALL, _SMALL, SALT, BASE64)): _modular,
    re.compile(rb"scrypt\$%b\$%b\$%b\$%b\$%b" % (_COST, SALT, _SMALL, _SMALL, BASE64)): _django,
    re.compile(rb"scrypt:%b:%b:%b\$%b\$%b" % (_COST, _SMALL, _SMALL, SALT, HEX)): _werkzeug,
}


def _read(secret: bytes) -> Match:
    return read(_SPELLINGS, secret)


def _make(password: bytes, name: str, chance: Chance) -> bytes:
    cost, blocks, lanes = _MADE
    salt = chance(16)
    known = scrypt(password, salt=salt, n=cost, r=blocks, p=lanes, maxmem=2 * _memory(*_MADE), dklen=32)
    return b"$scrypt$ln=%d,r=%d,p=%d$%b$%b" % (cost.bit_length() - 1, blocks, lanes, unpadded(salt), unpadded(known))


SCHEMES = (Scheme("SCRYPT", _read, _make, slow=True),)
