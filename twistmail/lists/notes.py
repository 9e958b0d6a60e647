"""What is known of one member of a list beside his address, and what reports about his mail make of it. Values; pure.

Mail that comes back counts once a day. After some days of it the member is suspended: nothing more is sent to him. When
that has lasted, one message is tried; where that comes back too it begins anew, where not he is a member as before.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from twistmail.mail.values import frozen

DAY = 86400.0
#: How long (seconds) a report about the message that was tried may take: as long as most servers keep trying.
TRIAL = 5 * DAY


class Rules(Protocol):
    """The settings of a list that count here; times in seconds."""

    suspend_after: int
    forget_after: float
    retry_after: float


@frozen
class Note:
    """`subscribed`: the book makes him a member; `left`: he has unsubscribed, whatever other sources say. Times are POSIX seconds.

    `bounces`: days on which his mail came back, the last time at `bounced`, because of `why`. `suspended`: since when; 0: he
    is not. `tried`: when one message was tried since; 0: none.
    """

    subscribed: bool = False
    left: bool = False
    since: float = 0.0
    bounces: int = 0
    bounced: float = 0.0
    suspended: float = 0.0
    tried: float = 0.0
    why: str = ""


FRESH = Note()


def suspended(note: Note, now: float, why: str) -> Note:
    """He gets nothing more for now."""
    return replace(note, suspended=now, tried=0.0, why=why)


def resumed(note: Note) -> Note:
    """Nothing is held against him any more."""
    return replace(note, bounces=0, bounced=0.0, suspended=0.0, tried=0.0, why="")


def after_bounce(note: Note, now: float, why: str, rules: Rules) -> Note:
    """His mail has come back."""
    if note.suspended:
        return suspended(replace(note, bounces=note.bounces + 1, bounced=now), now, why) if note.tried else note
    if now - note.bounced < DAY:
        return note
    count = 1 if now - note.bounced > rules.forget_after else note.bounces + 1
    note = replace(note, bounces=count, bounced=now, why=why)
    return suspended(note, now, why) if 0 < rules.suspend_after <= count else note


def at_post(note: Note, now: float, rules: Rules) -> tuple[bool, Note]:
    """Whether he gets what is sent now, and what is then known of him."""
    if not note.suspended:
        return True, note
    if note.tried:
        return (True, resumed(note)) if now - note.tried >= TRIAL else (False, note)
    return (True, replace(note, tried=now)) if now - note.suspended >= rules.retry_after else (False, note)
