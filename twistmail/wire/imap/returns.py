"""RETURN (...): what a searching command shall tell (RFC 4466 §2.6), as a value, and how it is read.

ESEARCH (RFC 4731), SEARCHRES (RFC 5182), CONTEXT (RFC 5267), PARTIAL (RFC 9394) and the scores of FUZZY (RFC 6203) are options
of the same list; SEARCH, ESEARCH and SORT take it. What the answer looks like is `servers/imap/results`' business.
"""

from __future__ import annotations

import re

from twistmail.mail.values import frozen
from twistmail.wire.imap.fetchitems import FetchItem
from twistmail.wire.imap.parse_fetch import fetch_items
from twistmail.wire.imap.tokens import Cursor, Misspelled

#: Options without an argument.
OPTIONS = frozenset({"MIN", "MAX", "ALL", "COUNT", "SAVE", "CONTEXT", "UPDATE", "RELEVANCY"})
#: Those that ask for something about the whole result in the answer.
_TELLING = frozenset({"MIN", "MAX", "ALL", "COUNT", "RELEVANCY"})

_RANGE = re.compile(rb"(-?)([0-9]{1,10}):(-?)([0-9]{1,10})(?![0-9])")


@frozen
class Partial:
    """PARTIAL's range, as the client wrote it: both ends positive (1 is the first result) or both negative (-1 is the last)."""

    first: int
    last: int

    def span(self, count: int) -> tuple[int, int]:
        """The places among *count* results that are meant, half open; what does not exist is left out (RFC 9394 §3.1)."""
        low, high = sorted((abs(self.first), abs(self.last)))
        if self.first > 0:
            return min(low - 1, count), min(high, count)
        return max(count - high, 0), max(count - low + 1, 0)

    def octets(self) -> bytes:
        return b"%d:%d" % (self.first, self.last)


@frozen
class Returns:
    """`options` in upper case, of OPTIONS; at most one of ALL and `partial`. An empty list has become ALL (RFC 4731 §3.1).

    `fetched`: with UPDATE, what is to be told of new messages that fit (RFC 5465 §7).
    """

    options: frozenset[str]
    partial: Partial | None = None
    fetched: tuple[FetchItem, ...] = ()

    def __contains__(self, option: str) -> bool:
        return option in self.options

    @property
    def saves(self) -> bool:
        return "SAVE" in self.options

    @property
    def updates(self) -> bool:
        return "UPDATE" in self.options

    @property
    def tells_nothing(self) -> bool:
        """Only to be saved: no untagged response at all (RFC 5182 §1)."""
        return self.options == {"SAVE"} and self.partial is None

    @property
    def saves_all(self) -> bool:
        """SAVE means the whole result, not only what MIN, MAX and PARTIAL tell (RFC 5182 §2.4, RFC 9394 §3.2)."""
        return bool(self.options & {"ALL", "COUNT"}) or (self.partial is None and not self.options & {"MIN", "MAX"})


ALL = Returns(frozenset({"ALL"}))


def returns(cursor: Cursor) -> Returns | None:
    """RETURN (...), if it comes next behind a space; the cursor then stands behind the parenthesis. None where it does not come."""
    start = cursor.position
    if not (cursor.takes(b" ") and (cursor.next_is(b"R") or cursor.next_is(b"r"))) or cursor.word() != b"RETURN":
        cursor.position = start
        return None
    cursor.space()
    fetched: list[FetchItem] = []
    read = cursor.several(lambda: _option(cursor, fetched), "options", may_be_empty=True)
    partials = [option for option in read if isinstance(option, Partial)]
    options = frozenset(option for option in read if isinstance(option, str))
    if len(partials) > 1 or (partials and "ALL" in options):
        raise Misspelled("One of PARTIAL and ALL can be asked for, once (RFC 9394 section 3.1)")
    if not read:
        return ALL
    return Returns(options, partials[0] if partials else None, tuple(dict.fromkeys(fetched)))


def _option(cursor: Cursor, fetched: list[FetchItem]) -> str | Partial:
    """One option; what UPDATE wants fetched goes to *fetched*."""
    word = cursor.word("an option").decode("ascii")
    if word == "UPDATE" and cursor.takes(b" ("):
        cursor.position -= 1
        fetched += fetch_items(cursor)
    if word == "PARTIAL":
        cursor.space()
        return partial_range(cursor)
    if word not in OPTIONS:
        raise Misspelled("RETURN knows the options " + ", ".join(sorted(OPTIONS)) + " and PARTIAL with a range")
    return word


def partial_range(cursor: Cursor) -> Partial:
    """The argument of PARTIAL, also as FETCH's modifier (RFC 9394 §3.3)."""
    sign, first, other_sign, last = cursor.matched(_RANGE, "a range such as 1:100 or -1:-100").groups()
    if sign != other_sign or not 0 < int(first) <= 0xFFFFFFFF or not 0 < int(last) <= 0xFFFFFFFF:
        raise Misspelled("Both ends of a range count from the first result (1:100) or both from the last (-1:-100)")
    return Partial(-int(first), -int(last)) if sign else Partial(int(first), int(last))
