"""SASL exchanges (RFC 4422) on the server's side: PLAIN (RFC 4616), LOGIN and EXTERNAL; pure.

A protocol gives decoded responses to `Exchange.step` and says the challenges it
gets back, until an exchange ends in `Credentials`, `Proven` or `Malformed`. How a
challenge is spelled (334, +, "+ ") is the protocol's own business; base64 is
done here, once, strictly.

An exchange that proves the password instead of sending it (SCRAM) will need
stored keys in mid-course: it gets a further kind of answer, which names the
login whose keys the next `step` is to be given. Whoever handles `Answer`
therefore ends its `match` with the answers that it knows, and nothing is
assumed of their order.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass, field
from typing import Protocol

#: Octets of one decoded response (limits.md: a line of 12,288 holds 9,216 decoded).
LONGEST_RESPONSE = 9216
#: Octets of a name (RFC 4616 §2 wants at least 255) and of a password; longer ones are nobody's.
LONGEST_NAME = 255
LONGEST_PASSWORD = 1024


@dataclass(frozen=True, slots=True)
class Challenge:
    """To be said to the client (still undone by base64), who answers it."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the client claims. `authzid` is whom he wants to act for; empty: himself."""

    login: str
    password: str = field(repr=False)
    authzid: str = ""


@dataclass(frozen=True, slots=True)
class Proven:
    """Who the client is has been proved already: `login` is the name in its certificate. `authzid` as in Credentials."""

    login: str
    authzid: str = ""


@dataclass(frozen=True, slots=True)
class Malformed:
    """The client's response is none of this mechanism; `text` says why and quotes nothing of it."""

    text: str


Answer = Challenge | Credentials | Proven | Malformed


class Exchange(Protocol):
    """One conversation in one mechanism."""

    mechanism: str

    def step(self, data: bytes | None) -> Answer:
        """What follows from the client's next response; None: there was no initial response."""


class Plain:
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


class LoginExchange:
    """LOGIN (draft-murchison-sasl-login): two questions. The prompts are those that old clients compare."""

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


class External:
    """RFC 4422 appendix A: one message, the authorization identity or nothing. *client* is whom TLS has shown."""

    mechanism = "EXTERNAL"

    def __init__(self, client: str) -> None:
        self._client = client

    def step(self, data: bytes | None) -> Answer:
        if data is None:
            return Challenge(b"")
        if len(data) > LONGEST_NAME:
            return Malformed("The name is too long")
        try:
            authzid = data.decode()
        except UnicodeDecodeError:
            return Malformed("The name must be UTF-8")
        if not authzid.isprintable():
            return Malformed("The name must not hold control characters")
        return Proven(self._client, authzid)


def credentials(login: bytes, password: bytes, authzid: bytes = b"") -> Credentials | Malformed:
    """What these octets claim; for PASS and IMAP's LOGIN too, so that every way in has the same limits."""
    if not login or not password:
        return Malformed("Login and password must not be empty")
    if len(login) > LONGEST_NAME or len(authzid) > LONGEST_NAME or len(password) > LONGEST_PASSWORD:
        return Malformed("Login or password is too long")
    try:
        names = login.decode(), authzid.decode()
        secret = password.decode()
    except UnicodeDecodeError:
        return Malformed("Login and password must be UTF-8")
    if not all(name.isprintable() for name in names) or "\0" in secret:
        return Malformed("Login and password must not hold control characters")
    return Credentials(names[0], secret, names[1])


EXTERNAL = External.mechanism
#: Mechanism name -> what begins an exchange in it in which a password is sent.
EXCHANGES: dict[str, type[Plain] | type[LoginExchange]] = {"PLAIN": Plain, "LOGIN": LoginExchange}


def begin(mechanism: str, client: str = "") -> Exchange | None:
    """A new exchange in *mechanism* (upper case), or None where we do not speak it.

    *client*: whom the connection has been shown to come from, without which there is no EXTERNAL.
    """
    if mechanism == EXTERNAL:
        return External(client) if client else None
    exchange = EXCHANGES.get(mechanism)
    return exchange() if exchange else None


def decode(line: bytes) -> bytes | None:
    """The octets that *line* spells in base64 (RFC 4648 §4, padded, nothing else in it), or None where it is not base64.

    `=` alone is the empty initial response (RFC 4954 §4, RFC 5034 §4).
    """
    if line == b"=":
        return b""
    try:
        return binascii.a2b_base64(line, strict_mode=True)
    except ValueError:
        return None


def encode(data: bytes) -> bytes:
    """*data* as base64 in one line."""
    return binascii.b2a_base64(data, newline=False)
