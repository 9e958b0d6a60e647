"""What a delivery report says to people: lines of plain text, for somebody who runs no mail server.

Who, what has happened, what he can do about it, and only then the answer as it
was given. Recipients who got the same answer stand together. What the causes are
called is `causes`, who is behind an answer `explanation`; the message around the
text, and the part for programs, are `bounce` and `deliverystatus`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap

from twistmail.mail.address import Address
from twistmail.mail.deliverystatus import answer_room, one_line, status_of
from twistmail.mail.explanation import Explanation, explain, speaker
from twistmail.mail.headers import first, text
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Result
from twistmail.mail.trace import date
from twistmail.mail.values import frozen

#: So many characters of a subject are shown.
_LONGEST_SUBJECT = 200
_INDENT = "   "
_GOOD_NEWS: dict[Result | None, str] = {
    Result.DELIVERED: "It is in the mailbox.",
    Result.RELAYED: "It was passed on to the next mail system, which may or may not tell you when it has arrived.",
    Result.EXPANDED: "That name stands for several recipients, and the message was sent on to all of them.",
}


@frozen
class Signature:
    """Who writes: the mail system at `host`; `contact`: whom people may ask, in the words of the house."""

    host: str
    contact: str


def failure(item: Item, errands: Sequence[Errand], header: bytes, signed: Signature, at: float) -> list[str]:
    """That *errands* have failed for good, at *at* (POSIX seconds)."""
    said = ["Your message could not be delivered to the recipients below. We will not try again.", *_message(header)]
    for group in _alike(errands):
        explained = _explained(group[0])
        page = [f"Its page for administrators: {explained.where}"] if explained.where else []
        said += [*_names(group), *_indented(explained.happened, *_patience(item, group[0], at), explained.advice, *page), "",
                 *_answer(group[0], len(errands)), ""]  # fmt: skip
    return [*_letter(said, signed), *_footer(item, signed)]


def delay(item: Item, errands: Sequence[Errand], header: bytes, signed: Signature, until: float) -> list[str]:
    """That *errands* still wait, and that we go on trying *until* (POSIX seconds)."""
    said = [f"Your message is late. You need not send it again: we go on trying until {date(until)}.", *_message(header)]
    for group in _alike(errands):
        said += [*_names(group), *_indented(_explained(group[0]).happened), "", *_answer(group[0], len(errands)), ""]
    return [*_letter(said, signed), *_footer(item, signed)]


def success(item: Item, errands: Sequence[Errand], header: bytes, signed: Signature) -> list[str]:
    """That *errands* have gone well."""
    said = ["You asked to be told what becomes of your message.", *_message(header)]
    for errand in errands:
        said += [_name(errand), *_indented(_GOOD_NEWS[errand.result]), ""]
    return [*_letter(said, signed), *_footer(item, signed)]


def double_bounce(item: Item, errands: Sequence[Errand], header: bytes, signed: Signature) -> list[str]:
    """To the postmaster: that *errands* have failed, and that nobody can be told."""
    said = ["A message whose sender cannot be told of it, such as a delivery report, could not be delivered. Nobody else hears of this.",
            *_message(header)]  # fmt: skip
    for group in _alike(errands):
        said += [*_names(group), *_indented(_explained(group[0]).happened), "", *_answer(group[0], len(errands)), ""]
    return [*_letter(said, signed), f"Its identifier here is {one_line(item.id)}."]


def _letter(said: list[str], signed: Signature) -> list[str]:
    return [f"This is the mail system at {signed.host}.", "", *wrap(said[0], 76), *said[1:]]


def _footer(item: Item, signed: Signature) -> list[str]:
    return wrap(f"Questions? {one_line(signed.contact)} Please name the identifier {one_line(item.id)}.", 76)


def _message(header: bytes) -> list[str]:
    """Which message it is about, as people know it."""
    shown = [("Subject", text(header, b"subject")), ("Date", (first(header, b"date") or b"").decode("ascii", "replace"))]
    lines = [f"{_INDENT}{name}: {_short(one_line(value), _LONGEST_SUBJECT)}" for name, value in shown if value.strip()]
    return ["", *lines, ""] if lines else [""]


def _alike(errands: Iterable[Errand]) -> list[list[Errand]]:
    """*errands* by what was said about them, in order."""
    groups: dict[object, list[Errand]] = {}
    for errand in errands:
        groups.setdefault((errand.host, status_of(errand)), []).append(errand)
    return list(groups.values())


def _explained(errand: Errand) -> Explanation:
    return explain(status_of(errand), errand.host)


def _patience(item: Item, errand: Errand, at: float) -> list[str]:
    """How hard we have tried, where it was not refused at once."""
    if errand.attempts < 2:
        return []
    return [f"We have tried {errand.attempts} times in {_span(at - item.since)}."]


def _span(seconds: float) -> str:
    """*seconds* as people say it, roughly."""
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if (count := round(seconds / size)) >= 2 or (count == 1 and seconds >= size):
            return f"{count} {name}{'s' if count > 1 else ''}"
    return "a minute"


def _names(group: Sequence[Errand]) -> list[str]:
    return [_name(errand) for errand in group]


def _name(errand: Errand) -> str:
    target = errand.target
    who = _in_brackets(target.address)
    return who if target.original.folded == target.address.folded else f"{who} (on behalf of {_in_brackets(target.original)})"


def _in_brackets(address: Address) -> str:
    return f"<{one_line(str(address))}>"


def _answer(errand: Errand, recipients: int) -> list[str]:
    """The answer as it was given, and by whom."""
    host, status = speaker(status_of(errand), errand.host)
    room = min(2000, answer_room(recipients))
    said = _short(one_line(str(status)[: 2 * room]), room)
    return _indented(f"{one_line(host)} answered: {said}" if host else f"The reason: {said}")


def _indented(*sentences: str) -> list[str]:
    return wrap(" ".join(sentences), 76, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False)


def _short(value: str, most: int) -> str:
    return value if len(value) <= most else f"{value[:most]}..."
