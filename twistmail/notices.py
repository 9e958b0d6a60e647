"""A word to the postmaster when mail waits because of how something is set up here (row R27): a file that is not fit, say.

Whoever sent the message is only told that it waits, and nobody reads logs. One
letter a day for each such place; the log has every single case.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from email import policy  # now, and the generator too, not when the first letter is written: the server's user perhaps cannot read them
from email.generator import BytesGenerator
from email.message import EmailMessage
from email.utils import formatdate
from io import BytesIO
from typing import Any

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

SUBJECT = "Mail waits for something to be set up"
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
        writer = self._writer
        letter = written(identifier, outcome, writer)
        try:
            targets = await writer.follow(writer.postmaster)
            errands = tuple(Errand(target, notify=frozenset({Notify.NEVER})) for target in targets)
            await writer.submit(Item(next(writer.identifiers), None, errands, writer.epoch(), len(letter)), Memory(letter))
        except (OSError, Unavailable) as error:
            log.error("the postmaster cannot be told that mail for {place} waits: {error}", place=outcome.host, error=error)


def written(identifier: str, outcome: Outcome, writer: Any) -> bytes:
    """The letter about *outcome* of the item *identifier*, CRLF line ends."""
    message = EmailMessage(policy.default)
    message["From"] = f"Mail system <{writer.postmaster}>"
    message["To"] = str(writer.postmaster)
    message["Subject"] = SUBJECT
    message["Date"] = formatdate(writer.epoch())
    message["Message-ID"] = f"<{next(writer.identifiers)}@{writer.host}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: nobody's vacation answers
    text = (
        f"Mail for {_plain(str(outcome.target.original))} waits in the queue of {writer.host}. It is tried again, and goes\n"
        "back to its senders in the end.\n\n"
        f"    where    {_plain(outcome.host)}\n"
        f"    why      {_plain(outcome.status.text)}\n"
        f"    message  {identifier}\n\n"
        "The log of the server says more about each attempt, and so does\n\n"
        f"    twistmail explain --to {_plain(str(outcome.target.original))}\n\n"
        "When it is put right: twistmail queue flush. About this place nothing more is said for a day.\n"
    )
    message.set_content(text, cte="7bit" if text.isascii() else "quoted-printable")  # a path is not folded, so that it can be copied
    letter = BytesIO()
    BytesGenerator(letter, policy=policy.SMTP).flatten(message)
    return letter.getvalue()


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)[:500]
