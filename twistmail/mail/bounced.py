"""Reads what other servers say of mail of ours: whether it came back, and why. The other side of `bounce`.

A delivery report (RFC 3464, RFC 6533) says so field by field; older servers say it in words of their own, and are known by
who writes. Answers of people's programs are neither. Pure; one look at what is given, which should be the beginning only.
"""

from __future__ import annotations

import re

from twistmail.mail.deliverystatus import one_line
from twistmail.mail.headers import first
from twistmail.mail.values import frozen

#: Octets of a report that are looked at.
MOST = 64 * 1024
_STATUS_PART = re.compile(rb"content-type:[ \t]*message/(?:global-)?delivery-status", re.IGNORECASE)
_FIELD = re.compile(rb"^(action|status|diagnostic-code):[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_SYSTEM = re.compile(rb"\b(?:mailer-daemon|postmaster|mail delivery (?:sub)?system)\b", re.IGNORECASE)
#: An enhanced code in the words of a server that writes no delivery report; no piece of a longer number.
_CODE = re.compile(rb"(?<![\d.])5\.\d{1,3}\.\d{1,3}(?!\.?\d)")
#: What says of an address that it takes no mail (RFC 3463 §3.2 to §3.5): the address, its mailbox, the way to it.
_OF_ADDRESS = ("1.", "2.", "4.")
#: And what says of the message, in the same rows, that it is too long, or that its sender's address is wrong.
_OF_MESSAGE = frozenset({"2.3", "1.7", "1.8"})
_LONGEST_WHY = 200


@frozen
class CameBack:
    """The message was given up. `status`: the enhanced code (RFC 3463), where it is told; `why`: the server's words."""

    status: str = ""
    why: str = ""

    @property
    def is_about_address(self) -> bool:
        """Whether other messages would not reach it either; what a server has against this message, or its sender, says nothing of that."""
        subject = self.status.partition(".")[2]  # the class only says whether it was tried for days
        return subject.startswith(_OF_ADDRESS) and subject not in _OF_MESSAGE

    def __str__(self) -> str:
        return f"{self.status} {self.why}".strip() or "the report says no reason"


def read(header: bytes, body: bytes) -> CameBack | None:
    """What the report with this *header* and the beginning of this *body* says; None where nothing has come back for good.

    Such are warnings of a delay, good news, and answers of programs and people.
    """
    part = _STATUS_PART.search(body)
    if part is not None:
        return _of_fields(body[part.end() :])
    submitted = (first(header, b"auto-submitted") or b"").lower()
    if first(header, b"x-failed-recipients") is None and (submitted.startswith(b"auto-replied") or not _is_of_a_server(header)):
        return None
    subject = (first(header, b"subject") or b"").lower()
    if b"warning" in subject or b"delay" in subject:
        return None
    code = _CODE.search(body)
    return CameBack(code[0].decode() if code is not None else "")


def _is_of_a_server(header: bytes) -> bool:
    return _SYSTEM.search(first(header, b"from") or b"") is not None


def _of_fields(text: bytes) -> CameBack | None:
    """RFC 3464 §2.3: the fields of each recipient; the boundary of the next part ends them."""
    end = text.find(b"\n--")
    found: dict[bytes, bytes] = {}
    failed = False
    for match in _FIELD.finditer(text, 0, len(text) if end < 0 else end):
        name, value = match[1].lower(), match[2].strip()
        failed = failed or (name == b"action" and value.lower().startswith(b"failed"))
        found[name] = value
    if not failed:
        return None
    diagnostic = found.get(b"diagnostic-code", b"").partition(b";")[2].strip().decode("utf-8", "replace")
    why = one_line(diagnostic)[:_LONGEST_WHY] if diagnostic else ""
    return CameBack(found.get(b"status", b"").decode("ascii", "replace")[:9], why)
