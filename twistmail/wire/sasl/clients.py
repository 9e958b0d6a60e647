"""The client's side of SASL: how we log in at a smart host, with SCRAM (RFC 5802), PLAIN (RFC 4616) or LOGIN. Pure.

`begin` chooses the strongest mechanism that is offered. A login answers the
server's challenges in order (`answer`); `believed` tells at the end whether the
server has proved, where the mechanism lets it, that it knows the password too.
What is slow is handed out as `Work` for a thread. How a challenge is spelled
(334, base64) is the protocol's business.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Collection
from typing import Protocol

from twistmail.mail.evidence import HASHES
from twistmail.mail.saslprep import saslprep
from twistmail.mail.values import frozen
from twistmail.wire.sasl.spelling import decode, encode

#: RFC 7677 §4 wants 4,096 iterations at least; a server that wants more than this wants us busy.
FEWEST_ITERATIONS, MOST_ITERATIONS = 4096, 1_000_000
#: Octets of one challenge, decoded.
LONGEST_CHALLENGE = 9216
_GS2_HEADER = b"n,,"  # RFC 5801 §4: no channel binding, for oneself


class Unfit(Exception):
    """The server's challenge is none of the mechanism, or shows that it does not know the password. The text says which."""


@frozen
class Work:
    """The answer is what *work*() returns, which takes its time (and raises Unfit)."""

    work: Callable[[], bytes]


class Login(Protocol):
    """One login. `initial`: what goes with the name of the mechanism (RFC 4954 §4), or None."""

    mechanism: str
    initial: bytes | None

    @property
    def believed(self) -> bool:
        """Whether the server may now say that it has let us in."""

    def answer(self, challenge: bytes) -> bytes | Work:
        """What follows from the server's next challenge. Raises Unfit."""


class Plain:
    """One message: nobody else NUL login NUL password (RFC 4616 §2)."""

    mechanism = "PLAIN"
    believed = True

    def __init__(self, login: str, password: str) -> None:
        self.initial: bytes | None = b"\0%b\0%b" % (login.encode(), password.encode())

    def answer(self, challenge: bytes) -> bytes | Work:
        raise Unfit("PLAIN has nothing more to say")


class AskedFor:
    """LOGIN (draft-murchison-sasl-login): the server asks for the name and then for the password, in words that do not matter."""

    mechanism = "LOGIN"
    initial: bytes | None = None
    believed = True

    def __init__(self, login: str, password: str) -> None:
        self._left = [password.encode(), login.encode()]

    def answer(self, challenge: bytes) -> bytes | Work:
        if not self._left:
            raise Unfit("LOGIN has nothing more to say")
        return self._left.pop()


class Scram:
    """RFC 5802 §5. *nonce* is our half, printable without a comma and never used before."""

    def __init__(self, mechanism: str, login: str, password: str, nonce: str) -> None:
        self.mechanism = mechanism
        self._hash = HASHES[mechanism]
        self._password = _prepared(password).encode()
        self._nonce = nonce.encode("ascii")
        self._bare = b"n=%b,r=%b" % (_prepared(login).replace("=", "=3D").replace(",", "=2C").encode(), self._nonce)
        self.initial: bytes | None = _GS2_HEADER + self._bare
        self._verifier = b""
        self._challenges = 0
        self.believed = False

    def answer(self, challenge: bytes) -> bytes | Work:
        self._challenges += 1
        if len(challenge) > LONGEST_CHALLENGE:
            raise Unfit("a challenge of SCRAM is too long")
        if self._challenges == 1:
            return self._final(challenge)
        if self._challenges == 2 and self._verifier and hmac.compare_digest(challenge, self._verifier):
            self.believed = True
            return b""
        raise Unfit("the server has not proved that it knows the password")

    def _final(self, challenge: bytes) -> Work:
        """RFC 5802 §5.1: the server's half of the nonce begins with ours; what we do not know after `i` does not matter."""
        nonce, salt, iterations = _told(challenge)
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise Unfit("the server's nonce does not begin with ours")
        return Work(lambda: self._proof(challenge, nonce, salt, iterations))

    def _proof(self, challenge: bytes, nonce: bytes, salt: bytes, iterations: int) -> bytes:
        """RFC 5802 §3."""
        salted = hashlib.pbkdf2_hmac(self._hash, self._password, salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", self._hash)
        without_proof = b"c=%b,r=%b" % (encode(_GS2_HEADER), nonce)
        message = b",".join((self._bare, challenge, without_proof))
        signature = hmac.digest(hashlib.new(self._hash, client_key).digest(), message, self._hash)
        self._verifier = b"v=" + encode(hmac.digest(hmac.digest(salted, b"Server Key", self._hash), message, self._hash))
        return without_proof + b",p=" + encode(bytes(left ^ right for left, right in zip(client_key, signature, strict=True)))


def _told(challenge: bytes) -> tuple[bytes, bytes, int]:
    """Nonce, salt and iterations of the server's first message. Raises Unfit."""
    attributes = challenge.split(b",")
    if len(attributes) < 3 or [attribute[:2] for attribute in attributes[:3]] != [b"r=", b"s=", b"i="]:
        raise Unfit("that is no first message of SCRAM")
    nonce, salt, count = (attribute[2:] for attribute in attributes[:3])
    plain = decode(salt)
    if not plain or not count.isdigit() or len(count) > 9:
        raise Unfit("the salt or the iterations of SCRAM cannot be read")
    if not FEWEST_ITERATIONS <= int(count) <= MOST_ITERATIONS:
        raise Unfit(f"{int(count)} iterations of SCRAM are too few or too many")
    return nonce, plain, int(count)


def _prepared(text: str) -> str:
    """RFC 5802 §2.2; what SASLprep forbids is taken as it was typed."""
    try:
        return saslprep(text)
    except ValueError:
        return text


def begin(offered: Collection[str], login: str, password: str, nonce: Callable[[], str]) -> Login | None:
    """A login by the strongest mechanism of *offered* (names in upper case) that we know; None where we know none."""
    for mechanism in HASHES:  # the stronger first
        if mechanism in offered:
            return Scram(mechanism, login, password, nonce())
    if "PLAIN" in offered:
        return Plain(login, password)
    return AskedFor(login, password) if "LOGIN" in offered else None
