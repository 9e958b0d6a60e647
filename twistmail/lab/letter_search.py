"""What people look for in the inboxes, in the words that Mailpit has for it: `from:alice is:unread -lunch after:2026-11-01 "two words"`.

`parse` reads a query, `Wanted.fits` asks it about one row of a list. What is to be
found in the texts of messages is left to whoever has them (`Wanted.words`). Pure.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from twistmail.lab.letter_rows import Row
from twistmail.mail.folding import folded
from twistmail.mail.values import frozen
from twistmail.web.letters import Person

#: Characters of a query, and terms in it; more are not looked at.
LONGEST, MOST_TERMS = 1000, 50

_TERM = re.compile(r'([-!]?)(?:([A-Za-z-]+):)?(?:"([^"]*)"?|(\S+))')
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,3})?)\s?(k|kb|m|mb)?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1024, "m": 1024 * 1024}
_FIELDS = frozenset({"from", "to", "cc", "bcc", "reply-to", "addressed", "subject", "message-id", "is", "has", "before", "after", "larger",
                     "smaller", "in", "tag"})  # fmt: skip


@frozen
class Term:
    """`field` is one of _FIELDS, or "" for a word that may stand anywhere; `wanted` is folded. `excludes`: it must not be so."""

    field: str
    wanted: str
    excludes: bool = False


@frozen
class Wanted:
    terms: tuple[Term, ...] = ()

    @property
    def words(self) -> tuple[Term, ...]:
        """Those that may stand anywhere in a message."""
        return tuple(term for term in self.terms if not term.field)

    def fits(self, row: Row) -> bool:
        """Whether *row* is as wanted, but for `words`."""
        return all(_holds(term, row) is not term.excludes for term in self.terms if term.field)


def parse(query: str) -> Wanted:
    """The terms of *query*. A field that nobody knows is a word like others; dates and sizes that are none fit nothing."""
    terms = []
    for sign, name, quoted, plain in _TERM.findall(query[:LONGEST])[:MOST_TERMS]:
        field, wanted = name.lower(), quoted or plain
        if name and field not in _FIELDS:
            field, wanted = "", f"{name}:{wanted}"
        if any(map(str.isalnum, wanted)):
            terms.append(Term(field, folded(wanted), bool(sign)))
    return Wanted(tuple(terms))


def _holds(term: Term, row: Row) -> bool:
    match term.field:
        case "subject":
            return term.wanted in folded(row.subject)
        case "message-id":
            return term.wanted.strip("<>") in folded(row.message_id)
        case "in":
            return term.wanted in (folded(row.account), folded(row.mailbox), row.account.partition("@")[0])
        case "is":
            return {"read": row.is_read, "unread": not row.is_read}.get(term.wanted, False)
        case "has":
            return term.wanted.rstrip("s") == "attachment" and row.files > 0
        case "before" | "after":
            return _dated(term, row.arrived)
        case "larger" | "smaller":
            return _sized(term, row.size)
        case "tag":
            return False  # nobody has tags here
    return any(term.wanted in folded(str(one)) for one in _people(term.field, row))


def _people(field: str, row: Row) -> tuple[Person, ...]:
    fields = {"from": row.sender, "to": row.to, "cc": row.cc, "bcc": row.bcc, "reply-to": row.reply_to}
    return fields[field] if field in fields else tuple(one for people in fields.values() for one in people)


def _dated(term: Term, arrived: float) -> bool:
    try:
        moment = datetime.fromisoformat(term.wanted.upper())
    except ValueError:
        return False
    at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return arrived <= at if term.field == "before" else arrived >= at


def _sized(term: Term, size: int) -> bool:
    match = _SIZE.fullmatch(term.wanted)
    if match is None:
        return False
    limit = float(match[1]) * _UNITS[(match[2] or "")[:1].lower()]
    return size > limit if term.field == "larger" else size < limit
