"""What is said to another mail server, straight down the page (RFC 5321 §3): hello, STARTTLS, hello, AUTH, MAIL, RCPT, DATA.

`open_session` makes a connection ready for mail; `deliver` carries one item over
it and tells, for each recipient by itself, how that went. Which server, and what
to do when it does not answer, is the business of `connect` and `courier`; what the
server is told of the sender's wishes that of `parameters`, and in which form it
gets the content that of `fitting`.

BDAT (RFC 3030) is not used: nothing binary gets into the queue, and DATA is what
every server is best at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from twisted.logger import Logger

from twistmail.mail.content import Content, Memory
from twistmail.mail.envelope import Target
from twistmail.mail.item import Item
from twistmail.mail.outcome import Outcome, outcome_of
from twistmail.mail.status import Status
from twistmail.relay.client import GARBLED, NO_TLS, Lost, Patience, SmtpConnection
from twistmail.relay.fitting import Fitted, fit
from twistmail.relay.parameters import limits, mail_parameters, needs_utf8, objection, rcpt_parameters, reports_itself
from twistmail.relay.route import Host, Login, Route, Tls
from twistmail.relay.terms import AsRouted, Finding, Policies, Terms
from twistmail.wire.smtp import client as say
from twistmail.wire.smtp.client import Chunk, ContentEnd, Reply, status_of

log = Logger()

#: Recipients of one transaction: what every server takes (RFC 5321 §4.5.3.1.8).
MOST_RECIPIENTS = 100

TLS_REQUIRED = Status(451, "4.7.5", "The other side does not offer the encryption that is required for it here")
UNTRUSTED = Status(451, "4.7.5", "The other side does not show the certificate that it should")
#: What is told of a server that has not offered, or not begun, what it should.
NOT_OFFERED = Finding(fault="it does not offer encryption", kind="starttls-not-supported")
LOGIN_REFUSED = Status(454, "4.7.0", "The smart host does not accept our login; its administrator, and ours, must see to it")
LOGIN_IMPOSSIBLE = Status(454, "4.7.0", "The smart host offers no way to log in that we may use")
#: RFC 8689 §4.2.1: for messages that must be encrypted all the way.
NOT_ENCRYPTED = Status(554, "5.7.10", "The sender wants encryption all the way, and none could be agreed upon with the other side")
NO_REQUIRETLS = Status(554, "5.7.30", "The sender wants encryption all the way, and the other side does not promise it")


@dataclass(slots=True)
class Session:
    """A connection that is ready for mail. `extensions`: EHLO keywords in upper case with their parameters."""

    connection: SmtpConnection
    host: Host
    extensions: dict[str, str]
    patience: Patience
    is_clean: bool = True  # False: RSET before the next MAIL
    items: int = 0  # carried so far
    transactions: int = 0  # begun so far
    secured: str = ""  # how it is protected, in words

    @property
    def most_recipients(self) -> int:
        """Of one transaction (RFC 9422 §4, RCPTMAX)."""
        return min(limits(self.extensions).get("RCPTMAX", MOST_RECIPIENTS), MOST_RECIPIENTS)

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


@dataclass(frozen=True, slots=True)
class Manners:
    """How we present ourselves: `hello` is our name; `tls_options(host, terms)` makes a TLS client (`handshake.Shake`).

    `policies` decides what a server has to show.
    """

    hello: str
    tls_options: Any
    patience: Patience = field(default_factory=Patience)
    policies: Policies = field(default_factory=AsRouted)


async def open_session(connection: SmtpConnection, host: Host, route: Route, manners: Manners, terms: Terms) -> Session:
    """From the greeting to the point where mail may be sent. Raises Lost and Refused."""
    patience = manners.patience
    found = Finding()
    if route.implicit_tls:
        found = await _encrypt(connection, host, route, manners, terms)
    greeting = await connection.reply(patience.greeting)
    if greeting.code != 220:
        raise Refused(_temporarily(greeting))
    session = Session(connection, host, await _hello(connection, manners), patience)
    if "STARTTLS" in session.extensions and terms.want is not Tls.OFF and not connection.tls:
        found = await _start_tls(session, route, manners, terms)
    session.secured = str(found)
    if connection.tls or terms.want is not Tls.OFF:
        manners.policies.note(route, host, terms, found if connection.tls else NOT_OFFERED)
    _insist(session, route, terms)
    if route.login:
        await _log_in(session, route.login)
    return session


def _insist(session: Session, route: Route, terms: Terms) -> None:
    """Refused where what was agreed upon is not enough."""
    if terms.want not in (Tls.OFF, Tls.OPPORTUNISTIC) and not session.connection.tls:
        raise Refused(NOT_ENCRYPTED if route.require_tls and "STARTTLS" not in session.extensions else _because(TLS_REQUIRED, terms))
    if route.require_tls and "REQUIRETLS" not in session.extensions:
        raise Refused(NO_REQUIRETLS)


def _because(status: Status, terms: Terms) -> Status:
    """*status* with who wants it so."""
    return replace(status, text=f"{status.text} ({terms.why})") if terms.why else status


async def _hello(connection: SmtpConnection, manners: Manners) -> dict[str, str]:
    """EHLO, or HELO for a server that has never heard of it (RFC 5321 §3.2); the extensions."""
    connection.send(say.ehlo(manners.hello))
    reply = await connection.reply(manners.patience.hello)
    if reply.code == 250:
        return _extensions(reply)
    if reply.code >= 500:
        connection.send(say.helo(manners.hello))
        reply = await connection.reply(manners.patience.hello)
    if reply.code != 250:
        raise Refused(_temporarily(reply))
    return {}


def _extensions(reply: Reply) -> dict[str, str]:
    extensions: dict[str, str] = {}
    for line in reply.lines[1:]:
        text = line.decode("ascii", "replace")
        if text[:5].upper() == "AUTH=":  # is how some old servers spell "AUTH PLAIN"
            text = "AUTH " + text[5:]
        keyword, _, parameters = text.partition(" ")
        known = extensions.get(keyword.upper())
        extensions[keyword.upper()] = f"{known} {parameters}" if known else parameters
    return extensions


async def _start_tls(session: Session, route: Route, manners: Manners, terms: Terms) -> Finding:
    connection = session.connection
    connection.send(say.STARTTLS)
    reply = await connection.reply(session.patience.hello)
    if reply.code != 220:
        return Finding()  # not now; whether we go on in clear is the caller's rule
    found = await _encrypt(connection, session.host, route, manners, terms)
    session.extensions = await _hello(connection, manners)
    return found


async def _encrypt(connection: SmtpConnection, host: Host, route: Route, manners: Manners, terms: Terms) -> Finding:
    """See the handshake through, and look at what was shown; nothing has been said in it yet."""
    shake = manners.tls_options(host, terms)
    try:
        await connection.start_tls(shake, manners.patience.tls)
    except Lost as lost:
        manners.policies.note(route, host, terms, Finding(fault=lost.status.text, kind="validation-failure"))
        why = NOT_ENCRYPTED if route.require_tls else _because(NO_TLS, terms)
        raise Refused(why, in_clear=terms.want is Tls.OPPORTUNISTIC and not route.implicit_tls) from None
    found: Finding = shake.finding()
    if found.fault and terms.is_checked:
        manners.policies.note(route, host, terms, found)
        raise Refused(NOT_ENCRYPTED if route.require_tls else _because(replace(UNTRUSTED, text=f"{UNTRUSTED.text}: {found.fault}"), terms))
    return found


async def _log_in(session: Session, login: Login) -> None:
    """AUTH PLAIN or LOGIN (RFC 4954), over TLS only: a password is never said in clear."""
    connection, patience = session.connection, session.patience.login
    offered = session.extensions.get("AUTH", "").upper().split()
    if not connection.tls or not {"PLAIN", "LOGIN"} & set(offered):
        raise Refused(LOGIN_IMPOSSIBLE)
    user, password = login.user.encode(), login.password.encode()
    if "PLAIN" in offered:
        connection.send(say.auth("PLAIN", b"\0%b\0%b" % (user, password)))
        reply = await connection.reply(patience)
    else:
        connection.send(say.auth("LOGIN"))
        reply = await connection.reply(patience)
        for answer in (user, password):
            if reply.code != 334:
                break
            connection.send(say.auth_response(answer))
            reply = await connection.reply(patience)
    if reply.code != 235:
        log.error("relay: {host} does not accept our login: {reply}", host=session.name, reply=str(status_of(reply)))
        raise Refused(LOGIN_REFUSED)


def _temporarily(reply: Reply) -> Status:
    """A server that does not want us at all says nothing about a recipient: try elsewhere, and later."""
    status = status_of(reply)
    return status if status.is_temporary else replace(status, code=451, enhanced="4.3.2")


# ----- one item ---------------------------------------------------------------


async def deliver(session: Session, item: Item, targets: Sequence[Target], content: Content, threads: Any) -> tuple[Outcome, ...]:
    """One Outcome per target, in order; fewer where the session is spent before all were served, but at least one.

    What the server does is an outcome, a lost connection too. Raises Lost only where a session that has carried other items
    is found gone before this one was begun: it had been kept too long, and a new one will do.
    """
    outcomes: dict[Target, Outcome] = {}
    for start in range(0, len(targets), session.most_recipients):
        if start and session.is_spent:
            break
        transaction = _Transaction(session, item, tuple(targets[start : start + session.most_recipients]), outcomes)
        session.transactions += 1
        try:
            await transaction.run(content, threads)
        except Lost as lost:
            if session.items and not start and not transaction.begun:
                raise
            transaction.settle_rest(lost.status)
    session.items += 1
    return tuple(outcomes[target] for target in targets if target in outcomes)


class _Transaction:
    """One MAIL ... DATA (RFC 5321 §3.3). Fills `outcomes`."""

    def __init__(self, session: Session, item: Item, targets: tuple[Target, ...], outcomes: dict[Target, Outcome]) -> None:
        self.session, self.item, self.targets, self.outcomes = session, item, targets, outcomes
        self.connection, self.patience = session.connection, session.patience
        wanted = set(targets)
        self.errands = {errand.target: errand for errand in item.errands if errand.target in wanted}
        self.begun = False  # the server has answered MAIL

    async def run(self, content: Content, threads: Any) -> None:
        fitted = await self._fitted(content, threads)
        if isinstance(fitted, Status):
            return self.settle_rest(fitted)
        await self._reset()
        pipelined = "PIPELINING" in self.session.extensions
        accepted = await self._envelope(say.mail(self.item.sender, self._parameters(fitted)), pipelined=pipelined)
        if accepted and not pipelined:
            self.connection.send(say.DATA)
        if not accepted and not pipelined:
            return None
        reply = await self.connection.reply(self.patience.data)
        if reply.code != 354:
            return self.settle_rest(_refusal(reply))
        await self._content(fitted.content, threads, accepted=accepted)
        reply = await self.connection.reply(self.patience.end)
        self.session.is_clean = reply.is_positive
        return self.settle_rest(status_of(reply) if reply.code < 300 else _refusal(reply))

    async def _fitted(self, content: Content, threads: Any) -> Fitted | Status:
        """The message as this server can take it, or why it must not get it."""
        item, offered = self.item, self.session.extensions
        utf8 = needs_utf8(item, self.errands.values())
        return objection(item, offered, self._now()) or await fit(item, content, offered, threads, utf8_envelope=utf8)

    def _now(self) -> float:
        return self.connection.clock.seconds()  # type: ignore[no-any-return]

    async def _reset(self) -> None:
        if not self.session.is_clean:
            self.connection.send(say.RSET)
            await self.connection.reply(self.patience.mail)
        self.session.is_clean = False

    def _parameters(self, fitted: Fitted) -> tuple[str, ...]:
        """The ESMTP parameters of MAIL."""
        offered = self.session.extensions
        size = (f"SIZE={self.item.size}",) if "SIZE" in offered and fitted.is_same else ()
        return (*size, *fitted.parameters, *mail_parameters(self.item, offered, self._now(), encrypted=self.connection.tls))

    async def _envelope(self, mail: say.Command, *, pipelined: bool) -> bool:
        """MAIL and every RCPT, in one go with DATA where pipelined (RFC 2920 §3.1); whether any recipient was accepted."""
        offered = self.session.extensions
        recipients = [say.rcpt(target.address, rcpt_parameters(self.errands[target], offered)) for target in self.targets]
        self.connection.send(mail, *((*recipients, say.DATA) if pipelined else ()))
        mail_reply = await self.connection.reply(self.patience.mail)
        if mail_reply.code == 421:  # RFC 5321 §3.8: it closes now; said also by servers that have waited too long for us
            raise Lost(status_of(mail_reply))
        self.begun = True
        if mail_reply.code >= 300 and not pipelined:
            self.settle_rest(_refusal(mail_reply))
            return False
        any_accepted = False
        for target, recipient in zip(self.targets, recipients, strict=True):
            if not pipelined:
                self.connection.send(recipient)
            reply = await self.connection.reply(self.patience.recipient)
            if mail_reply.code >= 300:
                reply = mail_reply  # what is said to RCPT now is only 503
            if reply.code >= 300:
                self._settle(target, _about_recipient(reply))
            any_accepted = any_accepted or reply.code < 300
        return any_accepted

    async def _content(self, content: Content, threads: Any, *, accepted: bool) -> None:
        """The content, dots stuffed, never faster than the transport takes it. Nothing at all (RFC 2920 §3.1) where nobody
        was accepted and the server takes content all the same."""
        if not accepted:
            return self.connection.send(ContentEnd())
        self.connection.send(Chunk(self.item.prefix))
        chunks = content.chunks()
        while chunk := next(chunks, b"") if isinstance(content, Memory) else await threads.run(next, chunks, b""):
            await self.connection.room(self.patience.block)
            self.connection.send(Chunk(chunk))
        await self.connection.room(self.patience.block)
        return self.connection.send(ContentEnd())

    def settle_rest(self, status: Status) -> None:
        """Every recipient that has no answer of his own gets this one."""
        for target in self.targets:
            if target not in self.outcomes:
                self._settle(target, status)

    def _settle(self, target: Target, status: Status) -> None:
        passed_on = reports_itself(self.item, self.errands[target], self.session.extensions)
        self.outcomes[target] = outcome_of(target, status, self.session.name, passed_on=passed_on, secured=self.session.secured)


def _refusal(reply: Reply) -> Status:
    """A reply that is not the one we need, as a status that is not positive."""
    return GARBLED if reply.code < 400 else status_of(reply)


def _about_recipient(reply: Reply) -> Status:
    """RFC 5321 §4.5.3.1.10: 552 to RCPT means too many recipients for one transaction, which is temporary."""
    status = _refusal(reply)
    return replace(status, code=452, enhanced="4.5.3") if status.code == 552 and status.enhanced in ("5.0.0", "5.5.3") else status


async def leave(session: Session) -> None:
    """QUIT, with little patience for the answer."""
    try:
        session.connection.send(say.QUIT)
        await session.connection.reply(session.patience.quit)
    except Lost:
        pass
    session.connection.close()
