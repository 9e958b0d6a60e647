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

from twisted.logger import Logger

from twistmail import tasks
from twistmail.facts import Fact, Refused
from twistmail.interfaces import Point, Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import Address
from twistmail.mail.envelope import Peer, Recipient, Role, TlsState, Transaction
from twistmail.mail.status import UNAVAILABLE, Status
from twistmail.mail.values import changed
from twistmail.policy.local_users import THIS_MACHINE
from twistmail.policy.pipeline import Opinion, fated
from twistmail.servers import stress
from twistmail.servers.smtp import service as say
from twistmail.servers.smtp.authentication import Authentication
from twistmail.servers.smtp.burl import borrow
from twistmail.servers.smtp.conduct import Conduct
from twistmail.servers.smtp.gathering import Gathering
from twistmail.servers.smtp.offers import extensions, wire_limits
from twistmail.servers.smtp.proxied import behind
from twistmail.servers.smtp.questions import NO_LISTS, TRY_AND_SEE, expand, help_text, may_ask, verify
from twistmail.servers.smtp.service import SmtpService
from twistmail.wire.smtp.commands import (
    Auth,
    AuthResponse,
    Bad,
    Burl,
    Chunk,
    ContentChunk,
    ContentEnd,
    Data,
    Etrn,
    Expn,
    Hello,
    Help,
    LastBurl,
    LastChunk,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
    XClient,
)
from twistmail.wire.smtp.content import Limits
from twistmail.wire.smtp.parameters import notify, wishes
from twistmail.wire.smtp.parsing import verbs
from twistmail.wire.smtp.replies import Replies, Reply, Utf8Reply
from twistmail.wire.smtp.server import SmtpServerWire

log = Logger()


def open_connection(
    service: SmtpService, identifier: str, address: str, port: int, via: str = "", account: Account | None = None
) -> tuple[SmtpServerWire, SmtpSession]:
    """Wire and session of a new connection from *address*, of which the proxy *via* has told us where that is not empty.

    *account* is whose connection it is known to be, without a login (a user of this machine).
    """
    peer = Peer(identifier, address, port, service.role, via=via, account=account)
    limits = wire_limits(service, address)
    wire = SmtpServerWire(limits)
    return wire, SmtpSession(peer, service, limits, lambda: wire.buffered)


#: Seconds that somebody who has not logged in may stay (spec/limits: smtp.timeout.session_unauth).
LONGEST_VISIT = 3600.0


