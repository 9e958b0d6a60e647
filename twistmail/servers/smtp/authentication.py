"""AUTH (RFC 4954): one exchange after the other, until somebody is in or we have had enough."""

from __future__ import annotations

from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.mail.envelope import Peer
from twistmail.mail.status import Status
from twistmail.servers.login import Login
from twistmail.servers.smtp import service as say
from twistmail.wire import sasl
from twistmail.wire.smtp.commands import Auth, AuthResponse


class Authentication:
    """The AUTH side of one connection. `account` is who has logged in."""

    def __init__(self, login: Login | None, account: Account | None = None) -> None:
        self.account = account
        self._login = login
        self._exchange: sasl.Exchange | None = None
        self._failures = 0

    async def offered(self, peer: Peer) -> tuple[str, ...]:
        """The mechanisms that EHLO shows *peer*."""
        return await self._login.mechanisms(peer.tls) if self._login and not self.account else ()

    def forget(self) -> None:
        """TLS has started: only the failures stay (RFC 3207 §4.2)."""
        self.account = None
        self._exchange = None

    def abandon(self) -> None:
        """The exchange has ended without a word of its own."""
        self._exchange = None

    async def begin(self, auth: Auth, peer: Peer) -> Status:
        """The answer to AUTH."""
        if self._login is None:
            return say.NO_AUTH
        if self.account is not None:
            return say.LOGGED_IN_ALREADY
        if not self._login.allowed(tls=peer.tls is not None):
            return say.ENCRYPT_FIRST
        self._exchange = self._login.begin(auth.mechanism, peer.tls)
        if self._exchange is None:
            return say.NO_SUCH_MECHANISM
        return await self._step(auth.initial, peer)

    async def go_on(self, response: AuthResponse, peer: Peer) -> Status:
        """The answer to what the client said to our challenge."""
        if response.data is None:
            self._exchange = None
            return say.GIVEN_UP
        return await self._step(response.data, peer)

    async def _step(self, data: bytes | None, peer: Peer) -> Status:
        exchange = self._exchange
        assert exchange is not None
        match exchange.step(data):
            case sasl.Challenge(challenge):
                return Status(334, "", sasl.encode(challenge).decode("ascii"))
            case sasl.Credentials() | sasl.Proven() as credentials:
                self._exchange = None
                return await self._check(credentials, peer, exchange.mechanism)
            case sasl.Malformed(text):
                self._exchange = None
                return Status(501, "5.5.2", text)
        raise AssertionError("a mechanism with an answer of its own")

    async def _check(self, credentials: sasl.Credentials | sasl.Proven, peer: Peer, mechanism: str) -> Status:
        assert self._login is not None
        try:
            self.account = await self._login.check(credentials, peer.address, mechanism, peer.connection)
        except Unavailable:
            return say.ACCOUNTS_UNAVAILABLE
        if self.account is not None:
            return say.WELCOME
        self._failures += 1
        if self._failures >= self._login.max_failures:
            return say.TOO_MANY_FAILURES
        return say.WRONG_CERTIFICATE if isinstance(credentials, sasl.Proven) else say.WRONG_PASSWORD
