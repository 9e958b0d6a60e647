"""One connection that is spoken by hand: lines out, lines in, both kept. For the console of the browser and for lessons.

Connects to loopback only. What is kept and how long a line may be is bounded; a peer that says nothing is waited for so long
and no longer. Cannot be used after `close`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.python.failure import Failure

from twistmail.lab.dialects import Dialect
from twistmail.mail.values import frozen

#: Lines that are kept, octets that a line of the server may have (the rest is left out), seconds that an answer may take.
MOST_LINES, LONGEST, PATIENCE = 400, 4000, 20.0
#: Octets that are kept of a line that does not end.
MOST_HELD = 1 << 20
LOOPBACK = "127.0.0.1"


@frozen
class Said:
    """`side`: "C" what was typed, "S" what the server said, "-" what has happened (TLS, the end). `number`: from 1."""

    number: int
    side: str
    text: str


class NotNow(Exception):
    """It cannot be said or reached; the words are for the student."""


class Talk(Protocol):
    """*dialect*: what is spoken. `said`: the last lines; `closed`: why it is over, "" while it is not."""

    def __init__(self, reactor: Any, dialect: Dialect) -> None:
        self.dialect = dialect
        self.said: deque[Said] = deque(maxlen=MOST_LINES)
        self.number = 0
        self.closed = ""
        self._reactor = reactor
        self._held = b""
        self._waiting: list[Deferred[None]] = []
        self.listener: Callable[[Said], None] = lambda said: None

    # ----- what comes

    def dataReceived(self, data: bytes) -> None:
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            self._heard(line.removesuffix(b"\r").decode("utf-8", "replace"))
        if len(self._held) > MOST_HELD:
            self._held = b""
            self.note("a line without end is left out")
        self._wake()

    def _heard(self, line: str) -> None:
        self._keep("S", line)
        self.dialect.heard(line)
        if self.dialect.wants_tls:
            # The server's certificate is the class's own, and the way is this machine's loopback.
            self.transport.startTLS(CertificateOptions(verify=False))  # type: ignore[union-attr]
            self.dialect.tls_started()
            self.note("from here on it is encrypted; you see what both sides say inside")

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        if self._held:
            self._heard(self._held.decode("utf-8", "replace"))
        self.closed = self.closed or "the server has closed the connection"
        self.note(self.closed)
        self._wake()

    # ----- what is said

    def say(self, line: str) -> None:
        """Send *line*, without its end. NotNow where the connection is over, or the line is none."""
        if self.closed:
            raise NotNow(self.closed)
        if len(line) > LONGEST or any(character in line for character in "\r\n\0"):
            raise NotNow(f"one line at a time, of {LONGEST} characters at most")
        self._keep("C", line)
        self.dialect.sent(line)
        self.transport.write(line.encode() + b"\r\n")  # type: ignore[union-attr]

    def close(self, why: str = "you have hung up") -> None:
        if not self.closed:
            self.closed = why
            self.transport.loseConnection()  # type: ignore[union-attr]

    async def answered(self, seconds: float = PATIENCE) -> bool:
        """Wait until the server owes no answer; False where *seconds* have passed or it is over."""
        await self._until(lambda: not self.dialect.waiting, seconds)
        return not self.dialect.waiting

    async def until(self, wanted: Callable[[str], bool], since: int, seconds: float = PATIENCE) -> str:
        """The first line of the server behind line number *since* that is *wanted*; "" where none comes."""

        def found() -> str:
            return next((said.text for said in self.said if said.side == "S" and said.number > since and wanted(said.text)), "")

        await self._until(lambda: bool(found()), seconds)
        return found()

    async def _until(self, done: Callable[[], bool], seconds: float) -> None:
        timed_out: list[bool] = []

        def stop() -> None:
            timed_out.append(True)
            self._wake()

        call = self._reactor.callLater(seconds, stop)
        while not done() and not self.closed and not timed_out:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            await waiting
        if call.active():
            call.cancel()

    # ----- what is kept

    def _keep(self, side: str, text: str) -> None:
        self.number += 1
        said = Said(self.number, side, text if len(text) <= LONGEST else text[:LONGEST] + " ...")
        self.said.append(said)
        self.listener(said)

    def note(self, text: str) -> None:
        """Keep something that nobody has said."""
        self._keep("-", text)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)


async def connect(reactor: Any, port: int, dialect: Dialect, source: str = LOOPBACK) -> Talk:
    """A Talk with what listens on *port* of loopback, from the address *source* of loopback. NotNow where nobody listens."""
    talk = Talk(reactor, dialect)
    try:
        await connectProtocol(TCP4ClientEndpoint(reactor, LOOPBACK, port, timeout=5, bindAddress=(source, 0)), talk)
    except ConnectError as error:
        raise NotNow(f"nobody listens on port {port}: {error}") from error
    return talk
