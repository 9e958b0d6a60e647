"""One SASL exchange, from AUTH to its end, the same for all protocols: they only spell what is said.

    conversation = await login.begin("SCRAM-SHA-256", caller)   # or Denied
    said = await conversation.step(data)   # decoded octets, None where there was no initial response
    # Challenge(data): say it, and give `step` the answer
    # Welcome(account, final) · Failed() · Malformed(text): it is over

What an exchange needs is fetched here; what a failure costs is `servers.login`'s
business.
"""

from __future__ import annotations

from typing import Any

from twistmail.mail.account import Account
from twistmail.mail.values import frozen
from twistmail.servers.mechanisms import Caller
from twistmail.wire.sasl.exchange import (
    Answer,
    Challenge,
    Credentials,
    Disproved,
    Exchange,
    Malformed,
    NeedsEvidence,
    NeedsVerdict,
    NeedsWork,
    Proven,
)


@frozen
class Welcome:
    """Somebody is in. `final`: octets to be told with the success, where the protocol can (empty where it cannot: they were told)."""

    account: Account
    final: bytes = b""


@frozen
class Failed:
    """Nobody has come in, and has waited for it."""

    mechanism: str


Said = Challenge | Welcome | Failed | Malformed


class Conversation:
    """One exchange of *caller*'s. *login*: the `servers.login.Login` that has begun it.

    *final_with_success*: the protocol can tell octets along with the success (RFC 4422 §3.6); without, they are one more challenge,
    whose answer is empty.
    """

    def __init__(self, login: Any, exchange: Exchange, caller: Caller, *, final_with_success: bool = False) -> None:
        self.mechanism = exchange.mechanism
        self._login = login
        self._exchange = exchange
        self._caller = caller
        self._final_with_success = final_with_success
        self._admission: Any = None  # of `login`, and told so: what comes next is empty

    async def step(self, data: bytes | None) -> Said:
        """What follows from the client's next response. Raises interfaces.Unavailable, which ends the exchange."""
        if self._admission is not None:
            return Malformed("Nothing was to be said to that") if data else Welcome(self._login.admit(self._admission))
        answer = self._exchange.step(data)
        while True:
            match answer:
                case Challenge() | Malformed():
                    return answer
                case Proven() if answer.final and not self._final_with_success:
                    return await self._told(answer)
                case Credentials() | Proven() | Disproved():
                    return await self._end(answer)
                case _:
                    answer = await self._given(answer)

    async def _given(self, need: NeedsEvidence | NeedsVerdict | NeedsWork) -> Answer:
        match need:
            case NeedsEvidence(login, kind):
                return self._exchange.given(await self._login.evidence(login, kind))
            case NeedsVerdict(token):
                return self._exchange.given(await self._login.verdict(token))
            case NeedsWork(work):
                return self._exchange.given(await self._login.work(work))

    async def _told(self, answer: Proven) -> Challenge | Failed:
        """Our own proof shows that a password was right: it is for those only who come in, and not for guessers who are not heard."""
        caller = self._caller
        self._admission = await self._login.admission(answer, caller.address, self.mechanism, caller.connection)
        return Challenge(answer.final) if self._admission else Failed(self.mechanism)

    async def _end(self, answer: Credentials | Proven | Disproved) -> Welcome | Failed:
        final = answer.final if isinstance(answer, Proven) and self._final_with_success else b""
        account = await self._login.check(answer, self._caller.address, self.mechanism, self._caller.connection)
        return Failed(self.mechanism) if account is None else Welcome(account, final)
