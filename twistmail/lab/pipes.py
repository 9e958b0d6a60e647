"""A connection between two offices, with the line in between: octets go through a `Pipe`, and what the line's state does to them is real.

    the relay's socket -- near end -- [ way, way back ] -- far end -- the other office's port

The far end is connected first, so that a refusal is the other office's own. The near end listens for one moment on a
port of loopback, for the one connection that it is made for. Neither end ever touches anything but loopback.

What it does: delays and a rate (`slow`); the offer of STARTTLS blotted out, as some firewalls really do (`no STARTTLS`);
somebody in the middle who speaks TLS to both sides, with a certificate of his own (`wrong certificate`). A `black hole`
needs no pipe: nothing is ever connected. What is inside of a letter only the sender can know: see `cutting`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import TimeoutError as NoAnswer
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from twistmail import tasks
from twistmail.lab.links import BLACK_HOLE, NO_STARTTLS, SLOW, WRONG_CERTIFICATE, Link
from twistmail.lab.traffic import AT_ONCE, CRAWL, Traffic

LOOPBACK = "127.0.0.1"
#: Octets under way in one direction, beyond which nothing more is read.
MOST_UNDER_WAY = 64 * 1024
#: Seconds in which whoever has asked for a pipe has to come.
COME_BY = 10.0

STARTTLS, BLOT = b"STARTTLS", b"XXXXXXXA"
#: The longest line that is looked at for a command.
LONGEST_LINE = 512


class Pipe:
    """One connection over *link*, as long as it lasts. *forged*() is the TLS context of whoever sits in the middle."""

    def __init__(self, link: Link, reactor: Any, forged: Callable[[], Any]) -> None:
        self.link = link
        self.reactor = reactor
        self.port = 0  # where our side has to go
        self._forged = forged
        self._near, self._far = _End(), _End()
        self._door: Any = None
        self._late: Any = None
        self._join()

    async def lay(self, port: int, source: str, timeout: float) -> None:
        """Connect to the other office at *port* from *source*, and open the door for our side. ConnectError."""
        endpoint = TCP4ClientEndpoint(self.reactor, LOOPBACK, port, timeout=timeout, bindAddress=(source, 0))
        await connectProtocol(endpoint, self._far)
        self.link.pipes.add(self)
        factory = _Door(self._enter)
        self._door = self.reactor.listenTCP(0, factory, backlog=1, interface=LOOPBACK)
        self.port = self._door.getHost().port
        self._late = self.reactor.callLater(COME_BY, self.cut)

    def _enter(self) -> _End | None:
        """Our side has come. Nobody else gets in."""
        door, self._door = self._door, None
        if door is None:
            return None
        door.stopListening()
        self._late.cancel()
        return self._near

    def _join(self) -> None:
        there, back = _Way(self, self._near, self._far), _Way(self, self._far, self._near)
        if self.link.state == NO_STARTTLS:
            back.change = Blot().feed
        elif self.link.state == WRONG_CERTIFICATE:
            middle = Middle(self._intercept)
            there.change, back.change, back.after = middle.asked, middle.answered, middle.pounce

    def _intercept(self) -> None:
        """From here on both sides speak TLS, with the one in the middle."""
        from twisted.internet.ssl import CertificateOptions

        self._near.transport.startTLS(self._forged())
        self._far.transport.startTLS(CertificateOptions())

    def cut(self) -> None:
        """Break it, at once and for both sides."""
        self.link.pipes.discard(self)
        if self._door is not None:
            self._door.stopListening()
            self._door = None
        if self._late is not None and self._late.active():
            self._late.cancel()
        for end in (self._near, self._far):
            end.cut()

    def ended(self) -> None:
        """One of the ends has closed."""
        if not self._near.is_open and not self._far.is_open:
            self.cut()


class _Door(Factory):
    noisy = False

    def __init__(self, enter: Callable[[], Protocol | None]) -> None:
        self._enter = enter

    def buildProtocol(self, addr: Any) -> Protocol | None:
        return self._enter()


class _End(Protocol):
    """One end: hands on what it hears."""

    transport: Any

    def __init__(self) -> None:
        self.is_open = False
        self.to: _Way  # where that goes which is heard here
        self.fro: _Way  # where that comes from which is said here

    def connectionMade(self) -> None:
        self.is_open = True
        self.transport.setTcpNoDelay(True)
        self.fro.look()

    def dataReceived(self, data: bytes) -> None:
        self.to.take(data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.is_open = False
        self.to.end()
        self.to.pipe.ended()

    def cut(self) -> None:
        if self.is_open:
            self.transport.abortConnection()


class _Way:
    """One direction of *pipe*, from *start* to *end*."""

    def __init__(self, pipe: Pipe, start: _End, end: _End) -> None:
        self.pipe = pipe
        self.change: Callable[[bytes], bytes] = bytes  # what becomes of octets on the way
        self.after: Callable[[], None] = lambda: None  # called when they have been handed on
        self._start, self._end = start, end
        self._traffic = Traffic()
        self._timer: Any = None
        self._is_paused = self._has_ended = False
        start.to = end.fro = self

    def take(self, data: bytes) -> None:
        self._traffic.add(self.change(data), self._now(), CRAWL if self.pipe.link.state == SLOW else AT_ONCE)
        self.look()

    def end(self) -> None:
        """Nothing more comes: close behind what is under way."""
        self._has_ended = True
        self.look()

    def look(self) -> None:
        """Hand on what has arrived, and come back when more does."""
        if not self._end.is_open:
            return
        if data := self._traffic.arrived(self._now()):
            self._end.transport.write(data)
            self.after()
        self._brake()
        if self._traffic.next is None:
            if self._has_ended:
                self._end.transport.loseConnection()
        elif self._timer is None:
            self._timer = self.pipe.reactor.callLater(max(0.0, self._traffic.next - self._now()), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.look()

    def _brake(self) -> None:
        """Read no faster than the line takes it."""
        is_full = self._traffic.size > MOST_UNDER_WAY
        if is_full != self._is_paused and self._start.is_open:
            self._is_paused = is_full
            (self._start.transport.pauseProducing if is_full else self._start.transport.resumeProducing)()

    def _now(self) -> float:
        return self.pipe.reactor.seconds()  # type: ignore[no-any-return]


class Blot:
    """Makes STARTTLS unreadable in what a server says, however it is cut. Some firewalls do just this."""

    def __init__(self) -> None:
        self._kept = b""

    def feed(self, data: bytes) -> bytes:
        """*data* without the offer. What may be the beginning of one waits for the rest, which comes: a line always ends."""
        data = (self._kept + data).replace(STARTTLS, BLOT)
        keep = next((n for n in range(len(STARTTLS) - 1, 0, -1) if data.endswith(STARTTLS[:n])), 0)
        data, self._kept = data[: len(data) - keep], data[len(data) - keep :]
        return data


class Middle:
    """Sees the client ask for TLS and the server agree; then `intercept` is called, once, when the server's answer has been handed on."""

    def __init__(self, intercept: Callable[[], None]) -> None:
        self._intercept = intercept
        self._line = b""
        self._is_asked = self._is_due = self._is_done = False

    def asked(self, data: bytes) -> bytes:
        """What the client says: lines, until it asks. What comes before are commands of one line each."""
        if not self._is_done:
            lines = (self._line + data).split(b"\n")
            self._line = lines.pop()[-LONGEST_LINE:]
            self._is_asked = any(line.strip(b"\r ").upper() == STARTTLS for line in lines)
        return data

    def answered(self, data: bytes) -> bytes:
        """What the server says."""
        if self._is_asked and not self._is_done:
            self._is_asked = False
            self._is_due = data.startswith(b"220")
        return data

    def pounce(self) -> None:
        if self._is_due and not self._is_done:
            self._is_done = True
            self._intercept()


async def connect(link: Link, reactor: Any, port: int, make: Callable[[], Protocol], *, forged: Callable[[], Any],
                  source: str = LOOPBACK, timeout: float = 30.0) -> Any:
    """A connection over *link*, from *source*, to the office at *port* of loopback: what *make*() gives, connected.

    *forged*: see Pipe; *timeout*: seconds until who calls into a black hole gives up. ConnectError.
    """
    if link.state == BLACK_HOLE:
        await tasks.sleep(reactor, timeout)
        raise NoAnswer
    pipe = Pipe(link, reactor, forged)
    await pipe.lay(port, source, timeout)
    factory = Factory.forProtocol(make)
    factory.noisy = False
    try:
        return await TCP4ClientEndpoint(reactor, LOOPBACK, pipe.port, timeout=timeout).connect(factory)
    except BaseException:
        pipe.cut()
        raise
