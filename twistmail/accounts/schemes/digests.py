"""Plain text and simple digests, with and without salt: what old programs and directories left behind. Compared, never chosen.

The names are Dovecot's; directories write theirs in the same way (RFC 2307).
"""

from __future__ import annotations

import hmac
from functools import partial
from hashlib import new

from twistmail.accounts.schemes.kept import Chance, Match, Scheme
from twistmail.accounts.schemes.md import cram_context, md4

SALT = 8


def digest(algorithm: str, octets: bytes) -> bytes:
    return new(algorithm, octets, usedforsecurity=False).digest()


# ----- in clear


def _read_plain(secret: bytes) -> Match:
    return lambda password, name: hmac.compare_digest(secret, password)


def _make_plain(password: bytes, name: str, chance: Chance) -> bytes:
    return password


def _read_truncated(secret: bytes) -> Match:
    """`8-longpass`: only so many octets are known."""
    count, dash, start = secret.partition(b"-")
    if dash and count.isdigit() and len(count) < 5:
        return lambda password, name: hmac.compare_digest(start, password[: int(count)])
    return _read_plain(secret)


# ----- digests


def _read_digest(algorithm: str, secret: bytes) -> Match:
    return lambda password, name: hmac.compare_digest(secret, digest(algorithm, password))


def _make_digest(algorithm: str, password: bytes, name: str, chance: Chance) -> bytes:
    return digest(algorithm, password)


def _read_salted(algorithm: str, secret: bytes) -> Match:
    """The digest of password and salt, then the salt itself."""
    size = new(algorithm, usedforsecurity=False).digest_size
    known, salt = secret[:size], secret[size:]
    if len(known) < size:
        raise ValueError("too short")
    return lambda password, name: hmac.compare_digest(known, digest(algorithm, password + salt))


def _make_salted(algorithm: str, password: bytes, name: str, chance: Chance) -> bytes:
    salt = chance(SALT)
    return digest(algorithm, password + salt) + salt


def _read_md4(secret: bytes) -> Match:
    return lambda password, name: hmac.compare_digest(secret, md4(password))


def _read_cram(secret: bytes) -> Match:
    return lambda password, name: hmac.compare_digest(secret, cram_context(password))


def _make_cram(password: bytes, name: str, chance: Chance) -> bytes:
    return cram_context(password)


def _with_realm(password: bytes, name: str) -> bytes:
    """RFC 2831 §2.1.2.1: user, realm and password; the realm is what stands behind the @."""
    user, _, realm = name.partition("@")
    return digest("md5", b":".join((user.encode(), realm.encode(), password)))


def _read_realm(secret: bytes) -> Match:
    return lambda password, name: hmac.compare_digest(secret, _with_realm(password, name))


def _make_realm(password: bytes, name: str, chance: Chance) -> bytes:
    return _with_realm(password, name)


# ----- the schemes


def _simple(name: str, algorithm: str, encoding: str = "base64") -> Scheme:
    size = new(algorithm, usedforsecurity=False).digest_size
    return Scheme(name, partial(_read_digest, algorithm), partial(_make_digest, algorithm), encoding, size)


def _salted(name: str, algorithm: str) -> Scheme:
    return Scheme(name, partial(_read_salted, algorithm), partial(_make_salted, algorithm), "base64")


def _clear(name: str) -> Scheme:
    return Scheme(name, _read_plain, _make_plain)


def _cram(name: str) -> Scheme:
    return Scheme(name, _read_cram, _make_cram, "hex", 32)


SCHEMES: tuple[Scheme, ...] = (
    *map(_clear, ("PLAIN", "CLEAR", "CLEARTEXT")),
    Scheme("PLAIN-TRUNC", _read_truncated),
    _simple("SHA", "sha1"),
    _simple("SHA1", "sha1"),
    _simple("SHA256", "sha256"),
    _simple("SHA512", "sha512"),
    _simple("LDAP-MD5", "md5"),
    _simple("PLAIN-MD5", "md5", "hex"),
    Scheme("PLAIN-MD4", _read_md4, None, "hex", 16),
    _salted("SSHA", "sha1"),
    _salted("SSHA256", "sha256"),
    _salted("SSHA512", "sha512"),
    _salted("SMD5", "md5"),
    *map(_cram, ("CRAM-MD5", "HMAC-MD5")),
    Scheme("DIGEST-MD5", _read_realm, _make_realm, "hex", 16),
)
#: Those whose secret is the password itself.
IN_CLEAR = frozenset({"PLAIN", "CLEAR", "CLEARTEXT"})
