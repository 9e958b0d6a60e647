"""Comparing passwords without paying 60 ms each time: who was right is remembered for a minute.

Mail programs log in again and again with the same password. A verified pair
(what is stored, what was given) is kept as a keyed hash, under a key that this
process made up and nobody else has; a changed password changes what is stored,
and so the pair is unknown at once. Wrong passwords are never remembered: they
always cost a comparison, and an unknown login costs the same one. So does a wrong
password for what is kept in a way that compares quickly.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from twistmail import tasks
from twistmail.accounts import passwords
from twistmail.interfaces import Unavailable

LIFETIME = 60.0
MOST_PAIRS = 10_000
#: Comparisons that may wait for a thread; beyond, logins are told to come later.
MOST_WAITING = 200


class Verifier:
    """Compares passwords in *threads*. *now*() gives seconds of any clock; *key* is 32 random octets of this process."""

    def __init__(self, threads: Any, now: Callable[[], float], key: bytes, *,
                 lifetime: float = LIFETIME, most_pairs: int = MOST_PAIRS) -> None:
        self._threads = threads
        self._now = now
        self._key = key
        self._lifetime = lifetime
        self._most_pairs = most_pairs
        self._until: OrderedDict[bytes, float] = OrderedDict()
        self._turns = tasks.Limit(2)

    async def matches(self, stored: str, password: str, name: str = "") -> bool:
        """Is *password* what *stored* was made of, for the login *name*?

        An empty *stored* is nobody's, and takes as long as a wrong password.
        Raises Unavailable where too many ask at once, and passwords.UnknownScheme.
        """
        if stored and not passwords.is_slow(stored):
            if passwords.verify(stored, password, name):
                return True
            stored = ""
        pair = self._pair(stored, password)
        if self._remembers(pair):
            return True
        async with self._turn():
            if self._remembers(pair):  # a program that opens five connections at once has been waiting for itself
                return True
            right = bool(await self._threads.run(passwords.verify, stored or passwords.NOBODYS, password, name))
            if right:
                self._remember(pair)
        return right

    async def work(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """What *work* returns, which is about a password and takes long, when it is its turn. Unavailable as in `matches`."""
        async with self._turn():
            return await self._threads.run(work, *arguments)

    def _turn(self) -> tasks.Limit:
        if self._turns.waiting >= MOST_WAITING:
            raise Unavailable("too many logins at once")
        return self._turns

    def _pair(self, stored: str, password: str) -> bytes:
        return hmac.digest(self._key, stored.encode() + b"\0" + password.encode(), "sha256")

    def _remembers(self, pair: bytes) -> bool:
        until = self._until.get(pair)
        if until is None:
            return False
        if self._now() < until:
            return True
        del self._until[pair]
        return False

    def _remember(self, pair: bytes) -> None:
        self._until[pair] = self._now() + self._lifetime
        self._until.move_to_end(pair)
        if len(self._until) > self._most_pairs:
            self._until.popitem(last=False)
