"""INPROGRESS (RFC 9585): a client that waits for long is told how far we are, so that it does not believe us dead."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Protocol

from twistmail.servers.imap.client import Client
from twistmail.tasks import Work
from twistmail.wire.imap.responses import Untagged, string

#: Seconds between two of them; RFC 9585 §4 wants ten or more.
EVERY = 10.0

#: What is done, and what there is to do; either may be unknown.
Progress = tuple[int | None, int | None]


class Task(Protocol):
    """What takes so long."""

    def progress(self) -> Progress: ...

    def abandon(self) -> None:
        """Nobody waits any more: end soon, however it be."""


class Whole:
    """What is done as a whole, or not at all: nobody can say how far it is, and it goes on whoever waits."""

    def progress(self) -> Progress:
        return None, None

    def abandon(self) -> None:
        """The client will find it done."""


WHOLE = Whole()


class Series:
    """The same done to one after the other: `done` of `goal` so far."""

    def __init__(self, goal: int) -> None:
        self.done = 0
        self.goal = goal

    def progress(self) -> Progress:
        return self.done, self.goal

    def abandon(self) -> None:
        """What is done stays, and the next is not begun: who waits has gone."""


async def until_done(client: Client, tag: bytes, work: Work[Any], task: Task = WHOLE) -> AsyncIterator[Untagged]:
    """As `in_progress`; where *work* has ended already, as it mostly has, at no cost."""
    if not work.has_ended:
        async with aclosing(in_progress(client, tag, work, task)) as said:  # type: ignore[type-var]
            async for far in said:
                yield far


async def in_progress(client: Client, tag: bytes, work: Work[Any], task: Task) -> AsyncIterator[Untagged]:
    """Wait for the end of *work*, which does *task* for the command *tag*, and say meanwhile how far it is.

    The result is `work.result()`. Whoever closes this generator before has given up, as where the client has gone.
    """
    try:
        while not await work.ends_within(client.service.clock, EVERY):
            yield Untagged(b"OK [INPROGRESS%b] Still at it" % _progress(tag, *task.progress()))
    finally:
        if not work.has_ended:
            task.abandon()


def _progress(tag: bytes, done: int | None, goal: int | None) -> bytes:
    if b"]" in tag:  # a response code ends there
        return b""
    if goal is not None and done is not None:
        done = min(done, goal - 1)  # RFC 9585 §4: what is done is less than the goal
    if done is not None and done <= 0:
        done = goal = None
    return b" (%b %b %b)" % (string(tag), _number(done), _number(goal if done is not None else None))


def _number(value: int | None) -> bytes:
    return b"NIL" if value is None else b"%d" % value
