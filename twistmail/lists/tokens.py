"""Words that nobody else can make: they stand for one member of one list in the addresses and pages that are only for him. Pure.

A token is a keyed hash, so nothing has to be kept of it, and it holds for as long as the server has its secret. Letters
may change their case on the way.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable

from twistmail.mail.address import Address

#: Purposes of tokens.
LEAVE, BOUNCE = "unsubscribe", "bounces"
#: Octets of the hash: ten make sixteen characters, and a guess hits once in 2^80.
SIZE = 10
LENGTH = 16
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz234567")


class Tokens:
    """*secret*: octets that only this house knows."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"lists", "sha256")

    def of(self, purpose: str, name: Address, member: Address) -> str:
        """What stands for *member* of the list *name*, for *purpose* only."""
        text = f"{purpose} {name.folded} {member.folded}".encode()
        return base64.b32encode(hmac.digest(self._key, text, "sha256")[:SIZE]).decode().lower()

    def is_one(self, text: str) -> bool:
        """Whether *text* could be one at all."""
        return len(text) == LENGTH and _LETTERS.issuperset(text.lower())


class Given:
    """The tokens of one list *name*, whoever made them, and for which members: a look is one step, however many there are."""

    def __init__(self, tokens: Tokens, name: Address, purposes: Iterable[str]) -> None:
        self._tokens = tokens
        self._name = name
        self._purposes = tuple(purposes)
        self._whose: dict[tuple[str, str], Address] = {}

    def of(self, purpose: str, member: Address) -> str:
        """What stands for *member*, and will be known when it comes back."""
        token = self._tokens.of(purpose, self._name, member)
        self._whose[purpose, token] = member.folded
        return token

    def add(self, members: Iterable[Address]) -> None:
        """Those of *members* will be known. Some microseconds for each: in a thread."""
        for member in members:
            for purpose in self._purposes:
                self.of(purpose, member)

    def whose(self, purpose: str, token: str) -> Address | None:
        """Whom it stands for, folded; None for nobody. Letters may have changed their case on the way."""
        return self._whose.get((purpose, token.lower()))
