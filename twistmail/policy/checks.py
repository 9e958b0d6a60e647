"""Header and body checks (R15): the operator's rules about what stands in a message; what they look like is in `checks_file`.

A rule about the header sees each field unfolded and decoded (RFC 2047). A rule
about the body sees, line by line, the text parts with their encoding undone, and
the headers of the parts, where names of attached files stand; of a long message
only the beginning ([checks] body). Rules are asked in the order of the file, those
about headers first; the first that rejects ends the questions, everything
else adds up.

Expressions take linear time (`patterns`). Looking through a message (`look`) is
still work, so it is done in a thread, piece by piece; after [checks] timeout the
sender is told to come again, as he is when the rules cannot be read: nothing
passes unlooked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zope.interface import implementer

from twistmail import tasks
from twistmail.interfaces import Edit, Fate, IPolicyStage, IPolicyStageFactory, Point, Verdict
from twistmail.mail.envelope import Transaction
from twistmail.mail.status import Status
from twistmail.options import DURATION, SIZE, TEXT, Option, Section, Settings
from twistmail.policy.checks_file import Checks, parse
from twistmail.policy.look import Look, Slow
from twistmail.policy.pipeline import House
from twistmail.watched import WatchedFile

OPTIONS = Section(
    "checks",
    "Rules about the header and the text of messages: refuse, hold, throw away, add, remove, replace.",
    Option("file", TEXT, "", "The rules, one a line, read again when the file changes; empty: none.", example="/etc/mail/checks"),
    Option("body", SIZE, "64K", "How much of the beginning of a message is looked through."),
    Option("timeout", DURATION, "5s", "How long that may take; then the sender is told to come again."),
)

TOO_SLOW = Status(451, "4.3.0", "The message could not be looked through in time, please try again later")

#: Messages that are looked at at a time. Python does it with one core, and the threads are there for the disk.
MOST_AT_ONCE = 2


@implementer(IPolicyStage)
class MessageChecks:
    """*most*: octets that are looked at, None for all; *now* gives seconds, *timeout* of which may pass."""

    name = "checks"
    point = Point.MESSAGE

    def __init__(self, file: WatchedFile[Checks], threads: Any, now: Callable[[], float], *, most: int | None, timeout: float) -> None:
        self._file = file
        self._threads = threads
        self._now = now
        self._most = most
        self._timeout = timeout
        self._turn = tasks.Limit(MOST_AT_ONCE)

    async def judge(self, transaction: Transaction) -> Verdict | Edit | None:
        await self._file.freshen()
        checks = self._file.value
        if not (checks.headers or checks.bodies):
            return None
        assert transaction.content is not None
        try:
            async with self._turn:
                look = Look(transaction.header, self._now, self._now() + self._timeout)
                status = await self._threads.run(look.at, checks, transaction.content, self._most)
        except Slow:
            return Verdict(TOO_SLOW, f"{self._file.path}: longer than {self._timeout:g} s")
        rule = look.told(self._file.path)
        if status is not None:
            return Verdict(status, rule)
        header = None if look.header.octets is transaction.header else look.header.octets
        if look.fate is Fate.USUAL and header is None and not look.added:
            return None
        return Edit(look.added, header, rule=rule, fate=look.fate)


@implementer(IPolicyStageFactory)
class ChecksFactory:
    name = "checks"
    options = OPTIONS

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        if settings is None or not settings.file:
            return ()
        file = house.watched.file(house.path(settings.file), parse)
        return (MessageChecks(file, house.threads, house.clock.seconds, most=settings.body, timeout=settings.timeout),)
