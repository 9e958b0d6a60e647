"""Delivery reports: what we write to a sender whose message failed or is late (RFC 3464, RFC 3834, RFC 6522).

A report is a whole message as bytes with CRLF line ends, ASCII throughout except
where an address itself is not. It has three parts: for people, for programs,
and the header of the original. Pure: identifiers, times and boundaries are
arguments; putting a report on its way is the business of `queue.reports`.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import wrap

from twistmail.mail.address import Address
from twistmail.mail.envelope import Kind
from twistmail.mail.item import Errand, Item
from twistmail.mail.status import Status
from twistmail.mail.trace import date

#: How much of the original a report quotes, in octets (spec: dsn.max_original).
LONGEST_QUOTE = 50_000

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

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
    """Who writes a report, when, and under which identifier. `boundary` must be unguessable: it parts the report."""

    host: str
    at: float  # POSIX seconds
    identifier: str
    boundary: str


def failure_report(item: Item, errands: Iterable[Errand], original: bytes, letterhead: Letterhead) -> bytes:
    """Tell the sender of *item* that *errands* have failed for good. *original*: its header block, or more."""
    errands = tuple(errands)
    text = [f"This is the mail system at {letterhead.host}.", "",
            "Your message could not be delivered to the recipients below. We will not try again.", ""]
    for errand in errands:
        text += [*_in_words(errand), f"   {_advice(errand)}", ""]
    return _report(_heading(letterhead, item.sender, "Your message could not be delivered"), text,
                   _delivery_status(item, errands, letterhead, "failed"), _header_part(original), letterhead)


def delay_warning(item: Item, errands: Iterable[Errand], original: bytes, letterhead: Letterhead, give_up_at: float) -> bytes:
    """Tell the sender of *item* that *errands* still wait, and until when we try (POSIX seconds). Sent once."""
    errands = tuple(errands)
    text = [f"This is the mail system at {letterhead.host}.", "",
            "Your message is late. You need not send it again: we go on trying", f"until {date(give_up_at)}.", ""]
    for errand in errands:
        text += [*_in_words(errand), ""]
    status = _delivery_status(item, errands, letterhead, "delayed", [f"Will-Retry-Until: {date(give_up_at)}"])
    return _report(_heading(letterhead, item.sender, "Your message is late"), text, status, _header_part(original), letterhead)


def double_bounce(item: Item, errands: Iterable[Errand], original: bytes, letterhead: Letterhead, postmaster: Address) -> bytes:
    """Tell *postmaster* that a message with the null sender, most often a report of ours, could not be delivered.

    *original* is the whole message; it is attached so where it is short and 7-bit, and by its header otherwise.
    """
    errands = tuple(errands)
    text = [f"This is the mail system at {letterhead.host}.", "",
            "A message without a sender, such as a delivery report, could not be", "delivered either. Nobody else is told.", ""]
    for errand in errands:
        text += [*_in_words(errand), ""]
    third = _message_part(original) if len(original) <= LONGEST_QUOTE and original.isascii() else _header_part(original)
    return _report(_heading(letterhead, postmaster, "Double bounce: a delivery report could not be delivered"), text,
                   _delivery_status(item, errands, letterhead, "failed"), third, letterhead)


def header_of(message: bytes) -> bytes:
    """The header block of *message*, cut at a line end where it is longer than LONGEST_QUOTE."""
    end = message.find(b"\r\n\r\n")
    header = message[: end + 2] if end >= 0 else message
    if len(header) <= LONGEST_QUOTE:
        return header
    end = header.rfind(b"\r\n", 0, LONGEST_QUOTE)
    return header[: end + 2] if end >= 0 else header[:LONGEST_QUOTE]


# ----- the message and its parts ----------------------------------------------


def _heading(letterhead: Letterhead, to: Address | None, subject: str) -> list[str]:
    host = letterhead.host
    return [
        f"Date: {date(letterhead.at)}",
        f'From: "Mail Delivery System" <MAILER-DAEMON@{host}>',
        f"To: <{_line(str(to or ''))}>",
        f"Subject: {subject}",
        f"Message-ID: <{letterhead.identifier}@{host}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="{letterhead.boundary}"',
    ]


def _report(heading: list[str], text: list[str], status: list[str], third: bytes, letterhead: Letterhead) -> bytes:
    mark = b"--" + letterhead.boundary.encode()
    return b"\r\n".join([
        *(line.encode() for line in heading), b"",
        mark, _text_part(text),
        mark, b"Content-Type: message/delivery-status", b"", *(line.encode("ascii", "replace") for line in status), b"",
        mark, third,
        mark + b"--", b"",
    ])


def _text_part(lines: list[str]) -> bytes:
    body = "\r\n".join(lines).encode()
    return b"Content-Type: text/plain; charset=utf-8\r\n" + _encoded(body)


def _header_part(original: bytes) -> bytes:
    """RFC 6522 §4; quoted-printable is what its encoding considerations give for headers that are not 7-bit."""
    return b"Content-Type: text/rfc822-headers\r\n" + _encoded(header_of(original))


def _message_part(original: bytes) -> bytes:
    return b"Content-Type: message/rfc822\r\n\r\n" + original


def _encoded(body: bytes) -> bytes:
    """The rest of a part's header, the empty line and *body*, so that no line is over 998 octets or has an eighth bit."""
    if body.isascii() and b"\0" not in body and all(len(line) < 998 for line in body.split(b"\r\n")):
        return b"\r\n" + body
    quoted = binascii.b2a_qp(body, istext=True)  # breaks lines as the first line of *body* is broken: with LF where there is none
    return b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + quoted.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _delivery_status(item: Item, errands: Iterable[Errand], letterhead: Letterhead, action: str, more: Iterable[str] = ()) -> list[str]:
    """RFC 3464 §2: fields about the message, and a block of fields for each recipient."""
    lines = [f"Reporting-MTA: dns; {_line(letterhead.host)}", f"X-Queue-ID: {_line(item.id)}", f"Arrival-Date: {date(item.arrived)}"]
    for errand in errands:
        lines += ["", *_about(errand, action), *more]
    return lines


