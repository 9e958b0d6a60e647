"""A conversation without a connection: our own words, said to an SMTP session of ours as if they had come over the network.

So what was left for us while we did not run meets the same rules, in the same order, as what comes in. There is no transport,
so there is nothing to wait for, to hold back or to time out: whoever speaks is a coroutine of ours that reads every answer.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from twistmail.servers.smtp.session import SmtpSession
from twistmail.wire.contract import NEED_DATA, PAUSED, Wants, Wire

#: Octets of content that are said at a time.
PIECE = 64 * 1024


class Spoken:
    """*wire* and *session* as `open_connection` makes them. `close` ends it, whatever came before."""

    def __init__(self, wire: Wire, session: SmtpSession) -> None:
        self._wire = wire
        self._session = session
        self._is_over = False

    async def greeting(self) -> Any:
        """What the session says first."""
        async with aclosing(self._session.greet()) as said:  # type: ignore[type-var]
            async for greeting in said:
                self._wire.send(greeting)
                return greeting
        return None

    async def say(self, octets: bytes) -> list[Any]:
        """The responses to *octets*, as values. A conversation that the session has ended has none."""
        answers: list[Any] = []
        for start in range(0, len(octets), PIECE):
            self._wire.receive_bytes(octets[start : start + PIECE])
            while not self._is_over and (event := self._wire.next_event()) not in (NEED_DATA, PAUSED):
                if (response := await self._session.answer(event)) is not None:
                    self._wire.send(response)
                    answers.append(response)
                self._is_over = self._wire.wants is Wants.CLOSE
        return answers

    def close(self) -> None:
        """Goodbye."""
        self._session.closed("peer gone")
        self._session.departed()
