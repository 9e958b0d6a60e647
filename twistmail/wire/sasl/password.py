"""Mechanisms in which the password itself is sent: PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login)."""

from __future__ import annotations

from twistmail.wire.sasl.exchange import LONGEST_RESPONSE, Answer, Challenge, Malformed, SelfContained, credentials


class Plain(SelfContained):
    """RFC 4616: one message, authzid NUL authcid NUL passwd. Names are compared as typed; SASLprep is left to accounts."""

    mechanism = "PLAIN"

    def step(self, data: bytes | None) -> Answer:
        if data is None:
            return Challenge(b"")
        if len(data) > LONGEST_RESPONSE:
            return Malformed("The response is too long")
        parts = data.split(b"\0")
        if len(parts) != 3:
            return Malformed("PLAIN wants a name to act for, a login and a password, divided by NUL")
        authzid, login, password = parts
        return credentials(login, password, authzid)


class LoginExchange(SelfContained):
    """Two questions. The prompts are those that old clients compare."""

    mechanism = "LOGIN"

    def __init__(self) -> None:
        self._login: bytes | None = None
        self._asked = False

    def step(self, data: bytes | None) -> Answer:
        if data is None and not self._asked:
            self._asked = True
            return Challenge(b"Username:")
        if data is None or len(data) > LONGEST_RESPONSE:
            return Malformed("The response is missing or too long")
        if self._login is None:
            self._login = data
            return Challenge(b"Password:")
        return credentials(self._login, data)
