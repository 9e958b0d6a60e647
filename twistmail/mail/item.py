"""An item: one message on its way, with what is known of each of its targets. A value; an event makes a new one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from twistmail.mail.address import Address
from twistmail.mail.envelope import NO_WISHES, Notify, Target, Wishes
from twistmail.mail.outcome import Event, GaveUp, Outcome, Postponed, Reported, Result, SenderWarned
from twistmail.mail.status import Status


@dataclass(frozen=True, slots=True)
class Errand:
    """One target of an item and how far we got with it. `result` None: not tried yet."""

    target: Target
    result: Result | None = None
    status: Status | None = None
    host: str = ""
    attempts: int = 0
    reported: bool = False  # a failure of which the sender has been told
    notify: frozenset[Notify] = frozenset()  # as `envelope.Recipient` has them
    orcpt: str = ""

    @property
    def is_pending(self) -> bool:
        return self.result is None or self.result is Result.DEFERRED


@dataclass(frozen=True, slots=True)
class Item:
    """One message on its way.

    `prefix` are the header fields put in front of the content (Received, and what policy added), CRLF line ends.
    `size` is content and prefix together, in octets. Times are POSIX seconds.
    """

    id: str
    sender: Address | None
    errands: tuple[Errand, ...]
    arrived: float
    size: int
    prefix: bytes = b""
    account: str = ""  # who submitted it; empty: a stranger
    body: str = ""  # the BODY= parameter: "", "7BIT", "8BITMIME" or "BINARYMIME"
    attempts: int = 0
    due: float = 0.0
    warned: bool = False
    held: bool = False
    wishes: Wishes = NO_WISHES

    @property
    def pending(self) -> tuple[Errand, ...]:
        return tuple(errand for errand in self.errands if errand.is_pending)

    @property
    def unreported(self) -> tuple[Errand, ...]:
        """Failures that the sender has not been told of."""
        return tuple(e for e in self.errands if e.result is Result.FAILED and not e.reported)

    @property
    def is_settled(self) -> bool:
        """Nothing left to try and nobody left to tell: the item may go."""
        return not self.pending and not self.unreported

    def after(self, event: Event) -> Item:
        """The item that *event* makes of this one."""
        match event:
            case Outcome():
                return replace(self, errands=tuple(_tried(e, event) if e.target == event.target else e for e in self.errands))
            case Postponed(until):
                return replace(self, due=until, attempts=self.attempts + 1)
            case SenderWarned():
                return replace(self, warned=True)
            case Reported(_, addresses):
                told = set(addresses)
                return replace(
                    self,
                    errands=tuple(
                        replace(e, reported=True) if e.result is Result.FAILED and e.target.address in told else e for e in self.errands
                    ),
                )
            case GaveUp(status):
                return replace(
                    self,
                    errands=tuple(replace(e, result=Result.FAILED, status=e.status or status) if e.is_pending else e for e in self.errands),
                )
        raise TypeError(f"{event!r} is no event of an item")


def _tried(errand: Errand, outcome: Outcome) -> Errand:
    return replace(errand, result=outcome.result, status=outcome.status, host=outcome.host, attempts=errand.attempts + 1)
