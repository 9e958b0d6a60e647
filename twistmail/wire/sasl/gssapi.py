"""GSSAPI (RFC 4752), which is Kerberos: tickets go to and fro until both ends are sure, then it is agreed that TLS is all the security."""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

from twistmail.mail.evidence import Accepted
from twistmail.wire.sasl.exchange import LONGEST_RESPONSE, Answer, Challenge, Disproved, Malformed, NeedsWork, Proven, name

#: RFC 4752 §3.3: no security layer, and so no octets in it.
NO_LAYER = b"\x01\x00\x00\x00"
MOST_TOKENS = 10


class Context(Protocol):
    """The server's side of one security context. Everything here may block, and raises ValueError where the client is wrong."""

    def accept(self, token: bytes) -> Accepted:
        """What comes of the client's next token."""

    def wrap(self, message: bytes) -> bytes:
        """*message*, so that nobody can change it."""

    def unwrap(self, wrapped: bytes) -> bytes:
        """What the client has wrapped."""


class Gssapi:
    """One exchange. *context* is new."""

    mechanism = "GSSAPI"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tokens = 0
        self._login = ""
        self._offered = False

    def step(self, data: bytes | None) -> Answer:
        if data is None and not self._tokens:
            return Challenge(b"")
        if data is None or len(data) > LONGEST_RESPONSE or self._tokens == MOST_TOKENS:
            return Malformed("The response is missing, too long or one too many")
        self._tokens += 1
        if self._offered:
            return NeedsWork(partial(_tried, self._context.unwrap, data))
        if self._login:  # it has got our last token, and says nothing to it
            return NeedsWork(partial(_tried, self._context.wrap, NO_LAYER))
        return NeedsWork(partial(_tried, self._context.accept, data))

    def given(self, what: Any) -> Answer:
        """*what* the context has made of it; None: the client was wrong."""
        if what is None:
            return Disproved(self._login, guessable=False)
        if self._offered:
            return self._chosen(what)
        if isinstance(what, Accepted):
            self._login = what.login
            if what.reply or not what.login:
                return Challenge(what.reply)
            return NeedsWork(partial(_tried, self._context.wrap, NO_LAYER))
        self._offered = True
        return Challenge(what)

    def _chosen(self, message: bytes) -> Answer:
        """RFC 4752 §3.1: the layer that the client chooses, and whom it wants to act for."""
        if message[:4] != NO_LAYER:
            return Malformed("Only TLS is offered to protect what follows")
        try:
            return Proven(self._login, name(message[4:]) if len(message) > 4 else "")
        except ValueError as error:
            return Malformed(str(error))


def _tried(work: Any, octets: bytes) -> Any:
    try:
        return work(octets)
    except ValueError:
        return None
