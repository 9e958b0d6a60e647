"""What all mailboxes of a store work with, handed down in one value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.logger import Logger

from twistmail import tasks
from twistmail.mail.mime import Description
from twistmail.mail.values import frozen
from twistmail.store.hints import Hints

log = Logger()

Limits = tuple[int | None, int | None]


@frozen
class Workshop:
    """`threads`: tasks.Threads; `committer`: disk.Committer; `now`: POSIX seconds; `describe`: mail.mime.describe; `hints`: of changes.

    `boot`: a word that is another one each time the machine has started, empty where none can be had; `pause`(seconds) waits.
    `readers` limits how many threads read messages to search their texts; `fulltext`: whether an index of them is kept.
    `quota_of`(account) tells the most octets and the most messages that it may hold, None for no limit.
    """

    threads: Any
    committer: Any
    now: Callable[[], float]
    describe: Callable[[bytes], Description]
    hints: Hints
    boot: str
    pause: Callable[[float], Awaitable[None]]
    quota_of: Callable[[str], Awaitable[Limits]]
    readers: tasks.Limit
    fulltext: bool

    async def retract(self, job: Any) -> None:
        """Take back what *job*, which has failed, had published (`Job.retract`), as far as the disk lets us."""
        try:
            await self.threads.run(job.retract)
        except OSError as error:
            log.warn("a message that could not be made durable stays, and may come twice: {error}", error=error)
