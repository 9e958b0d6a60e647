"""Delivery reports: what we write to a sender about his message (RFC 3464, RFC 3461 §6, RFC 6533, RFC 3834, RFC 6522).

It failed, it is late, or (where he asked to be told) it went well. A report is
a whole message as bytes with CRLF line ends; ASCII throughout, except where an
address in its header is not, or where it quotes an original of eight bits whole.
It has three parts: for people (`letters`), for programs (`deliverystatus`), and
the original or its header. Pure: identifiers, times and boundaries are arguments;
who is told what, and putting it on its way, is the business of `queue.reports`.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable

from twistmail.mail import letters
from twistmail.mail.address import Address
from twistmail.mail.deliverystatus import one_line, status_lines
from twistmail.mail.headers import first, message_ids, split
from twistmail.mail.item import Errand, Item
from twistmail.mail.letters import Signature
from twistmail.mail.outcome import Result
from twistmail.mail.trace import date
from twistmail.mail.values import frozen

#: How much of the original a report quotes, in octets (spec: dsn.max_original).
LONGEST_QUOTE = 50_000
#: RFC 5321 §4.5.3.1.6, without the CRLF.
LONGEST_LINE = 998
_EIGHT_BIT = b"Content-Transfer-Encoding: 8bit\r\n"

#: Longer identifiers of messages are not referred to.
_LONGEST_ID = 250
#: The field by which we know our own reports again, whoever brings them back.
MARK = "X-Loop"


@frozen
class Letterhead:
    """Who writes a report, when, and under which identifier. `boundary` must be unguessable: it parts the report.

    `longest_quote`: octets of an original that is quoted; `returns_full`: whole originals are what a sender gets who has
    not said (RET) what he wants back. `postmaster`: whom an answer to the report reaches (RFC 3464 §2); None: MAILER-DAEMON here.
    `contact`: whom people may ask, in the words of the house; empty: the postmaster.
    """

    host: str
    at: float  # POSIX seconds
    identifier: str
    boundary: str
    longest_quote: int = LONGEST_QUOTE
    returns_full: bool = False
    postmaster: Address | None = None
    contact: str = ""

    @property
    def sender(self) -> str:
        return one_line(str(self.postmaster)) if self.postmaster else f"MAILER-DAEMON@{self.host}"

    @property
    def signature(self) -> Signature:
        return Signature(self.host, self.contact or f"Write to {self.sender}.")


def failure_report(item: Item, errands: Iterable[Errand], original: bytes, letterhead: Letterhead) -> bytes:
    """Tell the sender of *item* that *errands* have failed for good. *original*: as much of it as `longest_quote`, and one octet."""
    errands = tuple(errands)
    text = letters.failure(item, errands, header_of(original), letterhead.signature, letterhead.at)
    heading = _heading(letterhead, item.sender, "Your message could not be delivered", original)
    third = _quotation(item, original, letterhead, whole=_wants_all(item, letterhead))
    return _report(heading, text, _status_part(item, errands, letterhead), third, letterhead)


def delay_warning(item: Item, errands: Iterable[Errand], original: bytes, letterhead: Letterhead, give_up_at: float) -> bytes:
    """Tell the sender of *item* that *errands* still wait, and until when we try (POSIX seconds)."""
    errands = tuple(errands)
    text = letters.delay(item, errands, header_of(original), letterhead.signature, give_up_at)
    status = _status_part(item, errands, letterhead, [f"Will-Retry-Until: {date(give_up_at)}"])
    heading = _heading(letterhead, item.sender, "Your message is late", original)
    return _report(heading, text, status, _quotation(item, original, letterhead, whole=False), letterhead)


def success_report(item: Item, errands: Iterable[Errand], original: bytes, letterhead: Letterhead) -> bytes:
    """Tell the sender of *item*, who asked for it, that *errands* have gone well. The header is all it quotes (RFC 3461 §6.2)."""
    errands = tuple(errands)
    text = letters.success(item, errands, header_of(original), letterhead.signature)
    arrived = all(errand.result is Result.DELIVERED for errand in errands)
    heading = _heading(letterhead, item.sender, "Your message was delivered" if arrived else "Your message was passed on", original)
    third = _quotation(item, original, letterhead, whole=False)
    return _report(heading, text, _status_part(item, errands, letterhead), third, letterhead)


def double_bounce(item: Item, errands: Iterable[Errand], original: bytes, letterhead: Letterhead, *, postmaster: Address) -> bytes:
    """Tell *postmaster* that a message could not be delivered whose sender cannot be told: most often it is a report of ours.

    *original* is the whole message; it is attached so where it is short and 7-bit, and by its header otherwise.
    """
    errands = tuple(errands)
    text = letters.double_bounce(item, errands, header_of(original), letterhead.signature)
    heading = _heading(letterhead, postmaster, "Double bounce: a delivery report could not be delivered", original)
    third = _quotation(item, original, letterhead, whole=original.isascii())
    return _report(heading, text, _status_part(item, errands, letterhead), third, letterhead)


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


def _heading(letterhead: Letterhead, to: Address | None, subject: str, original: bytes) -> list[str]:
    """RFC 3464 §2, RFC 3834 §3.1.5 (what it answers to); Auto-Submitted and MARK are for those who must not answer."""
    answered = message_ids(first(header_of(original), b"message-id") or b"")[:1]
    about = [text for text in (one.decode("latin-1") for one in answered) if text.isascii() and text.isprintable()
             and len(text) <= _LONGEST_ID]  # fmt: skip
    return [
        f"Date: {date(letterhead.at)}",
        f'From: "Mail Delivery System" <{letterhead.sender}>',
        f"To: <{one_line(str(to or ''))}>",
        f"Subject: {subject}",
        f"Message-ID: <{letterhead.identifier}@{letterhead.host}>",
        *(f"{name}: {about[0]}" for name in ("In-Reply-To", "References") if about),
        "Auto-Submitted: auto-replied",
        f"{MARK}: {letterhead.host}",
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
