"""How somebody is sent away at the door, before a wire or a session is made for him: a line, and closed.

Cheap on purpose: who comes when everything is full costs one write into an
empty socket, no timer, no place among the connections, and one line in the log
for all of a minute.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Protocol
from twisted.logger import Logger

from twistmail.mail.status import Status

log = Logger()

#: limits.md section 2 D7: descriptors or places are short.
NO_ROOM = Status(421, "4.3.2", "Too many connections at the moment, please try again later")
#: The same in the words of each service. RFC 5321 §3.1, RFC 3501 §7.1.5, RFC 3206 §4.
_TEXT = NO_ROOM.text.encode("ascii")
_SMTP = b"421 4.3.2 %b\r\n" % _TEXT
FULL = {
    "mx": _SMTP,
    "submission": _SMTP,
    "lmtp": _SMTP,
    "imap": b"* BYE [UNAVAILABLE] %b\r\n" % _TEXT,
    "pop3": b"-ERR [SYS/TEMP] %b\r\n" % _TEXT,
    "auth_socket": b"",
    "acme": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
}

#: The same for those who are banned. RFC 5321 §3.1, RFC 3501 §7.1.5, RFC 3206 §4.
NOT_YOU = Status(421, "4.7.0", "You may not come in from your address at the moment")
_BANNED = NOT_YOU.text.encode("ascii")
_SMTP_BANNED = b"421 4.7.0 %b\r\n" % _BANNED
BANNED = {
    "mx": _SMTP_BANNED,
    "submission": _SMTP_BANNED,
    "lmtp": _SMTP_BANNED,
    "imap": b"* BYE [UNAVAILABLE] %b\r\n" % _BANNED,
    "pop3": b"-ERR [SYS/TEMP] %b\r\n" % _BANNED,
    "auth_socket": b"",
}

EVERY = 60.0  # seconds between two lines in the log about the same


class Refusal(Protocol):
    """Says *words* (nothing where TLS would have to come first) and closes. What the peer says is not read."""

    transport: Any

    def __init__(self, words: bytes) -> None:
        self._words = words

    def connectionMade(self) -> None:
        if self._words:
            self.transport.write(self._words)
        self.transport.loseConnection()


class Complaints:
    """Lines for the log that would come too often: the first at once, of those in the next minute how many there were."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._counts: dict[str, int] = {}  # text -> how often since it stood in the log

    def say(self, text: str) -> None:
        """*text* is a whole sentence; equal ones are counted together. There are few different ones."""
        if text in self._counts:
            self._counts[text] += 1
            return
        log.warn("{text}", text=text)
        self._counts[text] = 0
        self._clock.callLater(EVERY, self._sum_up, text)

    def _sum_up(self, text: str) -> None:
        count = self._counts.pop(text)
        if count:
            log.warn("{text} ({count} times within the last minute)", text=text, count=count)
            self._counts[text] = 0
            self._clock.callLater(EVERY, self._sum_up, text)
