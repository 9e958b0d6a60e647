"""What POP3 means: logging in, a locked maildrop, messages out, deletions at QUIT and only there.

The spelling is `wire/pop3`, the maildrop `servers/maildrop`, who may come in
`servers/login`. Response codes: AUTH and SYS (RFC 3206), IN-USE (RFC 2449 §8).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice
from typing import Any

from twisted.logger import Logger

from twistmail.endpoints import ENDPOINTS
from twistmail.facts import Fact, Facts, Read
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.mail.envelope import TlsState
from twistmail.mail.mailbox import StoreError
from twistmail.networks import NETWORKS
from twistmail.options import COUNT, DURATION, Option, Reload, Section, Settings, choice
from twistmail.servers.census import Census
from twistmail.servers.login import Login
from twistmail.servers.maildrop import Maildrop, open_maildrop
from twistmail.servers.throttle import network_of
from twistmail.wire import sasl
from twistmail.wire.pop3 import commands as pop
from twistmail.wire.pop3.server import PopServerWire
from twistmail.wire.pop3.top import Beginning

log = Logger()

OPTIONS = Section(
    "pop3",
    "Mail for programs that fetch it and (mostly) delete it here.",
    Option("listen", ENDPOINTS, "off", "Endpoints, one per line; off switches the service off. The usual: tls:port=995 and tcp:110.",
           starter="tls:port=2995:interface=127.0.0.1\ntcp:2110:interface=127.0.0.1"),
    Option("tls", choice("required", "offered", "off"), "required", "Whether users must use TLS before they log in.", Reload.NEW),
    Option("lock_timeout", DURATION, "10m", "How long a silent client keeps his mailbox locked (RFC 1939 §3: at least 10m).", Reload.NEW),
    Option("login_timeout", DURATION, "3m", "How long a client may take to log in.", Reload.NEW),
    Option("max_bad_commands", COUNT, "20", "Senseless commands after which a connection is closed.", Reload.NEW),
    Option("max_connections", COUNT, "500", "Connections of this service at a time."),
    Option("max_connections_per_ip", COUNT, "30", "Connections at a time from one address that have not logged in.", Reload.NEW),
    Option("proxy_from", NETWORKS, "", "Proxies that say for whom they speak, before anything else (PROXY protocol).", Reload.NEW,
           example="192.0.2.1 10.0.0.0/8"),
)

#: Chunks (64 KiB each) of a large message that are read in one go.
CHUNKS = 4

WRONG = "Login or password is wrong"
NO_SUCH_MESSAGE = pop.Err("There is no such message")
TLS_FIRST = pop.Err("Encrypt the connection first: STLS")
LATER = pop.Err("That cannot be done at the moment, please try again later", "SYS/TEMP")
IN_USE = pop.Err("Another session has this mailbox open", "IN-USE")
GONE = pop.Err("That message has been deleted by somebody else")
DISK_TROUBLE = (OSError, StoreError, Unavailable)


class Locks:
    """Whose maildrop is open (RFC 1939 §4: one session at a time). One object for the life of the server."""

    def __init__(self) -> None:
        self._held: set[str] = set()

    def take(self, account: str) -> bool:
        """True where *account* was free; it is no longer."""
        if account in self._held:
            return False
        self._held.add(account)
        return True

    def release(self, account: str) -> None:
        self._held.discard(account)


@dataclass(frozen=True, slots=True)
class Pop3Service:
    """What all POP3 connections have in common. `tls_available`: there is a certificate, so STLS can be offered."""

    hostname: str
    store: Any  # IMailStore
    login: Login
    facts: Facts
    settings: Settings  # of OPTIONS
    threads: Any
    clock: Any
    epoch: Callable[[], float]
    tls_available: bool
    locks: Locks
    census: Census


def open_connection(service: Pop3Service, identifier: str, address: str, port: int, via: str = "") -> tuple[PopServerWire, PopSession]:
    """Wire and session of a new connection from *address*, whatever proxy it came *via*."""
    return PopServerWire(), PopSession(service, identifier, address)


class PopSession:
    """One connection. See `servers.session.Session`."""

    minimum_rate = 0

    def __init__(self, service: Pop3Service, connection: str, address: str) -> None:
        self._service = service
        self._connection = connection
        self._address = address
        self._began = service.clock.seconds()
        self._counted: tuple[str, ...] | None = None  # as what the census counts us, until login
        self._tls: TlsState | None = None
        self._name = b""  # of USER, until PASS
        self._exchange: sasl.Exchange | None = None
        self._account: Account | None = None
        self._maildrop: Maildrop | None = None
        self._failures = 0
        self._senseless = 0

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
        yield pop.Good(f"{self._service.hostname} POP3 server ready")

    async def answer(self, event: Any) -> AsyncIterator[Any]:
        try:
            said = await _ANSWERS[type(event)](self, event)
        except DISK_TROUBLE as error:
            log.warn("{id}: {event} by {account}: {error}", id=self._connection, event=type(event).__name__,
                     account=self._account and self._account.name, error=str(error))
            said = LATER
        if not isinstance(said, AsyncIterator):
            yield said
            return
        async with aclosing(said):  # type: ignore[type-var]
            async for response in said:
                yield response

    async def pending_updates(self) -> AsyncIterator[Any]:
        return
        yield

    def last_words(self, why: str) -> Iterable[Any]:
        """RFC 1939 §3: whoever was silent for too long is left without a word."""
        match why:
            case "shutdown":
                yield pop.Farewell("The server stops now, please come back later", good=False, code="SYS/TEMP")
            case "bug":
                yield pop.Farewell("Something went wrong here, please try again later", good=False, code="SYS/TEMP")

    def tls_started(self, tls: TlsState) -> None:
        self._tls = tls
        self._name = b""
        self._exchange = None

    def _uncount(self) -> None:
        if self._counted is not None:
            self._service.census.leave(self._counted)
            self._counted = None

    def closed(self, why: str) -> None:
        if self._maildrop is not None:
            self._maildrop.close()
        if self._account is not None:
            self._service.locks.release(self._account.name)

    def departed(self) -> None:
        self._uncount()

    # ----- before login

    @property
    def _may_log_in(self) -> bool:
        return self._service.login.allowed(tls=self._tls is not None)

    async def _user(self, event: pop.User) -> Any:
        if not self._may_log_in:
            return TLS_FIRST
        self._name = event.name
        return pop.Good("And the password?")

    async def _pass(self, event: pop.Pass) -> Any:
        name, self._name = self._name, b""
        if not name:
            return pop.Err("USER comes first")
        return await self._judge(sasl.credentials(name, event.password), "USER")

    async def _auth(self, event: pop.Auth) -> Any:
        login = self._service.login
        if not self._may_log_in:
            return TLS_FIRST
        if not event.mechanism:
            return pop.Listing("Mechanisms follow", b"".join(b"%b\r\n" % name.encode() for name in await login.mechanisms(self._tls)))
        self._exchange = login.begin(event.mechanism, self._tls)
        if self._exchange is None:
            return pop.Err("That mechanism is not offered")
        return await self._step(event.initial)

    async def _response(self, event: pop.Response) -> Any:
        if event.line == b"*":
            return pop.Err("Given up, as you wish")
        return await self._step(event.line)

    async def _step(self, line: bytes | None) -> Any:
        """Go on with the exchange; *line* is what the client said, None for no initial response."""
        assert self._exchange is not None
        data = None if line is None else sasl.decode(line)
        if line is not None and data is None:
            return pop.Err("That is not base64")
        return await self._judge(self._exchange.step(data), self._exchange.mechanism)

    async def _judge(self, answer: sasl.Answer, mechanism: str) -> Any:
        match answer:
            case sasl.Challenge(data):
                return pop.Challenge(data)
            case sasl.Malformed(text):
                return pop.Err(text, "AUTH")
        account = await self._service.login.check(answer, self._address, mechanism, self._connection)
        if account is not None:
            return await self._enter(account)
        self._failures += 1
        if self._failures >= self._service.login.max_failures:
            return pop.Farewell(WRONG, good=False, code="AUTH")
        return pop.Err(WRONG, "AUTH")

    async def _enter(self, account: Account) -> Any:
        """Lock the maildrop and open it (RFC 1939 §4)."""
        locks = self._service.locks
        if not locks.take(account.name):
            return IN_USE
        try:
            self._maildrop = await open_maildrop(self._service.store, account.name)
        except BaseException:
            locks.release(account.name)
            raise
        self._account = account
        self._uncount()
        return pop.Welcome(f"{self._maildrop.count} messages")

    async def _stls(self, event: pop.Stls) -> Any:
        if self._tls is not None:
            return pop.Err("TLS is active already")
        if not self._service.tls_available:
            return pop.Err("There is no TLS here")
        return pop.GoAhead("Begin TLS negotiation")

    # ----- at any time

    async def _capa(self, event: pop.Capa) -> Any:
        """RFC 2449 §6; what cannot be used now is not offered."""
        offered = [b"TOP", b"UIDL", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING", b"EXPIRE NEVER"]
        if self._may_log_in:
            offered += [b"USER", b" ".join([b"SASL", *(name.encode() for name in await self._service.login.mechanisms(self._tls))])]
        if self._service.tls_available and self._tls is None and self._account is None:
            offered.append(b"STLS")
        offered.append(b"IMPLEMENTATION twistmail")
        return pop.Listing("Capability list follows", b"".join(b"%b\r\n" % line for line in offered))

    async def _noop(self, event: pop.Noop) -> Any:
        return pop.Good("Nothing done")

    async def _quit(self, event: pop.Quit) -> Any:
        """RFC 1939 §6: now, and only now, messages are deleted; the answer says whether they were."""
        if self._maildrop is None:
            return pop.Farewell("Good bye")
        try:
            done = await self._maildrop.update()
        except DISK_TROUBLE as error:
            log.warn("{id}: deleting at QUIT of {account}: {error}", id=self._connection,
                     account=self._account and self._account.name, error=str(error))
            done = False
        if not done:
            return pop.Farewell("Some deleted messages were not removed", good=False, code="SYS/TEMP")
        return pop.Farewell(f"Good bye, {len(self._maildrop.deleted)} deleted, {self._maildrop.count} left")

    async def _bad(self, event: pop.Bad) -> Any:
        self._senseless += 1
        if event.fatal or self._senseless >= self._service.settings.max_bad_commands:
            return pop.Farewell(event.text, good=False)
        return pop.Err(event.text)

    # ----- after login

    @property
    def _drop(self) -> Maildrop:
        assert self._maildrop is not None, "the wire lets nobody ask this before login"
        return self._maildrop

    async def _stat(self, event: pop.Stat) -> Any:
        await self._drop.measure()
        return pop.Good(f"{self._drop.count} {self._drop.octets}")

    async def _list(self, event: pop.List) -> Any:
        await self._drop.measure()
        return self._listed(event.number, self._drop.size_line, f"{self._drop.count} messages ({self._drop.octets} octets)")

    async def _uidl(self, event: pop.Uidl) -> Any:
        return self._listed(event.number, self._drop.unique_id_line, "Unique ids follow")

    def _listed(self, number: int | None, line: Callable[[int], bytes], title: str) -> Any:
        """The *line* of one message as a reply, or those of all as a listing."""
        if number is None:
            return _blocks(title, self._drop.lines(line))
        if self._drop.uid(number) is None:
            return NO_SUCH_MESSAGE
        return pop.Good(line(number)[:-2].decode())

    async def _retr(self, event: pop.Retr) -> Any:
        uid = self._drop.uid(event.number)
        if uid is None:
            return NO_SUCH_MESSAGE
        await self._drop.measure()
        if not self._drop.is_small(event.number):
            return await self._stream(event.number, None)
        content = await self._drop.whole(event.number)
        if content is None:
            return GONE
        self._tell_read(uid)
        return pop.Message(f"{len(content)} octets", content)

    async def _top(self, event: pop.Top) -> Any:
        if self._drop.uid(event.number) is None:
            return NO_SUCH_MESSAGE
        await self._drop.measure()
        beginning = Beginning(event.lines)
        if not self._drop.is_small(event.number):
            return await self._stream(event.number, beginning)
        content = await self._drop.whole(event.number)
        return GONE if content is None else pop.Message("The beginning follows", beginning.feed(content))

    async def _stream(self, number: int, beginning: Beginning | None) -> Any:
        """A large message, or only its *beginning*, piece by piece; the first piece is read before +OK is said."""
        content = await self._drop.content(number)
        if content is None:
            return GONE
        chunks = content.chunks()
        first = await self._service.threads.run(_next_of, chunks)
        if beginning is None:
            self._tell_read(self._drop.uids[number - 1])
        return self._pieces(f"{content.size} octets" if beginning is None else "The beginning follows", first, chunks, beginning)

    async def _pieces(self, text: str, piece: bytes, chunks: Iterator[bytes], beginning: Beginning | None) -> AsyncIterator[Any]:
        yield pop.MessageBegins(text)
        while piece:
            yield pop.Chunk(piece if beginning is None else beginning.feed(piece))
            if beginning is not None and beginning.complete:
                break
            try:
                piece = await self._service.threads.run(_next_of, chunks)
            except OSError as error:
                # Half a message must not look like a whole one: no final dot, only the end of the connection.
                log.warn("{id}: reading a message: {error}", id=self._connection, error=str(error))
                yield pop.Farewell("", good=False)
                return
        yield pop.MessageEnds()

    async def _dele(self, event: pop.Dele) -> Any:
        if self._drop.uid(event.number) is None:
            return NO_SUCH_MESSAGE
        self._drop.deleted.add(event.number)
        return pop.Good("Marked, and deleted at QUIT")

    async def _rset(self, event: pop.Rset) -> Any:
        self._drop.deleted.clear()
        return pop.Good(f"{self._drop.count} messages, none marked")

    def _tell_read(self, uid: int) -> None:
        if self._service.facts.listened and self._account is not None:
            what = Read("pop3", self._account.name, "INBOX", str(uid))
            self._service.facts.tell(Fact(self._service.epoch(), self._connection, what))


async def _blocks(title: str, blocks: Iterator[bytes]) -> AsyncIterator[Any]:
    yield pop.MessageBegins(title)
    for block in blocks:
        yield pop.Chunk(block)
    yield pop.MessageEnds()


def _next_of(chunks: Iterator[bytes]) -> bytes:
    """The next octets, up to 256 KiB; empty at the end. Blocking."""
    return b"".join(islice(chunks, CHUNKS))


_ANSWERS: dict[type, Callable[[PopSession, Any], Awaitable[Any]]] = {
    pop.User: PopSession._user,
    pop.Pass: PopSession._pass,
    pop.Auth: PopSession._auth,
    pop.Response: PopSession._response,
    pop.Stls: PopSession._stls,
    pop.Capa: PopSession._capa,
    pop.Noop: PopSession._noop,
    pop.Quit: PopSession._quit,
    pop.Bad: PopSession._bad,
    pop.Stat: PopSession._stat,
    pop.List: PopSession._list,
    pop.Uidl: PopSession._uidl,
    pop.Retr: PopSession._retr,
    pop.Top: PopSession._top,
    pop.Dele: PopSession._dele,
    pop.Rset: PopSession._rset,
}
