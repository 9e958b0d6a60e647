"""The client's side of SMTP: commands to bytes, bytes to replies (RFC 5321 §4.2). Pure.

What to say when, and what a reply means for a message, is `relay/exchange.py`.
Replies are Tells: the client decides by itself what it expects, and after how
many commands it waits. How many replies the server owes us is counted here, because
commands are matched with replies by counting alone (RFC 2920 §3.1): `owed`.

Lines of replies may end with a bare LF: some devices do that, and it can do no harm
where each reply beyond what is owed is found out.
"""

from __future__ import annotations

import binascii
import re
from typing import Any

from twistmail.mail.address import Address
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.wire.contract import NEED_DATA, FramingError, LocalProtocolError, PeerGone, Signal, Tell, Wants
from twistmail.wire.dotted import Stuffer

#: RFC 5321 §4.5.3.1.5 says 512 octets; servers with long sentences get some more.
LONGEST_LINE = 2048
MOST_LINES = 128
#: Of a reply's text, what is kept in a Status (octets of UTF-8 may be some more).
LONGEST_TEXT = 1000
#: Of what is no reply, what people see of it.
LONGEST_SHOWN = 80

_REPLY = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: +|$)")
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


@frozen
class Reply(Tell):
    """One whole reply. `lines` are the texts behind the code, without line ends."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def is_positive(self) -> bool:
        """2xx, or 3xx where more is expected of us."""
        return self.code < 400


@frozen
class Garbled(Tell):
    """What came is no SMTP reply: the connection is of no more use. `said` is its beginning."""

    said: bytes


def shown(said: bytes) -> str:
    """The beginning of what a server said, as people may see it."""
    text = _CONTROLS.sub("?", said[:LONGEST_SHOWN].decode("utf-8", "replace"))
    return text + "..." if len(said) > LONGEST_SHOWN else text


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


@frozen
class Command:
    """One line without its CRLF. `said` is what a transcript may show of it, where that is less.

    `octets`: how many follow it as Octets. `replies`: see ContentEnd.
    """

    line: bytes
    said: bytes = b""
    octets: int = 0
    replies: int = 1


@frozen
class Chunk:
    """A piece of content, CRLF line ends; dots are stuffed on the way."""

    data: bytes


@frozen
class ContentEnd:
    """The end of the content: CRLF.CRLF. `replies`: of how many recipients each is answered by itself (RFC 2033 §4.2), else 1."""

    replies: int = 1


@frozen
class Octets:
    """A piece of what a BDAT command has announced (RFC 3030 §2), as it is. No more than announced."""

    data: bytes


def ehlo(name: str) -> Command:
    return Command(b"EHLO " + name.encode())


def helo(name: str) -> Command:
    return Command(b"HELO " + name.encode())


def lhlo(name: str) -> Command:
    """EHLO of LMTP (RFC 2033 §4.1)."""
    return Command(b"LHLO " + name.encode())


def mail(sender: Address | None, parameters: tuple[str, ...] = ()) -> Command:
    """MAIL with ESMTP parameters as they are written (`SIZE=1000`)."""
    path = bytes(sender) if sender else b""
    return Command(b" ".join([b"MAIL FROM:<%b>" % path, *(parameter.encode() for parameter in parameters)]))


def rcpt(recipient: Address, parameters: tuple[str, ...] = ()) -> Command:
    """RCPT with ESMTP parameters as they are written (`NOTIFY=NEVER`)."""
    return Command(b" ".join([b"RCPT TO:<%b>" % bytes(recipient), *(parameter.encode() for parameter in parameters)]))


def bdat(size: int, replies: int = 1) -> Command:
    """BDAT (RFC 3030 §2): all of the content, *size* octets, follows as Octets, and only when it has gone the next command."""
    return Command(b"BDAT %d LAST" % size, octets=size, replies=replies)


def auth(mechanism: str, initial: bytes | None = None) -> Command:
    """AUTH with an initial response (RFC 4954 §4), which is base64 on the wire."""
    line = b"AUTH " + mechanism.encode()
    return Command(line if initial is None else line + b" " + _base64(initial), line)


def auth_response(data: bytes) -> Command:
    return Command(_base64(data), b"(a secret)")


AUTH_CANCEL = Command(b"*")
STARTTLS, DATA, RSET, QUIT = Command(b"STARTTLS"), Command(b"DATA"), Command(b"RSET"), Command(b"QUIT")


def _base64(data: bytes) -> bytes:
    return binascii.b2a_base64(data, newline=False)


# ----- the wire ---------------------------------------------------------------


class SmtpClient:
    """Implements `wire.contract.Wire` for our side of a connection to a server.

    `owed`: the replies that the server has still to give; a greeting, to begin with. Less than 0: it has said something unasked.
    """

    wants: Wants | None = None

    def __init__(self) -> None:
        self.owed = 1
        self._buffer = bytearray()
        self._searched = 0
        self._code = b""
        self._lines: list[bytes] = []
        self._stuffer: Stuffer | None = None
        self._announced = 0  # octets of a BDAT that are still to be sent; when they have been, it is to be answered
        self._then_owed = 0
        self._said = b""
        self._gone = False
        self._broken = False

    @property
    def buffered(self) -> int:
        return len(self._buffer)

    @property
    def in_content(self) -> bool:
        return self._stuffer is not None or self._announced > 0

    def receive_bytes(self, data: bytes) -> None:
        if not self._broken:
            self._buffer += data

    def receive_eof(self) -> None:
        self._gone = True

    def next_event(self) -> Reply | Garbled | PeerGone | Signal:
        try:
            while (line := self._line()) is not None:
                if reply := self._take(line):
                    return reply
            if self._gone and (cut := self._cut_off()):
                return cut
        except FramingError as error:
            return self._break(error.args[0])
        return PeerGone() if self._gone else NEED_DATA

    def _line(self) -> bytes | None:
        """The next line without its end, where it has all come."""
        buffer = self._buffer
        end = buffer.find(b"\n", self._searched)
        if end > LONGEST_LINE + 1 or (end < 0 and len(buffer) > LONGEST_LINE + 1):
            raise FramingError(b"(a line without an end)")
        self._searched = len(buffer) if end < 0 else 0
        if end < 0:
            return None
        line = bytes(buffer[:end])
        del buffer[: end + 1]
        return line[:-1] if line.endswith(b"\r") else line

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
        return self._reply()

    def _reply(self) -> Reply:
        reply = Reply(int(self._code), tuple(self._lines))
        self._lines = []
        self.owed -= 1
        return reply

    def _cut_off(self) -> Reply | None:
        """What was being said when the connection broke counts as soon as its code is known: who has begun to say that he has
        taken a message has taken it, and would get it twice (RFC 1047)."""
        line, self._buffer = bytes(self._buffer).removesuffix(b"\r"), bytearray()
        match = _REPLY.fullmatch(line)
        if match and match[2] and (not self._lines or match[1] == self._code):
            self._code = match[1]
            self._lines.append(match[3])
        if not self._lines:
            return None
        self._said = line
        return self._reply()

    def _break(self, said: bytes) -> Garbled:
        self._broken = True
        self._buffer.clear()
        self._lines = []
        self._said = said
        self.wants = Wants.CLOSE
        return Garbled(said)

    def send(self, response: Any) -> bytes:
        """The octets of a Command, Chunk, ContentEnd or Octets. LocalProtocolError where a command holds a line end or is in
        content, and where there are more Octets than announced."""
        match response:
            case Command():
                return self._command(response)
            case Chunk(data):
                if self._stuffer is None:
                    self._stuffer = Stuffer()
                return self._stuffer.feed(data)
            case ContentEnd(replies):
                stuffer, self._stuffer = self._stuffer or Stuffer(), None
                self.owed += replies
                return stuffer.finish()
            case Octets(data):
                if len(data) > self._announced:
                    raise LocalProtocolError("more octets than were announced")
                if not data:
                    return b""
                self._announced -= len(data)
                if not self._announced:
                    self.owed += self._then_owed
                return data
        raise LocalProtocolError(f"{response!r} is nothing that an SMTP client says")

    def _command(self, command: Command) -> bytes:
        line = command.line
        if b"\r" in line or b"\n" in line or b"\0" in line:
            raise LocalProtocolError("a command is one line")
        if self.in_content:
            raise LocalProtocolError("the content has not ended")
        self._said, self._announced, self._then_owed = command.said or line, command.octets, command.replies
        if not command.octets:
            self.owed += command.replies
        return line + b"\r\n"

    def tls_started(self) -> None:
        """RFC 3207 §4.2: what was said in clear is forgotten."""
        self._buffer.clear()
        self._searched = 0
        self._lines = []
        self.owed = max(self.owed, 0)

    def said(self) -> bytes:
        return self._said
