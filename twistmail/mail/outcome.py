"""What can happen to an item once it is ours: values that the queue writes down and everybody may read.

`item + event = new item` (`mail/item.py`). `facts.py` wraps each with the time
and the item's id for those who listen.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from twistmail.mail.address import Address
from twistmail.mail.envelope import Target
from twistmail.mail.status import Status


class Result(Enum):
    """How one attempt at one target ended (RFC 3464 §2.3.3 actions)."""

    DELIVERED = "delivered"  # in a mailbox here
    RELAYED = "relayed"  # another server has answered 2xx for it
    DEFERRED = "deferred"  # try again
    FAILED = "failed"  # never try again; the sender is told


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one attempt at one target. `host` is who said `status`: a server's name and address, or a mailbox."""

    target: Target
    result: Result
    status: Status
    host: str = ""


def outcome_of(target: Target, status: Status, host: str = "", *, local: bool = False) -> Outcome:
    """The outcome that *status* means: 2xx delivered or relayed, 4xx deferred, 5xx failed."""
    if status.is_positive:
        result = Result.DELIVERED if local else Result.RELAYED
    else:
        result = Result.DEFERRED if status.is_temporary else Result.FAILED
    return Outcome(target, result, status, host)


@dataclass(frozen=True, slots=True)
class Postponed:
    """Some targets wait; the next attempt is due at `until` (POSIX seconds)."""

    until: float


@dataclass(frozen=True, slots=True)
class SenderWarned:
    """The sender was told that the message is late (RFC 3464 action `delayed`)."""


@dataclass(frozen=True, slots=True)
class Reported:
    """A delivery report `report` (an item's id; empty: nobody to tell) about these failed targets is durable in the queue."""

    report: str
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class GaveUp:
    """The item is too old: what still waits has failed with `status`."""

    status: Status


Event = Outcome | Postponed | SenderWarned | Reported | GaveUp
