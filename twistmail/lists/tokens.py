"""Words that nobody else can make: they stand for one member of one list in the addresses and pages that are only for him. Pure.

A token is a keyed hash, so nothing has to be kept of it, and it holds for as long as the server has its secret. Letters
may change their case on the way.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable

from twistmail.mail.address import Address

#: Octets of the hash: ten make sixteen characters, and a guess hits once in 2^80.
SIZE = 10


class Tokens:
    """*secret*: octets that only this house knows."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"lists", "sha256")

    def of(self, purpose: str, name: Address, member: Address) -> str:
        """What stands for *member* of the list *name*, for *purpose* only."""
        text = f"{purpose} {name.folded} {member.folded}".encode()
        return base64.b32encode(hmac.digest(self._key, text, "sha256")[:SIZE]).decode().lower()

    def whose(self, token: str, purpose: str, name: Address, members: Iterable[Address]) -> Address | None:
        """Which of *members* it stands for; None for none of them. A microsecond for each."""
        wanted = token.lower().encode()
        return next((one for one in members if hmac.compare_digest(self.of(purpose, name, one).encode(), wanted)), None)
