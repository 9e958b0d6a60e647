"""The head of a letter beside its envelope, and its Received fields, each with the office that has written it. Pure.

`head_of` reads a header block; `rows` says where envelope and head do not agree, which is what forgery, Bcc and lists are made of.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from twistmail.lab.heads import MOST_HEADER
from twistmail.lab.journey import Journey, Leg
from twistmail.mail import headers
from twistmail.mail.values import frozen
from twistmail.mail.words import decode_words
from twistmail.web.letters import people
from twistmail.web.safe_html import without_tricks

#: Fields, and characters of each, that are shown.
MOST_FIELDS, LONGEST = 200, 2000
TWO_SENDERS = "Reports go to the envelope's sender, answers to From."
NO_SENDER = "It is a report itself: nobody is told what becomes of it."
_BY = re.compile(r"\bby ([A-Za-z0-9.-]{1,255})")
_ID = re.compile(r"\bid ([0-9a-z]{6}-[0-9a-z]{4,8})\b")


@frozen
class Trace:
    """A Received field. `by`: the server that has written it; `office` and `id`: the leg of the journey, where it is one of ours."""

    text: str
    by: str
    id: str
    office: str = ""


@frozen
class Head:
    """`fields`: (name, decoded value) in their order, Received among them; `more`: how many are not shown. `traces`: newest first."""

    fields: tuple[tuple[str, str], ...] = ()
    traces: tuple[Trace, ...] = ()
    more: int = 0

    def values(self, *names: str) -> tuple[str, ...]:
        """The values of the fields called one of *names* (lower case)."""
        return tuple(value for name, value in self.fields if name.lower() in names)


def head_of(header: bytes, journey: Journey) -> Head:
    """*header*: a header block, whoever has written it; only its first MOST_HEADER octets count."""
    found = headers.fields(headers.split(header[:MOST_HEADER])[0])
    fields = tuple((field.name.decode("ascii", "replace"), _text(field.value)) for field in islice(found, MOST_FIELDS))
    offices = {leg.id: leg.office for leg in journey.legs}
    traces = tuple(_trace(value, offices) for name, value in fields if name.lower() == "received")
    return Head(fields, traces, sum(1 for _ in found))


def _text(value: bytes) -> str:
    return without_tricks(" ".join(decode_words(value[: 4 * LONGEST]).split()))[:LONGEST]


def _trace(text: str, offices: dict[str, str]) -> Trace:
    by, identifier = _BY.search(text), _ID.search(text)
    name = identifier[1] if identifier else ""
    return Trace(text, by[1] if by else "", name, offices.get(name, ""))


# ----- envelope and head


@frozen
class Row:
    """What the envelope says beside what the head of the letter says. `why`: where they differ, what that means."""

    envelope: str
    said: tuple[str, ...]
    field: str
    written: tuple[str, ...]
    why: str = ""


def rows(leg: Leg, head: Head) -> tuple[Row, ...]:
    """The envelope as *leg* had it beside *head*; without a head nothing is said to differ."""
    if leg.state == "coming":
        return (Row("MAIL FROM", ("(not said yet)",), "From", ()), Row("RCPT TO", ("(not said yet)",), "To, Cc", ()))
    authors, named = _addresses(head, "from"), _addresses(head, "to", "cc")
    senders = "" if not head.fields or leg.sender.lower() in authors else TWO_SENDERS if leg.sender else NO_SENDER
    made = [Row("MAIL FROM", (leg.sender or "<>",), "From", head.values("from"), senders),
            Row("RCPT TO", leg.addressees, "To, Cc", head.values("to", "cc"), _recipients(leg, named) if head.fields else "")]
    if answers := _addresses(head, "reply-to"):
        made.append(Row("", (), "Reply-To", head.values("reply-to"), "" if answers == authors else "Answers go here, and not to From."))
    return tuple(made)


def _recipients(leg: Leg, named: set[str]) -> str:
    envelope = {one.lower() for one in leg.addressees}
    hidden, others = sorted(envelope - named), sorted(named - envelope)
    said = []
    if hidden:
        said.append(f"{', '.join(hidden)} gets it and is not named: Bcc, a list or a forward.")
    if others:
        said.append(f"{', '.join(others)} is named, and does not get it from this envelope.")
    return " ".join(said)


def _addresses(head: Head, *names: str) -> set[str]:
    """Who stands in the fields *names*, in lower case."""
    values: Sequence[str] = head.values(*names)
    return {person.address.lower() for person in people([value.encode() for value in values]) if person.address}
