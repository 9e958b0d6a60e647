"""A stored password as text: `{SCHEME}secret`, `{SCHEME.b64}secret`, or a hash that says itself what it is."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from itertools import chain

from twistmail.accounts.schemes import argon, crypts, digests, otp, pbkdf2, scrypts
from twistmail.accounts.schemes.kept import Match, Scheme, UnknownScheme
from twistmail.mail.values import frozen

#: By name, in the order in which they are told.
SCHEMES: dict[str, Scheme] = {
    scheme.name: scheme
    for scheme in chain(argon.SCHEMES, scrypts.SCHEMES, pbkdf2.SCHEMES, crypts.SCHEMES, digests.SCHEMES, otp.SCHEMES)
}
LONGEST = 4096
_NAMED = re.compile(r"\{([A-Za-z0-9-]{1,32})(?:\.(b64|base64|hex))?\}", re.IGNORECASE)
#: How what has no name begins, and what it is. DES has no mark but its length.
_BEGINNINGS = (
    ("$argon2", "ARGON2"),
    ("$scrypt$", "SCRYPT"),
    ("scrypt", "SCRYPT"),
    ("$pbkdf2", "PBKDF2"),
    ("pbkdf2", "PBKDF2"),
    ("$", "CRYPT"),
    ("_", "CRYPT"),
)
_DES = re.compile(r"[./0-9A-Za-z]{13}")
#: What Django writes before a hash that says itself what it is.
_DJANGO = re.compile(r"argon2(?=\$argon2)|bcrypt\$(?=\$2)")
#: Two names for one thing: Dovecot's {MD5} is whichever of these it looks like.
_LIKE_MD5 = {24: "LDAP-MD5", 32: "PLAIN-MD5"}


@frozen
class Secret:
    """A stored password, read: its scheme and the octets that it keeps."""

    scheme: Scheme
    octets: bytes
    matches: Match


def read(stored: str) -> Secret:
    """What *stored* is. UnknownScheme where we cannot compare with it."""
    scheme, encoding, text = _told_apart(stored)
    try:
        octets = _decoded(scheme, encoding, text)
        return Secret(scheme, octets, scheme.read(octets))
    except UnknownScheme:
        raise
    except ValueError:
        raise UnknownScheme(f"what is kept of a password is no {scheme.name}\nmake a hash: twistmail user hash") from None


def _told_apart(stored: str) -> tuple[Scheme, str, str]:
    """The scheme, the encoding that a suffix names, and the rest."""
    named = _NAMED.match(stored)
    if len(stored) > LONGEST:
        raise UnknownScheme(f"what is kept of a password is longer than {LONGEST} octets\nmake a hash: twistmail user hash")
    if named is None:
        text = stored[found.end() :] if (found := _DJANGO.match(stored)) else stored
        return SCHEMES[_kind(text)], "", text
    name, suffix, text = named[1].upper(), (named[2] or "").lower(), stored[named.end() :]
    if name == "MD5" and not suffix:
        name = _LIKE_MD5.get(len(text), name)
    if name not in SCHEMES:
        raise UnknownScheme(f"a password of scheme {name} cannot be compared here\nknown schemes: {names(SCHEMES.values())}")
    return SCHEMES[name], "hex" if suffix == "hex" else "base64" if suffix else "", text


def _kind(text: str) -> str:
    for beginning, name in _BEGINNINGS:
        if text.startswith(beginning):
            return name
    if _DES.fullmatch(text):
        return "DES-CRYPT"
    raise UnknownScheme(f"a password of scheme unknown cannot be compared here\nknown schemes: {names(SCHEMES.values())}")


def _decoded(scheme: Scheme, encoding: str, text: str) -> bytes:
    """The octets of *text*. As Dovecot has it, the length of a digest tells how it is written, whatever the name says. ValueError."""
    if scheme.length and scheme.encoding:
        encoding = "hex" if len(text) == 2 * scheme.length else "base64"
    encoding = encoding or scheme.encoding
    if not encoding:
        return text.encode()
    octets = bytes.fromhex(text) if encoding == "hex" else _from_base64(text)
    if scheme.length and len(octets) != scheme.length:
        raise ValueError("of another length")
    return octets


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise ValueError("no base64") from None


def written(scheme: Scheme, octets: bytes) -> str:
    """`{SCHEME}` and what is kept, as text."""
    if scheme.encoding == "hex":
        text = octets.hex()
    else:
        text = (base64.b64encode(octets) if scheme.encoding else octets).decode()
    return f"{{{scheme.name}}}{text}"


def names(schemes: Iterable[Scheme]) -> str:
    """As people read them."""
    return ", ".join(scheme.name for scheme in schemes)
