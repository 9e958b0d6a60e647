"""One content as DATA brings it: dots undone, measured, judged; consumed to its true end whatever is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

from twistmail.mail.status import Status
from twistmail.wire.dotted import BareNewline, Unstuffer

BARE_NEWLINE = Status(550, "5.6.11", "The message has a bare <CR> or <LF>; lines end with <CR><LF>")
TOO_BIG = Status(552, "5.3.4", "The message is too big for this system")
HEADER_TOO_BIG = Status(552, "5.3.4", "The header of the message is too big for this system")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server wire admits. Sizes in octets; `message` None: unlimited (spec limits.md)."""

    command_line: int = 2048
    auth_line: int = 12_288
    discarded: int = 64 * 1024  # of an endless line, before we close
    message: int | None = 36_700_160
    header: int = 1024 * 1024
    header_lines: int = 1000
    bare_newline: BareNewline = BareNewline.REJECT


class ContentReader:
    """Takes wire octets, hands out content. After `ended`, `rest` holds what follows and `fault` what is wrong, if anything."""

    __slots__ = ("_header_lines", "_header_size", "_in_header", "_limits", "_tail", "_unstuffer", "fault")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._unstuffer = Unstuffer(limits.bare_newline)
        self._in_header = True
        self._header_size = 0
        self._header_lines = 0
        self._tail = b"\r\n"  # an empty first line ends a header of nothing
        self.fault: Status | None = None

    @property
    def ended(self) -> bool:
        return self._unstuffer.ended

    @property
    def rest(self) -> bytes:
        return self._unstuffer.rest

    @property
    def size(self) -> int:
        return self._unstuffer.size

    def feed(self, data: bytes) -> bytes:
        """The content in *data* as far as it is certain; nothing any more once there is a fault."""
        content = self._unstuffer.feed(data)
        if self.fault is None:
            self._judge(content)
        return b"" if self.fault else content

    def _judge(self, content: bytes) -> None:
        limits = self._limits
        if limits.message is not None and self.size > limits.message:
            self.fault = TOO_BIG
        elif self._unstuffer.has_bare_newline and limits.bare_newline is BareNewline.REJECT:
            self.fault = BARE_NEWLINE
        elif self._in_header and content:
            self._measure_header(content)

    def _measure_header(self, content: bytes) -> None:
        joined = self._tail + content
        end = joined.find(b"\r\n\r\n")
        header = content if end < 0 else joined[len(self._tail) : end + 2]
        self._header_size += len(header)
        self._header_lines += header.count(b"\n")
        self._in_header = end < 0
        self._tail = joined[-3:]
        if self._header_size > self._limits.header or self._header_lines > self._limits.header_lines:
            self.fault = HEADER_TOO_BIG
