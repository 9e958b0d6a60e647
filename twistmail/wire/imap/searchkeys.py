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
from datetime import date

from twistmail.mail.values import frozen
from twistmail.wire.imap.sequence import SequenceSet


@frozen
class Key:
    """Any key. Subclasses are compared and matched by class (`match key: case And(keys): ...`)."""


# ----- shapes


@frozen
class And(Key):
    """All of `keys`, of which there are at least two."""

    keys: tuple[Key, ...]


@frozen
class Or(Key):
    left: Key
    right: Key


@frozen
class Not(Key):
    key: Key


@frozen
class Fuzzy(Key):
    """What resembles what `key` asks for, each with a score (RFC 6203 §3)."""

    key: Key


# ----- which messages


@frozen
class All(Key):
    """Every message."""


@frozen
class Numbers(Key):
    """Messages by sequence number."""

    set: SequenceSet


@frozen
class Uid(Key):
    """Messages by UID."""

    set: SequenceSet


@frozen
class EmailId(Key):
    """Messages by their EMAILID (RFC 8474 §6)."""

    identifier: str


@frozen
class ThreadId(Key):
    """Messages by their THREADID (RFC 8474 §6)."""

    identifier: str


@frozen
class ModSeq(Key):
    """The modification sequence is `least` or more (RFC 7162 §3.1.5)."""

    least: int


# ----- flags


@frozen
class Has(Key):
    """The flag or keyword is set. System flags are spelled as in FLAG_NAMES ("\\\\Seen"), keywords as the client wrote them."""

    flag: str


@frozen
class Lacks(Key):
    """The flag or keyword is not set; see Has."""

    flag: str


@frozen
class Recent(Key):
    """\\Recent for this session."""


# ----- text


@frozen
class Header(Key):
    """The field `name` (lower case) exists and holds `needle`. SUBJECT, FROM, TO, CC and BCC become this, too."""

    name: str
    needle: str


@frozen
class Body(Key):
    needle: str


@frozen
class Text(Key):
    """Header or body holds `needle`."""

    needle: str


# ----- dates and sizes


@frozen
class Before(Key):
    """INTERNALDATE, disregarding time and zone, is earlier than `day`."""

    day: date


@frozen
class On(Key):
    day: date


@frozen
class Since(Key):
    """On `day` or later."""

    day: date


@frozen
class SentBefore(Key):
    """The Date field, disregarding time and zone, is earlier than `day`."""

    day: date


@frozen
class SentOn(Key):
    day: date


@frozen
class SentSince(Key):
    day: date


@frozen
class Larger(Key):
    """RFC822.SIZE is more than `size` octets."""

    size: int


@frozen
class Smaller(Key):
    """RFC822.SIZE is less than `size` octets."""

    size: int


@frozen
class Older(Key):
    """INTERNALDATE is at least `seconds` ago (RFC 5032 §3)."""

    seconds: int


@frozen
class Younger(Key):
    """INTERNALDATE is at most `seconds` ago (RFC 5032 §3)."""

    seconds: int


@frozen
class SavedBefore(Key):
    """SAVEDATE, disregarding time and zone, is earlier than `day` (RFC 8514 §4.3)."""

    day: date


@frozen
class SavedOn(Key):
    day: date


@frozen
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
