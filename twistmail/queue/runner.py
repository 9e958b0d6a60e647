"""The queue's clock: starts each attempt when it is due, and settles what comes of it.

    due -> dispatch.attempt -> settle: again later | give up -> report (failures, successes) -> remove

An attempt is the business of `mailflow.Dispatch`, durability of the queue, the
wording of reports of `queue.reports`. Every step is recorded before the next one
is taken (spec D4), so the process may die between any two of them. Here is one of
the two places that catch everything: a bug in one message is logged and that
message tried again later, and the others never notice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from twisted.logger import Logger

from twistmail import tasks
from twistmail.facts import Fact, Facts, Queued, Removed
from twistmail.interfaces import IQueue
from twistmail.mail.content import Content
from twistmail.mail.envelope import Kind
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Event, GaveUp, Outcome, Postponed, Rerouted, Result, SenderWarned
from twistmail.mail.schedule import Schedule
from twistmail.mail.status import Status
from twistmail.queue import timing
from twistmail.queue.due import Due
from twistmail.queue.ends import given_up, with_last_answer
from twistmail.queue.reports import House, Reports

log = Logger()

EXPIRED = Status(451, "4.4.7", "The message could not be delivered in the time that we keep trying")
#: RFC 2852 §4: the sender wanted it back by now.
TOO_LATE = Status(554, "5.4.7", "The time that the sender has set for the delivery has passed")
KEPT = Status(450, "4.4.0", "Kept until the server of that domain asks for it")
#: The part of a wait by which it may grow, so that what failed together does not come back together.
JITTER = 0.1
DONE, DELETED = "done", "deleted by an operator"
#: Stands for all domains in `Runner._called_for`.
ANY = "*"


class Attempts(Protocol):
    """What the runner wants of `mailflow.Dispatch`."""

    async def attempt(self, item: Item, content: Content, record: Callable[[Event], Awaitable[Item]]) -> Item: ...


@dataclass(slots=True)
class Circumstances:
    """What the runner works with besides queue and dispatch. `random` gives floats from 0 to 1.

    `concurrency`: items under way at a time. It is far above what couriers do at a time, because an item that waits for
    a busy destination costs nothing but must not keep the others from theirs.
    """

    clock: Any
    random: Callable[[], float]
    facts: Facts
    concurrency: int = 500


class Runner:
    """Keeps the queue moving. `dispatch`, `schedule`, `reports` and `keeps` may be replaced at any time (reload): attempts
    that run keep theirs. `keeps`: whether mail for a domain waits until it is called for (`collect`); None: none does.
    """

    def __init__(self, queue: IQueue, dispatch: Attempts, schedule: Schedule, house: House, circumstances: Circumstances) -> None:
        self.queue = queue
        self.dispatch = dispatch
        self.schedule = schedule
        self.reports = Reports(queue, house, circumstances.clock, circumstances.random)
        self._given = circumstances
        self._clock = circumstances.clock
        self._attempts = Due()
        self._warnings = Due()
        self._items: dict[str, Item] = {}
        self._running: set[str] = set()
        self._again: set[str] = set()  # flushed while they ran
        self._doomed: set[str] = set()  # deleted while they ran
        self._given_up: dict[str, str] = {}  # the same, with the operator's words: returned while they ran
        self._doubtful: set[str] = set()  # the disk failed them: write first, then try
        self.keeps: Callable[[str], bool] | None = None
        self._called_for: dict[str, set[str]] = {}  # of items, domains whose mail is not kept at the next attempt
        self._timer: Any = None
        self._stopping = True
        self._idle: tasks.Deferred[None] | None = None

    # ----- life

    async def start(self) -> None:
        """Recover what an earlier process left, and start attempting. Once."""
        for item in await self.queue.recover():
            self._schedule(item)
        self._stopping = False
        self._turn()

    async def stop(self, grace: float = 30.0) -> None:
        """Start nothing more; returns when what runs has ended, or after *grace* seconds."""
        self._stopping = True
        self._disarm()
        if self._running:
            self._idle = tasks.Deferred()
            try:
                await tasks.with_timeout(self._clock, grace, _wait(self._idle), "stopping the queue")
            except tasks.TimedOut:
                log.warn("queue: {count} attempts still run and are left behind", count=len(self._running))

    async def submit(self, item: Item, content: Content) -> None:
        """Take *item* over: durable when this returns, and due now. Raises OSError where it cannot be made durable."""
        await self.queue.add(item, content)
        self._items[item.id] = item  # whoever hears of it may ask for it
        self._tell(item.id, Queued(len(item.pending)))
        self._schedule(item)
        self._turn()

    # ----- the operator

    def item(self, identifier: str) -> Item | None:
        """The item as it is now; None where the queue has none of that name."""
        return self._items.get(identifier)

    def is_under_way(self, identifier: str) -> bool:
        """Whether an attempt runs."""
        return identifier in self._running

    def flush(self, identifiers: Iterable[str] | None = None, *, kept: bool = False) -> int:
        """Make these items (None: all) due now, but for those on hold, ours or the sender's; how many there are.

        *kept*: also what waits to be called for.
        """
        now = self._clock.seconds()
        chosen = map(self._items.get, list(self._items) if identifiers is None else identifiers)
        wanted = [item for item in chosen if item is not None and not item.held and (item.wishes.hold_until or 0.0) <= now]
        for item in wanted:
            if kept:
                self._called_for.setdefault(item.id, set()).add(ANY)
            if item.id in self._running:
                self._again.add(item.id)
            else:
                self._attempts.set(item.id, now, item.wishes.priority)
        self._turn()
        return len(wanted)

    def collect(self, domain: str, *, below: bool = False) -> int:
        """The server of *domain* (A-labels, lower case) calls for its mail (RFC 1985): try it now; how many items there are.

        *below*: and that of all domains below it.
        """
        found = []
        for item in self._items.values():
            theirs = {e.target.address.domain for e in item.pending if _is_of(e, domain, below=below)}
            if theirs and not item.held:
                self._called_for.setdefault(item.id, set()).update(theirs)
                found.append(item.id)
        return self.flush(found)

    async def hold(self, identifier: str, why: str = "") -> Item:
        """No more attempts until `release`; *why*: in the operator's words. KeyError where there is no such item."""
        return await self._set_hold(identifier, why, held=True)

    async def release(self, identifier: str) -> Item:
        """End a hold; the item is due now. KeyError where there is no such item."""
        return await self._set_hold(identifier, held=False)

    async def _set_hold(self, identifier: str, why: str = "", *, held: bool) -> Item:
        item = await self.queue.hold(identifier, held, why)
        self._items[identifier] = item
        if identifier not in self._running:
            self._schedule(item)
            if not held:
                self._attempts.set(identifier, max(self._clock.seconds(), item.wishes.hold_until or 0.0), item.wishes.priority)
            self._turn()
        return item

    async def delete(self, identifier: str) -> bool:
        """Remove an item; nobody is told but the facts. False: an attempt runs, and it goes when that has ended. KeyError."""
        if identifier not in self._items:
            raise KeyError(identifier)
        if identifier in self._running:
            self._doomed.add(identifier)
            return False
        self._running.add(identifier)  # nothing may start it while the disk works
        try:
            await self._remove(identifier, DELETED)
        finally:
            self._running.discard(identifier)
        return True

    async def bounce(self, identifier: str, why: str = "") -> bool:
        """Give up now: what still waits has failed, and the sender is told, with the operator's words *why*.

        False: an attempt runs, and it is given up when that has ended. KeyError; OSError where it cannot be written down.
        """
        item = self._items[identifier]
        if identifier in self._running:
            self._given_up[identifier] = why
            return False
        self._running.add(identifier)  # nothing may start it while the disk works
        try:
            await self._fail(item, given_up(why))
            await self._settle(self._items[identifier], tried=False)
        except OSError as error:
            self._retry_unrecorded(identifier, error)
            raise
        finally:
            self._running.discard(identifier)
            self._turn()
        return True

    async def reroute(self, identifier: str, via: str) -> Item:
        """From now on the item goes by *via* (`Item.via`; "": as all others), and is tried now, unless it is held. KeyError."""
        item = await self._record(identifier, Rerouted(via))
        if identifier in self._running:
            self._again.add(identifier)
        else:
            self.flush((identifier,))
        return item

    # ----- one turn: start what is due

    def _schedule(self, item: Item) -> None:
        self._items[item.id] = item
        if item.held:
            self._attempts.drop(item.id)
            self._warnings.drop(item.id)
            return
        self._attempts.set(item.id, item.next_try, item.wishes.priority)
        warnings = [at for at in (timing.warn_at(item, self.schedule), timing.overdue_at(item)) if at is not None]
        if warnings:
            self._warnings.set(item.id, max(min(warnings), self._clock.seconds()), item.wishes.priority)

    def _turn(self) -> None:
        """Start all that is due and has room; set the timer for the rest."""
        now = self._clock.seconds()
        while not self._stopping and len(self._running) < self._given.concurrency:
            if (identifier := self._attempts.pop(now)) is not None:
                self._begin(identifier, self._attempt)
            elif (identifier := self._warnings.pop(now)) is not None:
                self._begin(identifier, self._warn)
            else:
                break
        self._arm()

    def _arm(self) -> None:
        self._disarm()
        times = [at for at in (self._attempts.next(), self._warnings.next()) if at is not None]
        if times and not self._stopping and len(self._running) < self._given.concurrency:
            self._timer = self._clock.callLater(max(0.0, min(times) - self._clock.seconds()), self._rang)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rang(self) -> None:
        self._timer = None
        self._turn()

    def _begin(self, identifier: str, action: Callable[[Item], Awaitable[None]]) -> None:
        if identifier in self._running:
            if action == self._attempt:
                self._again.add(identifier)  # a warning that falls due during an attempt is scheduled again by settling it
            return
        self._running.add(identifier)
        tasks.start(self._run(identifier, action), f"queue item {identifier}")

    async def _run(self, identifier: str, action: Callable[[Item], Awaitable[None]]) -> None:
        """*action* on the item, whatever comes of it; then the next turn."""
        try:
            await action(self._items[identifier])
        except OSError as error:
            log.error("queue: {id} is tried again later: {error}", id=identifier, error=error)
            self._retry_unrecorded(identifier, error)
        except Exception as error:
            log.failure("queue: {id} ran into trouble and is tried again later", id=identifier)
            self._retry_unrecorded(identifier, error)
        finally:
            self._running.discard(identifier)
        await self._see_to_the_operator(identifier)
        if self._idle is not None and not self._running:
            idle, self._idle = self._idle, None
            idle.callback(None)
        self._turn()

    def _retry_unrecorded(self, identifier: str, error: Exception) -> None:
        """Nothing could be written down, or settling has a bug: wait as after a first failure, in memory only."""
        if isinstance(error, OSError):
            self._doubtful.add(identifier)
        if identifier in self._items and not self._items[identifier].held:
            self._attempts.set(identifier, self._clock.seconds() + self.schedule.waits[0])

    async def _see_to_the_operator(self, identifier: str) -> None:
        """Orders that came while the item was being attempted."""
        if identifier in self._doomed:
            self._doomed.discard(identifier)
            try:
                await self.delete(identifier)
            except (KeyError, OSError) as error:
                log.warn("queue: {id} could not be deleted: {error}", id=identifier, error=error)
        elif (why := self._given_up.pop(identifier, None)) is not None:
            try:
                await self.bounce(identifier, why)
            except (KeyError, OSError) as error:
                log.warn("queue: {id} could not be given up: {error}", id=identifier, error=error)
        elif identifier in self._again:
            self._again.discard(identifier)
            self.flush((identifier,))

    # ----- one item

    async def _attempt(self, item: Item) -> None:
        if item.id in self._doubtful and not item.is_settled:
            # Delivering what cannot be marked as delivered sends it again and again: first see that the disk takes records.
            item = await self._record(item.id, Postponed(item.due))
            self._doubtful.discard(item.id)
        if item.pending and timing.has_run_out(item, self._clock.seconds()):
            await self._fail(item, TOO_LATE)
        elif item.pending:
            await self._dispatch(item)
        await self._settle(self._items[item.id], tried=bool(item.pending))

    async def _fail(self, item: Item, status: Status) -> None:
        """It is over before its time."""
        for errand in item.pending:
            await self._record(item.id, Outcome(errand.target, Result.FAILED, with_last_answer(status, errand)))

    async def _dispatch(self, item: Item) -> None:
        """One attempt. A bug in it counts as a failed one, so that it is tried again as planned, and ends as planned."""
        kept = self._kept(item)
        self._called_for.pop(item.id, None)
        for errand in kept:
            if errand.result is None:
                item = await self._record(item.id, Outcome(errand.target, Result.DEFERRED, KEPT))
        if kept:
            targets = {errand.target for errand in kept}
            item = replace(item, errands=tuple(errand for errand in item.errands if errand.target not in targets))
            if not item.pending:
                return
        try:
            await self.dispatch.attempt(item, self.queue.content(item.id), lambda event: self._record(item.id, event))
        except OSError:
            raise
        except Exception:
            log.failure("queue: attempting {id} failed", id=item.id)

    def _kept(self, item: Item) -> tuple[Errand, ...]:
        """What of *item* waits until it is called for."""
        keeps, called_for = self.keeps, self._called_for.get(item.id, ())
        if keeps is None or ANY in called_for:
            return ()
        return tuple(
            errand for errand in item.pending
            if errand.target.kind is Kind.REMOTE and keeps(domain := errand.target.address.domain) and domain not in called_for
        )

    async def _settle(self, item: Item, *, tried: bool) -> None:
        """Again later, or give up; tell the sender what failed; forget what is done."""
        if item.id in self._doomed:
            return
        if item.pending and tried:
            item = await self._postpone(item)
        for owed, report_on in ((item.unreported, self.reports.failures), (item.unconfirmed, self.reports.successes)):
            if owed:
                event, report = await report_on(item)
                self._took(report)
                item = await self._record(item.id, event)
        if item.is_settled:
            await self._remove(item.id, DONE)
        else:
            self._schedule(item)

    async def _postpone(self, item: Item) -> Item:
        now = self._clock.seconds()
        if len(self._kept(item)) == len(item.pending):
            last = timing.give_up_at(item, self.schedule)
            due = last if now < last else None
        else:
            due = timing.next_due(item, now, self.schedule, 1.0 + JITTER * self._given.random())
        return await self._record(item.id, GaveUp(EXPIRED) if due is None else Postponed(due))

    async def _warn(self, item: Item) -> None:
        """Once, whatever happens: a warning that cannot be made is no reason to bother anybody again."""
        now, overdue, late = self._clock.seconds(), timing.overdue_at(item), timing.warn_at(item, self.schedule)
        due = [is_overdue for at, is_overdue in ((overdue, True), (late, False)) if at is not None and at <= now]
        if due:
            self._took(await self.reports.warning(item, timing.give_up_at(item, self.schedule)))
            for is_overdue in due:
                item = await self._record(item.id, SenderWarned(is_overdue))
            self._schedule(item)

    def _took(self, report: Item | None) -> None:
        """A report has entered the queue, as any message does."""
        if report is not None:
            self._tell(report.id, Queued(len(report.pending)))
            self._schedule(report)

    async def _record(self, identifier: str, event: Event) -> Item:
        """Write *event* down. One that settles the item is not: removing the item, which comes next, says so durably."""
        if isinstance(event, Outcome):
            event = replace(event, tried=self._clock.seconds())
        item: Item = self._items[identifier].after(event)
        if not item.is_settled:
            item = await self.queue.record(identifier, event)
        self._items[identifier] = item
        self._tell(identifier, event)
        return item

    async def _remove(self, identifier: str, why: str) -> None:
        await self.queue.remove(identifier)
        self._tell(identifier, Removed(why))  # whoever hears of it may still ask for it
        del self._items[identifier]
        self._attempts.drop(identifier)
        self._warnings.drop(identifier)
        self._doubtful.discard(identifier)
        self._called_for.pop(identifier, None)

    def _tell(self, about: str, what: Any) -> None:
        if self._given.facts.listened:
            self._given.facts.tell(Fact(self._clock.seconds(), about, what))


def _is_of(errand: Errand, domain: str, *, below: bool) -> bool:
    theirs = errand.target.address.domain
    return errand.target.kind is Kind.REMOTE and (theirs == domain or (below and theirs.endswith("." + domain)))


async def _wait(deferred: tasks.Deferred[None]) -> None:
    await deferred
