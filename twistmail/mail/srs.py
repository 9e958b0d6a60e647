"""Sender Rewriting Scheme: a sender that somebody else's domain may be used for, and that still leads back to who it was.

Who forwards a stranger's message sends it from a machine that the stranger's SPF record does not know. So the
envelope's sender becomes one of the forwarder's own, with the old one in its local part (Meng Weng Wong, "SRS"):

    SRS0=hash=day=far.test=ann@here.test             for ann@far.test
    SRS1=hash=far.test==hash=day=...@here.test       for what far.test has rewritten already

A report to such an address comes back to us and is sent on to the old one. The hash is keyed, so nobody else can
make one, and the day is in it, so it leads somewhere for some weeks only. Letters may change their case on the way,
and mean the same. Pure: the day is an argument.
"""

from __future__ import annotations

import hmac
import re

from twistmail.mail.address import LONGEST_LOCAL_PART, Address, canonical_domain
from twistmail.mail.values import frozen

#: What a day and a hash are written with: five bits a character, and the case does not matter.
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
#: Days are counted round in as many as two characters can tell.
ROUND = 32 * 32
#: Characters of a hash: a guess hits once in 2^30.
HASH = 6

#: What follows SRS0 or SRS1. Others write + or - where we write =.
_MARK = re.compile(r"SRS([01])([=+\-])(.*)", re.IGNORECASE | re.DOTALL)


class Forged(ValueError):
    """The hash is not ours, or nothing makes sense: nobody was given this address by us."""


class Expired(ValueError):
    """The address was ours, and is too old."""


@frozen
class Srs:
    """`secrets`: keys, the newest first; it signs, all are believed. `domain`: where the new addresses are. `days` they last."""

    secrets: tuple[bytes, ...]
    domain: str
    days: int = 21

    def forward(self, sender: Address, today: int) -> Address | None:
        """What *sender* becomes on day number *today*; None where that would be longer than a local part may be.

        Of what another forwarder has made only he is remembered, with what he wrote, so addresses do not grow on and on.
        """
        match = _MARK.fullmatch(sender.local)
        rewritten = None if match is None else self._again(match, sender.domain)
        local = rewritten or self._first(sender, today)
        return Address(local, self.domain) if len(local.encode()) <= LONGEST_LOCAL_PART else None

    def _first(self, sender: Address, today: int) -> str:
        day = _written(today % ROUND, 2)
        signed = self._hash(self.secrets[0], "0", day, sender.domain, sender.local)
        return f"SRS0={signed}={day}={sender.domain}={sender.local}"

    def _again(self, match: re.Match[str], domain: str) -> str | None:
        """For an SRS0 of *domain*, or an SRS1 of whoever; None where it only looks like one."""
        number, separator, rest = match.groups()
        host, inner = domain, separator + rest
        if number == "1":
            _, _, named = rest.partition("=")
            host, mark, behind = named.partition("=")
            if not mark or not behind or not _is_domain(host):
                return None
            inner = behind
        return f"SRS1={self._hash(self.secrets[0], '1', host, inner)}={host}={inner}"

    def back(self, address: Address, today: int) -> Address:
        """Whom *address*, one of `domain`, stands for. Raises Forged and Expired."""
        match = _MARK.fullmatch(address.local)
        if match is None:
            raise Forged("it is no forwarding address")
        return self._to_forwarder(match[3]) if match[1] == "1" else self._to_sender(match[3], today)

    def _to_sender(self, rest: str, today: int) -> Address:
        words = rest.split("=", 3)
        if len(words) < 4 or not words[3] or not _is_domain(words[2]):
            raise Forged("it is not whole")
        signed, day, domain, local = words
        self._check(signed, "0", day, domain, local)
        if (today - _read(day) + 1) % ROUND > self.days + 1:  # another machine's day may begin a little earlier
            raise Expired("it was made too long ago")
        return Address(local, canonical_domain(domain))

    def _to_forwarder(self, rest: str) -> Address:
        words = rest.split("=", 2)
        if len(words) < 3 or len(words[2]) < 2 or not _is_domain(words[1]):
            raise Forged("it is not whole")
        signed, host, inner = words
        self._check(signed, "1", host, inner)
        return Address("SRS0" + inner, canonical_domain(host))

    def _check(self, signed: str, *words: str) -> None:
        given = signed.lower().encode()
        if not any(hmac.compare_digest(self._hash(secret, *words).encode(), given) for secret in self.secrets):
            raise Forged("its hash is not ours")

    def _hash(self, secret: bytes, *words: str) -> str:
        digest = hmac.digest(secret, "=".join(words).lower().encode(), "sha256")
        return _written(int.from_bytes(digest[:8], "big") >> 64 - 5 * HASH, HASH)


def is_srs(address: Address) -> bool:
    """Whether *address* looks like one that a forwarder has made."""
    return _MARK.fullmatch(address.local) is not None


def _is_domain(text: str) -> bool:
    try:
        return bool(canonical_domain(text))
    except ValueError:
        return False


def _written(number: int, size: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(size)))


def _read(word: str) -> int:
    number = 0
    for character in word.lower():
        number = number << 5 | ALPHABET.index(character)
    return number
