"""AUTH (RFC 4954): one exchange after the other, until somebody is in or we have had enough."""

from __future__ import annotations

from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.mail.envelope import Peer
from twistmail.mail.status import Status
from twistmail.servers.conversation import Conversation, Welcome
from twistmail.servers.login import EXTERNAL, Login
from twistmail.servers.mechanisms import Caller, Denied
from twistmail.servers.smtp import service as say
from twistmail.wire.sasl.exchange import Challenge, Malformed
from twistmail.wire.sasl.spelling import encode
from twistmail.wire.smtp.commands import Auth, AuthResponse


class Authentication:
    """The AUTH side of one connection. `account` is who has logged in."""

    def __init__(self, login: Login | None, account: Account | None = None) -> None:
        self.account = account
        self._login = login
        self._conversation: Conversation | None = None
        self._failures = 0

    async def offered(self, peer: Peer) -> tuple[str, ...]:
        """The mechanisms that EHLO shows *peer*."""
        return await self._login.mechanisms(_caller(peer)) if self._login and not self.account else ()

    def forget(self) -> None:
        """TLS has started: only the failures stay (RFC 3207 §4.2)."""
        self.account = None
        self._conversation = None

    def abandon(self) -> None:
        """The exchange has ended without a word of its own."""
        self._conversation = None

    async def begin(self, auth: Auth, peer: Peer) -> Status:
        """The answer to AUTH."""
        if self._login is None:
            return say.NO_AUTH
        if self.account is not None:
            return say.LOGGED_IN_ALREADY
        begun = await self._login.begin(auth.mechanism, _caller(peer))
        if isinstance(begun, Denied):
            return say.ENCRYPT_FIRST if begun is Denied.ENCRYPT_FIRST else say.NO_SUCH_MECHANISM
        self._conversation = begun
        return await self._step(begun, auth.initial)

    async def go_on(self, response: AuthResponse) -> Status:
        """The answer to what the client said to our challenge."""
        conversation = self._conversation
        assert conversation is not None, "the wire knows of an exchange"
        if response.data is None:
            self._conversation = None
            return say.GIVEN_UP
        return await self._step(conversation, response.data)

    async def _step(self, conversation: Conversation, data: bytes | None) -> Status:
        try:
            said = await conversation.step(data)
        except Unavailable:
            self._conversation = None
            return say.ACCOUNTS_UNAVAILABLE
        if isinstance(said, Challenge):
            return Status(334, "", encode(said.data).decode("ascii"))
        self._conversation = None
        match said:
            case Welcome(account):
                self.account = account
                return say.WELCOME
            case Malformed(text):
                return Status(501, "5.5.2", text)
        return self._failed(conversation.mechanism)

    def _failed(self, mechanism: str) -> Status:
        assert self._login is not None
        self._failures += 1
        if self._failures >= self._login.max_failures:
            return say.TOO_MANY_FAILURES
        return say.WRONG_CERTIFICATE if mechanism == EXTERNAL else say.WRONG_PASSWORD


def _caller(peer: Peer) -> Caller:
    return Caller(peer.connection, peer.address, peer.tls, peer.via)
