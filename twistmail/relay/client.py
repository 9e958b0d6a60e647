"""A connection to another mail server: moves bytes between the transport and the client wire, and keeps the deadlines.

`exchange` and `transaction` say things and wait for replies; here is how. Replies
come in the order of the commands, and so they are given out: who has said
something asks for its replies before the next one says anything, and several may
then wait at a time. Whatever ends a connection early is a `Lost`, which says why in
words that fit a Status; it is the relay's own exception and never leaves this folder.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHandshakeListener, IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from twistmail import prompt
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.wire.smtp.client import Garbled, Reply, SmtpClient, shown, status_of

#: Seconds after which a connection that we have closed is cut, where the other side does not let go of it.
LINGERING = 30.0
NEVER = float("inf")


@frozen
class Patience:
    """How long we wait for what, in seconds: RFC 5321 §4.5.3.2, and our own for TLS and QUIT.

    Each is for a whole reply, however slowly it drips. `whole` is for all of a transaction but its last reply, with a second
    more for every `rate` octets of the content: nobody keeps us for a day by being slow at each step.
    """

    greeting: float = 300.0
    hello: float = 300.0
    tls: float = 30.0
    login: float = 300.0
    mail: float = 300.0
    recipient: float = 300.0
    data: float = 120.0
    block: float = 180.0
    end: float = 600.0
    quit: float = 10.0
    whole: float = 3600.0
    rate: float = 500.0


class Lost(Exception):
    """The connection has ended, or is of no more use. `status` says why.

    That is temporary, but where the server has refused a content for good before it had all of it.
    """

    def __init__(self, status: Status) -> None:
        super().__init__(str(status))
        self.status = status


GONE = Status(451, "4.4.2", "The connection was closed by the other side")
SILENT = Status(451, "4.4.2", "The other side took too long to answer")
UNASKED = Status(451, "4.5.0", "The other side gave an answer that nobody had asked for")
GARBLED = Status(451, "4.5.0", "The other side does not speak SMTP")
NO_TLS = Status(451, "4.7.5", "Encryption could not be agreed upon with the other side")


@implementer(IPushProducer, IHandshakeListener)
class SmtpConnection(Protocol):
    """One connection. `clock`: IReactorTime. After a Lost nothing but `close` is of use."""

    transport: Any

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.is_open = False
        self.item = ""  # whose message is being said: its id, for who listens
        self.own_address = ""  # from which we are connected; empty where that cannot be told
        self.tls = False
        self._since = clock.seconds()
        self._wire = SmtpClient()
        self._replies: deque[Reply] = deque()
        self._waiting: deque[tuple[Deferred[Reply], float]] = deque()  # with their patience; the first one's time runs
        self._timer: Any = None
        self._reply_by = NEVER
        self._over_by = NEVER  # all of what `no_longer_than` holds
        self._lost: Status | None = None
        self._shaking: Deferred[None] | None = None
        self._full: Deferred[None] | None = None
        self._cut: Any = None

    # ----- for exchange.py and transaction.py

    @property
    def is_usable(self) -> bool:
        """Open, and the other side has not said anything unasked (as 421 before it closes)."""
        return self.is_open and self._lost is None

    @property
    def in_content(self) -> bool:
        """Whether we have begun to say a content, and not ended."""
        return self._wire.in_content

    @property
    def age(self) -> float:
        """Seconds since the connection was made."""
        return float(self.clock.seconds() - self._since)

    def send(self, *commands: Any) -> None:
        """Say all of this at once. Every Command and ContentEnd asks for a reply. Raises Lost."""
        if self._lost or not self.is_open:
            raise Lost(self._lost or GONE)
        prompt.write(self.transport, b"".join(map(self._wire.send, commands)))

    async def reply(self, patience: float) -> Reply:
        """The next reply, within *patience* seconds. Raises Lost."""
        return self._replies.popleft() if self._replies and not self._waiting else await self.expect(patience)

    def expect(self, patience: float) -> Deferred[Reply]:
        """The next reply that nobody has asked for yet; *patience* (seconds) begins when those before it have come. Fails with Lost."""
        waiting: Deferred[Reply] = Deferred()
        if self._replies and not self._waiting:
            waiting.callback(self._replies.popleft())
        elif self._lost:
            waiting.errback(Lost(self._lost))
        else:
            self._waiting.append((waiting, patience))
            if len(self._waiting) == 1:
                self._await()
        return waiting

    @contextmanager
    def piecewise(self) -> Iterator[None]:
        """While something long is said: `room` knows how much the transport takes.

        Not longer, because a transport with a producer does not close by itself when TLS breaks: it waits for more.
        """
        self.transport.registerProducer(self, True)
        try:
            yield
        finally:
            self.resumeProducing()
            if self.is_open:
                self.transport.unregisterProducer()

    async def room(self, patience: float) -> None:
        """Within `piecewise`: wait until the transport takes more. Raises Lost, after *patience* seconds too."""
        if self._lost:
            raise Lost(self._lost)
        if self._full is not None:
            await self._within(patience, self._full, SILENT)
            if self._lost:
                raise Lost(self._lost)

    async def start_tls(self, options: Any, patience: float) -> None:
        """Change to TLS and see the handshake through. *options*: IOpenSSLClientConnectionCreator. Raises Lost."""
        self._wire.tls_started()
        self._replies.clear()  # RFC 3207 §4.2: nothing said before counts, also what came behind the 220
        self._shaking = Deferred()
        shaking = self._shaking
        self.transport.startTLS(options)
        await self._within(patience, shaking, NO_TLS)
        self.tls = True

    def give_up(self, why: Status) -> None:
        """Hang up at once; whoever waits is told *why*."""
        self._fail(why)
        self.abort()

    async def turn(self) -> None:
        """Go on when the reactor comes round to us, not from within what we have just heard: as the last one to leave we may end
        the service, and TLS is not ready to be taken down while it hands out what it has read."""
        turned: Deferred[None] = Deferred()
        self.clock.callLater(0, turned.callback, None)
        await turned

    def close(self) -> None:
        """Hang up, politely where the transport still can."""
        self._fail(GONE)
        if self.is_open:
            self.transport.unregisterProducer()  # else TLS would wait for us before it closes
            self.transport.loseConnection()
            self._cut = self._cut or self.clock.callLater(LINGERING, self.abort)

    def abort(self) -> None:
        """Hang up at once; what is unsent is dropped, so that half a message is never taken for a whole one."""
        self._fail(GONE)
        if self.is_open:
            self.transport.unregisterProducer()
            self.transport.abortConnection()

    # ----- deadlines

    def no_longer_than(self, seconds: float) -> None:
        """All that is done until `in_time`, or everybody is told that the other side takes too long."""
        self._over_by = self.clock.seconds() + seconds
        self._watch()

    def in_time(self) -> None:
        """What `no_longer_than` was said of is done."""
        self._over_by = NEVER

    async def _within(self, patience: float, waiting: Deferred[Any], late: Status) -> Any:
        timer = self.clock.callLater(patience, self.give_up, late)
        try:
            return await waiting
        finally:
            _cancel(timer)

    def _await(self) -> None:
        """Let the time run of who waits first."""
        self._reply_by = self.clock.seconds() + self._waiting[0][1] if self._waiting else NEVER
        self._watch()

    def _watch(self) -> None:
        """See to it that somebody looks when the time is over. A timer that comes too early costs less than setting it each time."""
        by = min(self._reply_by, self._over_by)
        if by < NEVER and (self._timer is None or by < self._timer.getTime()):
            _cancel(self._timer)
            self._timer = self.clock.callLater(by - self.clock.seconds(), self._look)

    def _look(self) -> None:
        self._timer = None
        if self.clock.seconds() >= min(self._reply_by, self._over_by):
            self.give_up(SILENT)
        else:
            self._watch()

    # ----- for the transport

    def connectionMade(self) -> None:
        self.is_open = True
        self.own_address = str(getattr(self.transport.getHost(), "host", ""))
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)  # we gather by ourselves what belongs together

    def dataReceived(self, data: bytes) -> None:
        self._wire.receive_bytes(data)
        self._take_events()

    def _take_events(self) -> None:
        """First all replies are counted, then they are given out: what came with a reply was no answer to what we say then.

        Who is given one takes those behind it by himself, where nobody else waits for them.
        """
        replies, end = self._arrived()
        self._replies += replies
        while self._waiting and self._replies:
            waiting, _ = self._waiting.popleft()
            reply = self._replies.popleft()
            self._await()
            waiting.callback(reply)
        if end is not None and self._shaking is None:
            self.give_up(end)

    def _arrived(self) -> tuple[list[Reply], Status | None]:
        """The replies that are owed to us, and why there will be no more."""
        replies: list[Reply] = []
        while isinstance(event := self._wire.next_event(), Reply | Garbled):
            if isinstance(event, Garbled):
                return replies, replace(GARBLED, text=f"{GARBLED.text}, it said: {shown(event.said)}" if event.said else GARBLED.text)
            if self._wire.owed < 0:
                return replies, self._unasked(event)
            replies.append(event)
        return replies, None

    def _unasked(self, reply: Reply) -> Status:
        """421 may be said at any time (RFC 5321 §3.8), and some refuse a content before they have all of it. Anything else is no
        answer to us: who believed it would take what was said before for what comes behind."""
        is_refusal = reply.code == 421 or (reply.code >= 400 and self._wire.in_content)
        return status_of(reply) if is_refusal else replace(UNASKED, text=f"{UNASKED.text}: {reply.code} {shown(reply.lines[0])}".rstrip())

    def handshakeCompleted(self) -> None:
        if self._shaking is not None:
            shaking, self._shaking = self._shaking, None
            shaking.callback(None)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.is_open = False
        _cancel(self._cut)
        if self._lost is None:
            self._wire.receive_eof()
            self._take_events()
        self._fail(NO_TLS if self._shaking is not None else GONE)

    def pauseProducing(self) -> None:
        if self._full is None:
            self._full = Deferred()

    def resumeProducing(self) -> None:
        if self._full is not None:
            full, self._full = self._full, None
            full.callback(None)

    def stopProducing(self) -> None:
        self.resumeProducing()

    # ----- the end

    def _fail(self, why: Status) -> None:
        """Tell whoever waits. The first reason stays the reason."""
        self._lost = self._lost or why
        waiting, shaking = [deferred for deferred, _ in self._waiting], self._shaking
        self._waiting.clear()
        self._shaking = None
        self._reply_by = self._over_by = NEVER
        _cancel(self._timer)
        self._timer = None
        for deferred in (*waiting, shaking):
            if deferred is not None:
                deferred.errback(Lost(self._lost))
        self.resumeProducing()


def _cancel(timer: Any) -> None:
    if timer is not None and timer.active():
        timer.cancel()
