"""What SMTP commands mean, for one connection of MX or submission: the dialogue, from greeting to the message's hand-over.

The wire has checked spelling and order; policy stages say who may; expansion
says where an address leads; `mailflow.Reception` takes the message over and
its Status is the answer. Nothing is kept here but the peer, the transaction
under way, the content under way and the counters.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

from twistmail import tasks
from twistmail.facts import Fact, Refused
from twistmail.interfaces import Point, Unavailable
from twistmail.mail.address import Address
from twistmail.mail.envelope import Peer, Recipient, Role, TlsState, Transaction
from twistmail.mail.status import UNAVAILABLE, Status
from twistmail.policy.pipeline import Opinion, fated
from twistmail.servers.smtp import service as say
from twistmail.servers.smtp.authentication import Authentication
from twistmail.servers.smtp.conduct import Conduct
from twistmail.servers.smtp.gathering import Gathering
from twistmail.servers.smtp.service import SmtpService, wire_limits
from twistmail.wire.smtp.commands import (
    Auth,
    AuthResponse,
    Bad,
    ContentChunk,
    ContentEnd,
    Data,
    Expn,
    Hello,
    Help,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
)
from twistmail.wire.smtp.replies import Reply
from twistmail.wire.smtp.server import SmtpServerWire


def open_connection(service: SmtpService, identifier: str, address: str, port: int) -> tuple[SmtpServerWire, SmtpSession]:
    """Wire and session of a new connection from *address*."""
    peer = Peer(identifier, address, port, service.role)
    return SmtpServerWire(wire_limits(service.settings)), SmtpSession(peer, service)


#: Seconds that somebody who has not logged in may stay (spec/limits: smtp.timeout.session_unauth).
LONGEST_VISIT = 3600.0


class SmtpSession:
    """See `servers.session.Session`."""

    def __init__(self, peer: Peer, service: SmtpService) -> None:
        self.peer = peer
        self._began: float = service.clock.seconds()
        self.minimum_rate: int = service.settings.min_data_rate
        self._service = service
        self._conduct = Conduct(service.settings)
        self._authentication = Authentication(service.login)
        self._transaction: Transaction | None = None
        self._gathering: Gathering | None = None

    # ----- what the pump asks

    def attach(self, poke: Callable[[], None]) -> None:
        """SMTP says nothing unasked."""

    async def greet(self) -> AsyncIterator[Status]:
        opinion = await self._ask(Point.CONNECT, self.peer)
        if opinion is not None:
            # RFC 5321 §3.1: 554 instead of the greeting; 421 where it is for now only
            yield replace(opinion, code=421 if opinion.is_temporary else 554)
        else:
            yield Status(220, "", f"{self._service.hostname} {self._service.settings.banner} {self.peer.connection}")

    async def answer(self, event: Any) -> AsyncIterator[Status | Reply]:
        if type(event) is ContentChunk:
            assert self._gathering is not None
            await self._gathering.add(event.data)
            return
        response = await _ANSWERS[type(event)](self, event)
        if isinstance(response, Status) and response.code >= 400:
            response, delay = self._conduct.error(response)
            if delay:
                await tasks.sleep(self._service.clock, delay)
        yield response

    def pending_updates(self) -> Iterable[Status]:
        return ()

    @property
    def patience(self) -> float:
        """The time-out of the present wait; a stranger's whole visit is limited too (spec/limits: session_unauth)."""
        timeout: float = self._service.settings.timeout
        if self.peer.account is not None:
            return timeout
        return max(0.0, min(timeout, self._began + LONGEST_VISIT - self._service.clock.seconds()))

    def last_words(self, why: str) -> Iterable[Status]:
        return (say.LAST_WORDS[why],) if why in say.LAST_WORDS else ()

    def tls_started(self, tls: TlsState) -> None:
        self._authentication.forget()
        self._forget()
        self.peer = replace(self.peer, tls=tls, hello="", extended=False, account=None)

    def closed(self, why: str) -> None:
        self._forget()
        self._service.policy.left(self.peer)

    # ----- the dialogue

    async def _hello(self, event: Hello) -> Status | Reply:
        peer = replace(self.peer, hello=event.domain, extended=event.extended)
        if refusal := await self._ask(Point.HELLO, peer):
            return refusal
        self.peer = peer
        self._forget()
        status = Status(250, "", self._service.hostname)
        return Reply(status, await self._extensions()) if event.extended else status

    async def _extensions(self) -> tuple[str, ...]:
        """The EHLO list. What is not offered now is not in it."""
        service = self._service
        lines = ["PIPELINING", f"SIZE {service.settings.max_message or 0}", "8BITMIME", "ENHANCEDSTATUSCODES"]
        if service.tls_available and self.peer.tls is None and service.settings.tls != "off":
            lines.append("STARTTLS")
        if mechanisms := await self._authentication.offered(self.peer):
            lines.append("AUTH " + " ".join(mechanisms))
        return tuple(lines)

    async def _mail(self, event: Mail) -> Status:
        service = self._service
        if refusal := self._conduct.transaction() or self._not_yet() or self._announced_too_big(event):
            return refusal
        transaction = Transaction(self.peer, next(service.identifiers), service.epoch(), event.path, event.parameters)
        opinion = await self._opinion(Point.SENDER, transaction)
        if refusal := self._refusal(opinion, transaction):
            return refusal
        self._transaction = transaction if opinion is None else fated(transaction, opinion)
        return say.SENDER_OK

    def _not_yet(self) -> Status | None:
        """What has to be done before the first MAIL (RFC 6409 §4.3)."""
        peer = self.peer
        if peer.tls is None and self._service.settings.tls == "required":
            return say.TLS_FIRST
        return say.LOGIN_FIRST if peer.role is Role.SUBMISSION and peer.account is None else None

    def _announced_too_big(self, event: Mail) -> Status | None:
        """RFC 1870 §6.1: refused before a single octet of it has come."""
        most = self._service.settings.max_message
        return say.TOO_BIG if most is not None and int(event.parameters.get("SIZE", 0)) > most else None

    async def _rcpt(self, event: Rcpt) -> Status:
        transaction = self._transaction
        assert transaction is not None
        if len(transaction.recipients) >= self._service.settings.max_recipients:
            return say.TOO_MANY_RECIPIENTS
        opinion = await self._opinion(Point.RECIPIENT, transaction, event.path)
        if refusal := self._refusal(opinion, transaction, event.path):
            return refusal
        if opinion is not None:
            transaction = fated(transaction, opinion)
        try:
            followed = await self._service.expansion.explain(event.path)
        except Unavailable:
            return self._refused("recipients", UNAVAILABLE, transaction, event.path)
        if followed.fault is not None:
            return self._refused("recipients", followed.fault, transaction, event.path)
        recipient = Recipient(event.path, followed.targets)
        self._transaction = replace(transaction, recipients=(*transaction.recipients, recipient))
        return say.RECIPIENT_OK

    async def _data(self, event: Data) -> Status:
        self._gathering = Gathering(self._service.drafts, self._service.threads)
        return say.GO_AHEAD

    async def _content_end(self, event: ContentEnd) -> Status:
        """The hand-over. The message is taken over even when the peer goes away meanwhile; it could not know of it."""
        transaction, gathering = self._transaction, self._gathering
        assert transaction is not None
        assert gathering is not None
        try:
            if event.fault is not None:
                return self._refused("content", event.fault, transaction)
            content = await gathering.finish()
            if content is None:
                return self._refused("disk", gathering.trouble or UNAVAILABLE, transaction)
            status = await tasks.shielded(self._service.reception.accept(replace(transaction, content=content)))
        finally:
            self._forget()
        if status.is_positive:
            self._conduct.accepted()
        return status

    async def _auth(self, event: Auth) -> Status:
        return self._noted(await self._authentication.begin(event, self.peer))

    async def _auth_response(self, event: AuthResponse) -> Status:
        return self._noted(await self._authentication.go_on(event, self.peer))

    def _noted(self, status: Status) -> Status:
        if account := self._authentication.account:
            self.peer = replace(self.peer, account=account)
        return status

    async def _start_tls(self, event: StartTls) -> Status:
        if self.peer.tls is not None:
            return say.TLS_IS_ON
        return say.START_TLS if self._service.tls_available and self._service.settings.tls != "off" else say.NO_TLS

    async def _rset(self, event: Rset) -> Status:
        self._forget()
        return self._conduct.junk() or say.FORGOTTEN

    async def _noop(self, event: Noop) -> Status:
        return self._conduct.junk() or say.STILL_HERE

    async def _vrfy(self, event: Vrfy) -> Status:
        return self._conduct.junk() or say.TRY_AND_SEE

    async def _expn(self, event: Expn) -> Status:
        return say.NO_LISTS

    async def _help(self, event: Help) -> Status:
        return self._conduct.junk() or say.HELP

    async def _quit(self, event: Quit) -> Status:
        return say.GOODBYE

    async def _bad(self, event: Bad) -> Status:
        self._authentication.abandon()
        return event.status

    # ----- common to several

    async def _ask(self, point: Point, about: Peer | Transaction, *more: Address) -> Status | None:
        """The refusal at *point*, told as a fact; None where the dialogue may go on."""
        return self._refusal(await self._opinion(point, about, *more), about if isinstance(about, Transaction) else None, *more)

    async def _opinion(self, point: Point, about: Peer | Transaction, *more: Address) -> Opinion | None:
        return await self._service.policy.ask(point, about, *more) if self._service.policy.asks(point) else None

    def _refusal(self, opinion: Opinion | None, transaction: Transaction | None, recipient: Address | None = None) -> Status | None:
        if opinion is None or opinion.status is None or opinion.status.is_positive:
            return None
        return self._refused(opinion.stage, opinion.status, transaction, recipient, opinion.rule)

    def _refused(
        self, stage: str, status: Status, transaction: Transaction | None, recipient: Address | None = None, rule: str = ""
    ) -> Status:
        service = self._service
        if service.facts.listened:
            connection = self.peer.connection
            refused = Refused(stage, status, connection, transaction.sender if transaction else None, recipient, rule)
            service.facts.tell(Fact(service.epoch(), transaction.id if transaction else connection, refused))
        return status

    def _forget(self) -> None:
        """No transaction any more."""
        self._transaction = None
        if self._gathering is not None:
            self._gathering.discard()
            self._gathering = None


_ANSWERS: dict[type, Callable[[SmtpSession, Any], Awaitable[Status | Reply]]] = {
    Hello: SmtpSession._hello,
    Mail: SmtpSession._mail,
    Rcpt: SmtpSession._rcpt,
    Data: SmtpSession._data,
    ContentEnd: SmtpSession._content_end,
    Auth: SmtpSession._auth,
    AuthResponse: SmtpSession._auth_response,
    StartTls: SmtpSession._start_tls,
    Rset: SmtpSession._rset,
    Noop: SmtpSession._noop,
    Vrfy: SmtpSession._vrfy,
    Expn: SmtpSession._expn,
    Help: SmtpSession._help,
    Quit: SmtpSession._quit,
    Bad: SmtpSession._bad,
}
