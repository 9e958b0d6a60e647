"""How a reply is spelled (RFC 5321 §4.2, RFC 2034)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from twistmail.mail.status import Status

#: RFC 5321 §4.5.3.1.5 allows 512 octets with code and CRLF.
LONGEST_TEXT = 480

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply with a list behind its first line, as EHLO gives: `lines` come without enhanced codes."""

    status: Status
    lines: tuple[str, ...] = ()


def render(reply: Status | Reply) -> bytes:
    """The octets of *reply*. Line feeds divide lines; whatever is not printable ASCII becomes a question mark."""
    status = reply if isinstance(reply, Status) else reply.status
    text = status.text
    if text.isascii() and text.isprintable() and len(text) <= LONGEST_TEXT and status is reply:
        return (f"{status.code} {status.enhanced} {text}\r\n" if status.enhanced else f"{status.code} {text}\r\n").encode("ascii")
    prefix = status.enhanced + " " if status.enhanced else ""
    lines = [prefix + line for line in text.split("\n")]
    if isinstance(reply, Reply):
        lines.extend(reply.lines)
    plain = [_UNPRINTABLE.sub("?", line)[:LONGEST_TEXT] for line in lines]
    return "".join([*(f"{status.code}-{line}\r\n" for line in plain[:-1]), f"{status.code} {plain[-1]}\r\n"]).encode("ascii")
