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
    if isinstance(reply, Status):
        text = reply.text
        if text.isascii() and text.isprintable() and len(text) <= LONGEST_TEXT:  # one line, as most are
            return (f"{reply.code} {reply.enhanced} {text}\r\n" if reply.enhanced else f"{reply.code} {text}\r\n").encode("ascii")
        return _rendered(reply, (), _UNPRINTABLE).encode("ascii")
    if isinstance(reply, Reply):
        return _rendered(reply.status, reply.lines, _UNPRINTABLE).encode("ascii")
    if isinstance(reply, Utf8Reply):
        return _rendered(reply.status, (), _CONTROL).encode()
    return b"".join(map(render, reply.statuses))


def _rendered(status: Status, more: tuple[str, ...], unwanted: re.Pattern[str]) -> str:
    prefix = status.enhanced + " " if status.enhanced else ""
    lines = [unwanted.sub("?", line)[:LONGEST_TEXT] for line in [*(prefix + line for line in status.text.split("\n")), *more]]
    return "".join([*(f"{status.code}-{line}\r\n" for line in lines[:-1]), f"{status.code} {lines[-1]}\r\n"])
