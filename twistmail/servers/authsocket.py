"""Logins for other daemons of this machine: a Postfix or an Exim asks us who its clients are (`wire.authsocket`).

Whoever can open the socket may ask for anybody and is believed what he says of
the client (its address, whether it came under TLS), so the socket is a file with
rights, never a port. What is asked is judged by the `Login` that our own
services use: mechanisms, delays, bans and facts are the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from twisted.logger import Logger

from twistmail import tasks
from twistmail.endpoints import ENDPOINTS
from twistmail.interfaces import Unavailable
from twistmail.mail.envelope import TlsState
from twistmail.mail.values import frozen
from twistmail.options import COUNT, Option, Reload, Section
from twistmail.servers.conversation import Conversation, Failed, Said, Welcome
from twistmail.servers.login import Login
from twistmail.servers.mechanisms import Caller, Denied
from twistmail.wire import authsocket as wire
from twistmail.wire.contract import PeerGone
from twistmail.wire.sasl.exchange import Challenge, Malformed

log = Logger()

OPTIONS = Section(
    "auth_socket",
    "Logins for other daemons, by Dovecot's auth protocol: smtpd_sasl_type = dovecot in Postfix, driver = dovecot in Exim.",
    Option("listen", ENDPOINTS, "off", "UNIX sockets, one per line; off switches the service off.",
           example="unix:/var/spool/postfix/private/auth:mode=660"),
    Option("max_connections", COUNT, "500", "Connections of daemons at a time."),
    Option("max_requests", COUNT, "100", "Logins under way at a time on one connection.", Reload.NEW),
)

#: A daemon keeps its connection for as long as it runs.
PATIENCE = 7 * 86_400.0
#: What daemons call the service that they ask for -> our word for it; whatever else they say is "other".
SERVICES = {"smtp": "submission", "submission": "submission", "imap": "imap", "pop3": "pop3", "sieve": "sieve"}
OTHER = "other"
#: `secured`: the daemon has encrypted the connection; more is not known of it.
SECURED = TlsState("", "", 0)
LATER = "Passwords cannot be checked at the moment, please try again later"


@frozen
class AuthSocketService:
    """What all connections have in common. *login*(service) is asked for the clients of that service; *numbers* count connections."""

    login: Callable[[str], Login]
    most_requests: int
    process: int
    numbers: Iterator[int]
    nonce: Callable[[], str]


def open_connection(
    service: AuthSocketService, identifier: str, address: str, port: int, via: str = ""
) -> tuple[wire.AuthSocketWire, AuthSocketSession]:
    """The wire and the session of a connection that has come."""
    return wire.AuthSocketWire(), AuthSocketSession(service, identifier)


class AuthSocketSession:
    """One connection of a daemon. See `servers.session.Session`."""

    patience = PATIENCE
    minimum_rate = 0

    def __init__(self, service: AuthSocketService, identifier: str) -> None:
        self._service = service
        self._identifier = identifier
        self._poke: Callable[[], None] = lambda: None
        self._open: dict[int, _Request] = {}
        self._known: list[Any] = []

    def attach(self, poke: Callable[[], None]) -> None:
        self._poke = poke

    async def admit(self) -> bool:
        return True

    async def greet(self) -> AsyncIterator[Any]:
        offered = await self._service.login(OTHER).mechanisms(Caller(self._identifier, "unix", SECURED))
        cookie = sha256(self._service.nonce().encode()).hexdigest()[:32]
        yield wire.Handshake(offered, self._service.process, next(self._service.numbers), cookie)

    async def answer(self, event: Any) -> AsyncIterator[Any]:
        match event:
            case wire.Begin(number) if number in self._open or len(self._open) >= self._service.most_requests:
                yield wire.Refused(number, later=True)
            case wire.Begin(number):
                request = self._open[number] = _Request(number)
                tasks.start(self._begin(request, event), "a login for another daemon")
            case wire.Continue(number, data):
                known = self._open.get(number)
                if known is None or known.conversation is None:  # it was not asked for anything
                    self._open.pop(number, None)
                    yield wire.Refused(number)
                else:
                    conversation, known.conversation = known.conversation, None
                    tasks.start(self._go_on(known, conversation, data), "a login for another daemon")
            case wire.Cancel(number):
                self._open.pop(number, None)
            case wire.Bad(text):
                log.warn("auth socket: what a daemon said {text}; closing", text=text)
                yield wire.Farewell()
            case PeerGone():
                yield wire.Farewell()

    async def pending_updates(self) -> AsyncIterator[Any]:
        known, self._known = self._known, []
        for response in known:
            yield response

    def last_words(self, why: str) -> Iterable[Any]:
        return ()

    def tls_started(self, tls: TlsState) -> None:
        """There is none."""

    def closed(self, why: str) -> None:
        self._open.clear()

    def departed(self) -> None:
        """Nobody counts."""

    # ----- one login

    async def _begin(self, request: _Request, event: wire.Begin) -> None:
        said = event.parameters
        caller = Caller(self._identifier, said.get("rip", "unix"), SECURED if "secured" in said else None)
        login = self._service.login(SERVICES.get(said.get("service", ""), OTHER))
        begun = await login.begin(event.mechanism, caller, final_with_success="final-resp-ok" in said)
        if isinstance(begun, Denied):
            self._end(request, wire.Refused(request.number, _DENIED[begun]))
        else:
            await self._go_on(request, begun, event.initial)

    async def _go_on(self, request: _Request, conversation: Conversation, data: bytes | None) -> None:
        try:
            said: Said = await conversation.step(data)
        except Unavailable:
            self._end(request, wire.Refused(request.number, LATER, later=True))
            return
        if isinstance(said, Challenge):
            request.conversation = conversation
            self._say(request, wire.Challenge(request.number, said.data))
        else:
            self._end(request, _END[type(said)](request.number, said))

    def _end(self, request: _Request, response: Any) -> None:
        self._say(request, response)
        if self._open.get(request.number) is request:
            del self._open[request.number]

    def _say(self, request: _Request, response: Any) -> None:
        """Say it, unless *request* was cancelled or the daemon has gone."""
        if self._open.get(request.number) is request:
            self._known.append(response)
            self._poke()


@dataclass(slots=True, eq=False)
class _Request:
    """One AUTH. `conversation`: its exchange, while that waits for the client."""

    number: int
    conversation: Conversation | None = None


_DENIED = {Denied.ENCRYPT_FIRST: "Passwords are accepted under TLS only", Denied.NO_SUCH_MECHANISM: "That mechanism is not offered"}
_END: dict[type, Callable[[int, Any], Any]] = {
    Welcome: lambda number, said: wire.Welcome(number, said.account.name, said.final),
    Failed: lambda number, said: wire.Refused(number),
    Malformed: lambda number, said: wire.Refused(number, said.text),
}
