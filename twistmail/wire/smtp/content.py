"""One content as DATA or BDAT brings it: measured, judged; consumed to its true end whatever is wrong with it."""

from __future__ import annotations

from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.wire.dotted import BareNewline, Unstuffer

BARE_NEWLINE = Status(550, "5.6.11", "The message has a bare <CR> or <LF>; lines end with <CR><LF>")
TOO_BIG = Status(552, "5.3.4", "The message is too big for this system")
HEADER_TOO_BIG = Status(552, "5.3.4", "The header of the message is too big for this system")


#: What a wire speaks that was told nothing: RFC 5321 with the extensions that need no more than the wire itself.
BASIC = frozenset({"PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "STARTTLS", "AUTH"})


@frozen
class Limits:
    """What a server wire admits. Sizes in octets; `message` None: unlimited (spec limits.md).

    `extensions`: EHLO keywords; commands and parameters of others are not known. `lmtp`: LHLO, and an answer per recipient (RFC 2033).
    `bare_names`: addresses may come without a domain (RFC 6409 §4.2 leaves it to us to complete them).
    `in_step`: who does not wait for an answer where RFC 2920 §3.1 demands it is sent away.
    `lone_lf`: who ends all lines with a bare LF is understood (`wire.typed`).
    """

    command_line: int = 2048
    auth_line: int = 12_288
    discarded: int = 64 * 1024  # of an endless line, before we close
    message: int | None = 36_700_160
    header: int = 1024 * 1024
    header_lines: int = 1000
    bare_newline: BareNewline = BareNewline.REJECT
    extensions: frozenset[str] = BASIC
    lmtp: bool = False
    bare_names: bool = False
    in_step: bool = False
    lone_lf: bool = False


class Meter:
    """Measures one content however it comes, and says what is wrong with it, once: `fault`."""

    __slots__ = ("_header_lines", "_header_size", "_in_header", "_limits", "_tail", "fault")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._in_header = True
        self._header_size = 0
        self._header_lines = 0
        self._tail = b"\r\n"  # an empty first line ends a header of nothing
        self.fault: Status | None = None

    def measure(self, content: bytes, size: int, *, has_bare_newline: bool) -> bytes:
        """*content*, the next piece of now *size* octets in all; nothing any more once there is a fault."""
        limits = self._limits
        if self.fault is not None:
            return b""
        if limits.message is not None and size > limits.message:
            self.fault = TOO_BIG
        elif has_bare_newline and limits.bare_newline is BareNewline.REJECT:
            self.fault = BARE_NEWLINE
        elif self._in_header and content:
            self._measure_header(content)
        return b"" if self.fault else content

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


class ContentReader:
    """DATA: takes wire octets, hands out content, dots undone. After `ended`, `rest` holds what follows and `fault` what is wrong."""

    __slots__ = ("_meter", "_unstuffer", "ended")

    def __init__(self, limits: Limits) -> None:
        self._unstuffer = Unstuffer(limits.bare_newline)
        self._meter = Meter(limits)
        self.ended = False

    @property
    def rest(self) -> bytes:
        return self._unstuffer.rest

    @property
    def size(self) -> int:
        return self._unstuffer.size

    @property
    def fault(self) -> Status | None:
        return self._meter.fault

    def feed(self, data: bytes) -> bytes:
        """The content in *data* as far as it is certain; nothing any more once there is a fault."""
        unstuffer = self._unstuffer
        content = unstuffer.feed(data)
        self.ended = unstuffer.ended
        return self._meter.measure(content, unstuffer.size, has_bare_newline=unstuffer.has_bare_newline)


class ChunkReader:
    """BDAT: one content in chunks of announced sizes (RFC 3030). `begin` each chunk, `feed` what comes until `left` is 0.

    *binary* (BODY=BINARYMIME): octets of any kind. Else it is text, and a bare CR or LF is treated as in DATA; a CR at the end
    of a piece is held back until what follows it is known.
    """

    __slots__ = ("_binary", "_held", "_is_last", "_meter", "_normalize", "left", "size")

    def __init__(self, limits: Limits, *, binary: bool) -> None:
        self._binary = binary
        self._normalize = limits.bare_newline is BareNewline.NORMALIZE
        self._meter = Meter(limits)
        self._held = b""
        self._is_last = False
        self.left = 0
        self.size = 0

    @property
    def fault(self) -> Status | None:
        return self._meter.fault

    def begin(self, octets: int, *, last: bool) -> None:
        """A chunk of so many *octets* follows."""
        self.left = octets
        self._is_last = last

    def feed(self, data: bytes) -> bytes:
        """The content in *data*, at most `left` octets of the present chunk; nothing any more once there is a fault."""
        self.left -= len(data)
        content, bare = (data, False) if self._binary else self._as_text(data)
        self.size += len(content)
        return self._meter.measure(content, self.size, has_bare_newline=bare)

    def _as_text(self, data: bytes) -> tuple[bytes, bool]:
        content = self._held + data
        self._held = b""
        if content.endswith(b"\r") and not (self._is_last and not self.left):
            content, self._held = content[:-1], b"\r"
        if content.replace(b"\r", b"").replace(b"\n", b"\r\n") == content:
            return content, False
        if self._normalize:
            content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
        return content, True
