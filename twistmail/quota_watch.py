"""Whether there is room in mailboxes, and a word to their owners before there is none (F085).

After a delivery the mailbox is looked at, at most once a second for each
account. A warning lies in the mailbox itself. Which one was the last is written
at the account, so that a restart repeats none; it counts again once the mailbox
has been emptied below its mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any

from twisted.logger import Logger

from twistmail import tasks
from twistmail.facts import Fact
from twistmail.mail.account import Account
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind
from twistmail.mail.mailbox import Delivery, Quota, StoreError
from twistmail.mail.outcome import Outcome, Result
from twistmail.mail.values import frozen
from twistmail.store_interfaces import IMailStore
from twistmail.terms import Terms

log = Logger()

#: The annotation of an account that tells the last warning, in percent.
WARNED = "/server/quota-warned"
#: Seconds after a delivery until the mailbox is looked at.
SOON = 1.0
_PERCENT = 100


async def room_for(store: IMailStore, terms: Terms, account: str, octets: int) -> bool:
    """Whether a message of so many octets more finds room at *account*, for which nothing is made. OSError is the caller's."""
    limits = await terms.quota_of(account)
    if limits == (None, None):
        return True
    boxes = await store.peek(account)
    return Quota(0, 0, *limits).allows(octets, 1) if boxes is None else bool(await boxes.room_for(octets, 1))


def fullness(quota: Quota) -> int:
    """In percent, of whichever limit is nearer; 0 without any."""
    parts = [(quota.octets, quota.most_octets), (quota.messages, quota.most_messages)]
    return max((_PERCENT * used // most for used, most in parts if most), default=0)


@frozen
class Sender:
    """Who writes warnings: `postmaster` is an address, `host` our name; `identifiers` make ids, `epoch` tells POSIX seconds."""

    postmaster: str
    host: str
    identifiers: Iterator[str]
    epoch: Callable[[], float]


class QuotaWatch:
    """Warns at *marks* (percent, ascending). A listener of `facts.Facts`; *clock* is IReactorTime."""

    HEARS = (Outcome,)

    def __init__(self, store: IMailStore, terms: Terms, sender: Sender, clock: Any, marks: Sequence[int]) -> None:
        self._store = store
        self._terms = terms
        self._sender = sender
        self._clock = clock
        self._marks = tuple(sorted(marks))
        self._due: set[str] = set()

    def note(self, fact: Fact) -> None:
        """Something has been delivered."""
        match fact.what:
            case Outcome(target, Result.DELIVERED) if target.kind is Kind.MAILBOX and target.account not in self._due:
                self._due.add(target.account)
                self._clock.callLater(SOON, self._look, target.account)

    def _look(self, account: str) -> None:
        tasks.start(self.look(account), f"looking how full the mailbox of {account} is")

    async def look(self, account: str) -> None:
        """Warn *account* where its mailbox has passed another mark; forget a warning that is past."""
        self._due.discard(account)
        if await self._terms.quota_of(account) == (None, None):
            return
        try:
            boxes = await self._store.peek(account)
            if boxes is None:
                return
            quota = await boxes.quota()
            reached = max((mark for mark in self._marks if mark <= fullness(quota)), default=0)
            before = await _warned(boxes)
            if reached > before:
                await self._warn(account, quota)
            if reached != before:
                await boxes.annotate("", {WARNED: b"%d" % reached if reached else None})
        except (OSError, StoreError) as error:
            log.warn("{account} cannot be told how full the mailbox is: {error}", account=account, error=error)

    async def _warn(self, account: str, quota: Quota) -> None:
        content = warning(Account(account), quota, self._sender)
        (error,) = await self._store.deliver([Delivery(account, b"", Memory(content), "INBOX", next(self._sender.identifiers), False)])
        if isinstance(error, OSError):
            raise error
        log.info("{account} was told: the mailbox is {percent} % full", account=account, percent=fullness(quota))


async def _warned(boxes: Any) -> int:
    """The mark of the last warning; 0 without one."""
    text = (await boxes.annotations("")).get(WARNED, b"0")
    return int(text) if text.isdigit() else 0


def warning(account: Account, quota: Quota, sender: Sender) -> bytes:
    """The message that tells *account* how full the mailbox is, CRLF line ends."""
    message = EmailMessage()
    message["From"] = f"Mail system <{sender.postmaster}>"
    message["To"] = account.name
    message["Subject"] = f"Your mailbox is {fullness(quota)} % full"
    message["Date"] = formatdate(sender.epoch())
    message["Message-ID"] = f"<{next(sender.identifiers)}@{sender.host}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: nobody's vacation answers
    message.set_content(
        f"Your mailbox holds {_amount(quota.octets, quota.most_octets)} and {_number(quota.messages, quota.most_messages)}.\n\n"
        "When it is full, mail for you is turned away. Delete what you no longer need;\n"
        "what lies in the folder for deleted mail counts until that is emptied.\n"
    )
    return message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _amount(octets: int, most: int | None) -> str:
    held = f"{octets / 1_000_000:.1f} MB"
    return held if most is None else f"{held} of {most / 1_000_000:.1f} MB"


def _number(messages: int, most: int | None) -> str:
    return f"{messages} messages" if most is None else f"{messages} of {most} messages"