class SmtpSession:
    """See `servers.session.Session`. *waiting*() tells how many octets have come and are not understood yet."""

    def __init__(self, peer: Peer, service: SmtpService, limits: Limits, waiting: Callable[[], int] = lambda: 0) -> None:
        self.peer = peer
        self._leaves: float = service.clock.seconds() + LONGEST_VISIT  # while we do not know who it is
        self.minimum_rate: int = service.settings.min_data_rate
        self._entrance = service  # by which the peer came in
        self._service = service  # which serves it now: who has logged in may go on as a user
        self._limits = limits
        self._waiting = waiting
        self._conduct = Conduct(service.settings, self._is_pressed)
        self._authentication = Authentication(service.login, peer.account)
        self._admitted = False  # asked and answered before the greeting
        self._transaction: Transaction | None = None
        self._gathering: Gathering | None = None

    # ----- what the pump asks

    def attach(self, poke: Callable[[], None]) -> None:
        """SMTP says nothing unasked."""

    async def greet(self) -> AsyncIterator[Status]:
        greeting = await self._greeting()
        if self.peer.role is Role.MX and greeting.code == 220 and await self._talks_early():
            greeting = self._refused("early_talker", say.TALKED_EARLY, None)
        yield greeting

    async def _talks_early(self) -> bool:
        """Whether the peer is to be sent away because it has talked before it was greeted (RFC 5321 §4.3.1: it has to wait).

        What has come by now counts, without a delay of our own too. Under TLS from the first byte nobody can tell.
        """
        settings = self._service.settings
        if settings.early_talker == "off" or self.peer.tls is not None:
            return False
        if settings.greeting_delay:
            await tasks.sleep(self._service.clock, settings.greeting_delay)
        if not self._waiting():
            return False
        if settings.early_talker == "log":
            log.info("{id}: {address} talked before it was greeted", id=self.peer.connection, address=self.peer.address)
        return settings.early_talker == "reject"

    async def admit(self) -> bool:
        self._admitted = await self._ask(Point.CONNECT, self.peer) is None
        return self._admitted

    async def _greeting(self) -> Status:
        refusal = None if self._admitted else await self._ask(Point.CONNECT, self.peer)
        if refusal is not None:
            # RFC 5321 §3.1: 554 instead of the greeting; 421 where it is for now only
            return replace(refusal, code=421 if refusal.is_temporary else 554)
        return Status(220, "", f"{self._service.hostname} {self._service.settings.banner} {self.peer.connection}")

    async def answer(self, event: Any) -> Status | Reply | Replies | Utf8Reply | None:
        if type(event) is ContentChunk:
            await self._content().add(event.data)
            return None
        response = await _ANSWERS[type(event)](self, event)
        if isinstance(response, Status) and response.code >= 400:
            response, delay = self._conduct.error(response)
            if delay:
                await tasks.sleep(self._service.clock, delay)
        return response

    async def pending_updates(self) -> AsyncIterator[Status]:
        return
        yield

    @property
    def patience(self) -> float:
        """The time-out of the present wait; a stranger's whole visit is limited too (spec/limits: session_unauth)."""
        timeout: float = self._service.settings.timeout
        if self.peer.account is not None:
            return timeout
        if self._entrance.stress.on:
            timeout = min(timeout, stress.TIMEOUT)
        left: float = self._leaves - self._service.clock.seconds()
        return timeout if timeout <= left else max(0.0, left)

    def _is_pressed(self) -> bool:
        """Whether the stress values hold for this peer: strangers have to make room first."""
        return self._entrance.stress.on and self.peer.account is None

    def last_words(self, why: str) -> Iterable[Status]:
        return (say.LAST_WORDS[why],) if why in say.LAST_WORDS else ()

    def tls_started(self, tls: TlsState) -> None:
        self._begin_anew(replace(self.peer, tls=tls, hello="", extended=False, account=None))

    def closed(self, why: str) -> None:
        self._forget()

    def departed(self) -> None:
        self._entrance.policy.left(self.peer)

    # ----- the dialogue

    async def _hello(self, event: Hello) -> Status | Reply:
        if self.peer.hello and (junk := self._conduct.junk()):  # the first one is free
            return junk
        peer = changed(self.peer, hello=event.domain, extended=event.extended)
        if refusal := await self._ask(Point.HELLO, peer):
            return refusal
        self.peer = peer
        self._forget()
        status = Status(250, "", self._service.hostname)
        if not event.extended:
            return status
        return Reply(status, extensions(self._service, self._limits, peer, await self._authentication.offered(peer)))

    async def _mail(self, event: Mail) -> Status:
        service = self._service
        if refusal := self._conduct.transaction() or self._not_yet() or self._announced_too_big(event):
            return refusal
        now = service.epoch()
        wished = wishes(event.parameters, now)
        if wished.hold_until is not None and wished.hold_until > now + service.settings.hold_longest:  # submission only
            return say.HELD_TOO_LONG
        if wished.auth and self.peer.account is None:
            wished = replace(wished, auth="")  # RFC 4954 §5: from somebody we do not know it means nothing
        sender = service.expansion.complete(event.path) if event.path else None
        transaction = Transaction(self.peer, next(service.identifiers), now, sender, event.parameters, wishes=wished)
        opinion = await service.policy.ask(Point.SENDER, transaction)
        if refusal := self._refusal(opinion, transaction):
            return refusal
        self._transaction = transaction if opinion is None else fated(transaction, opinion)
        return say.SENDER_OK

    def _not_yet(self) -> Status | None:
        """What has to be done before the first MAIL (RFC 6409 §4.3)."""
        peer = self.peer
        if peer.tls is None and self._service.settings.tls == "required" and peer.address != "unix":
            return say.TLS_FIRST
        return say.LOGIN_FIRST if peer.role is Role.SUBMISSION and peer.account is None else None

    def _announced_too_big(self, event: Mail) -> Status | None:
        """RFC 1870 §6.1: refused before a single octet of it has come."""
        most = self._service.settings.max_message
        return say.TOO_BIG if most is not None and int(event.parameters.get("SIZE", 0)) > most else None

    async def _rcpt(self, event: Rcpt) -> Status:
        service, transaction = self._service, self._transaction
        assert transaction is not None
        if len(transaction.recipients) >= service.settings.max_recipients:
            return say.TOO_MANY_RECIPIENTS
        path = service.expansion.complete(event.path) if self._limits.bare_names else event.path
        opinion = await service.policy.ask(Point.RECIPIENT, transaction, path)
        if refusal := self._refusal(opinion, transaction, path):
            return refusal
        if opinion is not None:
            transaction = fated(transaction, opinion)
        try:
            followed = await service.expansion.explain(path)
        except Unavailable:
            return self._refused("recipients", UNAVAILABLE, transaction, path)
        if followed.fault is not None:
            return self._refused("recipients", followed.fault, transaction, path)
        if (full := service.reception.no_room(transaction, followed.targets)) is not None:
            return self._refused("queue", full, transaction, path)
        recipient = Recipient(path, followed.targets, notify(event.parameters), event.parameters.get("ORCPT", ""))
        self._transaction = changed(transaction, recipients=(*transaction.recipients, recipient))
        return say.RECIPIENT_OK

    async def _data(self, event: Data) -> Status:
        if self._transaction is not None and self._transaction.parameters.get("BODY") == "BINARYMIME":
            return say.DATA_IS_TEXT  # RFC 3030 §3
        return say.GO_AHEAD

    def _content(self) -> Gathering:
        """Where the content goes that comes."""
        if self._gathering is None:
            self._gathering = Gathering(self._service.drafts, self._service.threads)
        return self._gathering

    async def _chunk(self, event: Chunk | Burl) -> Status:
        """A chunk has come, others follow; the first that cannot be taken ends the transaction (RFC 3030 §2)."""
        transaction, trouble = self._transaction, self._content().trouble
        if event.fault is None and trouble is None:
            return Status(250, "2.0.0", say.CHUNK_TAKEN.format(octets=event.size))
        self._forget()
        if event.fault is not None:
            return self._refused("content", event.fault, transaction)
        return self._refused("disk", trouble or UNAVAILABLE, transaction)

    async def _burl(self, event: Burl) -> Status | Replies:
        """What a URL means becomes content; one that means nothing ends the transaction (RFC 4468 §3.2)."""
        account, urls = self.peer.account, self._service.urls
        assert account is not None
        assert urls is not None
        if refusal := await borrow(urls, account.name, event, self._content().add):
            transaction = self._transaction
            self._forget()
            return self._refused("burl", refusal, transaction)
        return await (self._content_end(event) if isinstance(event, LastBurl) else self._chunk(event))

    async def _content_end(self, event: ContentEnd | LastChunk | LastBurl) -> Status | Replies:
        """The whole content is here. In LMTP every accepted recipient gets an answer of its own (RFC 2033 §4.2)."""
        transaction = self._transaction
        assert transaction is not None
        try:
            answer = await self._hand_over(event, transaction)
        finally:
            self._forget()
        if isinstance(answer, Replies) or answer.is_positive:
            self._conduct.accepted()
        elif transaction.peer.role is Role.LMTP:
            return Replies((answer,) * len(transaction.recipients))
        return answer

    async def _hand_over(self, event: ContentEnd | LastChunk | LastBurl, transaction: Transaction) -> Status | Replies:
        """The message is taken over even when the peer goes away meanwhile, which could not know of it: no conversation is cancelled."""
        gathering, reception = self._content(), self._service.reception
        if event.fault is not None:
            return self._refused("content", event.fault, transaction)
        content = await gathering.finish(binary=transaction.parameters.get("BODY") == "BINARYMIME")
        if content is None:
            return self._refused("disk", gathering.trouble or UNAVAILABLE, transaction)
        complete = changed(transaction, content=content)
        if transaction.peer.role is Role.LMTP:
            return Replies(await reception.accept_each(complete))
        return await reception.accept(complete)

    async def _auth(self, event: Auth) -> Status:
        return self._noted(await self._authentication.begin(event, self.peer))

    async def _auth_response(self, event: AuthResponse) -> Status:
        return self._noted(await self._authentication.go_on(event))

    def _noted(self, status: Status) -> Status:
        if account := self._authentication.account:
            self._service = self._service.for_users or self._service
            self.peer = replace(self.peer, account=account, role=self._service.role)
        return status

    async def _start_tls(self, event: StartTls) -> Status:
        if self.peer.tls is not None:
            return say.TLS_IS_ON
        if self.peer.address == THIS_MACHINE:
            return say.NO_TLS
        return say.START_TLS if self._service.tls_available and self._service.settings.tls != "off" else say.NO_TLS

    async def _rset(self, event: Rset) -> Status:
        self._forget()
        return self._conduct.junk() or say.FORGOTTEN

    async def _noop(self, event: Noop) -> Status:
        return self._conduct.junk() or say.STILL_HERE

    async def _vrfy(self, event: Vrfy) -> Status | Utf8Reply:
        if junk := self._conduct.junk():
            return junk
        service = self._service
        return await verify(event, service.expansion) if may_ask(service.settings.vrfy, self.peer) else TRY_AND_SEE

    async def _expn(self, event: Expn) -> Status | Utf8Reply:
        service = self._service
        return await expand(event, service.expansion) if may_ask(service.settings.expn, self.peer) else NO_LISTS

    async def _help(self, event: Help) -> Status | Reply:
        if junk := self._conduct.junk():
            return junk
        offers = extensions(self._service, self._limits, self.peer, await self._authentication.offered(self.peer))
        return help_text(event, verbs(self._limits, {line.partition(" ")[0] for line in offers}))

    async def _etrn(self, event: Etrn) -> Status:
        """RFC 1985 §5."""
        release = self._service.release
        pickup = release(event.option + event.node, self.peer.address) if release is not None else None
        if pickup is None or not pickup.served:
            return say.NOTHING_KEPT
        if not pickup.allowed:
            return self._refused("etrn", say.NOT_RELEASED, None)
        waits = f"Sending {pickup.count} messages that wait for {event.node}"
        return Status(250, "2.0.0", waits) if pickup.count else say.NOTHING_WAITS

    async def _xclient(self, event: XClient) -> Status:
        """The proxy says for whom it speaks: everything begins anew, with that client (as Postfix has it)."""
        if self.peer.tls is None and self._service.settings.tls == "required":
            return say.TLS_FIRST
        try:
            peer = behind(self.peer, event)
        except ValueError:
            return say.BAD_ATTRIBUTE
        self._entrance.policy.left(self.peer)
        self._begin_anew(peer)
        self._admitted = False  # that was the proxy
        return await self._greeting()

    async def _quit(self, event: Quit) -> Status:
        return say.GOODBYE

    async def _bad(self, event: Bad) -> Status:
        self._authentication.abandon()
        return self._refused("protocol", event.status, self._transaction) if event.fatal else event.status

    # ----- common to several

    async def _ask(self, point: Point, about: Peer | Transaction, *more: Address) -> Status | None:
        """The refusal at *point*, told as a fact; None where the dialogue may go on."""
        policy = self._service.policy
        opinion = await policy.ask(point, about, *more) if policy.asks(point) else None
        return self._refusal(opinion, about if isinstance(about, Transaction) else None, *more)

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

    def _begin_anew(self, peer: Peer) -> None:
        """Nothing is known any more but who *peer* is."""
        self._authentication.forget()
        self._forget()
        self._service = self._entrance
        self.peer = replace(peer, role=self._entrance.role)

    def _forget(self) -> None:
        """No transaction any more."""
        self._transaction = None
        if self._gathering is not None:
            self._gathering.discard()
            self._gathering = None


_ANSWERS: dict[type, Callable[[SmtpSession, Any], Awaitable[Status | Reply | Replies | Utf8Reply]]] = {
    Hello: SmtpSession._hello,
    Mail: SmtpSession._mail,
    Rcpt: SmtpSession._rcpt,
    Data: SmtpSession._data,
    Chunk: SmtpSession._chunk,
    ContentEnd: SmtpSession._content_end,
    LastChunk: SmtpSession._content_end,
    Burl: SmtpSession._burl,
    LastBurl: SmtpSession._burl,
    Auth: SmtpSession._auth,
    AuthResponse: SmtpSession._auth_response,
    StartTls: SmtpSession._start_tls,
    Rset: SmtpSession._rset,
    Noop: SmtpSession._noop,
    Vrfy: SmtpSession._vrfy,
    Expn: SmtpSession._expn,
    Help: SmtpSession._help,
    Etrn: SmtpSession._etrn,
    XClient: SmtpSession._xclient,
    Quit: SmtpSession._quit,
    Bad: SmtpSession._bad,
}
