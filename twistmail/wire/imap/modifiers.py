"""What may stand in parentheses beside the arguments of SELECT, FETCH and STORE (RFC 4466 §2.1, §2.4, §2.5).

One table for each command: the name of a parameter -> the field of the command's class that it becomes, and what reads the rest of
it. An extension that knows another one adds a row here and a field there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twistmail.wire.imap.commands import Resync
from twistmail.wire.imap.returns import Partial, partial_range
from twistmail.wire.imap.sequence import STAR, SequenceSet
from twistmail.wire.imap.tokens import Cursor, Misspelled

Table = Mapping[bytes, tuple[str, Callable[[Cursor], Any]]]


def read(cursor: Cursor, known: Table) -> dict[str, Any]:
    """The parameters that come next, each at most once: field -> value. Raises Misspelled."""
    found: dict[str, Any] = {}

    def parameter() -> None:
        field, value = known.get(cursor.word("the name of a parameter"), ("", _present))
        if not field or field in found:
            raise Misspelled(f"Here may stand {b', '.join(sorted(known)).decode('ascii')}, each once")
        found[field] = value(cursor)

    cursor.several(parameter, "parameters")
    return found


def _present(cursor: Cursor) -> bool:
    """A parameter that has no value."""
    return True


def _mod_sequence(cursor: Cursor) -> int:
    cursor.space()
    return cursor.number64("a modification sequence")


def _partial(cursor: Cursor) -> Partial:
    """RFC 9394 §3.3."""
    cursor.space()
    return partial_range(cursor)


def _resync(cursor: Cursor) -> Resync:
    """RFC 7162 §3.2.5 and §7, `select-param`."""
    cursor.expect(b" (", "QRESYNC (...)")
    uidvalidity = cursor.number("UIDVALIDITY")
    cursor.space()
    modseq = cursor.number64("a modification sequence")
    known = None
    if cursor.next_is(b" ") and not cursor.next_is(b" ("):
        cursor.space()
        known = _without_star(cursor)
    sample = _sample(cursor) if cursor.takes(b" (") else None
    cursor.expect(b")", ")")
    return Resync(uidvalidity, modseq, known, sample)


def _sample(cursor: Cursor) -> tuple[SequenceSet, SequenceSet]:
    numbers = _without_star(cursor)
    cursor.space()
    uids = _without_star(cursor)
    cursor.expect(b")", ")")
    if numbers.count != uids.count:
        raise Misspelled("There must be as many UIDs as sequence numbers")
    return numbers, uids


def _without_star(cursor: Cursor) -> SequenceSet:
    found = cursor.sequence_set()
    if found.saved or found.ranges[-1][1] == STAR:
        raise Misspelled('QRESYNC knows neither "*" nor "$" (RFC 7162 section 7)')
    return found


SELECT: Table = {b"CONDSTORE": ("condstore", _present), b"QRESYNC": ("resync", _resync)}
FETCH: Table = {
    b"CHANGEDSINCE": ("changed_since", _mod_sequence),
    b"VANISHED": ("vanished", _present),
    b"PARTIAL": ("partial", _partial),
}
STORE: Table = {b"UNCHANGEDSINCE": ("unchanged_since", _mod_sequence)}
