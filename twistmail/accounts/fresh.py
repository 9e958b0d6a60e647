"""What is kept of a new password: its hash, and beside it keys for the mechanisms that prove a password without sending it.

The keys are weaker than the hash against whoever steals them, so they are kept
for those mechanisms only that [auth] mechanisms offers. Blocking: about 100 ms.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from twistmail.accounts import passwords
from twistmail.mail.evidence import HASHES, ScramKeys, scram_keys

#: RFC 7677 §4 wants 4096 at least, and more where telephones allow it: here the client's part takes about 30 ms.
ITERATIONS = 32_768
SALT = 16


def kinds(mechanisms: Iterable[str]) -> tuple[str, ...]:
    """Those of *mechanisms* (SASL's names, any case) for which keys are kept."""
    offered = {name.upper().removesuffix("-PLUS") for name in mechanisms}
    return tuple(kind for kind in HASHES if kind in offered)


def keep(password: str, kinds: Iterable[str] = ()) -> tuple[str, tuple[ScramKeys, ...]]:
    """The hash of *password*, and its keys for *kinds* ("SCRAM-SHA-256")."""
    keys = tuple(scram_keys(kind, password, secrets.token_bytes(SALT), ITERATIONS) for kind in kinds)
    return passwords.hash_password(password), keys
