"""Passwords: how they are kept (argon2id, RFC 9106), how they are compared, how new ones are judged and made up.

Blocking: a comparison takes about 60 ms of one core and 32 MiB, which is its
purpose; `accounts.verified` calls it in a thread and remembers what was right.
What other programs keep is understood as well (`schemes`), and replaced by
argon2id when its owner logs in.
"""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Callable, Sequence

from twistmail.accounts.schemes import argon
from twistmail.accounts.schemes.digests import IN_CLEAR
from twistmail.accounts.schemes.kept import UnknownScheme
from twistmail.accounts.schemes.reading import SCHEMES, names, read, written
from twistmail.accounts.words import WORDS
from twistmail.mail.evidence import HASHES, ScramKeys, decode

HASHER = argon.HASHER
#: A hash that no password gives, and that takes as long to refuse as any: what an unknown login is compared with.
NOBODYS = f"$argon2id$v=19$m={HASHER.memory_cost},t={HASHER.time_cost},p={HASHER.parallelism}${'bm9ib2R5' * 2}bm9ibw${'bm9ib2R5' * 5}bm8"
_OURS = NOBODYS[: NOBODYS.index("$", NOBODYS.index("p=")) + 1]
#: Octets of the longest password that is listened to: some schemes take time by the square of it.
LONGEST = 1024
#: So many different characters a new password must have at least.
FEWEST_CHARACTERS = 5


# ----- keeping


def hash_password(password: str, scheme: str = "", name: str = "") -> str:
    """*password* as it is kept: `$argon2id$...`, or `{SCHEME}...` where a *scheme* is named; DIGEST-MD5 mixes in the login *name*.

    UnknownScheme where there is no such scheme, or it is only understood; ValueError where it does not take the password.
    """
    if not scheme:
        return HASHER.hash(prepared(password))
    known = SCHEMES.get(scheme.upper())
    if known is None or known.make is None:
        raise UnknownScheme(f"passwords cannot be hashed by {scheme}\nthese can: {makeable()}")
    return written(known, known.make(prepared(password).encode(), name, secrets.token_bytes))


def makeable() -> str:
    """The schemes that `hash_password` knows, as people read them."""
    return names(scheme for scheme in SCHEMES.values() if scheme.make)


def prepared(password: str) -> str:
    """One spelling of what can be typed in several ways (RFC 8265 §4.2.2, OpaqueString)."""
    return password if password.isascii() else unicodedata.normalize("NFC", password)


# ----- comparing


def verify(stored: str, password: str, name: str = "") -> bool:
    """Is *password* the one that *stored* was made of, for the login *name*? UnknownScheme where *stored* is of no kind that we know."""
    matches = read(stored).matches
    if len(password) > LONGEST:
        return False
    return any(matches(form.encode("utf-8", "surrogateescape"), name) for form in dict.fromkeys((password, prepared(password))))


def plain(stored: str) -> str | None:
    """The password that *stored* holds in clear (`{PLAIN}secret`), or None where it is hashed. UnknownScheme."""
    secret = read(stored)
    return secret.octets.decode("utf-8", "surrogateescape") if secret.scheme.name in IN_CLEAR else None


def keys(stored: str) -> ScramKeys | None:
    """The keys of SCRAM that *stored* is (`{SCRAM-SHA-256}...`), or None where it is something else. UnknownScheme."""
    secret = read(stored)
    if secret.scheme.name not in HASHES:
        return None
    return decode(f"{{{secret.scheme.name}}}{secret.octets.decode()}")


def is_slow(stored: str) -> bool:
    """Does comparing with *stored* take long on purpose? UnknownScheme."""
    return stored.startswith("$argon2") or read(stored).scheme.slow


def needs_rehash(stored: str) -> bool:
    """Was *stored* made otherwise than we would now? UnknownScheme."""
    if stored.startswith(_OURS):  # asked at each login
        return False
    secret = read(stored)
    return not secret.octets.startswith(b"$argon2id$") or HASHER.check_needs_rehash(secret.octets.decode())


def check(stored: str) -> str:
    """*stored* itself where `verify` will be able to compare it; UnknownScheme where not."""
    read(stored)
    return stored


# ----- new ones


def complaint(password: str, shortest: int, name: str = "") -> str:
    """Why *password* cannot be the new one of the account *name*: a sentence for people; empty where it can.

    Length is what counts (NIST SP 800-63B §5.1.1.2): *shortest* characters, no rules about kinds of them.
    """
    if len(password) < shortest:
        return f"the password is shorter than {shortest} characters"
    if not password.isprintable():  # nor is what was no UTF-8
        return "the password holds a character that cannot be typed everywhere"
    if len(password.encode()) > LONGEST:
        return f"the password is longer than {LONGEST} octets"
    if len(set(password.casefold())) < FEWEST_CHARACTERS:
        return f"the password has fewer than {FEWEST_CHARACTERS} different characters"
    if name and password.casefold() in (name, name.partition("@")[0]):
        return "the password is the name of the account"
    return ""


def generate(choose: Callable[[Sequence[str]], str]) -> str:
    """A new password for people, such as `paper-mango-42-quay`. *choose* picks by chance (`secrets.choice`).

    Three words of 512 and two digits: 33 bits, ten thousand years at the fifty guesses a day that one address gets.
    """
    return "-".join((choose(WORDS), choose(WORDS), choose(_NUMBERS), choose(WORDS)))


_NUMBERS = tuple(str(number) for number in range(10, 100))
