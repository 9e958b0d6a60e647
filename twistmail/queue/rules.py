"""What the queue goes by, and a reload may replace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from twistmail.mail.content import Content
from twistmail.mail.envelope import Target
from twistmail.mail.item import Item
from twistmail.mail.outcome import Event, Outcome
from twistmail.mail.pace import USUAL, Pace
from twistmail.mail.schedule import Schedule
from twistmail.mail.values import frozen
from twistmail.mailflow import Trip
from twistmail.queue.reports import Reports


class Attempts(Protocol):
    """What the queue wants of `mailflow.Dispatch`."""

    def recovered(self, items: Mapping[str, Item]) -> None: ...

    def trips(self, item: Item, targets: Sequence[Target]) -> list[Trip]: ...

    async def carry(self, trip: Trip, item: Item, content: Content, record: Callable[[Event], Any]) -> Sequence[Outcome]: ...


def usual(target: Target) -> Pace:
    return USUAL


def never(start: float, end: float) -> float:
    return 0.0


@frozen
class Rules:
    """What a reload may replace; attempts that run keep theirs.

    `keeps`: whether mail for a domain waits until it is called for; None: none does. `pace`: how fast mail for a target may
    go. `sender_rates`: messages to other places for each sender. `paused`: for how many seconds between two instants the
    time of a message stood still.
    """

    dispatch: Attempts
    schedule: Schedule
    reports: Reports
    keeps: Callable[[str], bool] | None = None
    pace: Callable[[Target], Pace] = usual
    sender_rates: tuple[tuple[int, float], ...] = ()
    paused: Callable[[float, float], float] = never
