"""PBKDF2 (RFC 8018 §5.2), in the spellings that are about, and the keys of SCRAM, which are made by it.

    $1$SALT$ROUNDS$HEX                     Dovecot's {PBKDF2}: SHA-1, the salt as it is written
    $pbkdf2-sha256$ROUNDS$SALT$HASH        passlib (base64 with . for +); with i=ROUNDS,l=LENGTH the PHC's
    {PBKDF2-SHA256}ROUNDS$SALT$HASH        passlib for directories
    pbkdf2_sha256$ROUNDS$SALT$HASH         Django
    pbkdf2:sha256:ROUNDS$SALT$HEX          Werkzeug
    ROUNDS,SALT,STORED,SERVER              Dovecot's {SCRAM-SHA-256}

Salts and hashes are base64 where nothing else is named.
"""

from __future__ import annotations

import hmac
import re
from functools import partial
from hashlib import pbkdf2_hmac

from twistmail.accounts.schemes.kept import Chance, Match, Scheme, bounded
from twistmail.accounts.schemes.spelling import BASE64, HEX, ROUNDS, SALT, Spellings, octets, read, unpadded
from twistmail.mail.evidence import ScramKeys, decode, scram_keys

_HASHES = rb"(sha1|sha224|sha256|sha384|sha512)"
#: Rounds of what we make: of HMAC-SHA-256 as OWASP asks for; what doveadm makes of PBKDF2, and of SCRAM (RFC 7677 §4).
_MADE, _MADE_FOR_DOVECOT, _MADE_FOR_SCRAM = 600_000, 5000, 4096


def _derived(algorithm: str, rounds: bytes, salt: bytes, known: bytes) -> Match:
    count = bounded(int(rounds))
    return lambda password, name: hmac.compare_digest(known, pbkdf2_hmac(algorithm, password, salt, count, len(known)))


def _dovecot(salt: bytes, rounds: bytes, known: bytes) -> Match:
    return _derived("sha1", rounds, salt, bytes.fromhex(known.decode()))


def _modular(algorithm: bytes | None, rounds: bytes, salt: bytes, known: bytes) -> Match:
    return _derived((algorithm or b"sha1").decode(), rounds, octets(salt), octets(known))


def _django(algorithm: bytes, rounds: bytes, salt: bytes, known: bytes) -> Match:
    return _derived(algorithm.decode(), rounds, salt, octets(known))


def _werkzeug(algorithm: bytes, rounds: bytes, salt: bytes, known: bytes) -> Match:
    return _derived(algorithm.decode(), rounds, salt, bytes.fromhex(known.decode()))


_SPELLINGS: Spellings = {
    re.compile(rb"\$1\$%b\$%b\$%b" % (SALT, ROUNDS, HEX)): _dovecot,
    re.compile(rb"\$pbkdf2(?:-%b)?\$(?:i=)?%b(?:,l=\d{1,3})?\$%b\$%b" % (_HASHES, ROUNDS, SALT, BASE64)): _modular,
    re.compile(rb"pbkdf2_%b\$%b\$%b\$%b" % (_HASHES, ROUNDS, SALT, BASE64)): _django,
    re.compile(rb"pbkdf2:%b:%b\$%b\$%b" % (_HASHES, ROUNDS, SALT, HEX)): _werkzeug,
}


def _read(prefix: bytes, secret: bytes) -> Match:
    return read(_SPELLINGS, prefix + secret if secret[:1].isdigit() else secret)


def _make_for_dovecot(password: bytes, name: str, chance: Chance) -> bytes:
    salt = unpadded(chance(12))
    known = pbkdf2_hmac("sha1", password, salt, _MADE_FOR_DOVECOT)
    return b"$1$%b$%d$%b" % (salt, _MADE_FOR_DOVECOT, known.hex().encode())


def _make(algorithm: str, password: bytes, name: str, chance: Chance) -> bytes:
    salt = chance(16)
    hashed = (unpadded(part).replace(b"+", b".") for part in (salt, pbkdf2_hmac(algorithm, password, salt, _MADE)))
    return b"$pbkdf2-%b$%d$%b" % (algorithm.encode(), _MADE, b"$".join(hashed))


# ----- SCRAM (RFC 5802 §3)


def _read_scram(mechanism: str, secret: bytes) -> Match:
    keys = decode(f"{{{mechanism}}}{secret.decode()}")
    bounded(keys.iterations)
    return partial(_match_scram, keys)


def _match_scram(keys: ScramKeys, password: bytes, name: str) -> bool:
    made = scram_keys(keys.mechanism, password.decode("utf-8", "replace"), keys.salt, keys.iterations)
    return hmac.compare_digest(made.stored_key + made.server_key, keys.stored_key + keys.server_key)


def _make_scram(mechanism: str, password: bytes, name: str, chance: Chance) -> bytes:
    made = scram_keys(mechanism, password.decode(), chance(16), _MADE_FOR_SCRAM)
    return made.encoded.partition("}")[2].encode()


def _scram(mechanism: str) -> Scheme:
    return Scheme(mechanism, partial(_read_scram, mechanism), partial(_make_scram, mechanism), slow=True)


def _pbkdf2(name: str, algorithm: str) -> Scheme:
    return Scheme(name, partial(_read, b"$pbkdf2-%b$" % algorithm.encode()), partial(_make, algorithm), slow=True)


SCHEMES = (
    Scheme("PBKDF2", partial(_read, b"$pbkdf2$"), _make_for_dovecot, slow=True),
    _pbkdf2("PBKDF2-SHA256", "sha256"),
    _pbkdf2("PBKDF2-SHA512", "sha512"),
    _scram("SCRAM-SHA-1"),
    _scram("SCRAM-SHA-256"),
)
