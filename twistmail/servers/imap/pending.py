"""Answers that are still to come while the client goes on, in the order of their commands."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from twistmail import tasks
from twistmail.wire.imap.responses import Tagged

#: Commands of one client that may be under way at a time, and octets of messages that they may hold in memory.
MOST = 64
HELD = 2 * 1024 * 1024


class Answer:
    """The answer to the command *tag*: `response` or `error`, once there is one."""

    __slots__ = ("error", "held", "response", "tag")

    def __init__(self, tag: bytes, held: int) -> None:
        self.tag = tag
        self.held = held  # octets in memory until then
        self.response: Tagged | None = None
        self.error: Exception | None = None

    @property
    def is_known(self) -> bool:
        return self.response is not None or self.error is not None


class Pending:
    """*news*() is called when an answer has become known."""

    def __init__(self, news: Callable[[], None]) -> None:
        self._news = news
        self._answers: deque[Answer] = deque()
        self._waiting: Deferred[None] | None = None
        self._held = 0

    def __bool__(self) -> bool:
        return bool(self._answers)

    @property
    def is_full(self) -> bool:
        return len(self._answers) >= MOST or self._held > HELD

    def begin(self, tag: bytes, answer: Coroutine[Any, Any, Tagged], held: int) -> None:
        """Work on *answer*, the one to the command *tag*, which has so many octets *held* in memory."""
        entry = Answer(tag, held)
        self._held += held
        self._answers.append(entry)
        tasks.shielded(answer).addCallbacks(self._answered, self._failed, callbackArgs=(entry,), errbackArgs=(entry,))

    def take(self) -> list[Answer]:
        """The answers that can be said now; each once."""
        taken = []
        while self._answers and self._answers[0].is_known:
            taken.append(self._answers.popleft())
        return taken

    async def known(self) -> None:
        """Until every answer is known."""
        if any(not answer.is_known for answer in self._answers):
            self._waiting = Deferred()
            await self._waiting

    def _answered(self, response: Tagged, entry: Answer) -> None:
        entry.response = response
        self._tell(entry)

    def _failed(self, failure: Failure, entry: Answer) -> None:
        failure.trap(Exception)
        entry.error = failure.value  # type: ignore[assignment]
        self._tell(entry)

    def _tell(self, entry: Answer) -> None:
        self._held -= entry.held
        if self._waiting is not None:
            if all(answer.is_known for answer in self._answers):
                waiting, self._waiting = self._waiting, None
                waiting.callback(None)
        else:
            self._news()
