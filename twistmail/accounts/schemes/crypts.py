"""crypt(3): what /etc/shadow, htpasswd and Dovecot keep, told apart by how it begins.

bcrypt comes from the package of that name. The others are computed by the
system's libcrypt, outside Python's lock; where a system has none, those that are
common are computed here (`shacrypt`), and DES and yescrypt are not known.
"""

from __future__ import annotations

import ctypes
import hmac
import re
from collections.abc import Callable
from functools import cache, partial

import bcrypt

from twistmail.accounts.schemes import shacrypt
from twistmail.accounts.schemes.kept import Chance, Match, Scheme, TooMuchWork, UnknownScheme, bounded

ALPHABET = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LIBRARIES = ("libcrypt.so.2", "libcrypt.so.1", None)  # None: the C library itself, as in musl
#: struct crypt_data is 128 KiB in the old C library and 32 KiB in libxcrypt.
_ROOM = 256 * 1024
#: libcrypt's own limit (CRYPT_MAX_PASSPHRASE_SIZE); and what of a password bcrypt looks at.
_LONGEST, _LONGEST_BCRYPT = 511, 72
#: bcrypt takes 2**cost turns, 15 is about two seconds.
_DEAREST_BCRYPT = 15
_MADE_BCRYPT, _SALT = 12, 16

Crypt = Callable[[bytes, bytes], bytes | None]


@cache
def library() -> Crypt | None:
    """crypt(password, setting) of the system, None where it has no such thing. Gives None for what it does not know."""
    for name in _LIBRARIES:
        try:
            function = ctypes.CDLL(name).crypt_r
        except (OSError, AttributeError):
            continue
        function.argtypes, function.restype = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p), ctypes.c_char_p
        return partial(_crypt_r, function)
    return None


def _crypt_r(function: Callable[..., bytes | None], password: bytes, setting: bytes) -> bytes | None:
    made = function(password, setting, ctypes.create_string_buffer(_ROOM))
    return None if not made or made.startswith(b"*") else made


def _compare(secret: bytes, password: bytes, name: str) -> bool:
    """Is *secret* what crypt(3) makes of *password*? UnknownScheme where no crypt(3) here knows its kind."""
    if b"\0" in password or len(password) > _LONGEST:
        return False  # no C string, or none that crypt(3) takes
    made = crypt(password, secret)
    return hmac.compare_digest(made, secret)


def crypt(password: bytes, setting: bytes) -> bytes:
    """*password* by crypt(3) with the method, salt and rounds that *setting* begins with. UnknownScheme."""
    system = library()
    made = system(password, setting) if system else shacrypt.crypt(password, setting)
    if made is None:
        raise UnknownScheme("crypt(3) of this system does not know a password's hash\ngive its owner a new password")
    return made


def _compare_bcrypt(secret: bytes, password: bytes, name: str) -> bool:
    return b"\0" not in password and hmac.compare_digest(bcrypt.hashpw(password[:_LONGEST_BCRYPT], secret), secret)


# ----- how each begins, and what it may ask of us


def _plainly(secret: bytes, *groups: bytes | None) -> Match:
    return partial(_compare, secret)


def _with_rounds(secret: bytes, rounds: bytes | None) -> Match:
    bounded(int(rounds or b"1"))
    return partial(_compare, secret)


def _with_count(secret: bytes, count: bytes) -> Match:
    """BSDi's DES: 24 bits, least first, of turns that take four times as long as a round of a hash."""
    bounded(4 * sum(ALPHABET.index(digit) << 6 * place for place, digit in enumerate(count)) or 1)
    return partial(_compare, secret)


def _bcrypt(secret: bytes, cost: bytes) -> Match:
    if int(cost) > _DEAREST_BCRYPT:
        raise TooMuchWork
    return partial(_compare_bcrypt, secret)


def _yescrypt(secret: bytes, cost: bytes) -> Match:
    """j9T to jFT are the costs 5 to 11: 16 MiB to 1 GiB, of which we give half."""
    if ALPHABET.index(cost) > ALPHABET.index(b"E"):
        raise TooMuchWork
    return partial(_compare, secret)


_A = rb"[./0-9A-Za-z]"
_DES = re.compile(rb"%b{13}" % _A)
_MD5 = re.compile(rb"\$1\$[^$:\n\0]{0,8}\$%b{22}" % _A)
_SHA256 = re.compile(rb"\$5\$(?:rounds=(\d{1,9})\$)?[^$:\n\0]{0,16}\$%b{43}" % _A)
_SHA512 = re.compile(rb"\$6\$(?:rounds=(\d{1,9})\$)?[^$:\n\0]{0,16}\$%b{86}" % _A)
_BLF = re.compile(rb"\$2[aby]\$(\d\d)\$%b{53}" % _A)
_KINDS: dict[re.Pattern[bytes], Callable[..., Match]] = {
    _SHA512: _with_rounds,
    _SHA256: _with_rounds,
    _BLF: _bcrypt,
    _MD5: _plainly,
    _DES: _plainly,
    re.compile(rb"_(%b{4})%b{15}" % (_A, _A)): _with_count,
    re.compile(rb"\$sha1\$(\d{1,9})\$%b{0,64}\$%b{28}" % (_A, _A)): _with_rounds,
    re.compile(rb"\$g?y\$j(%b)T\$%b{0,86}\$%b{43}" % (_A, _A, _A)): _yescrypt,
    re.compile(rb"\$7\$(%b)U\.\.\.\./\.\.\.\.%b{0,64}\$%b{43}" % (_A, _A, _A)): _yescrypt,
}


def _read(kinds: tuple[re.Pattern[bytes], ...], secret: bytes) -> Match:
    for pattern in kinds:
        if found := pattern.fullmatch(secret):
            return _KINDS[pattern](secret, *found.groups())
    raise ValueError("no hash of crypt(3)")


# ----- making


def _letters(chance: Chance) -> bytes:
    """A salt."""
    return bytes(ALPHABET[octet % 64] for octet in chance(_SALT))


def _make(setting: bytes, password: bytes, name: str, chance: Chance) -> bytes:
    if b"\0" in password or len(password) > _LONGEST:
        raise ValueError(f"crypt(3) takes no password with a NUL, or of more than {_LONGEST} octets")
    return crypt(password, setting + _letters(chance))


def _make_bcrypt(password: bytes, name: str, chance: Chance) -> bytes:
    if b"\0" in password:
        raise ValueError("bcrypt takes no password with a NUL")
    salt = b"$2b$%02d$%b" % (_MADE_BCRYPT, bcrypt.gensalt()[7:])
    return bcrypt.hashpw(password[:_LONGEST_BCRYPT], salt)


SCHEMES = (
    Scheme("CRYPT", partial(_read, tuple(_KINDS)), slow=True),
    Scheme("BLF-CRYPT", partial(_read, (_BLF,)), _make_bcrypt, slow=True),
    Scheme("SHA512-CRYPT", partial(_read, (_SHA512,)), partial(_make, b"$6$"), slow=True),
    Scheme("SHA256-CRYPT", partial(_read, (_SHA256,)), partial(_make, b"$5$"), slow=True),
    Scheme("MD5-CRYPT", partial(_read, (_MD5,)), slow=True),
    Scheme("MD5", partial(_read, (_MD5,)), slow=True),
    Scheme("DES-CRYPT", partial(_read, (_DES,)), slow=True),
)
