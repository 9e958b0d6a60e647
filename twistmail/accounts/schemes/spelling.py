"""How libraries spell salts, rounds and hashes in one line of text, and finding out which of several spellings it is."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping

from twistmail.accounts.schemes.kept import Match

ROUNDS = rb"(\d{1,9})"
SALT = rb"([^$\0]{0,256})"
BASE64 = rb"([A-Za-z0-9+/.]{16,128}={0,2})"
HEX = rb"((?:[0-9A-Fa-f]{2}){16,128})"

#: A spelling, and what becomes of its groups.
Spellings = Mapping[re.Pattern[bytes], Callable[..., Match]]


def read(spellings: Spellings, secret: bytes) -> Match:
    """What compares with *secret*, by the first of *spellings* that it has. ValueError where it has none of them."""
    for pattern, reader in spellings.items():
        if found := pattern.fullmatch(secret):
            return reader(*found.groups())
    raise ValueError("spelled in no way that we know")


def octets(text: bytes) -> bytes:
    """*text* in base64, padded or not, with passlib's . for + or not. ValueError."""
    text = text.replace(b".", b"+").rstrip(b"=")
    return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)


def unpadded(octets: bytes) -> bytes:
    """base64 as the PHC's string format wants it."""
    return base64.b64encode(octets).rstrip(b"=")
