"""APOP (RFC 1939 §7): a digest of our greeting's timestamp and the password, for which the password must be kept in clear. Off by default.

MD5 is no secret keeper any more, and what is sent can be guessed at at leisure: it is for programs that know nothing better.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from twistmail.mail.evidence import Clear
from twistmail.mail.saslprep import saslprep
from twistmail.wire.sasl.exchange import Answer, Disproved, Malformed, NeedsEvidence, Proven, name


class ApopExchange:
    """One APOP, which ends in one step. *timestamp* with its angle brackets, *digest* as 32 hex digits in lower case."""

    mechanism = "APOP"

    def __init__(self, timestamp: bytes, login: bytes, digest: bytes) -> None:
        self._timestamp = timestamp
        self._octets = login
        self._login = ""
        self._digest = digest

    def step(self, data: bytes | None) -> Answer:
        """There is nothing more to be said: *data* is None."""
        try:
            self._login = name(self._octets)
        except ValueError as error:
            return Malformed(str(error))
        return NeedsEvidence(self._login, "PLAIN")

    def given(self, what: Any) -> Answer:
        """*what*: the `mail.evidence` of the login, of use only where it is Clear; None: there is none."""
        if not isinstance(what, Clear):
            return Disproved(self._login)
        right = hashlib.md5(self._timestamp + _prepared(what.password), usedforsecurity=False).hexdigest()
        return Proven(self._login, guessable=True) if hmac.compare_digest(right.encode(), self._digest) else Disproved(self._login)


def _prepared(password: str) -> bytes:
    """RFC 6856 §2.2: as both sides spell it; a password that cannot be prepared, as it is."""
    try:
        return saslprep(password).encode()
    except ValueError:
        return password.encode()
