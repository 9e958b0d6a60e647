"""What is being found out about a peer while the conversation with it goes on.

A stage begins an inquiry as early as its subject is known and asks for the
result when it has to decide, so that the waiting has mostly been done by then.
There is one inquiry a connection; it is forgotten with the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from twistmail import tasks

T = TypeVar("T")


class Inquiry(Generic[T]):
    """Begun at once. `result` waits for the rest of it, now or long after its end; None where the finding failed (that is logged)."""

    __slots__ = ("_ended", "_found", "subject")

    def __init__(self, subject: str, finding: Coroutine[Any, Any, T], what: str) -> None:
        self.subject = subject
        self._found: T | None = None
        self._ended = tasks.start(self._find(finding), what)

    async def result(self) -> T | None:
        if not self._ended.called:
            await self._ended
        return self._found

    async def _find(self, finding: Coroutine[Any, Any, T]) -> None:
        self._found = await finding


class Inquiries(Generic[T]):
    """The inquiries of one kind. `find(subject)` is the finding; it sees to its own time-out. `what` names it in the log."""

    def __init__(self, find: Callable[[str], Coroutine[Any, Any, T]], what: str) -> None:
        self._find = find
        self._what = what
        self._of: dict[str, Inquiry[T]] = {}

    def about(self, connection: str, subject: str) -> Inquiry[T]:
        """The inquiry of *connection* about *subject*: the one that there is, or one that begins now and takes its place."""
        inquiry = self._of.get(connection)
        if inquiry is None or inquiry.subject != subject:
            inquiry = self._of[connection] = Inquiry(subject, self._find(subject), self._what)
        return inquiry

    def forget(self, connection: str) -> None:
        """The connection is gone; what is under way ends unheard."""
        self._of.pop(connection, None)

    def __len__(self) -> int:
        return len(self._of)
