"""The policy pipeline: stages asked in order, the first opinion wins.

`House` is what a stage may know of the house; factories get it when the stages
are built. A stage may be slow: it holds up nobody but its own connection, and
taking longer than the pipeline allows is a 451, as is an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from twistmail import tasks
from twistmail.facts import Facts
from twistmail.interfaces import Edit, IPolicyStage, Point, Unavailable, Verdict
from twistmail.mail.address import Address
from twistmail.mail.circles import NO_CIRCLES, Circles
from twistmail.mail.envelope import Fate, Peer, Role, Transaction
from twistmail.mail.status import BUG, UNAVAILABLE, Status
from twistmail.mail.values import frozen
from twistmail.options import Settings

log = Logger()

TOO_SLOW = Status(451, "4.3.0", "A check took too long, please try again later")


@frozen
class House:
    """What policy stages may know and ask. `accounts`, `lookup` and `expansion` are None only in tests that need none."""

    hostname: str
    role: Role
    settings: Settings  # of the service: [mx] or [submission]
    local_domains: frozenset[str]
    expansion: Any
    accounts: Any
    lookup: Any
    facts: Facts
    clock: Any
    epoch: Callable[[], float]
    identifiers: Iterator[str]
    folder: Path | None = None  # where mail is written; None in tests that write none
    access: Any = None  # the `policy.access.Access` of the house; None where there is no access file
    popauth: Any = None  # `policy.popauth.PopAuth`
    greylist: Any = None  # `policy.greylist.Greylist`; None: nobody is sent away to come again
    watched: Any = None  # `watched.WatchedFiles`, for files that stages read; `path` is where a name in a setting leads
    path: Callable[[str], Path] = Path
    threads: Any = None
    ledger: Any = None  # `policy.ledger.Ledger`: what users have sent; None: counted from now on
    room_for: Any = None  # `policy.quota.RoomFor`; None: there is always room
    circles: Circles = NO_CIRCLES  # groups and roles
    leaving: Any = None  # `leaving.departure.Leaving`: what senders become when mail leaves; None: nothing is changed
    lists: Any = None  # `lists.mailing_list.Lists`; None, or empty: there are none
    own_addresses: Callable[[], frozenset[str]] = frozenset  # of this machine, loopback included


@frozen
class Opinion:
    """What stage `stage` says by its rule `rule`. `status` None: nobody objects, but the message shall have `fate`."""

    stage: str
    status: Status | None = None
    rule: str = ""
    fate: Fate = Fate.USUAL

    @property
    def reason(self) -> str:
        return f"{self.stage}: {self.rule}" if self.rule else self.stage


class Pipeline:
    """The stages of one service, in configured order."""

    def __init__(self, stages: Sequence[IPolicyStage], clock: Any, timeout: float = 30.0) -> None:
        self._stages = {point: tuple(s for s in stages if s.point is point) for point in Point}
        self._gates = frozenset(id(s) for s in stages if getattr(s, "is_gate", False))
        self._counting: tuple[Any, ...] = tuple(s for s in stages if hasattr(s, "left"))
        self._watching: tuple[Any, ...] = tuple(s for s in stages if hasattr(s, "refused"))
        self._clock = clock
        self._timeout = timeout

    def asks(self, point: Point) -> bool:
        """Whether anybody has to be asked at *point*."""
        return bool(self._stages[point])

    def left(self, peer: Peer) -> None:
        """The connection of *peer*, about whom CONNECT was asked, is gone: told to the stages that have a `left` of their own."""
        for stage in self._counting:
            stage.left(peer)

    async def ask(self, point: Point, *about: Any) -> Opinion | None:
        """The first opinion that is a status, with the gravest fate that anybody has demanded; None without both. Before MESSAGE.

        A stage that `is_gate` is asked even where another has accepted already.
        """
        accepted: Opinion | None = None
        gravest: Opinion | None = None
        for stage in self._stages[point]:
            if accepted is not None and id(stage) not in self._gates:
                continue
            verdict = self._judge(stage, about)
            if isinstance(verdict, tasks.Deferred):
                verdict = await self._wait(stage, verdict)
            if verdict is None:
                continue
            opinion = _opinion(stage.name, verdict)
            if opinion.status is None:
                gravest = _graver(gravest, opinion)
            elif not opinion.status.is_positive:
                if point is Point.RECIPIENT:
                    self._tell(opinion.status, *about)
                return opinion
            elif accepted is None:
                accepted = opinion
        return _together(accepted, gravest)

    def _tell(self, status: Status, transaction: Transaction, recipient: Address) -> None:
        """A recipient is refused: told to the stages that have a `refused` of their own."""
        for stage in self._watching:
            stage.refused(transaction, recipient, status)

    async def consult(self, point: Point, *about: Any) -> tuple[tuple[tuple[str, Opinion | None], ...], Opinion | None]:
        """What every stage says, (name, opinion) in order, also those that `ask` would not ask any more; and what `ask` would answer."""
        said = []
        for stage in self._stages[point]:
            verdict = self._judge(stage, about)
            if isinstance(verdict, tasks.Deferred):
                verdict = await self._wait(stage, verdict)
            said.append((stage, None if verdict is None else _opinion(stage.name, verdict)))
        return tuple((stage.name, opinion) for stage, opinion in said), self._decided(said)

    def _decided(self, said: Sequence[tuple[IPolicyStage, Opinion | None]]) -> Opinion | None:
        accepted: Opinion | None = None
        gravest: Opinion | None = None
        for stage, opinion in said:
            if opinion is None or (accepted is not None and id(stage) not in self._gates):
                continue
            if opinion.status is None:
                gravest = _graver(gravest, opinion)
            elif not opinion.status.is_positive:
                return opinion
            elif accepted is None:
                accepted = opinion
        return _together(accepted, gravest)

    def names(self, point: Point) -> tuple[str, ...]:
        """The stages that are asked at *point*."""
        return tuple(stage.name for stage in self._stages[point])

    async def examine(self, transaction: Transaction) -> tuple[Opinion | None, bytes, Transaction]:
        """Ask the MESSAGE stages: (a final opinion or None, fields to put in front, the transaction with its edited header)."""
        prepend = b""
        for stage in self._stages[Point.MESSAGE]:
            verdict = self._judge(stage, (transaction,))
            if isinstance(verdict, tasks.Deferred):
                verdict = await self._wait(stage, verdict)
            if verdict is None:
                continue
            if isinstance(verdict, Edit):
                prepend = verdict.prepend + prepend
                if verdict.header is not None:
                    transaction = replace(transaction, header=verdict.header)
                if verdict.peer_name:
                    transaction = replace(transaction, peer=replace(transaction.peer, name=verdict.peer_name))
                if verdict.fate is not Fate.USUAL:
                    transaction = fated(transaction, Opinion(stage.name, None, verdict.rule, verdict.fate))
                continue
            opinion = _opinion(stage.name, verdict)
            transaction = fated(transaction, opinion)
            if opinion.status is not None:
                return opinion, prepend, transaction
        return None, prepend, transaction

    def _judge(self, stage: IPolicyStage, about: tuple[Any, ...]) -> Any:
        """One stage's verdict, which most give at once; else a Deferred of it, for `_wait`."""
        try:
            return tasks.begun(stage.judge(*about))
        except Exception as error:
            return self._instead(stage, error)

    async def _wait(self, stage: IPolicyStage, verdict: tasks.Deferred[Any]) -> Any:
        """The verdict of a stage that did not have it at once; it gets the pipeline's time-out."""
        try:
            return await tasks.with_timeout(self._clock, self._timeout, tasks.awaiting(verdict), stage.name)
        except Exception as error:
            return self._instead(stage, error)

    def _instead(self, stage: IPolicyStage, error: Exception) -> Status:
        """What counts as the verdict of a stage that has raised *error*, which is being handled."""
        if isinstance(error, Unavailable):
            log.warn("policy stage {stage}: {error}", stage=stage.name, error=error)
            return UNAVAILABLE
        if isinstance(error, tasks.TimedOut):
            log.warn("policy stage {stage} took longer than {seconds} s", stage=stage.name, seconds=self._timeout)
            return TOO_SLOW
        log.failure("policy stage {stage} failed", stage=stage.name)  # a plugin's bug must not cost a message
        return BUG


def _opinion(stage: str, verdict: Status | Verdict) -> Opinion:
    if isinstance(verdict, Status):
        return Opinion(stage, verdict)
    return Opinion(stage, verdict.status, verdict.rule, verdict.fate)


def _together(accepted: Opinion | None, gravest: Opinion | None) -> Opinion | None:
    """Who accepts frees nobody from the fate that another has demanded."""
    if accepted is None or gravest is None:
        return accepted or gravest
    return _graver(replace(gravest, status=accepted.status), accepted)


def _graver(one: Opinion | None, other: Opinion) -> Opinion | None:
    if other.fate is Fate.USUAL:
        return one
    return other if one is None or other.fate.value > one.fate.value else one


def fated(transaction: Transaction, opinion: Opinion) -> Transaction:
    """*transaction* with the fate that *opinion* demands, where that is graver than the one it has."""
    if opinion.fate.value <= transaction.fate.value:
        return transaction
    return replace(transaction, fate=opinion.fate, fate_reason=opinion.reason)
