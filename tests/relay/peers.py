"""A mail server in memory, scripted: what it answers, and what it was told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from twistmail import tasks
from twistmail.leaving.departure import Leaving
from twistmail.mail.departure import Departure
from twistmail.relay.carrier import Capacity, Carried, Connections
from twistmail.relay.carrying import Carrying
from twistmail.relay.client import SmtpConnection
from twistmail.relay.courier import RelayCourier
from twistmail.relay.exchange import Manners
from twistmail.relay.link import Link
from twistmail.relay.route import Host, Route
from twistmail.relay.routes import Routes
from twistmail.relay.terms import AsRouted, Finding, Terms
from twistmail.relay.told import Equipment
from twistmail.wire.dotted import Unstuffer

HANG_UP = object()
SILENCE = object()
EHLO = b"250-peer.example\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES"
ANSWERS: dict[bytes, Any] = {
    b"": b"220 peer.example ESMTP", b"EHLO": EHLO, b"HELO": b"250 peer.example", b"MAIL": b"250 2.1.0 Ok", b"RCPT": b"250 2.1.5 Ok",
    b"DATA": b"354 Go on", b".": b"250 2.0.0 Taken", b"BDAT": b"250 2.0.0 Taken",
    b"RSET": b"250 2.0.0 Ok", b"QUIT": b"221 2.0.0 Bye", b"STARTTLS": b"220 2.0.0 Go on",
}


@dataclass(frozen=True)
class Slowly:
    """An answer of these very octets, one each so many seconds; what is answered next comes behind it."""

    octets: bytes
    every: float = 0.0


class Peer:
    """One server. `answers`: by verb ("" is the greeting, "." the end of content) or by whole line; a list is used up.

    An answer is bytes without the last CRLF, HANG_UP, SILENCE, Slowly, or a callable that makes one. "BDAT" is answered when its octets
    have come. `writes`: how many lines and contents each write of the client held. `heard`: all octets, whatever they were taken for.
    """

    def __init__(self, answers: dict[bytes, Any] | None = None) -> None:
        self.answers = {said: list(one) if isinstance(one, list) else one for said, one in (ANSWERS | (answers or {})).items()}
        self.said: list[bytes] = []
        self.contents: list[bytes] = []
        self.writes: list[int] = []
        self.heard = b""
        self.connections: list[_Side] = []

    def answer_to(self, line: bytes) -> Any:
        verb = line.partition(b" ")[0].upper()
        key = line if line in self.answers else verb
        answer = self.answers.get(key, b"500 5.5.1 What?")
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        return answer() if callable(answer) else answer


class _Side:
    """The transport of our client: takes what it writes, and gives it what the peer answers."""

    disconnecting = False

    def __init__(self, peer: Peer, connection: SmtpConnection, clock: Clock) -> None:
        self.peer, self.connection, self.clock = peer, connection, clock
        self.pending = b""
        self.unstuffer: Unstuffer | None = None
        self.octets: int | None = None  # of a BDAT that are still to come
        self.open = True
        self.aborted = False
        self.silent = False
        self.tls: Any = None
        self.shaking = False
        self.free_at = 0.0  # when all that is being said has been said

    def begin(self) -> None:
        self.connection.makeConnection(self)
        self.say(self.peer.answer_to(b""))

    def say(self, answer: Any) -> None:
        if answer is HANG_UP:
            self.hang_up()
        elif answer is SILENCE:
            self.silent = True
        elif self.open and not self.silent:
            pieces, every = ([answer + b"\r\n"], 0.0) if isinstance(answer, bytes) else (_octets(answer.octets), answer.every)
            begins = max(self.free_at, self.clock.seconds())
            for number, piece in enumerate(pieces):
                self.clock.callLater(begins - self.clock.seconds() + number * every, self._deliver, piece)
            self.free_at = begins + len(pieces) * every

    def _deliver(self, data: bytes) -> None:
        if self.open and self.shaking:
            self.clock.callLater(0, self._deliver, data)
        elif self.open:
            self.connection.dataReceived(data)

    def hang_up(self) -> None:
        if self.open:
            self.open = False
            self.clock.callLater(0, self.connection.connectionLost, Failure(ConnectionDone()))

    # ----- ITransport, as far as it is used

    def write(self, data: bytes) -> None:
        self.pending += data
        self.peer.heard += data
        self.peer.writes.append(0)
        while self.open and self._step():
            self.peer.writes[-1] += 1

    def _step(self) -> bool:
        if self.unstuffer is not None:
            content = self.unstuffer.feed(self.pending)
            self.peer.contents[-1] += content
            self.pending = self.unstuffer.rest
            if not self.unstuffer.ended:
                return False
            self.unstuffer = None
            self.say(self.peer.answer_to(b"."))
            return True
        if self.octets is not None:
            return self._take_octets()
        line, end, self.pending = self.pending.partition(b"\r\n")
        if not end:
            self.pending = line
            return False
        self.peer.said.append(line)
        if line.startswith(b"BDAT "):
            self.octets = int(line.split()[1])
            self.peer.contents.append(b"")
            return True
        answer = self.peer.answer_to(line)
        self.say(answer)
        said = answer.octets if isinstance(answer, Slowly) else answer
        if line == b"DATA" and isinstance(said, bytes) and said.startswith(b"354"):
            self.unstuffer = Unstuffer()
            self.peer.contents.append(b"")
        return True

    def _take_octets(self) -> bool:
        taken, self.pending = self.pending[: self.octets], self.pending[self.octets :]
        self.peer.contents[-1] += taken
        self.octets -= len(taken)
        if not self.octets:
            self.octets = None
            self.say(self.peer.answer_to(b"BDAT"))
        return self.octets is None

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.250", 40000)

    def startTLS(self, options: Any) -> None:
        self.tls, self.shaking = options, True
        self.clock.callLater(0, self._shaken)

    def _shaken(self) -> None:
        self.shaking = False
        if self.peer.answers.get(b"(handshake)") is HANG_UP:
            self.connection.connectionLost()
        else:
            self.connection.handshakeCompleted()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def loseConnection(self) -> None:
        self.hang_up()

    def abortConnection(self) -> None:
        self.aborted = True
        self.hang_up()


class Shown:
    """What stands for a handshake (`handshake.Shake`): with whom, and on which terms."""

    def __init__(self, host: Host, terms: Terms, finding: Finding) -> None:
        self.host, self.terms, self._finding = host, terms, finding

    def finding(self) -> Finding:
        return self._finding


def shows(protocol: str = "TLSv1.3", checked_by: str = "its authority", fault: str = "", kind: str = "") -> Callable[[Host, Terms], Shown]:
    """`Manners.tls_options` for servers that all show the same."""
    return lambda host, terms: Shown(host, terms, Finding(protocol, "" if fault else terms.checked_by or checked_by, fault, kind))


def _octets(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


class Net:
    """Peers by address. A missing address refuses. Give it as `dial`."""

    def __init__(self, clock: Clock, **peers: Peer) -> None:
        self.clock = clock
        self.peers: dict[str, Peer] = {}
        self.dialled: list[tuple[str, int]] = []
        self.open = 0
        self.most_open = 0

    def __call__(self, address: str, port: int) -> Deferred[SmtpConnection]:
        self.dialled.append((address, port))
        peer = self.peers.get(address)
        if peer is None:
            return fail(ConnectionRefusedError())
        connection = SmtpConnection(self.clock)
        side = _Side(peer, connection, self.clock)
        peer.connections.append(side)
        side.begin()
        return succeed(connection)


def courier_here(
    routes: Routes, dial: Any, manners: Manners, capacity: Capacity, clock: Any, leaving: Leaving | None = None
) -> RelayCourier:
    """A courier with its connections in this process, and files read in this thread."""
    return RelayCourier(routes, manners.policies, Connections(dial, manners, capacity, clock, tasks.Inline()), capacity, leaving)


class Pipe:
    """The transports of two protocols that talk to each other in memory; what is written arrives at the reactor's next turn."""

    def __init__(self, clock: Clock, one: Any, other: Any) -> None:
        self.ends = (_End(self, clock, one), _End(self, clock, other))
        self.open = True
        one.makeConnection(self.ends[0])
        other.makeConnection(self.ends[1])

    def cut(self) -> None:
        """As if one side's process had been killed: what is on its way is lost."""
        if self.open:
            self.open = False
            for end in self.ends:
                end.clock.callLater(0, end.protocol.connectionLost, Failure(ConnectionDone()))


