"""The carrier process: `python -P -m twistmail.relay.carrying FD`, started by `beside`, talked to by `link` over the socket FD.

It has what it needs of the relay (`carrier.Connections` and what lies below) and
nothing else: no configuration, no queue, no DNS. Where to and under which terms is
asked of the server whenever a connection has to be made; the server hears what was
shown, what came of each departure, and what there is to log.

It ends when the server says so and nothing is under way any more, and at once when
the server has gone, in whatever way. Signals that end whole groups of processes are
not for it: the server may want to finish what is under way.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import ILogObserver, LogLevel, formatEvent, globalLogBeginner
from twisted.python.failure import Failure
from zope.interface import implementer, provider

from twistmail import heap, prompt, tasks
from twistmail.mail.departure import Departure
from twistmail.mail.status import Status
from twistmail.relay import frames
from twistmail.relay.carrier import Connections
from twistmail.relay.connect import Dialer
from twistmail.relay.exchange import Manners
from twistmail.relay.frames import Broken, Frames, frame
from twistmail.relay.handshake import TlsClients
from twistmail.relay.login import Means
from twistmail.relay.route import Host, Route
from twistmail.relay.terms import Decision, Finding, Terms
from twistmail.relay.told import (
    MISUNDERSTOOD,
    Equipment,
    carried_told,
    finding_told,
    told_decision,
    told_departure,
    told_equipment,
    told_route,
)

#: Threads that read contents.
THREADS = 4
#: Characters of one line of the log.
LONGEST_LINE = 16 * 1024
#: Seconds between two looks at whether all goodbyes have been said, when there is nothing else to do any more.
LAST_WORDS = 0.5


class _Asked:
    """The `carrier.Ways` of one departure, and the `terms.Policies` behind them: the server knows."""

    def __init__(self, carrying: Carrying, number: int) -> None:
        self._carrying = carrying
        self._number = number
        self._decision = Decision(())
        self.answered: Deferred[Decision | Status] | None = None

    @property
    def policies(self) -> _Asked:
        return self

    async def hosts(self, route: Route, identifier: str) -> tuple[Host, ...] | Status:
        self.answered = Deferred()
        self._carrying.say(frames.QUESTION, self._number)
        decision = await self.answered
        if isinstance(decision, Status):
            return decision
        self._decision = decision
        return tuple(host for host, _ in decision.hosts)

    async def decide(self, route: Route, hosts: Sequence[Host]) -> Decision:
        return self._decision  # it came with the hosts

    look = decide

    def note(self, route: Route, host: Host, terms: Terms, finding: Finding) -> None:
        place = next(place for place, (known, _) in enumerate(self._decision.hosts) if known == host)
        self._carrying.say(frames.SEEN, [self._number, place, terms.want.value, finding_told(finding)])


@implementer(IPushProducer)
class Carrying(Protocol):
    """The carrier's end. *equip* makes what carries of an Equipment. *gone*() is called when the server has gone, or makes no sense."""

    transport: Any

    def __init__(self, clock: Any, equip: Callable[[Equipment], Connections], gone: Callable[[], None]) -> None:
        self._clock = clock
        self._equip = equip
        self._gone = gone
        self._frames = Frames()
        self._carrier: Connections | None = None
        self._routes: dict[int, Route] = {}
        self._asked: dict[int, _Asked] = {}  # by the number of the departure
        self._out: list[bytes] = []
        self._has_stopped = False

    # ----- out

    def say(self, kind: bytes, words: Any = None) -> None:
        """Goes out with all that is said in this turn of the reactor."""
        said = frame(kind, words)
        if not self._out:
            self._clock.callLater(0, self._flush)
        self._out.append(said)

    def _flush(self) -> None:
        out, self._out = self._out, []
        prompt.write(self.transport, b"".join(out))

    def observe(self, event: Any) -> None:
        """A log observer: the server keeps the log."""
        level = event.get("log_level", LogLevel.info)
        if level < LogLevel.info:
            return
        text = formatEvent(event)
        if (failure := event.get("log_failure")) is not None:
            text += "\n" + failure.getTraceback()
        self.say(frames.LOGGED, [level.name, text[:LONGEST_LINE].encode("utf-8", "replace").decode()])

    # ----- in

    def _hear(self, kind: bytes, words: Any, load: bytes) -> None:
        """Raises Broken, and MISUNDERSTOOD."""
        if kind == frames.DEPARTURE:
            number, route, told = words
            tasks.go(self._carry(number, self._routes[route], told_departure(told, load)), "carrying")
        elif kind == frames.ANSWER:
            number, told = words
            if (asked := self._asked[number].answered) is not None:
                self._asked[number].answered = None
                asked.callback(told_decision(told))
        elif kind == frames.ROUTE:
            number, told = words
            self._routes[number] = told_route(told)
        elif kind == frames.EQUIPMENT:
            self._carrier = self._equip(told_equipment(words))
            self.say(frames.READY)
        elif kind == frames.STOP:
            tasks.start(self._stop(), "saying goodbye")
        elif kind == frames.LOOK:
            self.say(frames.HERE)
        else:
            raise Broken(f"a frame of kind {kind!r}")

    async def _carry(self, number: int, route: Route, departure: Departure) -> None:
        assert self._carrier is not None, "there is equipment before there is anything to carry"
        self._asked[number] = asked = _Asked(self, number)
        is_told = False
        try:
            carried = await self._carrier.carry(route, departure, asked)
            self.say(frames.CARRIED, [number, carried_told(departure.targets, carried)])
            is_told = True
        finally:  # a bug is logged by who has started us; the server must not wait for ever
            if not is_told:
                self.say(frames.CARRIED, [number, None])
            del self._asked[number]
            self._end_if_over()

    async def _stop(self) -> None:
        if self._carrier is not None:
            await self._carrier.stop()
        self._has_stopped = True
        self.say(frames.LEFT)
        self._end_if_over()

    def _end_if_over(self) -> None:
        if not self._has_stopped or self._asked:
            return
        if self._carrier is not None and self._carrier.leaving:
            self._clock.callLater(LAST_WORDS, self._end_if_over)
        else:
            self._flush()  # now: in the next turn of the reactor the connection is closed before that is due
            self.transport.unregisterProducer()  # with a paused one Twisted would not close it
            self.transport.loseConnection()

    # ----- for the transport

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        try:
            for kind, words, load in self._frames.feed(data):
                self._hear(kind, words, load)
        except (Broken, *MISUNDERSTOOD) as error:
            sys.stderr.write(f"twistmail's carrier process: what the server says makes no sense: {error}\n")
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._gone()

    def pauseProducing(self) -> None:
        """The server does not listen: nothing more is taken until it does."""
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        pass


