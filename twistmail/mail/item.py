"""An item: one message on its way, with what is known of each of its targets. A value; an event makes a new one."""

from __future__ import annotations

from dataclasses import replace

from twistmail.mail.address import Address
from twistmail.mail.envelope import NO_WISHES, Kind, Notify, Recipient, Target, Wishes
from twistmail.mail.outcome import Event, Frozen, GaveUp, Outcome, Postponed, Reported, Rerouted, Result, SenderWarned
from twistmail.mail.status import Status
from twistmail.mail.values import changed, frozen

_USUAL = frozenset({Notify.FAILURE, Notify.DELAY})
_GOOD = frozenset({Result.DELIVERED, Result.RELAYED, Result.EXPANDED})


@frozen
class Errand:
    """One target of an item and how far we got with it. `result` None: not tried yet."""

    target: Target
    result: Result | None = None
    status: Status | None = None
    host: str = ""
    attempts: int = 0
    reported: bool = False  # the sender has been told of its end, or another server sees to that
    notify: frozenset[Notify] = frozenset()  # as `envelope.Recipient` has them
    orcpt: str = ""
    tried: float = 0.0  # when it was tried last (POSIX seconds); 0: not known, or not yet

    @property
    def is_pending(self) -> bool:
        return self.result is None or self.result is Result.DEFERRED

    def wants(self, report: Notify) -> bool:
        """Whether the sender is told of a *report*; FAILURE and DELAY where he has not said what he wants (RFC 3461 §4.1)."""
        return report in self.notify if self.notify else report in _USUAL


EXPANDED = Status(250, "2.0.0", "That name stands for several, and the message goes to all of them")


def several(recipient: Recipient) -> Errand:
    """What is known of a *recipient* who stands for several: nothing is to be done, but the sender may want to hear of it.

    RFC 3461 §5.2.7.3 (c). Those behind the name have `without_success(recipient.notify)`.
    """
    name = Target(Kind.MAILBOX, recipient.address, recipient.address)
    return Errand(name, Result.EXPANDED, EXPANDED, notify=recipient.notify, orcpt=recipient.orcpt)


def without_success(notify: frozenset[Notify]) -> frozenset[Notify]:
    """*notify* without SUCCESS, which asks for nothing more than NEVER where it was all."""
    return (notify - {Notify.SUCCESS} or frozenset({Notify.NEVER})) if Notify.SUCCESS in notify else notify


@frozen
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
    body: str = ""  # the BODY= parameter: "", "7BIT" or "8BITMIME" (what came as BINARYMIME has been encoded)
    attempts: int = 0
    due: float = 0.0
    warned: bool = False
    held: bool = False
    wishes: Wishes = NO_WISHES
    overdue_told: bool = False  # the sender knows that his deadline has passed
    held_for: str = ""  # why it is held: the stage and its rule, where it was accepted so; or the operator's words
    via: str = ""  # the route that an operator has set for this one message, as the relay writes routes

    def sender_for(self, target: Target) -> Address | None:
        """The sender in the envelope for *target*, to whom reports about it go. The null sender stays null: nothing answers a report."""
        return None if self.sender is None else target.sender or self.sender

    @property
    def pending(self) -> tuple[Errand, ...]:
        # a list, and no `is_pending`: asked a dozen times for each message, most of which have one errand
        return tuple([one for one in self.errands if one.result is None or one.result is Result.DEFERRED])

    @property
    def unreported(self) -> tuple[Errand, ...]:
        """Failures of which somebody has still to be told."""
        return tuple([one for one in self.errands if self._is_unreported(one)])

    @property
    def unconfirmed(self) -> tuple[Errand, ...]:
        """What has ended well, of which the sender wants to be told and has not been. Never for the null sender."""
        return tuple([one for one in self.errands if self._is_unconfirmed(one)])

    @staticmethod
    def _is_unreported(errand: Errand) -> bool:
        return errand.result is Result.FAILED and not errand.reported and errand.wants(Notify.FAILURE)

    def _is_unconfirmed(self, errand: Errand) -> bool:
        """SUCCESS; and a deadline that the next server does not keep, or that is traced: the sender hears that he must not
        count on it any more (RFC 2852 §4). Where nothing of this is needed, the relay has said `passed_on`."""
        if errand.result not in _GOOD or errand.reported or self.sender is None:
            return False
        if errand.wants(Notify.SUCCESS):
            return True
        return self.wishes.deadline is not None and errand.result is Result.RELAYED and Notify.NEVER not in errand.notify

    @property
    def is_owed(self) -> bool:
        """Whether somebody has still to be told of something: of what is `unreported` or `unconfirmed`."""
        return any(map(self._is_owed, self.errands))

    def _is_owed(self, errand: Errand) -> bool:
        return self._is_unreported(errand) or self._is_unconfirmed(errand)

    @property
    def is_settled(self) -> bool:
        """Nothing left to try and nobody left to tell: the item may go."""
        # from the end, because what was tried is at the beginning: this is asked after each of ten thousand outcomes
        return not any(map(self._is_open, reversed(self.errands)))

    def _is_open(self, errand: Errand) -> bool:
        return errand.is_pending or self._is_owed(errand)

    @property
    def since(self) -> float:
        """From when on the time counts in which we try: arrival, or the end of the hold that the sender asked for."""
        return max(self.arrived, self.wishes.hold_until or 0.0)

    @property
    def next_try(self) -> float:
        """When the next attempt is due (POSIX seconds)."""
        return max(self.due, self.wishes.hold_until or 0.0)

    def on_hold(self, held: bool, why: str = "") -> Item:
        """The item that an operator has put on hold (*why*: in his words), or released."""
        return replace(self, held=held, held_for=why or (self.held_for if held and self.held else ""))

    def after(self, event: Event) -> Item:
        """The item that *event* makes of this one."""
        match event:
            case Outcome():
                at = _index(self.errands, event.target)
                return self if at is None else changed(
                    self, errands=(*self.errands[:at], _tried(self.errands[at], event), *self.errands[at + 1 :])
                )
            case Postponed(until):
                return replace(self, due=until, attempts=self.attempts + 1)
            case Rerouted(via):
                return replace(self, via=via)
            case SenderWarned(overdue):
                return replace(self, overdue_told=True) if overdue else replace(self, warned=True)
            case Frozen(why):
                thawed = (replace(e, result=Result.DEFERRED) if self._is_unreported(e) else e for e in self.errands)
                return replace(self, errands=tuple(thawed), held=True, held_for=why)
            case Reported(_, addresses, success):
                told, is_meant = set(addresses), self._is_unconfirmed if success else self._is_unreported
                return replace(
                    self,
                    errands=tuple(replace(e, reported=True) if e.target.address in told and is_meant(e) else e for e in self.errands),
                )
            case GaveUp(status):
                return replace(
                    self,
                    errands=tuple(replace(e, result=Result.FAILED, status=e.status or status) if e.is_pending else e for e in self.errands),
                )
        raise TypeError(f"{event!r} is no event of an item")


def _index(errands: tuple[Errand, ...], target: Target) -> int | None:
    """Where *target* is in *errands*. Comparing whole targets, each with each, is what long lists of recipients would feel."""
    for at, errand in enumerate(errands):
        if errand.target is target:
            return at
    name = target.address.local
    return next((at for at, errand in enumerate(errands) if errand.target.address.local == name and errand.target == target), None)


def _tried(errand: Errand, outcome: Outcome) -> Errand:
    return changed(errand, result=outcome.result, status=outcome.status, host=outcome.host, attempts=errand.attempts + 1,
                   reported=outcome.passed_on, tried=outcome.tried or errand.tried)
