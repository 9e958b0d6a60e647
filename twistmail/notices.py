"""A word to the postmaster when mail waits because of how something is set up here (row R27): a file that is not fit, say.

Whoever sent the message is only told that it waits, and nobody reads logs. One
letter a day for each such place; the log has every single case. How it reads is in `notice_letter`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from twisted.logger import Logger

from twistmail import tasks
from twistmail.facts import Fact
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address
from twistmail.mail.content import Content, Memory
from twistmail.mail.envelope import Kind, Notify, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Outcome, Result
from twistmail.mail.values import frozen

log = Logger()

#: Enhanced code of what an operator has to put right (RFC 3463 §3.4, X.3.5: system incorrectly configured).
SET_UP_WRONG = "4.3.5"
SILENCE = 86_400.0  # seconds for which nothing more is said about a place
MOST_PLACES = 1000


@frozen
class Writer:
    """Who writes: `host` names us, `identifiers` make ids, `epoch` tells POSIX seconds, `follow` finds the targets of an address
    (may raise Unavailable), `submit` puts an item into the queue (may raise OSError)."""

    postmaster: Address
    host: str
    identifiers: Iterator[str]
    epoch: Callable[[], float]
    follow: Callable[[Address], Awaitable[tuple[Target, ...]]]
    submit: Callable[[Item, Content], Awaitable[None]]


class Notices:
    """Its `note` is a listener of `facts.Facts`."""

    HEARS = (Outcome,)

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._told: dict[str, float] = {}

    def note(self, fact: Fact) -> None:
        """Something was tried."""
        match fact.what:
            case Outcome(target, Result.DEFERRED, status, host) if status.enhanced == SET_UP_WRONG and target.kind is not Kind.REMOTE:
                if fact.at - self._told.get(host, -SILENCE) >= SILENCE:
                    if len(self._told) >= MOST_PLACES:
                        self._told.clear()
                    self._told[host] = fact.at
                    tasks.start(self._tell(fact.about, fact.what), "telling the postmaster")

    async def _tell(self, identifier: str, outcome: Outcome) -> None:
        from twistmail.notice_letter import written

        writer = self._writer
        letter = written(identifier, outcome, writer)
        try:
            targets = await writer.follow(writer.postmaster)
            errands = tuple(Errand(target, notify=frozenset({Notify.NEVER})) for target in targets)
            await writer.submit(Item(next(writer.identifiers), None, errands, writer.epoch(), len(letter)), Memory(letter))
        except (OSError, Unavailable) as error:
            log.error("the postmaster cannot be told that mail for {place} waits: {error}", place=outcome.host, error=error)
