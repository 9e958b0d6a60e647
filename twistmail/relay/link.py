"""The server's end of the connection to its carrier process: gives it departures, answers its questions, hears what came of them.

All that is to be said in one turn of the reactor is said in one write. A departure
waits here, not in octets, while the carrier takes no more. What ends the connection,
or makes no sense, ends what is under way as trouble of our own (4.3.0): nobody knows
then how far it got, no outcome is invented, and no other server is to blame.

`carrying` is the other end; when there is a process, and why, is decided by `beside`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from zope.interface import implementer

from twistmail import prompt, tasks
from twistmail.interfaces import Unavailable
from twistmail.mail.departure import Departure
from twistmail.mail.outcome import outcome_of
from twistmail.mail.status import BUG, UNAVAILABLE, Status
from twistmail.relay import frames
from twistmail.relay.carrier import Carried, Ways
from twistmail.relay.frames import Broken, Frames, frame
from twistmail.relay.route import Route, Tls
from twistmail.relay.terms import Decision
from twistmail.relay.told import (
    MISUNDERSTOOD,
    Equipment,
    decision_told,
    departure_told,
    equipment_told,
    route_told,
    told_carried,
    told_finding,
)

log = Logger()

Together = Callable[[], AbstractContextManager[None]]
#: What is told of whatever was under way when the carrier ended.
ENDED = Status(451, "4.3.0", "Something went wrong here: our own process for connections to other servers has ended too early")
#: Seconds between two looks at whether it answers.
LOOK_EVERY = 30.0
#: Routes that the carrier knows by number.
MOST_ROUTES = 1000
#: Octets that are said in one turn, and a little more.
MOST_AT_ONCE = 256 * 1024
_LEVELS = {level.name: level for level in LogLevel.iterconstants()}


class CarrierTrouble(Exception):
    """The carrier ran into a bug with a message; its log has said which."""


@dataclass(slots=True, eq=False)
class _Journey:
    """One departure under way. `done` gets what came of it; None: the carrier has not got it, and shall not."""

    number: int
    route: Route
    departure: Departure
    ways: Ways
    done: Deferred[Carried | None] = field(default_factory=Deferred)
    decision: Decision | None = None  # the one that was told last


@implementer(IPushProducer)
class Link(Protocol):
    """One carrier process. `ended`(was it asked to) is called once, at its end. `clock`: IReactorTime.

    `together`: around what is made of all that comes at once (`IQueue.together`).
    """

    transport: Any

    def __init__(
        self, equipment: Equipment, clock: Any, ended: Callable[[bool], None] = lambda asked: None, together: Together = nullcontext
    ) -> None:
        self.ended = ended
        self._together = together
        self.is_ready = False
        self.heard = False  # anything, since somebody has set it back
        self._equipment = equipment
        self._clock = clock
        self._frames = Frames()
        self._line: deque[_Journey] = deque()  # those that the carrier has not got yet
        self._journeys: dict[int, _Journey] = {}  # those that it has
        self._numbers = 0
        self._routes: dict[Route, int] = {}
        self._out: list[bytes] = []
        self._is_full = False
        self._flushing = False
        self._left: Deferred[None] | None = None
        self._is_lost = False
        self._timer: Any = None  # of the looks after its stop

    # ----- for `beside`

    @property
    def under_way(self) -> int:
        """How many departures there are."""
        return len(self._line) + len(self._journeys)

    async def carry(self, route: Route, departure: Departure, ways: Ways) -> Carried | None:
        """As `carrier.Carrier.carry`; None where the carrier cannot have it, and somebody else has to do it. Raises CarrierTrouble."""
        if self._is_lost or self._left is not None:
            return None
        self._numbers += 1
        journey = _Journey(self._numbers, route, departure, ways)
        self._line.append(journey)
        self._flush_soon()
        return await journey.done

    async def stop(self, patience: float) -> None:
        """The carrier takes nothing more; returns when it has said goodbye to the idle connections, or after *patience* seconds.

        It ends when nothing is under way any more, and before that when it does not answer; nobody else needs to look.
        """
        if self._is_lost or self._left is not None:
            return
        self._left = Deferred()
        self._give_back(self._line)
        self._say(frames.STOP)
        self._look_again()
        timer = self._clock.callLater(patience, self._leave)
        await self._left
        if timer.active():
            timer.cancel()

    def look(self) -> None:
        """Let the carrier say that it is there."""
        self._say(frames.LOOK)

    def abort(self) -> None:
        """End it now."""
        if not self._is_lost:
            self.transport.abortConnection()

    def _look_again(self) -> None:
        self.heard = False
        self.look()
        self._timer = self._clock.callLater(LOOK_EVERY, self._looked)

    def _looked(self) -> None:
        """Until its end: what is under way there must not wait for one that hangs."""
        self._timer = None
        if self.heard:
            return self._look_again()
        log.error("relay: the process that kept the connections does not answer")
        return self.abort()

    # ----- out

    def _say(self, kind: bytes, words: Any = None) -> None:
        if not self._is_lost:
            self._out.append(frame(kind, words))
            self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._clock.callLater(0, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._is_lost:
            return
        out, self._out = self._out, []
        octets = 0
        while self._line and not self._is_full and octets < MOST_AT_ONCE:
            out += (told := self._told(self._line.popleft()))
            octets += sum(map(len, told))
        if self._line and not self._is_full:
            self._flush_soon()
        if out:
            prompt.write(self.transport, b"".join(out))

    def _told(self, journey: _Journey) -> list[bytes]:
        """The frames that tell of *journey*; no departure among them where it cannot be told."""
        told: list[bytes] = []
        try:
            words, load = departure_told(journey.departure)
            number = self._number(journey.route, told)
            told.append(frame(frames.DEPARTURE, [journey.number, number, words], *load))
        except ValueError:
            journey.done.callback(None)
        else:
            self._journeys[journey.number] = journey
        return told

    def _number(self, route: Route, told: list[bytes]) -> int:
        """The number by which the carrier knows *route*; where it has none yet it is *told*, in the place of an older one."""
        if (number := self._routes.get(route)) is None:
            if len(self._routes) >= MOST_ROUTES:
                self._routes.clear()
            number = len(self._routes)
            told.append(frame(frames.ROUTE, [number, route_told(route)]))
            self._routes[route] = number
        return number

    def _give_back(self, line: deque[_Journey]) -> None:
        while line:
            line.popleft().done.callback(None)

    # ----- in

    def _hear(self, kind: bytes, words: Any) -> None:
        """Raises Broken, and MISUNDERSTOOD."""
        if kind == frames.CARRIED:
            self._carried(words)
        elif kind == frames.QUESTION:
            tasks.start(self._answer(self._journey(words)), "the way of a message")
        elif kind == frames.SEEN:
            self._seen(*words)
        elif kind == frames.LOGGED:
            level, text = words
            log.emit(_LEVELS[level], "{text}", text=str(text))
        elif kind == frames.READY:
            self.is_ready = True
        elif kind == frames.LEFT:
            self._leave()
        elif kind != frames.HERE:
            raise Broken(f"a frame of kind {kind!r}")

    def _journey(self, number: Any) -> _Journey:
        journey = self._journeys.get(number) if isinstance(number, int) else None
        if journey is None:
            raise Broken(f"{number!r} is not under way")
        return journey

    def _carried(self, words: Any) -> None:
        number, said = words
        journey = self._journey(number)
        carried = None if said is None else told_carried(journey.departure.targets, said)
        del self._journeys[journey.number]
        if carried is None:
            journey.done.errback(CarrierTrouble(journey.departure.item.id))
        else:
            journey.done.callback(carried)

    async def _answer(self, journey: _Journey) -> None:
        """Where to, and under which terms. Asked here, because here is who knows the DNS, the tables and what was seen before."""
        decision: Decision | Status = BUG
        try:
            hosts = await journey.ways.hosts(journey.route, journey.departure.item.id)
            decision = hosts if isinstance(hosts, Status) else await journey.ways.policies.decide(journey.route, hosts)
        except Unavailable as error:
            log.error("relay: {id}: {error}", id=journey.departure.item.id, error=str(error))
            decision = UNAVAILABLE
        finally:  # whatever has happened: the carrier waits for an answer
            self._decided(journey, decision)

    def _decided(self, journey: _Journey, decision: Decision | Status) -> None:
        journey.decision = decision if isinstance(decision, Decision) else None
        try:
            self._say(frames.ANSWER, [journey.number, decision_told(decision)])
        except ValueError as error:
            log.error("relay: {id}: the way cannot be told: {error}", id=journey.departure.item.id, error=str(error))
            self._say(frames.ANSWER, [journey.number, decision_told(BUG)])

    def _seen(self, number: Any, place: Any, want: Any, finding: Any) -> None:
        journey = self._journey(number)
        if journey.decision is None or not isinstance(place, int) or place < 0:
            raise Broken(f"nobody was told where {number} goes")
        host, terms = journey.decision.hosts[place]
        if terms.want is not Tls(want):
            terms = replace(terms, want=Tls(want))  # once more, in clear
        journey.ways.policies.note(journey.route, host, terms, told_finding(finding))

    # ----- for the transport

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)
        self._say(frames.EQUIPMENT, equipment_told(self._equipment))

    def dataReceived(self, data: bytes) -> None:
        self.heard = True
        try:
            with self._together():
                for kind, words, _ in self._frames.feed(data):
                    self._hear(kind, words)
        except (Broken, *MISUNDERSTOOD) as error:
            log.error("relay: the carrier process says what makes no sense: {error}", error=str(error))
            self.abort()

    def connectionLost(self, reason: Failure | None = None) -> None:
        asked, self._is_lost, self.is_ready = self._left is not None, True, False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._give_back(self._line)
        journeys, self._journeys = list(self._journeys.values()), {}
        for journey in journeys:
            journey.done.callback(Carried([outcome_of(target, ENDED) for target in journey.departure.targets]))
        self._leave()
        self.ended(asked)

    def _leave(self) -> None:
        if self._left is not None and not self._left.called:
            self._left.callback(None)

    def pauseProducing(self) -> None:
        self._is_full = True

    def resumeProducing(self) -> None:
        self._is_full = False
        self._flush_soon()

    def stopProducing(self) -> None:
        pass
