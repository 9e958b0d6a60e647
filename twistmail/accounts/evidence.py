"""What proves a login without its password being sent (`mail.evidence`), taken from what is kept of an account."""

from __future__ import annotations

import hmac

from twistmail.accounts import passwords
from twistmail.accounts.fresh import ITERATIONS, SALT
from twistmail.accounts.secrets import Entry
from twistmail.mail.evidence import HASHES, Clear, Evidence, ScramKeys

CLEAR = "PLAIN"


def evidence_of(entry: Entry, kind: str) -> Evidence | None:
    """What *entry* has for *kind*: the keys, or the password where that is kept in clear; None: neither."""
    try:
        clear, own = (passwords.plain(entry.secret), passwords.keys(entry.secret)) if entry.secret else (None, None)
    except passwords.UnknownScheme:
        clear, own = None, None
    if clear is not None:
        return Clear(clear)
    return next((keys for keys in ((own, *entry.keys) if own else entry.keys) if keys.mechanism == kind), None)


def provable(entry: Entry, kind: str) -> bool:
    """Whether *kind* would do wherever a password does: nobody who can log in would fail for choosing it.

    Of app passwords only hashes are kept, and which of them a program has, it does not say before we have to answer.
    """
    if entry.app_passwords:
        return False
    return not (entry.secret or entry.keys) or evidence_of(entry, kind) is not None


def made_up(name: str, kind: str, secret: bytes) -> ScramKeys:
    """Keys that no password fits, always the same for *name* (RFC 5802 §9: nothing tells who exists). *secret* is known to nobody."""
    words = (f"{word}\0{kind}\0{name}".encode() for word in ("salt", "stored", "server"))
    salt, stored, server = (hmac.digest(secret, word, HASHES[kind]) for word in words)
    return ScramKeys(kind, salt[:SALT], ITERATIONS, stored, server)
