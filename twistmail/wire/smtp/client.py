"""The client's side of SMTP: commands to bytes, bytes to replies (RFC 5321 §4.2). Pure.

What to say when, and what a reply means for a message, is `relay/exchange.py`.
Replies are Tells: the client decides by itself what it expects, and after how
many commands it waits.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from typing import Any

from twistmail.mail.address import Address
from twistmail.mail.status import Status
from twistmail.wire.buffer import Buffer, LineTooLong
from twistmail.wire.contract import NEED_DATA, FramingError, LocalProtocolError, PeerGone, Signal, Tell, Wants
from twistmail.wire.dotted import Stuffer

#: RFC 5321 §4.5.3.1.5 says 512 octets; servers with long sentences get some more.
LONGEST_LINE = 2048
MOST_LINES = 128
#: Of a reply's text, what is kept in a Status (octets of UTF-8 may be some more).
LONGEST_TEXT = 1000

_REPLY = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: +|$)")
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Reply(Tell):
    """One whole reply. `lines` are the texts behind the code, without line ends."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def is_positive(self) -> bool:
        """2xx, or 3xx where more is expected of us."""
        return self.code < 400


@dataclass(frozen=True, slots=True)
class Garbled(Tell):
    """What came is no SMTP reply: the connection is of no more use. `said` is its beginning."""

    said: bytes


def status_of(reply: Reply) -> Status:
    """*reply* as the status that it is. RFC 2034 §4 puts the enhanced code before each line; X.0.0 where there is none."""
    lines = [_CONTROLS.sub("?", line.decode("utf-8", "replace")) for line in reply.lines]
    first_digit = str(reply.code)[0]
    enhanced = f"{first_digit}.0.0"
    if (match := _ENHANCED.match(lines[0])) and match[1][0] == first_digit:
        enhanced = match[1]
        lines = [line.removeprefix(enhanced).lstrip(" ") for line in lines]
    return Status(reply.code, enhanced, "\n".join(lines)[:LONGEST_TEXT])


# ----- what we say ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Command:
    """One line without its CRLF. `said` is what a transcript may show of it, where that is less."""

    line: bytes
    said: bytes = b""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of content, CRLF line ends; dots are stuffed on the way."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ContentEnd:
    """The end of the content: CRLF.CRLF."""


def ehlo(name: str) -> Command:
    return Command(b"EHLO " + name.encode())


def helo(name: str) -> Command:
    return Command(b"HELO " + name.encode())


def mail(sender: Address | None, parameters: tuple[str, ...] = ()) -> Command:
    """MAIL with ESMTP parameters as they are written (`SIZE=1000`)."""
    path = bytes(sender) if sender else b""
    return Command(b" ".join([b"MAIL FROM:<%b>" % path, *(parameter.encode() for parameter in parameters)]))


def rcpt(recipient: Address, parameters: tuple[str, ...] = ()) -> Command:
    """RCPT with ESMTP parameters as they are written (`NOTIFY=NEVER`)."""
    return Command(b" ".join([b"RCPT TO:<%b>" % bytes(recipient), *(parameter.encode() for parameter in parameters)]))


def auth(mechanism: str, initial: bytes | None = None) -> Command:
    """AUTH with an initial response (RFC 4954 §4), which is base64 on the wire."""
    line = b"AUTH " + mechanism.encode()
    return Command(line if initial is None else line + b" " + _base64(initial), line)


def auth_response(data: bytes) -> Command:
    return Command(_base64(data), b"(a secret)")


STARTTLS, DATA, RSET, QUIT = Command(b"STARTTLS"), Command(b"DATA"), Command(b"RSET"), Command(b"QUIT")


def _base64(data: bytes) -> bytes:
    return binascii.b2a_base64(data, newline=False)


# ----- the wire ---------------------------------------------------------------


class SmtpClient:
    """Implements `wire.contract.Wire` for our side of a connection to a server."""

    wants = Wants.NOTHING

    def __init__(self) -> None:
        self._buffer = Buffer()
        self._code = b""
        self._lines: list[bytes] = []
        self._stuffer: Stuffer | None = None
        self._said = b""
        self._gone = False
        self._broken = False

    @property
    def buffered(self) -> int:
        return len(self._buffer)

    @property
    def in_content(self) -> bool:
        return self._stuffer is not None

    def receive_bytes(self, data: bytes) -> None:
        if not self._broken:
            self._buffer.feed(data)

    def receive_eof(self) -> None:
        self._gone = True

    def next_event(self) -> Reply | Garbled | PeerGone | Signal:
        try:
            while not self._broken and (line := self._buffer.line(LONGEST_LINE)) is not None:
                if reply := self._take(line):
                    return reply
        except LineTooLong:
            return self._break(b"(a line without an end)")
        except FramingError as error:
            return self._break(error.args[0])
        return PeerGone() if self._gone else NEED_DATA

    def _take(self, line: bytes) -> Reply | None:
        """One line more; the reply where it is the last one. All lines of a reply have one code (RFC 5321 §4.2.1)."""
        match = _REPLY.fullmatch(line)
        if not match or (self._lines and match[1] != self._code):
            raise FramingError(line[:200])
        self._code = match[1]
        self._lines.append(match[3] or b"")
        if match[2] == b"-":
            if len(self._lines) >= MOST_LINES:
                raise FramingError(b"(a reply without an end)")
            return None
        self._said = line
        reply = Reply(int(self._code), tuple(self._lines))
        self._lines = []
        return reply

    def _break(self, said: bytes) -> Garbled:
        self._broken = True
        self._buffer.clear()
        self._said = said
        self.wants = Wants.CLOSE
        return Garbled(said)

    def send(self, response: Any) -> bytes:
        """The octets of a Command, Chunk or ContentEnd. LocalProtocolError where a command holds a line end or is in content."""
        match response:
            case Command(line, said):
                if b"\r" in line or b"\n" in line or b"\0" in line:
                    raise LocalProtocolError("a command is one line")
                if self._stuffer is not None:
                    raise LocalProtocolError("the content has not ended")
                self._said = said or line
                return line + b"\r\n"
            case Chunk(data):
                if self._stuffer is None:
                    self._stuffer = Stuffer()
                return self._stuffer.feed(data)
            case ContentEnd():
                stuffer, self._stuffer = self._stuffer or Stuffer(), None
                return stuffer.finish()
        raise LocalProtocolError(f"{response!r} is nothing that an SMTP client says")

    def tls_started(self) -> None:
        """RFC 3207 §4.2: what was said in clear is forgotten."""
        self._buffer.clear()
        self._lines = []

    def said(self) -> bytes:
        return self._said
