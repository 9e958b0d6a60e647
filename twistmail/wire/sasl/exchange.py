"""What every SASL exchange (RFC 4422) has in common: its answers, its limits, and how names are read; pure.

A protocol gives decoded responses to a conversation (`servers.conversation`),
which gives them to `Exchange.step` and looks at the Answer. A Challenge is said;
what an exchange *needs* (keys, a verdict on a token, work in a thread) is
fetched and given to `Exchange.given`, which answers in turn; in the end somebody
has sent Credentials, is Proven to be somebody or not (Disproved), or has said
what is none of the mechanism (Malformed). How a challenge is spelled (334, +,
"+ ") is the protocol's own business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any, Protocol

from twistmail.mail.saslprep import saslprep
from twistmail.mail.values import frozen

#: Octets of one decoded response (limits.md: a line of 12,288 holds 9,216 decoded).
LONGEST_RESPONSE = 9216
#: Octets of a name (RFC 4616 §2 wants at least 255) and of a password; longer ones are nobody's.
LONGEST_NAME = 255
LONGEST_PASSWORD = 1024


@frozen
class Challenge:
    """To be said to the client (still undone by base64), who answers it."""

    data: bytes


@frozen
class NeedsEvidence:
    """`given` wants what is kept for *login* by which it can prove itself without its password being sent: an `Evidence` (`mail.evidence`).

    *kind* as `interfaces.IAuthenticator.evidence` has it: "SCRAM-SHA-256", "SCRAM-SHA-1" or "PLAIN".
    """

    login: str
    kind: str


@frozen
class NeedsVerdict:
    """`given` wants to know whose bearer token this is: the login, or what is wrong with it in a word of RFC 7628 §3.2.2."""

    token: str = field(repr=False)


@frozen
class NeedsWork:
    """`given` wants what *work*() returns, which may block."""

    work: Callable[[], Any]


@frozen
class Credentials:
    """What the client claims. `authzid` is whom he wants to act for; empty: himself."""

    login: str
    password: str = field(repr=False)
    authzid: str = ""


@frozen
class Proven:
    """Who the client is has been proved already. `authzid` as in Credentials.

    `final`: octets that tell the client so, and prove to it who we are. `guessable`: a password stood behind the proof.
    """

    login: str
    authzid: str = ""
    final: bytes = b""
    guessable: bool = False


@frozen
class Disproved:
    """The client is not who it said it is: `login`, empty where it named nobody."""

    login: str
    guessable: bool = True


@frozen
class Malformed:
    """The client's response is none of this mechanism; `text` says why and quotes nothing of it."""

    text: str


Need = NeedsEvidence | NeedsVerdict | NeedsWork
End = Credentials | Proven | Disproved
Answer = Challenge | Need | End | Malformed


class Exchange(Protocol):
    """One conversation in one mechanism."""

    mechanism: str

    def step(self, data: bytes | None) -> Answer:
        """What follows from the client's next response; None: there was no initial response."""

    def given(self, what: Any) -> Answer:
        """What follows from *what* the last answer needed. Never called where none has needed anything."""


class SelfContained:
    """For exchanges that need nothing."""

    def given(self, what: Any) -> Answer:
        raise AssertionError("nothing was needed")


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


def name(octets: bytes) -> str:
    """The name that *octets* spell, prepared for comparison (RFC 4013; a query, RFC 3454 §7). ValueError says in words why it is none."""
    if not octets:
        raise ValueError("The name must not be empty")
    if len(octets) > LONGEST_NAME:
        raise ValueError("The name is too long")
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise ValueError("The name must be UTF-8") from None
    return saslprep(text, query=True)
