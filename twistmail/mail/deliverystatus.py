"""message/delivery-status: what a delivery report tells programs (RFC 3464 §2, RFC 3461 §6.3, RFC 6533 §4.1).

Fields about the message, then a block of fields for each recipient. Lines of
text; the MIME part around them is the business of `bounce`. Everything that
others have said passes `one_line` first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from textwrap import wrap

from twistmail.mail import xtext
from twistmail.mail.address import Address
from twistmail.mail.envelope import Kind
from twistmail.mail.explanation import server_in, speaker
from twistmail.mail.headers import first
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Result
from twistmail.mail.status import Status
from twistmail.mail.trace import date

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_TYPE = re.compile(r"[a-z0-9\-]{1,40}")
#: What follows "from" in the Received field that we have written: the name that was said, and the address (`trace.received`).
_FROM = re.compile(rb"from (\S{1,255}) \((?:\S{1,255} )?\[([0-9A-Fa-f.:IPv]{2,60})\]\)")
#: Octets of answers that a report quotes, over all recipients; each may have so much, and always so much.
ANSWERS, LONGEST_ANSWER, SHORTEST_ANSWER = 400_000, 4000, 150
#: A field that must stay as it is may have so many characters on one line (RFC 5322 §2.1.1).
_UNBROKEN = 900
#: RFC 3464 §2.3.3: what has become of the recipient.
_ACTIONS = {
    Result.DELIVERED: "delivered",
    Result.RELAYED: "relayed",
    Result.EXPANDED: "expanded",
    Result.FAILED: "failed",
    Result.DEFERRED: "delayed",
    None: "delayed",
}
#: Where nobody has said anything, by the same.
_UNSAID = {
    "failed": Status(550, "5.0.0", "No reason was given"),
    "delayed": Status(450, "4.0.0", "It has not been tried yet"),
    "delivered": Status(250, "2.0.0", "It is in the mailbox"),
    "relayed": Status(250, "2.0.0", "It was passed on"),
    "expanded": Status(250, "2.0.0", "It was sent to everybody behind that name"),
}


def status_lines(item: Item, errands: Iterable[Errand], host: str, more: Iterable[str] = (), *, utf8: bool = False) -> list[str]:
    """The lines of the report of *host* about *errands* of *item*; *more* is put behind each recipient's.

    *utf8*: for message/global-delivery-status, where addresses may stand as they are; without it all is ASCII.
    """
    errands = tuple(errands)
    lines = []
    if item.wishes.envid:
        lines.append(f"Original-Envelope-Id: {one_line(xtext.decoded(item.wishes.envid))[:_UNBROKEN]}")
    lines.append(f"Reporting-MTA: dns; {one_line(host)}")
    if client := _client(item):
        lines.append(f"Received-From-MTA: dns; {client}")
    lines += [f"Arrival-Date: {date(item.arrived)}", f"X-Queue-ID: {one_line(item.id)}"]
    for errand in errands:
        lines += ["", *_about(item, errand, answer_room(len(errands)), utf8), *more]
    return lines if utf8 else [line.encode("ascii", "replace").decode() for line in lines]


def answer_room(recipients: int) -> int:
    """How many characters of each answer a report about so many *recipients* quotes."""
    return max(SHORTEST_ANSWER, min(LONGEST_ANSWER, ANSWERS // max(recipients, 1)))


def _about(item: Item, errand: Errand, room: int, utf8: bool) -> list[str]:
    """RFC 3464 §2.3, in its order."""
    target, (host, status) = errand.target, speaker(status_of(errand), errand.host)
    lines = []
    if errand.orcpt:
        lines.append(f"Original-Recipient: {_original(errand.orcpt, utf8)}"[:_UNBROKEN])
    lines += [f"Final-Recipient: {_typed(target.address, utf8)}", f"Action: {action(errand)}", f"Status: {enhanced(status)}"]
    remote = server_in(host) if target.kind is Kind.REMOTE else ""
    if remote:
        lines.append(f"Remote-MTA: dns; {_as_name(remote)}")
    lines += _folded(f"Diagnostic-Code: {'smtp' if remote else 'x-twistmail'}; {one_line(str(status)[: 2 * room])}", room)
    if errand.tried:
        lines.append(f"Last-Attempt-Date: {date(errand.tried)}")
    if errand.result is Result.DELIVERED:
        lines.append(f"Final-Log-ID: {one_line(item.id)}")
    return lines


def _as_name(server: str) -> str:
    """The name of a server, which may be an address: then in brackets (RFC 5321 §4.1.3)."""
    try:
        return f"[{'IPv6:' if ip_address(server).version == 6 else ''}{server}]"
    except ValueError:
        return one_line(server)


def _client(item: Item) -> str:
    """Who gave us the message, as our own Received field says (RFC 3464 §2.2.4); empty where it was a user, or is not known."""
    match = _FROM.match(first(item.prefix, b"received") or b"") if not item.account else None
    return f"{one_line(match[1].decode('utf-8', 'replace'))} ({one_line(match[2].decode())})" if match else ""


def _original(orcpt: str, utf8: bool) -> str:
    """RFC 3461 §6.3 (d). An address that is not ASCII and has no type for it is shown by its xtext."""
    kind, address = xtext.original_recipient(orcpt)
    if not _TYPE.fullmatch(kind):
        return f"unknown; {one_line(orcpt)}"
    address = one_line(address)
    if not address.isascii() and not (utf8 and kind == "utf-8"):
        address = xtext.to_unitext(address) if kind == "utf-8" else one_line(orcpt.partition(";")[2])
    return f"{kind}; {address}"


def _typed(address: Address, utf8: bool) -> str:
    """An address with its type: RFC 3464 §2.1.2, and RFC 6533 §3 (in its 7-bit form, where it must be) where it is not ASCII."""
    text = one_line(str(address))
    if text.isascii():
        return f"rfc822; {text}"
    return "utf-8; " + (text if utf8 else xtext.to_unitext(text))


def action(errand: Errand) -> str:
    """What has become of *errand*, in the word of RFC 3464 §2.3.3."""
    return _ACTIONS[errand.result]


def status_of(errand: Errand) -> Status:
    """What was said last about *errand*, or what stands for nothing at all; never of another kind than what has become of it."""
    unsaid = _UNSAID[action(errand)]
    if errand.status is None or errand.result is None:
        return unsaid
    return errand.status


def enhanced(status: Status) -> str:
    """The enhanced code (RFC 3463) of *status*."""
    return status.enhanced or f"{str(status.code)[0]}.0.0"


def one_line(text: str) -> str:
    """One line, whatever it was before: what others said must not start fields of its own."""
    return _CONTROLS.sub(" ", text).strip() or "-"


def _folded(field: str, room: int) -> list[str]:
    """*field* in lines, as much as there is *room* for; words are left whole where that can be."""
    field = field[:room]
    has_long_words = max(map(len, field.split()), default=0) > _UNBROKEN
    return wrap(field, 76, subsequent_indent=" ", break_on_hyphens=False, break_long_words=has_long_words)