def _observer(carrying: Carrying) -> Any:
    """What Twisted's log wants."""
    return provider(ILogObserver)(lambda event: carrying.observe(event))


def main() -> None:
    """Carry what the server at the other end of the socket says, until it has gone."""
    from twisted.internet import reactor

    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    threads = tasks.Threads(reactor, "contents", THREADS)

    def equip(one: Equipment) -> Connections:
        shakes = TlsClients(Path(one.authorities) if one.authorities else None)
        manners = Manners(one.hello, shakes, avoided=one.avoided, login=Means(threads=threads))
        return Connections(Dialer(reactor), manners, one.capacity, reactor, threads)

    carrying = Carrying(reactor, equip, lambda: os._exit(0))  # at once: what is half said must not go on
    globalLogBeginner.beginLoggingTo([_observer(carrying)], redirectStandardIO=False, discardBuffer=True)
    factory = Factory.forProtocol(lambda: carrying)
    factory.noisy = False
    descriptor = int(sys.argv[1])
    reactor.adoptStreamConnection(descriptor, socket.AF_UNIX, factory)  # type: ignore[attr-defined]
    os.close(descriptor)
    reactor.callWhenRunning(heap.settle)  # type: ignore[attr-defined]
    reactor.run(installSignalHandlers=False)  # type: ignore[call-arg]


if __name__ == "__main__":
    main()
