"""Delivery reports: what we write to a sender about his message (RFC 3464, RFC 3461 §6, RFC 6533, RFC 3834, RFC 6522).

It failed, it is late, or (where he asked to be told) it went well. A report is
a whole message as bytes with CRLF line ends; ASCII throughout, except where an
address in its header is not, or where it quotes an original of eight bits whole.
It has three parts: for people, for programs (`deliverystatus`), and the
original or its header. Pure: identifiers, times and boundaries are arguments;
who is told what, and putting it on its way, is the business of `queue.reports`.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import wrap

from twistmail.mail.address import Address
from twistmail.mail.deliverystatus import enhanced, one_line, status_lines, status_of
from twistmail.mail.envelope import Kind
from twistmail.mail.headers import split
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Result
from twistmail.mail.trace import date

#: How much of the original a report quotes, in octets (spec: dsn.max_original).
LONGEST_QUOTE = 50_000
#: RFC 5321 §4.5.3.1.6, without the CRLF.
LONGEST_LINE = 998
_EIGHT_BIT = b"Content-Transfer-Encoding: 8bit\r\n"

#: What somebody can do about it, by the subject digit of the enhanced code (RFC 3463 §3).
_ADVICE = {
    "1": "Please check the address for typing mistakes, or ask the recipient for the right one by other means.",
    "2": "The mailbox does not take mail at the moment. Please tell the recipient by other means.",
    "3": "The other mail system has trouble of its own or does not take such messages; a smaller message may pass.",
    "4": "The other mail system could not be reached. Please try again later, or tell the recipient by other means.",
    "6": "The other mail system does not take messages of this form. Please try again with plain text.",
    "7": "The other mail system refuses the message by its own rules. Its administrators can tell why.",
}
_GENERAL_ADVICE = "The answer above is all that we know. Please show it to your administrator if it does not help."


@dataclass(frozen=True, slots=True)
class Letterhead:
    """Who writes a report, when, and under which identifier. `boundary` must be unguessable: it parts the report.

    `longest_quote`: octets of an original that is quoted; `returns_full`: whole originals are what a sender gets who has
    not said (RET) what he wants back.
    """

    host: str
    at: float  # POSIX seconds
    identifier: str
    boundary: str
    longest_quote: int = LONGEST_QUOTE
    returns_full: bool = False


def failure_report(item: Item, errands: Iterable[Errand], original: bytes, letterhead: Letterhead) -> bytes:
    """Tell the sender of *item* that *errands* have failed for good. *original*: as much of it as `longest_quote`, and one octet."""
    errands = tuple(errands)
    text = [f"This is the mail system at {letterhead.host}.", "",
            "Your message could not be delivered to the recipients below. We will not try again.", ""]
    for errand in errands:
        text += [*_in_words(errand), f"   {_advice(errand)}", ""]
    status = _status_part(item, errands, letterhead)
    whole = _wants_all(item, letterhead)
    return _report(_heading(letterhead, item.sender, "Your message could not be delivered"), text, status,
                   _quotation(item, original, letterhead, whole=whole), letterhead)


def delay_warning(item: Item, errands: Iterable[Errand], original: bytes, letterhead: Letterhead, give_up_at: float) -> bytes:
    """Tell the sender of *item* that *errands* still wait, and until when we try (POSIX seconds)."""
    errands = tuple(errands)
    text = [f"This is the mail system at {letterhead.host}.", "",
            "Your message is late. You need not send it again: we go on trying", f"until {date(give_up_at)}.", ""]
    for errand in errands:
        text += [*_in_words(errand), ""]
    status = _status_part(item, errands, letterhead, [f"Will-Retry-Until: {date(give_up_at)}"])
    return _report(_heading(letterhead, item.sender, "Your message is late"), text, status,
                   _quotation(item, original, letterhead, whole=False), letterhead)


def success_report(item: Item, errands: Iterable[Errand], original: bytes, letterhead: Letterhead) -> bytes:
    """Tell the sender of *item*, who asked for it, that *errands* have gone well. The header is all it quotes (RFC 3461 §6.2)."""
    errands = tuple(errands)
    text = [f"This is the mail system at {letterhead.host}.", "", "You asked to be told what becomes of your message.", ""]
    for errand in errands:
        text += [_who(errand), *_indented(_GOOD_NEWS[errand.result]), ""]
    arrived = all(errand.result is Result.DELIVERED for errand in errands)
    subject = "Your message was delivered" if arrived else "Your message was passed on"
    return _report(_heading(letterhead, item.sender, subject), text, _status_part(item, errands, letterhead),
                   _quotation(item, original, letterhead, whole=False), letterhead)


def double_bounce(item: Item, errands: Iterable[Errand], original: bytes, letterhead: Letterhead, postmaster: Address) -> bytes:
    """Tell *postmaster* that a message with the null sender, most often a report of ours, could not be delivered.

    *original* is the whole message; it is attached so where it is short and 7-bit, and by its header otherwise.
    """
    errands = tuple(errands)
    text = [f"This is the mail system at {letterhead.host}.", "",
            "A message without a sender, such as a delivery report, could not be", "delivered either. Nobody else is told.", ""]
    for errand in errands:
        text += [*_in_words(errand), ""]
    return _report(_heading(letterhead, postmaster, "Double bounce: a delivery report could not be delivered"), text,
                   _status_part(item, errands, letterhead), _quotation(item, original, letterhead, whole=original.isascii()), letterhead)


def header_of(message: bytes, longest: int = LONGEST_QUOTE) -> bytes:
    """The header block of *message*, cut at a line end where it is longer than *longest*."""
    end = message.find(b"\r\n\r\n")
    header = message[: end + 2] if end >= 0 else message
    if len(header) <= longest:
        return header
    end = header.rfind(b"\r\n", 0, longest)
    return header[: end + 2] if end >= 0 else header[:longest]


# ----- what the original looks like in it ----------------------------------------


def _wants_all(item: Item, letterhead: Letterhead) -> bool:
    """RFC 3461 §4.3; a message that must travel encrypted is never sent back whole (RFC 8689 §5)."""
    return (item.wishes.ret == "FULL" or (letterhead.returns_full and not item.wishes.ret)) and not item.wishes.require_tls


def _quotation(item: Item, original: bytes, letterhead: Letterhead, *, whole: bool) -> bytes:
    """The third part: the *whole* original where it is small enough and has lines as mail has, otherwise its header."""
    if not whole or len(original) > letterhead.longest_quote or not _has_lines(original):
        return _header_part(header_of(original, letterhead.longest_quote), utf8=item.wishes.utf8)
    if item.wishes.utf8 and not split(original)[0].isascii():
        return b"Content-Type: message/global\r\n" + _encoded(original)  # RFC 6532 §3.7: may be encoded, unlike message/rfc822
    encoding = b"" if original.isascii() else _EIGHT_BIT
    return b"Content-Type: message/rfc822\r\n" + encoding + b"\r\n" + original


def _has_lines(original: bytes) -> bool:
    """Whether it can be quoted without being encoded: no NUL, no line end but CRLF, no line too long."""
    lines = original.split(b"\r\n")
    return b"\0" not in original and all(len(line) <= LONGEST_LINE and b"\r" not in line and b"\n" not in line for line in lines)


def _header_part(header: bytes, *, utf8: bool) -> bytes:
    """RFC 6522 §4, RFC 6533 §4.3; quoted-printable is what their encoding considerations give for headers that are not 7-bit."""
    kind = b"message/global-headers" if utf8 and not header.isascii() else b"text/rfc822-headers"
    return b"Content-Type: " + kind + b"\r\n" + _encoded(header)


# ----- the message and its parts ----------------------------------------------


def _heading(letterhead: Letterhead, to: Address | None, subject: str) -> list[str]:
    host = letterhead.host
    return [
        f"Date: {date(letterhead.at)}",
        f'From: "Mail Delivery System" <MAILER-DAEMON@{host}>',
        f"To: <{one_line(str(to or ''))}>",
        f"Subject: {subject}",
        f"Message-ID: <{letterhead.identifier}@{host}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="{letterhead.boundary}"',
    ]


def _report(heading: list[str], text: list[str], status: bytes, third: bytes, letterhead: Letterhead) -> bytes:
    mark = b"--" + letterhead.boundary.encode()
    first = [line.encode() for line in heading]
    if not third.isascii():
        first.append(_EIGHT_BIT.rstrip(b"\r\n"))
    return b"\r\n".join([*first, b"", mark, _text_part(text), mark, status, mark, third, mark + b"--", b""])


def _text_part(lines: list[str]) -> bytes:
    body = "\r\n".join(lines).encode()
    return b"Content-Type: text/plain; charset=utf-8\r\n" + _encoded(body)


def _status_part(item: Item, errands: Iterable[Errand], letterhead: Letterhead, more: Iterable[str] = ()) -> bytes:
    """RFC 3464 §2; RFC 6533 §4.1 where the message was an internationalized one and an address shows it."""
    lines = [line.encode() for line in status_lines(item, errands, letterhead.host, more, utf8=item.wishes.utf8)]
    body = b"\r\n".join([*lines, b""])
    kind = b"message/delivery-status" if body.isascii() else b"message/global-delivery-status"
    return b"Content-Type: " + kind + b"\r\n" + _encoded(body)


def _encoded(body: bytes) -> bytes:
    """The rest of a part's header, the empty line and *body*, so that no line is over 998 octets or has an eighth bit."""
    if body.isascii() and b"\0" not in body and all(len(line) < 998 for line in body.split(b"\r\n")):
        return b"\r\n" + body
    quoted = binascii.b2a_qp(body, istext=True)  # breaks lines as the first line of *body* is broken: with LF where there is none
    return b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + quoted.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


# ----- words ------------------------------------------------------------------

_GOOD_NEWS: dict[Result | None, str] = {
    Result.DELIVERED: "It is in the mailbox.",
    Result.RELAYED: "It was passed on to the next mail system, which may or may not tell you when it has arrived.",
    Result.EXPANDED: "That name stands for several recipients, and the message was sent on to all of them.",
}


def _who(errand: Errand) -> str:
    target = errand.target
    who = f"<{one_line(str(target.address))}>"
    if target.original.folded != target.address.folded:
        who += f" (on behalf of <{one_line(str(target.original))}>)"
    return who


def _in_words(errand: Errand) -> list[str]:
    """Who, and why, for people."""
    why = one_line(str(status_of(errand)))
    if errand.target.kind is Kind.REMOTE and errand.host:
        why = f"{one_line(errand.host)} answered: {why}"
    return [_who(errand), *_indented(why)]


def _advice(errand: Errand) -> str:
    return _ADVICE.get(enhanced(status_of(errand)).split(".")[1], _GENERAL_ADVICE)


def _indented(text: str) -> list[str]:
    return wrap(text[:2000], 76, initial_indent="   ", subsequent_indent="   ")
