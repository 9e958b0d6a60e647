"""What an SMTP session is given, and what it says: the parts of one service, and every fixed reply."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from twistmail.drafts import Drafts
from twistmail.expansion import Expansion
from twistmail.facts import Facts
from twistmail.interfaces import Pickup
from twistmail.mail.envelope import Role
from twistmail.mail.status import Status
from twistmail.mailflow import Reception
from twistmail.options import Settings
from twistmail.policy.pipeline import Pipeline
from twistmail.servers.login import Login
from twistmail.servers.stress import Stress
from twistmail.servers.urls import Urls
from twistmail.wire.smtp.content import Limits


@dataclass(frozen=True, slots=True)
class SmtpService:
    """The parts of one SMTP service. `settings` are those of [mx] or [submission]; `login` None: AUTH is not offered.

    `threads` is a `tasks.Threads`, `clock` an IReactorTime, `epoch` gives POSIX seconds. `tls_available`: there is a
    certificate, so STARTTLS can be offered. `release` is what ETRN asks for: it starts delivery of what waits for a domain
    and says how many messages that are, None where the peer may not ask for that domain; None: nothing is ever kept back.
    `for_users`: what holds for a peer of this service once it has logged in; None: nothing changes.
    `urls` tells what URLs of messages here mean; None: BURL is not offered.
    `stress` tells when strangers have to hurry; it outlives a reload.
    """

    hostname: str
    role: Role
    settings: Settings
    policy: Pipeline
    expansion: Expansion
    reception: Reception
    login: Login | None
    facts: Facts
    threads: Any
    drafts: Drafts
    clock: Any
    epoch: Callable[[], float]
    identifiers: Iterator[str]
    tls_available: bool = False
    release: Callable[[str, str], Pickup] | None = None
    for_users: SmtpService | None = None
    urls: Urls | None = None
    stress: Stress = field(default_factory=Stress)
    #: What the wire admits, made once: from strangers, from those whom XCLIENT is believed, from this machine (`offers.wire_limits`).
    limits: dict[tuple[bool, bool], Limits] = field(default_factory=dict, init=False, repr=False, compare=False)


SENDER_OK = Status(250, "2.1.0", "Sender ok")
RECIPIENT_OK = Status(250, "2.1.5", "Recipient ok")
GO_AHEAD = Status(354, "", "Send the message; end it with a dot on a line of its own")
FORGOTTEN = Status(250, "2.0.0", "Forgotten")
STILL_HERE = Status(250, "2.0.0", "Still here")
GOODBYE = Status(221, "2.0.0", "Goodbye")
CHUNK_TAKEN = "{octets} octets taken"
DATA_IS_TEXT = Status(503, "5.5.1", "BODY=BINARYMIME wants BDAT")
HELD_TOO_LONG = Status(501, "5.5.4", "Mail is not held for so long")
NOTHING_WAITS = Status(251, "2.0.0", "No messages wait for that domain")
NOT_RELEASED = Status(459, "4.7.1", "You may not ask for that domain")
NOTHING_KEPT = Status(458, "4.3.0", "Nothing is kept back here for that domain")
BAD_ATTRIBUTE = Status(501, "5.5.4", "An attribute has no meaning here")

TALKED_EARLY = Status(554, "5.5.1", "You talked before you were greeted; closing")

START_TLS = Status(220, "2.0.0", "Go ahead with TLS")
TLS_IS_ON = Status(503, "5.5.1", "TLS is on already")
NO_TLS = Status(454, "4.7.0", "TLS is not available")
TLS_FIRST = Status(530, "5.7.0", "Say STARTTLS first")
LOGIN_FIRST = Status(530, "5.7.0", "Log in first (AUTH)")

NO_AUTH = Status(502, "5.5.1", "AUTH is not offered here")
LOGGED_IN_ALREADY = Status(503, "5.5.1", "You have logged in already")
#: RFC 3207 §4; 538 is there "for historical purposes only" (RFC 4954 §6).
ENCRYPT_FIRST = Status(530, "5.7.0", "Passwords are accepted under TLS only; say STARTTLS first")
NO_SUCH_MECHANISM = Status(504, "5.5.4", "That mechanism is not offered")
GIVEN_UP = Status(501, "5.7.0", "Authentication abandoned")
WELCOME = Status(235, "2.7.0", "Welcome")
WRONG_CERTIFICATE = Status(535, "5.7.8", "Your certificate opens no account here, or not the one that you ask for")
WRONG_PASSWORD = Status(535, "5.7.8", "Login or password is wrong")
TOO_MANY_FAILURES = Status(421, "4.7.0", "Too many wrong passwords; closing")
ACCOUNTS_UNAVAILABLE = Status(454, "4.7.0", "Passwords cannot be checked at the moment, please try again later")

TOO_BIG = Status(552, "5.3.4", "The message is too big for this system")
TOO_MANY_RECIPIENTS = Status(452, "4.5.3", "Enough recipients for one message; send to the others in the next")
TOO_MANY_ERRORS = Status(421, "4.7.0", "Too many errors; closing")
TOO_MUCH_JUNK = Status(421, "4.7.0", "Too many commands and no mail; closing")
TOO_MANY_TRANSACTIONS = Status(421, "4.7.0", "Enough messages on one connection; connect again for more")

LAST_WORDS = {
    "timed out": Status(421, "4.4.2", "We have waited long enough; closing"),
    "shutdown": Status(421, "4.3.2", "The server is going down; try again later"),
    "kicked": Status(421, "4.3.2", "An operator has ended this session"),
    "bug": Status(421, "4.3.0", "Something went wrong here, please try again later"),
}
