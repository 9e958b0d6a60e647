"""How a session with another mail server begins and ends, straight down the page (RFC 5321 §3.1): hello, STARTTLS, hello, AUTH; QUIT.

`open_session` makes a connection ready for mail. What is said of each message is
the business of `transaction`; which server, and what to do when it does not answer,
that of `connect` and `courier`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from twisted.logger import Logger

from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.relay.client import NO_TLS, Lost, Patience, SmtpConnection
from twistmail.relay.login import Means, log_in
from twistmail.relay.offers import Avoided, avoided_at, offered
from twistmail.relay.parameters import limits
from twistmail.relay.route import Host, Route, Tls, Transport
from twistmail.relay.terms import AsRouted, Finding, Policies, Terms
from twistmail.wire.smtp import client as say
from twistmail.wire.smtp.client import Reply, status_of

log = Logger()

#: Recipients of one transaction: what every server takes (RFC 5321 §4.5.3.1.8).
MOST_RECIPIENTS = 100

TLS_REQUIRED = Status(451, "4.7.5", "The other side does not offer the encryption that is required for it here")
UNTRUSTED = Status(451, "4.7.5", "The other side does not show the certificate that it should")
#: What is told of a server that has not offered, or not begun, what it should.
NOT_OFFERED = Finding(fault="it does not offer encryption", kind="starttls-not-supported")
#: RFC 8689 §4.2.1: for messages that must be encrypted all the way.
NOT_ENCRYPTED = Status(554, "5.7.10", "The sender wants encryption all the way, and none could be agreed upon with the other side")
NO_REQUIRETLS = Status(554, "5.7.30", "The sender wants encryption all the way, and the other side does not promise it")


@dataclass(slots=True, eq=False)
class Session:
    """A connection that is ready for mail. `extensions`: EHLO keywords in upper case with their parameters.

    `answers_each`: content is answered for each recipient by itself (LMTP, RFC 2033 §4.2).
    """

    connection: SmtpConnection
    host: Host
    extensions: dict[str, str]
    patience: Patience
    is_clean: bool = True  # False: RSET before the next MAIL
    items: int = 0  # carried so far
    transactions: int = 0  # begun so far
    secured: str = ""  # how it is protected, in words
    answers_each: bool = False
    has_logged_in: bool = False
    fewer: int = MOST_RECIPIENTS  # what the server has turned out to take in one transaction
    users: int = 0  # those whose message is under way
    opened_in: float = 0.0  # seconds from the connection to here
    answered_in: float = math.inf  # seconds for which it let us wait for the last answer of the latest message

    @property
    def most_recipients(self) -> int:
        """Of one transaction (RFC 9422 §4, RCPTMAX)."""
        return min(limits(self.extensions).get("RCPTMAX", MOST_RECIPIENTS), self.fewer)

    @property
    def is_spent(self) -> bool:
        """Whether the server takes no more messages on this connection (RFC 9422 §4, MAILMAX)."""
        most = limits(self.extensions).get("MAILMAX")
        return most is not None and self.transactions >= most

    @property
    def name(self) -> str:
        return f"{self.host.name} [{self.host.address}]"


class Refused(Exception):
    """The server, or our rules, do not let us in. `status` says why; `in_clear` True: without TLS it may work."""

    def __init__(self, status: Status, *, in_clear: bool = False) -> None:
        super().__init__(str(status))
        self.status = status
        self.in_clear = in_clear


# ----- getting in -------------------------------------------------------------


@frozen
class Manners:
    """How we present ourselves: `hello` is our name; `tls_options(host, terms)` makes a TLS client (`handshake.Shake`).

    `policies` decides what a server has to show; `avoided` says what we do not use though it is offered; `login`: what
    logging in takes.
    """

    hello: str
    tls_options: Any
    patience: Patience = field(default_factory=Patience)
    policies: Policies = field(default_factory=AsRouted)
    avoided: Avoided = field(default_factory=dict)
    login: Means = field(default_factory=Means)


async def open_session(connection: SmtpConnection, host: Host, route: Route, manners: Manners, terms: Terms) -> Session:
    """From the greeting to the point where mail may be sent. Raises Lost and Refused."""
    patience = manners.patience
    found = Finding()
    if route.implicit_tls:
        found = await _encrypt(connection, host, route, manners, terms)
    greeting = await connection.reply(patience.greeting)
    if greeting.code != 220:
        raise Refused(_temporarily(greeting))
    is_lmtp = route.transport is Transport.LMTP
    session = Session(connection, host, await _hello(connection, host, manners, is_lmtp=is_lmtp), patience, answers_each=is_lmtp)
    if "STARTTLS" in session.extensions and terms.want is not Tls.OFF and not connection.tls:
        found = await _start_tls(session, route, manners, terms)
    session.secured = str(found)
    if connection.tls or terms.want is not Tls.OFF:
        _tell(connection, host, route, manners, terms, found if connection.tls else NOT_OFFERED)
    _insist(session, route, terms)
    if route.login:
        means = replace(manners.login, patience=patience.login)
        if refusal := await log_in(connection, session.extensions.get("AUTH", ""), route.login, means):
            raise Refused(refusal)
        session.has_logged_in = True
    session.opened_in = connection.age
    return session


def _insist(session: Session, route: Route, terms: Terms) -> None:
    """Refused where what was agreed upon is not enough."""
    if terms.want not in (Tls.OFF, Tls.OPPORTUNISTIC) and not session.connection.tls:
        raise Refused(NOT_ENCRYPTED if route.require_tls and "STARTTLS" not in session.extensions else _because(TLS_REQUIRED, terms))
    if route.require_tls and "REQUIRETLS" not in session.extensions:
        raise Refused(NO_REQUIRETLS)


def _tell(connection: SmtpConnection, host: Host, route: Route, manners: Manners, terms: Terms, finding: Finding) -> None:
    """Whoever keeps account of it learns what *host* has shown."""
    manners.policies.note(route, host, terms, replace(finding, source=connection.own_address))


def _because(status: Status, terms: Terms) -> Status:
    """*status* with who wants it so."""
    return replace(status, text=f"{status.text} ({terms.why})") if terms.why else status


async def _hello(connection: SmtpConnection, host: Host, manners: Manners, *, is_lmtp: bool) -> dict[str, str]:
    """EHLO, or HELO for a server that has never heard of it (RFC 5321 §3.2), or LHLO (RFC 2033 §4.1); the extensions."""
    connection.send(say.lhlo(manners.hello) if is_lmtp else say.ehlo(manners.hello))
    reply = await connection.reply(manners.patience.hello)
    if reply.code == 250:
        return offered(reply, avoided_at(host, manners.avoided))
    if reply.code >= 500 and not is_lmtp:
        connection.send(say.helo(manners.hello))
        reply = await connection.reply(manners.patience.hello)
    if reply.code != 250:
        raise Refused(_temporarily(reply))
    return {}


async def _start_tls(session: Session, route: Route, manners: Manners, terms: Terms) -> Finding:
    connection = session.connection
    connection.send(say.STARTTLS)
    reply = await connection.reply(session.patience.hello)
    if reply.code != 220:
        return Finding()  # not now; whether we go on in clear is the caller's rule
    found = await _encrypt(connection, session.host, route, manners, terms)
    session.extensions = await _hello(connection, session.host, manners, is_lmtp=session.answers_each)
    return found


async def _encrypt(connection: SmtpConnection, host: Host, route: Route, manners: Manners, terms: Terms) -> Finding:
    """See the handshake through, and look at what was shown; nothing has been said in it yet."""
    shake = manners.tls_options(host, terms)
    try:
        await connection.start_tls(shake, manners.patience.tls)
    except Lost as lost:
        _tell(connection, host, route, manners, terms, Finding(fault=lost.status.text, kind="validation-failure"))
        why = NOT_ENCRYPTED if route.require_tls else _because(NO_TLS, terms)
        raise Refused(why, in_clear=terms.want is Tls.OPPORTUNISTIC and not route.implicit_tls) from None
    found: Finding = shake.finding()
    if found.fault and terms.is_checked:
        _tell(connection, host, route, manners, terms, found)
        raise Refused(NOT_ENCRYPTED if route.require_tls else _because(replace(UNTRUSTED, text=f"{UNTRUSTED.text}: {found.fault}"), terms))
    return found


def _temporarily(reply: Reply) -> Status:
    """A server that does not want us at all says nothing about a recipient: try elsewhere, and later."""
    status = status_of(reply)
    return status if status.is_temporary else replace(status, code=451, enhanced="4.3.2")


# ----- and out ----------------------------------------------------------------


async def leave(session: Session) -> None:
    """QUIT, with little patience for the answer."""
    try:
        session.connection.send(say.QUIT)
        await session.connection.reply(session.patience.quit)
    except Lost:
        pass
    await session.connection.turn()
    session.connection.close()
