"""The pump: moves bytes between a transport, a wire and a session, for every protocol, and decides nothing.

Bytes go into the wire; while there are events, every response of
`session.answer(event)` goes out. Writes are gathered until the conversation has
to wait for something, or for 64 KiB; the conversation waits when the transport
is full, reading pauses when the wire's buffer is, and the reactor gets its turn
after 5 ms. Deadlines are absolute per phase and cost one sleeping timer.

The conversation is one coroutine, driven here without a Deferred per step: it
waits either for the peer or for a Deferred. It is never cancelled: when the
peer is gone it runs to the end of what it is doing (an accepted message is
delivered whether or not the 250 can be said) and then stops.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from types import CoroutineType
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IHandshakeListener
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twistmail.facts import Closed, Fact, Facts, Line, TlsFailed, TlsStarted
from twistmail.servers.handshake import tls_state, tls_trouble
from twistmail.servers.pace import Pace
from twistmail.servers.session import Session
from twistmail.tasks import advance
from twistmail.wire.contract import NEED_DATA, PAUSED, LocalProtocolError, Wants, Wire
from twistmail.wire.deflate import Damaged, Deflate

log = Logger()

COALESCE = 64 * 1024  # octets gathered before a write
TURN_AFTER = 0.005  # seconds of work before the reactor gets its turn
READ_AHEAD = 256 * 1024  # octets that may wait in the wire before we stop reading
STALL = 300.0  # seconds that a peer may refuse to take what we say
FAREWELL = 60.0  # seconds that it has for our last words, and for its own part of a TLS farewell
NEVER = float("inf")
SAID = frozenset({"timed out", "shutdown", "kicked", "bug", "damaged"})  # ends that the peer is told of


class _ForThePeer:
    """What the conversation awaits when only the peer can move it on."""

    def __await__(self) -> Generator[Any, None, None]:
        yield self


_PEER = _ForThePeer()


@implementer(IHandshakeListener, IHalfCloseableProtocol)
class Pump(Protocol):
    """One connection. `tls`() makes what startTLS takes, or None where there is no certificate (`tls` None: TLS is not offered).

    `implicit` starts TLS before the greeting (RFC 8314 §3). `look_first`: what the peer has said already is read before we greet.
    """

    __slots__ = (  # more attributes than fit into a dict that instances share
        "_closing", "_conversation", "_deadline", "_deflate", "_drained", "_drive_began", "_epoch", "_finished", "_full", "_gone",
        "_handshake_timeout", "_heard", "_held", "_idle", "_implicit", "_look_first", "_moved", "_on_closed", "_out", "_out_size",
        "_pace", "_patience_ends", "_poked", "_reading", "_shaken", "_timer", "_tls", "clock", "ended", "facts", "identifier",
        "received", "sent", "session", "wire",
    )  # fmt: skip
    transport: Any  # ITCPTransport and ITLSTransport

    def __init__(
        self,
        identifier: str,
        wire: Wire,
        session: Session,
        clock: Any,
        facts: Facts,
        *,
        tls: Any = None,
        implicit: bool = False,
        handshake_timeout: float = 30.0,
        epoch: Callable[[], float],
        on_closed: Callable[[Pump], None] = lambda pump: None,
        look_first: bool = False,
    ) -> None:
        self.identifier = identifier
        self.wire = wire
        self.session = session
        self.clock = clock
        self.facts = facts
        self.received = 0
        self.sent = 0
        self._epoch = epoch
        self._tls = tls
        self._implicit = implicit
        self._handshake_timeout = handshake_timeout
        self._on_closed = on_closed
        self._look_first = look_first
        self._out: list[bytes] = []
        self._out_size = 0
        self._gone = False
        self._closing = ""  # why, once it is decided
        self._idle = False  # the conversation waits for the peer
        self._poked = False
        self._full = False  # the transport takes no more for now
        self._drained: Deferred[None] | None = None
        self._shaken: Deferred[None] | None = None
        self._held: list[bytes] | None = None  # octets for TLS, which does not stand there yet
        self._deflate: Deflate | None = None  # between us and the transport
        self._reading = True
        self._deadline = NEVER
        self._patience_ends = NEVER  # of the present wait for the peer, however many octets come meanwhile
        self._moved = True  # something was answered since we began to wait
        self._timer: Any = None
        self._pace: Pace | None = None  # of the present content
        self._drive_began = 0.0
        self._heard = clock.seconds()
        self._finished = False  # the peer has closed its side
        self.ended = False  # the conversation is over
        session.attach(self.poke)

    # ----- what the transport tells us

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)
        if self._look_first:
            self.transport.doRead()  # the end of the connection, where it tells of one, is told again by the reactor
        self._conversation = self._converse()
        self._drive(None)

    def dataReceived(self, data: bytes) -> None:
        self.received += len(data)
        self._heard = self.clock.seconds()
        if self.ended:
            return
        if self._held is not None:
            self._held.append(data)
            return
        (self.wire.receive_bytes if self._deflate is None else self._deflate.receive)(data)
        if self._idle:
            self._drive(None)
        elif self._reading and self.wire.buffered + (self._deflate.waiting if self._deflate else 0) > READ_AHEAD:
            self._reading = False
            self.transport.pauseProducing()

    def readConnectionLost(self) -> None:
        """The peer has said all it will, and may still be listening: `printf ... | nc` ends so."""
        self._finished = True
        if self._deflate is None or not self._deflate.waiting:
            self.wire.receive_eof()
        if self._idle:
            self._drive(None)

    def writeConnectionLost(self) -> None:
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure | None = None) -> None:  # type: ignore[override]
        self._gone = True
        self._full = False
        self._closing = self._closing or "peer gone"
        self._out.clear()
        self._stop_timer()
        if self.ended:
            self._depart()
            return
        self.wire.receive_eof()
        if self._shaken is not None:
            self._tls_failed(tls_trouble(reason))
            self.handshakeCompleted()
        elif self._drained is not None:
            self.resumeProducing()
        elif self._idle:
            self._drive(None)

    def handshakeCompleted(self) -> None:
        if self._shaken is not None:
            shaken, self._shaken = self._shaken, None
            shaken.callback(None)

    def pauseProducing(self) -> None:
        self._full = True

    def resumeProducing(self) -> None:
        self._full = False
        if self._drained is not None:
            drained, self._drained = self._drained, None
            drained.callback(None)
        elif self._poked and self._idle:
            self._drive(None)

    def stopProducing(self) -> None:
        self.resumeProducing()

    @property
    def waits_for_peer(self) -> bool:
        """Whether nothing happens until the peer says more."""
        return self._idle

    @property
    def silence(self) -> float:
        """Seconds since the peer has said something."""
        return float(self.clock.seconds() - self._heard)

    # ----- what the house tells us

    def poke(self) -> None:
        """The session has something to say unasked."""
        self._poked = True
        if self._idle:
            self._drive(None)

    def shut_down(self, why: str = "shutdown") -> None:
        """The server stops, or an operator wants the peer gone ("kicked"): say so once the present command is answered, and close."""
        self._closing = self._closing or why
        if self._idle:
            self._drive(None)

    # ----- the conversation

    def _drive(self, result: Any) -> None:
        """Move the conversation on until it waits again; then say what it said."""
        self._idle = False
        self._deadline = NEVER
        self._drive_began = self.clock.seconds()
        try:
            waiting = advance(self._conversation, result)
        except StopIteration:
            self._flush()
            self._end()
            return
        self._flush()
        if waiting is _PEER:
            self._wait_for_peer()
        else:
            waiting.addBoth(self._drive)

    def _wait_for_peer(self) -> None:
        self._idle = True
        if not self._reading:
            self._reading = True
            self.transport.resumeProducing()
        if not (in_content := self.wire.in_content):
            self._pace = None
        elif self._pace is None:
            self._pace = Pace(self._drive_began, self.received)
        elif self._pace.is_too_slow(self._drive_began, self.received, self.session.minimum_rate):
            self._time_out()
            return
        deadline = self._drive_began + self.session.patience
        if not (self._moved or in_content):  # half a command: the octets that trickle buy no time
            deadline = min(deadline, self._patience_ends)
        self._patience_ends = deadline
        self._moved = False
        self._set_deadline(deadline)

    async def _converse(self) -> None:
        try:
            if self._implicit:
                await self._begin_in_private()
            if not self._closing:
                await self._say(self.session.greet())
                await self._obey()  # a greeting may be a refusal
            while not (self._gone or self._closing):
                event = self.wire.next_event()
                if event is NEED_DATA:
                    if self._poked and not self._full:
                        self._poked, self._moved = False, True
                        await self._say(self.session.pending_updates())
                    elif self.wire.wants is not None:
                        await self._obey()
                    elif self._deflate is not None and self._deflate.waiting:
                        self._inflate(self._deflate)
                        await self._turn_if_due()
                    elif self._finished:
                        self._closing = "peer gone"
                    else:
                        await _PEER
                    continue
                if event is PAUSED:
                    raise LocalProtocolError("the session has not answered the last event")
                if self._full or self._out_size >= COALESCE or (self._moved and self._turn_is_due):
                    await self._drain()  # whoever takes no answers gets no more of them
                    if self._gone:
                        break
                self._moved = True
                if self.facts.lines_wanted:
                    self._transcribe("C", self.wire.said(), lone_lf=self.wire.lone_lf)
                answer: Any = self.session.answer(event)
                if not isinstance(answer, CoroutineType):
                    await self._say(answer)
                elif (response := await answer) is not None:
                    self._put(response)
                if self.wire.wants is not None:
                    await self._obey()
        except Exception:
            log.failure("connection {id}: a bug of ours", id=self.identifier)
            self._closing = "bug"
        if self._closing in SAID and not self._gone:
            for response in self.session.last_words(self._closing):
                self._put(response)

    async def _say(self, responses: AsyncIterator[Any]) -> None:
        exhausted = False
        try:  # as `aclosing`, which costs more than most answers
            async for response in responses:
                self._put(response)
                if self._out_size >= COALESCE:
                    await self._drain()
                if self._gone:
                    return
            exhausted = True
        finally:
            if not exhausted:
                await responses.aclose()  # type: ignore[attr-defined]

    def _put(self, response: Any) -> None:
        octets = self.wire.send(response)
        if octets:
            if self.facts.lines_wanted:
                self._transcribe("S", b"(%d octets of mail)" % len(octets) if getattr(response, "is_mail", False) else octets)
            self._out.append(octets)
            self._out_size += len(octets)

    def _flush(self) -> None:
        """Write what is gathered."""
        if self._out:
            gathered = b"".join(self._out)
            self._out.clear()
            self._out_size = 0
            octets = gathered if self._deflate is None else self._deflate.deflate(gathered)
            self.sent += len(octets)
            if not self._gone:
                self.transport.write(octets)

    async def _drain(self) -> None:
        """Write what is gathered; wait while the transport is full; give the reactor its turn."""
        self._flush()
        if self._full and not self._gone:
            self._drained = Deferred()
            self._set_deadline(self.clock.seconds() + STALL)
            await self._drained
        else:
            await self._turn_if_due()

    @property
    def _turn_is_due(self) -> bool:
        return bool(self.clock.seconds() - self._drive_began > TURN_AFTER)

    async def _turn_if_due(self) -> None:
        if self._turn_is_due:
            turned: Deferred[None] = Deferred()
            self.clock.callLater(0, turned.callback, None)
            await turned

    async def _obey(self) -> None:
        if self.wire.wants is Wants.CLOSE:
            self._closing = "quit"
        elif self.wire.wants is Wants.START_TLS:
            await self._start_tls()
        elif self.wire.wants is Wants.COMPRESS:
            self._start_compression()
        elif self.wire.wants is Wants.END_COMPRESSION:
            self._end_compression()

    async def _begin_in_private(self) -> None:
        """TLS before the greeting; but whoever would only be sent away is, before a handshake has cost anything."""
        self._held = []
        self.transport.pauseProducing()
        if not await self.session.admit():
            self._closing = self._closing or "refused"
        if not self._closing:
            self.transport.resumeProducing()
            await self._start_tls()

    async def _start_tls(self) -> None:
        if self.wire.buffered:  # RFC 3207 §6: whatever was sent behind STARTTLS came in clear and is not to be believed
            self._closing = "data behind STARTTLS"
            return
        context = self._tls()
        if context is None:
            self._closing = "no certificate"
            return
        self._flush()
        self._shaken = Deferred()
        self._set_deadline(self.clock.seconds() + self._handshake_timeout)
        self.transport.unregisterProducer()
        self.transport.startTLS(context)
        self.transport.registerProducer(self, True)
        held, self._held = self._held, None
        if held:
            self.transport.protocol.dataReceived(b"".join(held))
        if self._shaken is not None:
            await self._shaken
        if self._gone:
            return
        self.wire.tls_started()
        tls = tls_state(self.transport)
        self.session.tls_started(tls)
        if self.facts.listened:
            self.facts.tell(Fact(self._epoch(), self.identifier, TlsStarted(tls)))

    def _start_compression(self) -> None:
        if self.wire.buffered:  # was it plain, or deflated already? (RFC 4978 §3: the client waits for the answer)
            self._closing = "data behind COMPRESS"
            return
        self._flush()
        self.wire.wants = None
        self._deflate = Deflate()

    def _end_compression(self) -> None:
        """What was said goes deflated still; what is inflated already, and what has come behind its end, is the wire's."""
        self._flush()
        deflate, self._deflate = self._deflate, None
        assert deflate is not None
        self._out.append(deflate.finish(b""))
        self.wire.wants = None
        self.wire.receive_bytes(deflate.rest())

    def _inflate(self, deflate: Deflate) -> None:
        """One step of what the peer has deflated, for the wire that has nothing left to do."""
        try:
            self.wire.receive_bytes(deflate.inflate())
        except Damaged as damage:
            log.info("connection {id}: {damage}", id=self.identifier, damage=damage)
            self._closing = "damaged"
        if self._finished and not deflate.waiting:
            self.wire.receive_eof()

    def _tls_failed(self, why: str) -> None:
        if why:
            self._closing = "TLS failed" if self._closing == "peer gone" else self._closing
            if self.facts.listened:
                self.facts.tell(Fact(self._epoch(), self.identifier, TlsFailed(why)))

    # ----- deadlines

    def _set_deadline(self, deadline: float) -> None:
        self._deadline = deadline
        if self._timer is None:
            self._timer = self.clock.callLater(max(0.0, deadline - self.clock.seconds()), self._tick)
        elif deadline < self._timer.getTime():
            self._timer.reset(max(0.0, deadline - self.clock.seconds()))

    def _tick(self) -> None:
        self._timer = None
        if self._gone:
            return
        now = self.clock.seconds()
        if self._deadline is NEVER:  # at work: look again later
            self._timer = self.clock.callLater(STALL, self._tick)
        elif now < self._deadline:
            self._timer = self.clock.callLater(self._deadline - now, self._tick)
        elif self._idle:
            self._time_out()
        else:  # the peer takes nothing, or does not finish its handshake
            self._closing = "timed out"
            self.transport.abortConnection()

    def _time_out(self) -> None:
        self._closing = "timed out"
        self._drive(None)

    # ----- the end

    def _end(self) -> None:
        self.ended = True
        self._stop_timer()
        self.session.closed(self._closing)
        if self.facts.listened:
            self.facts.tell(Fact(self._epoch(), self.identifier, Closed(self._closing, self.received, self.sent)))
        if self._gone:
            self._depart()
        else:
            # a peer that reads nothing any more, or leaves our TLS farewell unanswered, must not keep the descriptor;
            # until it is free the connection counts
            self._timer = self.clock.callLater(FAREWELL, self._abandon)
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def _depart(self) -> None:
        """The descriptor is free."""
        self.session.departed()
        self._on_closed(self)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _abandon(self) -> None:
        self._timer = None
        self.transport.abortConnection()

    def _transcribe(self, side: str, octets: bytes, *, lone_lf: bool = False) -> None:
        """Tell what was said. Mail is counted, not quoted: the wire sees to that for what the peer says, `is_mail` for us."""
        self.facts.tell(Fact(self._epoch(), self.identifier, Line(side, octets, lone_lf)))
