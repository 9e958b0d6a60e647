"""How a reply is spelled (RFC 5321 §4.2, RFC 2034)."""

from __future__ import annotations

import re

from twistmail.mail.status import Status
from twistmail.mail.values import frozen

#: RFC 5321 §4.5.3.1.5 allows 512 octets with code and CRLF.
LONGEST_TEXT = 480

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@frozen
class Reply:
    """A reply with a list behind its first line, as EHLO gives: `lines` come without enhanced codes."""

    status: Status
    lines: tuple[str, ...] = ()


@frozen
class Replies:
    """One reply for each accepted recipient, in their order (RFC 2033 §4.2)."""

    statuses: tuple[Status, ...]

    @property
    def status(self) -> Status:
        """What they amount to: the best of them."""
        return min(self.statuses, key=lambda status: status.code)


@frozen
class Utf8Reply:
    """A reply to somebody who has said that he reads UTF-8 (RFC 6531 §3.7.4.2)."""

    status: Status


def render(reply: Status | Reply | Replies | Utf8Reply) -> bytes:
    """The octets of *reply*. Line feeds divide lines; what cannot be shown to its reader becomes a question mark."""
    if isinstance(reply, Replies):
        return b"".join(map(render, reply.statuses))
    if isinstance(reply, Utf8Reply):
        return _rendered(reply.status, (), _CONTROL).encode()
    status = reply if isinstance(reply, Status) else reply.status
    text = status.text
    if text.isascii() and text.isprintable() and len(text) <= LONGEST_TEXT and status is reply:
        return (f"{status.code} {status.enhanced} {text}\r\n" if status.enhanced else f"{status.code} {text}\r\n").encode("ascii")
    return _rendered(status, reply.lines if isinstance(reply, Reply) else (), _UNPRINTABLE).encode("ascii")


def _rendered(status: Status, more: tuple[str, ...], unwanted: re.Pattern[str]) -> str:
    prefix = status.enhanced + " " if status.enhanced else ""
    lines = [unwanted.sub("?", line)[:LONGEST_TEXT] for line in [*(prefix + line for line in status.text.split("\n")), *more]]
    return "".join([*(f"{status.code}-{line}\r\n" for line in lines[:-1]), f"{status.code} {lines[-1]}\r\n"])
