"""What SEARCH can ask (RFC 3501 §6.4.4), as a tree of values.

`parse_search` builds it (at most 500 keys, 32 levels) and says so where a
key is only shorthand: SEEN is Has("\\\\Seen"), UNSEEN Lacks("\\\\Seen"), KEYWORD x is
Has("x"), NEW is And((Recent(), Lacks("\\\\Seen"))), OLD is Not(Recent()), FROM x is
Header("from", x), NOT and OR keep their shape. `servers/imap/search` evaluates.

Needles are str, decoded from the charset of the command; case does not count,
and an empty needle is found everywhere (in a Header: where the field exists).
SAVEDATESUPPORTED (RFC 8514 §4.3) is All: every mailbox of ours knows when it got a message.
Days are dates without a time zone, as the client wrote them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from twistmail.wire.imap.sequence import SequenceSet


@dataclass(frozen=True, slots=True)
class Key:
    """Any key. Subclasses are compared and matched by class (`match key: case And(keys): ...`)."""


# ----- shapes


@dataclass(frozen=True, slots=True)
class And(Key):
    """All of `keys`, of which there are at least two."""

    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Or(Key):
    left: Key
    right: Key


@dataclass(frozen=True, slots=True)
class Not(Key):
    key: Key


@dataclass(frozen=True, slots=True)
class Fuzzy(Key):
    """What resembles what `key` asks for, each with a score (RFC 6203 §3)."""

    key: Key


# ----- which messages


@dataclass(frozen=True, slots=True)
class All(Key):
    """Every message."""


@dataclass(frozen=True, slots=True)
class Numbers(Key):
    """Messages by sequence number."""

    set: SequenceSet


@dataclass(frozen=True, slots=True)
class Uid(Key):
    """Messages by UID."""

    set: SequenceSet


@dataclass(frozen=True, slots=True)
class EmailId(Key):
    """Messages by their EMAILID (RFC 8474 §6)."""

    identifier: str


@dataclass(frozen=True, slots=True)
class ThreadId(Key):
    """Messages by their THREADID (RFC 8474 §6)."""

    identifier: str


@dataclass(frozen=True, slots=True)
class ModSeq(Key):
    """The modification sequence is `least` or more (RFC 7162 §3.1.5)."""

    least: int


# ----- flags


@dataclass(frozen=True, slots=True)
class Has(Key):
    """The flag or keyword is set. System flags are spelled as in FLAG_NAMES ("\\\\Seen"), keywords as the client wrote them."""

    flag: str


@dataclass(frozen=True, slots=True)
class Lacks(Key):
    """The flag or keyword is not set; see Has."""

    flag: str


@dataclass(frozen=True, slots=True)
class Recent(Key):
    """\\Recent for this session."""


# ----- text


@dataclass(frozen=True, slots=True)
class Header(Key):
    """The field `name` (lower case) exists and holds `needle`. SUBJECT, FROM, TO, CC and BCC become this, too."""

    name: str
    needle: str


@dataclass(frozen=True, slots=True)
class Body(Key):
    needle: str


@dataclass(frozen=True, slots=True)
class Text(Key):
    """Header or body holds `needle`."""

    needle: str


# ----- dates and sizes


@dataclass(frozen=True, slots=True)
class Before(Key):
    """INTERNALDATE, disregarding time and zone, is earlier than `day`."""

    day: date


@dataclass(frozen=True, slots=True)
class On(Key):
    day: date


@dataclass(frozen=True, slots=True)
class Since(Key):
    """On `day` or later."""

    day: date


@dataclass(frozen=True, slots=True)
class SentBefore(Key):
    """The Date field, disregarding time and zone, is earlier than `day`."""

    day: date


@dataclass(frozen=True, slots=True)
class SentOn(Key):
    day: date


@dataclass(frozen=True, slots=True)
class SentSince(Key):
    day: date


@dataclass(frozen=True, slots=True)
class Larger(Key):
    """RFC822.SIZE is more than `size` octets."""

    size: int


@dataclass(frozen=True, slots=True)
class Smaller(Key):
    """RFC822.SIZE is less than `size` octets."""

    size: int


@dataclass(frozen=True, slots=True)
class Older(Key):
    """INTERNALDATE is at least `seconds` ago (RFC 5032 §3)."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Younger(Key):
    """INTERNALDATE is at most `seconds` ago (RFC 5032 §3)."""

    seconds: int


@dataclass(frozen=True, slots=True)
class SavedBefore(Key):
    """SAVEDATE, disregarding time and zone, is earlier than `day` (RFC 8514 §4.3)."""

    day: date


@dataclass(frozen=True, slots=True)
class SavedOn(Key):
    day: date


@dataclass(frozen=True, slots=True)
class SavedSince(Key):
    day: date


# ----- looking into a tree


def inside(key: Key) -> Iterator[Key]:
    """*key* and all keys in it."""
    waiting = [key]
    while waiting:
        found = waiting.pop()
        yield found
        match found:
            case And(keys):
                waiting += keys
            case Or(left, right):
                waiting += (left, right)
            case Not(inner) | Fuzzy(inner):
                waiting.append(inner)


def mentions(key: Key, kind: type[Key]) -> bool:
    """Whether a key of *kind* stands anywhere in *key*."""
    return any(isinstance(found, kind) for found in inside(key))


def uses_numbers(key: Key) -> bool:
    """Whether *key* asks for sequence numbers anywhere; "$" is none."""
    return any(isinstance(found, Numbers) and not found.set.saved for found in inside(key))
