"""One POP3 connection: logging in, the lock on a maildrop, and what may be asked at any time.

What may be asked after login is `transaction`, the spelling `wire/pop3`, who may
come in `servers/login`. Response codes: AUTH and SYS (RFC 3206), IN-USE and LOGIN-DELAY
(RFC 2449 §8). Everything is thought in English and said in the language that the
client has asked for (RFC 6856 §3), in one place: `answer`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import replace
from math import ceil
from typing import Any

from twisted.logger import Logger

from twistmail.mail.account import Account
from twistmail.mail.envelope import TlsState
from twistmail.servers.conversation import Conversation, Said, Welcome
from twistmail.servers.mechanisms import Caller, Denied
from twistmail.servers.pop3 import languages
from twistmail.servers.pop3.maildrop import Maildrop, open_maildrop
from twistmail.servers.pop3.service import Pop3Service
from twistmail.servers.pop3.transaction import DISK_TROUBLE, Transaction
from twistmail.servers.throttle import network_of
from twistmail.wire.pop3 import commands as pop
from twistmail.wire.pop3.apop import ApopExchange
from twistmail.wire.pop3.server import PopServerWire
from twistmail.wire.sasl.exchange import Challenge, Malformed, credentials
from twistmail.wire.sasl.spelling import decode

log = Logger()

DAY = 86400.0
WRONG = "Login or password is wrong"
NO_SUCH_MECHANISM = pop.Err("That mechanism is not offered")
TLS_FIRST = pop.Err("Encrypt the connection first: STLS")
LATER = pop.Err("That cannot be done at the moment, please try again later", "SYS/TEMP")
IN_USE = pop.Err("Another session has this mailbox open", "IN-USE")


def open_connection(service: Pop3Service, identifier: str, address: str, port: int, via: str = "") -> tuple[PopServerWire, PopSession]:
    """Wire and session of a new connection from *address*, whatever proxy it came *via*."""
    wire = PopServerWire(apop=service.settings.apop, lone_lf=service.settings.lone_lf)
    return wire, PopSession(service, Caller(identifier, address, via=via))


class PopSession:
    """One connection. See `servers.session.Session`."""

    minimum_rate = 0

    def __init__(self, service: Pop3Service, caller: Caller) -> None:
        self._service = service
        self._caller = caller
        self._connection = caller.connection
        self._address = caller.address
        self._began = service.clock.seconds()
        self._counted: tuple[str, ...] | None = None  # as what the census counts us, until login
        self._name = b""  # of USER, until PASS
        self._conversation: Conversation | None = None
        self._account: Account | None = None
        self._maildrop: Maildrop | None = None
        self._transaction: Transaction | None = None  # after login
        self._failures = 0
        self._senseless = 0
        self._utf8 = False
        self._timestamp = b""  # of APOP, where that can be
        self._words = languages.WORDS[languages.ENGLISH]

    # ----- what the pump asks

    @property
    def patience(self) -> float:
        """Until login there is one deadline for everything: whoever only talks must not keep a place."""
        settings = self._service.settings
        if self._account is None:
            return max(0.0, self._began + settings.login_timeout - self._service.clock.seconds())
        return float(settings.lock_timeout)

    def attach(self, poke: Callable[[], None]) -> None:
        """POP3 says nothing unasked."""

    async def admit(self) -> bool:
        key = ("pop3", network_of(self._address))
        if self._counted is None and self._service.census.enter((key, self._service.settings.max_connections_per_ip)):
            self._counted = key
        return self._counted is not None

    async def greet(self) -> AsyncIterator[Any]:
        if not await self.admit():
            yield pop.Farewell("There are too many connections from where you are", good=False, code="SYS/TEMP")
            return
        login = self._service.login
        if self._service.settings.apop and await login.takes_proofs():
            self._timestamp = login.challenge()
        if self._timestamp:
            yield pop.Good("{} POP3 server ready {}", (self._service.hostname, self._timestamp.decode("ascii")))
        else:
            yield pop.Good("{} POP3 server ready", (self._service.hostname,))

    async def answer(self, event: Any) -> AsyncIterator[Any]:
        try:
            said = await self._answer(event)
        except DISK_TROUBLE as error:
            log.warn("{id}: {event} by {account}: {error}", id=self._connection, event=type(event).__name__,
                     account=self._account and self._account.name, error=str(error))
            said = LATER
        if not isinstance(said, AsyncIterator):
            yield self._translated(said) if self._words else said
            return
        async with aclosing(said):  # type: ignore[type-var]
            async for response in said:
                yield self._translated(response) if self._words else response

    def _translated(self, response: Any) -> Any:
        text = self._words.get(getattr(response, "text", ""))
        return response if text is None else replace(response, text=text)

    async def _answer(self, event: Any) -> Any:
        answer = _ANSWERS.get(type(event))
        if answer is not None:
            return await answer(self, event)
        assert self._transaction is not None, "the wire lets nobody ask this before login"
        return await self._transaction.answer(event)

    async def pending_updates(self) -> AsyncIterator[Any]:
        return
        yield

    def last_words(self, why: str) -> Iterable[Any]:
        """RFC 1939 §3: whoever was silent for too long is left without a word."""
        match why:
            case "shutdown":
                yield self._translated(pop.Farewell("The server stops now, please come back later", good=False, code="SYS/TEMP"))
            case "kicked":
                yield self._translated(pop.Farewell("An operator has ended this session", good=False, code="SYS/TEMP"))
            case "bug":
                yield self._translated(pop.Farewell("Something went wrong here, please try again later", good=False, code="SYS/TEMP"))

    def tls_started(self, tls: TlsState) -> None:
        self._caller = replace(self._caller, tls=tls)
        self._name = b""
        self._conversation = None
        self._words = languages.WORDS[languages.ENGLISH]

    def _uncount(self) -> None:
        if self._counted is not None:
            self._service.census.leave(self._counted)
            self._counted = None

    def closed(self, why: str) -> None:
        if self._transaction is not None:
            self._transaction.tell()
        if self._maildrop is not None:
            self._maildrop.close()
        if self._account is not None:
            self._service.locks.release(self._account.name)

    def departed(self) -> None:
        self._uncount()

    # ----- before login

    @property
    def _may_send_password(self) -> bool:
        return self._service.login.may_send_password(self._caller)

    async def _user(self, event: pop.User) -> Any:
        if not self._may_send_password:
            return TLS_FIRST
        self._name = event.name
        return pop.Good("And the password?")

    async def _pass(self, event: pop.Pass) -> Any:
        name, self._name = self._name, b""
        if not name:
            return pop.Err("USER comes first")
        claim = credentials(name, event.password)
        if isinstance(claim, Malformed):
            return self._malformed(pop.Err(claim.text, "AUTH"))
        account = await self._service.login.check(claim, self._address, "USER", self._connection)
        return self._failed() if account is None else await self._enter(account)

    async def _apop(self, event: pop.Apop) -> Any:
        if not self._timestamp:
            return NO_SUCH_MECHANISM
        begun = self._service.login.converse(ApopExchange(self._timestamp, event.name, event.digest), self._caller)
        return TLS_FIRST if isinstance(begun, Denied) else await self._step(begun, None)

    async def _auth(self, event: pop.Auth) -> Any:
        login = self._service.login
        if not event.mechanism:
            names = await login.mechanisms(self._caller)
            return pop.Listing("Mechanisms follow", b"".join(b"%b\r\n" % name.encode() for name in names))
        begun = await login.begin(event.mechanism, self._caller)
        if isinstance(begun, Denied):
            return TLS_FIRST if begun is Denied.ENCRYPT_FIRST else NO_SUCH_MECHANISM
        self._conversation = begun
        return await self._step(begun, event.initial)

    async def _response(self, event: pop.Response) -> Any:
        if event.line == b"*":
            return pop.Err("Given up, as you wish")
        assert self._conversation is not None, "the wire knows of an exchange"
        return await self._step(self._conversation, event.line)

    async def _step(self, conversation: Conversation, line: bytes | None) -> Any:
        """Go on with the exchange; *line* is what the client said, None for no initial response."""
        data = None if line is None else decode(line)
        if line is not None and data is None:
            return self._malformed(pop.Err("That is not base64"))
        said: Said = await conversation.step(data)
        match said:
            case Challenge(octets):
                return pop.Challenge(octets)
            case Welcome(account):
                return await self._enter(account)
            case Malformed(text):
                return self._malformed(pop.Err(text, "AUTH"))
        return self._failed()

    def _malformed(self, refusal: Any) -> Any:
        """The client has sent what is no answer at all: *refusal*, and in the end the door."""
        self._senseless += 1
        if self._senseless >= self._service.settings.max_bad_commands:
            return pop.Farewell(refusal.text, good=False, code=refusal.code)
        return refusal

    def _failed(self) -> Any:
        """Nobody has come in."""
        self._failures += 1
        if self._failures >= self._service.login.max_failures:
            return pop.Farewell(WRONG, good=False, code="AUTH")
        return pop.Err(WRONG, "AUTH")

    async def _enter(self, account: Account) -> Any:
        """Lock the maildrop and open it (RFC 1939 §4)."""
        service = self._service
        now, delay = service.clock.seconds(), service.settings.login_delay
        if wait := service.locks.visits.wait(account.name, now, delay):
            return pop.Err("You have logged in a moment ago, come back in {} seconds", "LOGIN-DELAY", (ceil(wait),))
        if not service.locks.take(account.name):
            return IN_USE
        try:
            self._maildrop = await open_maildrop(service.store, account.name, service.settings.uidl_format, service.clock)
        except BaseException:
            service.locks.release(account.name)
            raise
        service.locks.visits.came(account.name, now, delay)
        self._account = account
        self._transaction = Transaction(service, self._connection, account.name, self._maildrop, utf8=self._utf8)
        self._uncount()
        return pop.Welcome("{} messages", (self._maildrop.count,))

    async def _stls(self, event: pop.Stls) -> Any:
        if self._caller.tls is not None:
            return pop.Err("TLS is active already")
        if self._utf8:  # RFC 6856 §2.1: no client may do that
            return pop.Err("UTF8 came first")
        if not self._service.tls_available:
            return pop.Err("There is no TLS here")
        return pop.GoAhead("Begin TLS negotiation")

    async def _utf_8(self, event: pop.Utf8) -> Any:
        self._utf8 = True
        return pop.Good("UTF-8 from now on")

    # ----- at any time

    async def _lang(self, event: pop.Lang) -> Any:
        """RFC 6856 §3.2."""
        if not event.wanted:
            lines = [f"{tag} {name}\r\n".encode() for tag, name in languages.NAMES.items()]
            return pop.Listing("Languages follow", b"".join(lines))
        tag = self._service.settings.language if event.wanted == "*" else languages.matching(event.wanted)
        if tag is None:
            return pop.Err("That language is not spoken here")
        self._words = languages.WORDS[tag]
        return pop.Good("{} This is what it sounds like", (tag,))

    async def _capa(self, event: pop.Capa) -> Any:
        """RFC 2449 §6, RFC 6856; what cannot be used now is not offered."""
        offered = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", self._expire, "UTF8 USER", "LANG"]
        if delay := self._service.settings.login_delay:
            offered.append(f"LOGIN-DELAY {ceil(delay)}")
        if self._may_send_password:
            offered.append("USER")
        if mechanisms := await self._service.login.mechanisms(self._caller):
            offered.append(" ".join(["SASL", *mechanisms]))
        if self._service.tls_available and self._caller.tls is None and self._account is None:
            offered.append("STLS")
        offered.append("IMPLEMENTATION twistmail")
        return pop.Listing("Capability list follows", b"".join(b"%b\r\n" % line.encode() for line in offered))

    @property
    def _expire(self) -> str:
        """RFC 2449 §6.7: for so many days nothing goes that the client does not delete."""
        expire = self._service.settings.expire
        return "EXPIRE NEVER" if expire is None else f"EXPIRE {int(expire // DAY)}"

    async def _noop(self, event: pop.Noop) -> Any:
        return pop.Good("Nothing done")

    async def _quit(self, event: pop.Quit) -> Any:
        return pop.Farewell("Good bye") if self._transaction is None else await self._transaction.leave()

    async def _bad(self, event: pop.Bad) -> Any:
        self._senseless += 1
        if event.fatal or self._senseless >= self._service.settings.max_bad_commands:
            return pop.Farewell(event.text, good=False)
        return pop.Err(event.text)


_ANSWERS: dict[type, Callable[[PopSession, Any], Awaitable[Any]]] = {
    pop.User: PopSession._user,
    pop.Pass: PopSession._pass,
    pop.Apop: PopSession._apop,
    pop.Auth: PopSession._auth,
    pop.Response: PopSession._response,
    pop.Stls: PopSession._stls,
    pop.Utf8: PopSession._utf_8,
    pop.Lang: PopSession._lang,
    pop.Capa: PopSession._capa,
    pop.Noop: PopSession._noop,
    pop.Quit: PopSession._quit,
    pop.Bad: PopSession._bad,
}
