"""The lesson's clock: real time, and buttons that let minutes or days pass at once.

Queue, delay warnings, POP-before-SMTP windows and retention go by it; the deadlines of connections do not, or a
jump of five days would hang up on everybody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import AlreadyCalled, AlreadyCancelled

from twistmail.lab.fault_settings import NotNow

#: How far the lesson may be ahead: a calendar has an end, and certificates have one sooner.
MOST_YEARS = 10
MOST_AHEAD = MOST_YEARS * 366 * 86400.0


class LessonCall:
    """A call that is due at `due` (seconds of the lesson's clock). As IDelayedCall has it, as far as it is used here."""

    def __init__(self, clock: LessonClock, due: float, function: Callable[[], Any]) -> None:
        self.due = due
        self._clock = clock
        self._function = function
        self._state: type[Exception] | None = None
        self._real: Any = None
        self.arm()

    def arm(self) -> None:
        """Wait for as long as it is still to be; again after each jump."""
        if self._real is not None and self._real.active():
            self._real.cancel()
        self._real = self._clock.reactor.callLater(max(0.0, self.due - self._clock.seconds()), self._fire)

    def _fire(self) -> None:
        self._state = AlreadyCalled
        self._clock.done(self)
        self._function()

    def active(self) -> bool:
        return self._state is None

    def cancel(self) -> None:
        if self._state is not None:
            raise self._state
        self._state = AlreadyCancelled
        self._real.cancel()
        self._clock.done(self)

    def getTime(self) -> float:
        return self.due

    def reset(self, seconds: float) -> None:
        if self._state is not None:
            raise self._state
        self.due = self._clock.seconds() + seconds
        self.arm()

    def delay(self, seconds: float) -> None:
        self.reset(self.due - self._clock.seconds() + seconds)


class LessonClock:
    """An IReactorTime over that of *reactor*. `seconds` begins as the reactor's (POSIX seconds, with the real one)."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.ahead = 0.0  # seconds that the lesson is ahead of the real time
        self._calls: dict[LessonCall, None] = {}

    def seconds(self) -> float:
        return float(self.reactor.seconds()) + self.ahead

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any, **kw: Any) -> LessonCall:
        call = LessonCall(self, self.seconds() + delay, lambda: callable(*args, **kw))
        self._calls[call] = None
        return call

    def getDelayedCalls(self) -> list[LessonCall]:
        return list(self._calls)

    def done(self, call: LessonCall) -> None:
        """*call* has been made or cancelled."""
        self._calls.pop(call, None)

    def jump(self, seconds: float) -> None:
        """Let *seconds* pass. What is due by then is called soon, in its order, each at its turn of the reactor.

        NotNow where the lesson would be more than MOST_AHEAD ahead of the real time.
        """
        if self.ahead + seconds > MOST_AHEAD:
            raise NotNow(f"the lesson's clock goes at most {MOST_YEARS} years ahead; reset everything, and it begins again")
        self.ahead += seconds
        self._arm_all()

    def reset(self) -> None:
        """The real time again, as at the beginning."""
        self.ahead = 0.0
        self._arm_all()

    def _arm_all(self) -> None:
        for call in sorted(self._calls, key=LessonCall.getTime):
            call.arm()
