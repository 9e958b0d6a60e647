"""The relay's connection, cut where it hurts: in the middle of the content, or behind its end and before the answer.

Only the sender knows where that is, for the line sees nothing of it where TLS is spoken. So the lab's offices
use this connection; what is cut is a real connection, and what the other office has by then it has.
"""

from __future__ import annotations

from typing import Any

from twistmail.lab.links import CUT_AFTER_DOT, CUT_IN_CONTENT, Link
from twistmail.relay.client import GONE, Lost, SmtpConnection
from twistmail.wire.smtp.client import Chunk, Octets


class Cuttable(SmtpConnection):
    """An SmtpConnection over *link*."""

    def __init__(self, clock: Any, link: Link) -> None:
        super().__init__(clock)
        self.link = link
        self._all_said = False  # a content, to its end, and nothing was heard since

    def send(self, *commands: Any) -> None:
        at = _content(commands)
        if at is not None and self.link.state == CUT_IN_CONTENT:
            piece = commands[at]
            commands = (*commands[:at], type(piece)(piece.data[: len(piece.data) // 2]))
            self._say(commands)
            self.close()
            raise Lost(GONE)
        was_in_content = at is not None or self.in_content
        self._say(commands)
        self._all_said = was_in_content and not self.in_content

    def _say(self, commands: tuple[Any, ...]) -> None:
        super().send(*commands)
        self.said(commands)

    def said(self, commands: tuple[Any, ...]) -> None:
        """*commands* have been said: for whoever tells of it."""

    def dataReceived(self, data: bytes) -> None:
        if self._all_said and self.link.state == CUT_AFTER_DOT:
            self.give_up(GONE)  # the answer has come this far, and nobody hears it
            return
        self._all_said = False
        super().dataReceived(data)


def _content(commands: tuple[Any, ...]) -> int | None:
    """Which of *commands* is the last piece of content that is not empty."""
    return next((at for at in range(len(commands) - 1, -1, -1) if isinstance(commands[at], Chunk | Octets) and commands[at].data), None)