class _End:
    """What one of them writes to."""

    def __init__(self, pipe: Pipe, clock: Clock, protocol: Any) -> None:
        self.pipe, self.clock, self.protocol = pipe, clock, protocol
        self.written: list[bytes] = []
        self.paused = False
        self.unheard: list[bytes] = []

    @property
    def other(self) -> _End:
        return self.pipe.ends[self.pipe.ends[0] is self]

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.clock.callLater(0, self.other.arrive, data)

    def arrive(self, data: bytes) -> None:
        if self.paused:
            self.unheard.append(data)
        elif self.pipe.open:
            self.protocol.dataReceived(data)

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False
        unheard, self.unheard = self.unheard, []
        for data in unheard:
            self.arrive(data)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        pass

    def unregisterProducer(self) -> None:
        pass

    def loseConnection(self) -> None:
        self.clock.callLater(0, self.pipe.cut)

    def abortConnection(self) -> None:
        self.pipe.cut()


class Across:
    """A Carrier whose connections are at the other end of a Pipe, as they are in a process of their own."""

    def __init__(self, dial: Any, manners: Manners, capacity: Capacity, clock: Any) -> None:
        self.ended: list[bool] = []
        self.here = Connections(dial, replace(manners, policies=AsRouted()), capacity, clock, tasks.Inline())
        self.link = Link(Equipment(manners.hello, "", manners.avoided, capacity), clock, self.ended.append)
        self.carrying = Carrying(clock, lambda equipment: self.here, lambda: None)
        self.pipe = Pipe(clock, self.link, self.carrying)

    async def carry(self, route: Route, departure: Departure, ways: Any) -> Carried:
        carried = await self.link.carry(route, departure, ways)
        return await self.here.carry(route, departure, ways) if carried is None else carried  # as `Beside` does

    async def stop(self) -> None:
        await self.link.stop(15.0)


def courier_across(
    routes: Routes, dial: Any, manners: Manners, capacity: Capacity, clock: Any, leaving: Leaving | None = None
) -> RelayCourier:
    """As `courier_here`, with the connections somewhere else."""
    return RelayCourier(routes, manners.policies, Across(dial, manners, capacity, clock), capacity, leaving)


def finish(clock: Clock, coroutine: Any, seconds: float = 0.0, start: Callable[[Any], Deferred[Any]] | None = None) -> Any:
    """What *coroutine* returns, once all that is due within *seconds* has happened."""
    results: list[Any] = []
    tasks.shielded(coroutine).addBoth(results.append)
    for _ in range(200):
        if results:
            break
        clock.advance(0)
    if not results:
        clock.advance(seconds)
        for _ in range(200):
            clock.advance(0)
    assert results, "it has not ended"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]
