"""What can happen to an item once it is ours: values that the queue writes down and everybody may read.

`item + event = new item` (`mail/item.py`). `facts.py` wraps each with the time
and the item's id for those who listen.
"""

from __future__ import annotations

from dataclasses import field
from enum import Enum

from twistmail.mail.address import Address
from twistmail.mail.envelope import Target
from twistmail.mail.status import Status
from twistmail.mail.values import frozen


class Result(Enum):
    """How one attempt at one target ended (RFC 3464 §2.3.3 actions)."""

    __hash__ = object.__hash__  # each is there once; the usual one is Python, and these are keys

    DELIVERED = "delivered"  # in a mailbox here
    RELAYED = "relayed"  # another server has answered 2xx for it
    EXPANDED = "expanded"  # a name that stands for several, each of which has an errand of its own; never the end of an attempt
    DEFERRED = "deferred"  # try again
    FAILED = "failed"  # never try again; the sender is told


@frozen
class Outcome:
    """The end of one attempt at one target. `host` is who said `status`: a server's name and address, or a mailbox.

    `passed_on`: that server reports from here on as the sender wants it (RFC 3461 §5.2.1), so we need not.
    `secured`: how the connection was protected, in words ("TLSv1.3, certificate checked by DANE"); empty: not at all.
    `tried`: when (POSIX seconds), as whoever writes it down puts in; 0: not known.
    """

    target: Target
    result: Result
    status: Status
    host: str = ""
    passed_on: bool = False
    secured: str = ""
    tried: float = field(default=0.0, compare=False)


def outcome_of(
    target: Target, status: Status, host: str = "", *, local: bool = False, passed_on: bool = False, secured: str = ""
) -> Outcome:
    """The outcome that *status* means: 2xx delivered or relayed, 4xx deferred, 5xx failed."""
    if status.is_positive:
        result = Result.DELIVERED if local else Result.RELAYED
    else:
        result = Result.DEFERRED if status.is_temporary else Result.FAILED
    return Outcome(target, result, status, host, passed_on and result is Result.RELAYED, secured)


@frozen
class Postponed:
    """Some targets wait; the next attempt is due at `until` (POSIX seconds)."""

    until: float


@frozen
class SenderWarned:
    """The sender was told that the message is late (RFC 3464 action `delayed`); `overdue`: later than he wanted (RFC 2852)."""

    overdue: bool = False


@frozen
class Reported:
    """A delivery report `report` (an item's id; empty: nobody is told, `why` says why) about these targets is durable in the queue.

    About their failure, or (`success`) about their success.
    """

    report: str
    addresses: tuple[Address, ...]
    success: bool = False
    why: str = ""


@frozen
class Frozen:
    """What can neither be delivered nor returned waits for an operator, because of `why`; what has failed is tried again when he
    releases it."""

    why: str


@frozen
class GaveUp:
    """The item is too old: what still waits has failed with `status`."""

    status: Status


@frozen
class Rerouted:
    """An operator has said how this message goes to whomever it still has to reach: `via` (empty: as all others)."""

    via: str


Event = Outcome | Postponed | SenderWarned | Reported | Frozen | GaveUp | Rerouted


@frozen
class Foreseen:
    """What is known before anything is brought: `where` it would go, in words, and the `status` that is known to come of it.

    None: nothing is known that stands against it. `why`: in words for an operator.
    """

    where: str
    status: Status | None = None
    why: str = ""