def _about(errand: Errand, action: str) -> list[str]:
    target, status = errand.target, errand.status or _UNKNOWN
    lines = []
    if target.original.folded != target.address.folded:
        lines.append(f"Original-Recipient: {_typed(target.original)}")
    lines += [f"Final-Recipient: {_typed(target.address)}", f"Action: {action}", f"Status: {_enhanced(status)}"]
    remote = target.kind is Kind.REMOTE and errand.host
    if remote:
        lines.append(f"Remote-MTA: dns; {_line(errand.host).split()[0]}")
    lines += _folded(f"Diagnostic-Code: {'smtp' if remote else 'x-twistmail'}; {_line(str(status))}")
    return lines


def _typed(address: Address) -> str:
    """An address with its type: RFC 3464 §2.1.2, and RFC 6533 §3 (in its 7-bit form) where it is not ASCII."""
    text = _line(str(address))
    if text.isascii():
        return f"rfc822; {text}"
    return "utf-8; " + "".join(c if c.isascii() and c != "\\" else f"\\x{{{ord(c):X}}}" for c in text)


# ----- words ------------------------------------------------------------------

_UNKNOWN = Status(550, "5.0.0", "No reason was given")


def _in_words(errand: Errand) -> list[str]:
    """Who, and why, for people."""
    target, status = errand.target, errand.status or _UNKNOWN
    who = f"<{_line(str(target.address))}>"
    if target.original.folded != target.address.folded:
        who += f" (on behalf of <{_line(str(target.original))}>)"
    why = _line(str(status))
    if target.kind is Kind.REMOTE and errand.host:
        why = f"{_line(errand.host)} answered: {why}"
    return [who, *_indented(why)]


def _advice(errand: Errand) -> str:
    return _ADVICE.get(_enhanced(errand.status or _UNKNOWN).split(".")[1], _GENERAL_ADVICE)


def _enhanced(status: Status) -> str:
    return status.enhanced or f"{str(status.code)[0]}.0.0"


def _line(text: str) -> str:
    """One line, whatever it was before: what others said must not start fields of its own."""
    return _CONTROLS.sub(" ", text).strip() or "-"


def _indented(text: str) -> list[str]:
    return wrap(text[:2000], 76, initial_indent="   ", subsequent_indent="   ")


def _folded(field: str) -> list[str]:
    return wrap(field[:4000], 76, subsequent_indent=" ", break_on_hyphens=False)


