"""What proves a login without its password being sent: the keys of SCRAM (RFC 5802), or the password in clear."""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from dataclasses import field

from twistmail.mail.saslprep import saslprep
from twistmail.mail.values import frozen

#: `{SCRAM-SHA-256}4096,salt,stored key,server key`, the last three in base64: as Dovecot's `doveadm pw` writes it.
_ENCODED = re.compile(r"\{(SCRAM-SHA-(?:1|256))\}([0-9]{1,7}),([A-Za-z0-9+/=]{1,256}),([A-Za-z0-9+/=]{28,64}),([A-Za-z0-9+/=]{28,64})")
#: Octets of a key.
_KEY_SIZES = {"SCRAM-SHA-1": 20, "SCRAM-SHA-256": 32}
#: Mechanism -> the name of its hash in hashlib.
HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}


@frozen
class ScramKeys:
    """RFC 5802 §3: StoredKey and ServerKey of a password under `salt` and `iterations`. `mechanism` is "SCRAM-SHA-256" or "SCRAM-SHA-1"."""

    mechanism: str
    salt: bytes
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    @property
    def encoded(self) -> str:
        """As it is kept: `{SCRAM-SHA-256}4096,c2FsdA==,...`."""
        parts = (binascii.b2a_base64(octets, newline=False).decode() for octets in (self.salt, self.stored_key, self.server_key))
        return f"{{{self.mechanism}}}{self.iterations},{','.join(parts)}"


@frozen
class Clear:
    """A password that is kept in clear, from which any other evidence can be made."""

    password: str = field(repr=False)


Evidence = ScramKeys | Clear


@frozen
class TokenOwner:
    """Whose a bearer token is: a `login`; or, where it is nobody's, an `error` of RFC 6750 §3.1: "invalid_token", "insufficient_scope"."""

    login: str = ""
    error: str = ""


@frozen
class Accepted:
    """What came of a token of GSSAPI's: `reply` for the client; `login` once it is sure who that is (empty until then)."""

    reply: bytes
    login: str = ""


def decode(text: str) -> ScramKeys:
    """What `ScramKeys.encoded` wrote. ValueError where *text* is none."""
    match = _ENCODED.fullmatch(text)
    if match is None:
        raise ValueError("these are no keys of SCRAM\nwrite {SCRAM-SHA-256}ITERATIONS,SALT,STOREDKEY,SERVERKEY")
    mechanism, iterations, *encoded = match.groups()
    try:
        salt, stored, server = (binascii.a2b_base64(part, strict_mode=True) for part in encoded)
    except ValueError:
        raise ValueError("the keys of SCRAM are not base64") from None
    if len(stored) != _KEY_SIZES[mechanism] or len(server) != _KEY_SIZES[mechanism] or int(iterations) < 1:
        raise ValueError(f"the keys do not fit {mechanism}")
    return ScramKeys(mechanism, salt, int(iterations), stored, server)


def scram_keys(mechanism: str, password: str, salt: bytes, iterations: int) -> ScramKeys:
    """The keys of *password* (RFC 5802 §3). Takes about a millisecond per 2,000 iterations.

    A password that SASLprep forbids is taken as it was typed, as clients do that do not know SASLprep.
    """
    digest = HASHES[mechanism]
    try:
        prepared = saslprep(password)
    except ValueError:
        prepared = password
    salted = hashlib.pbkdf2_hmac(digest, prepared.encode(), salt, iterations)
    stored = hashlib.new(digest, hmac.digest(salted, b"Client Key", digest)).digest()
    return ScramKeys(mechanism, salt, iterations, stored, hmac.digest(salted, b"Server Key", digest))
