"""message/delivery-status: what a delivery report tells programs (RFC 3464 §2, RFC 3461 §6.3, RFC 6533 §4.1).

Fields about the message, then a block of fields for each recipient. Lines of
text; the MIME part around them is the business of `bounce`. Everything that
others have said passes `one_line` first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from textwrap import wrap

from twistmail.mail import xtext
from twistmail.mail.address import Address
from twistmail.mail.envelope import Kind
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Result
from twistmail.mail.status import Status
from twistmail.mail.trace import date

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_TYPE = re.compile(r"[a-z0-9\-]{1,40}")
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
    lines = []
    if item.wishes.envid:
        lines += _folded(f"Original-Envelope-Id: {one_line(xtext.decoded(item.wishes.envid))}")
    lines += [f"Reporting-MTA: dns; {one_line(host)}", f"X-Queue-ID: {one_line(item.id)}", f"Arrival-Date: {date(item.arrived)}"]
    for errand in errands:
        lines += ["", *_about(errand, utf8), *more]
    return lines if utf8 else [line.encode("ascii", "replace").decode() for line in lines]


def _about(errand: Errand, utf8: bool) -> list[str]:
    target, status = errand.target, status_of(errand)
    lines = []
    if errand.orcpt:
        lines += _folded(f"Original-Recipient: {_original(errand.orcpt, utf8)}")
    lines += [f"Final-Recipient: {_typed(target.address, utf8)}", f"Action: {action(errand)}", f"Status: {enhanced(status)}"]
    remote = target.kind is Kind.REMOTE and errand.host
    if remote:
        lines.append(f"Remote-MTA: dns; {one_line(errand.host).split()[0]}")
    return lines + _folded(f"Diagnostic-Code: {'smtp' if remote else 'x-twistmail'}; {one_line(str(status))}")


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


def _folded(field: str) -> list[str]:
    return wrap(field[:4000], 76, subsequent_indent=" ", break_on_hyphens=False)
