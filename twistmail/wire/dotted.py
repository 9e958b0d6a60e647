"""Dot-stuffed content (RFC 5321 §4.5.2, RFC 1939 §3), both directions, in chunks of any size.

`Unstuffer` finds the one true end of data, CRLF.CRLF, undoes the dots and
reports bare CR and LF, which never end anything here (spec: framing error never
changes the mode). `Stuffer` is the state machine the other way; RETR, TOP and
the relay share it. Both look at whole chunks with C-speed searches, never at
single octets.
"""

from __future__ import annotations

from enum import Enum

END = b"\r\n.\r\n"


class BareNewline(Enum):
    """What to do with a CR or LF that is not part of a CRLF."""

    REJECT = "reject"
    NORMALIZE = "normalize"


class Unstuffer:
    """Takes wire octets of one content; hands out the content with the dots undone, CRLF line ends kept.

    After `ended` is True, `rest` holds the octets behind the end of data. `has_bare_newline` tells whether a CR or LF
    stood alone anywhere; with NORMALIZE each such one has become a CRLF on the way.
    """

    __slots__ = ("_held", "_normalize", "_tail", "ended", "has_bare_newline", "rest", "size")

    def __init__(self, bare_newline: BareNewline = BareNewline.REJECT) -> None:
        self._held = b"\r\n"  # as if a line had just ended: a dot may stand first
        self._normalize = bare_newline is BareNewline.NORMALIZE
        self._tail = True  # _held is the imagined line end: not content
        self.ended = False
        self.rest = b""
        self.has_bare_newline = False
        self.size = 0

    def feed(self, data: bytes) -> bytes:
        """The content in *data*, as far as it is certain; up to four octets are held back for the next call."""
        data = self._held + data
        imagined = 2 if self._tail else 0
        dot = data.find(b"\r\n.")
        end = data.find(END, dot) if dot >= 0 else -1
        if end >= 0:
            self.ended = True
            self.rest = data[end + len(END) :]
            data = data[: end + 2]  # with the CRLF that ends the last line
            self._held = b""
        else:
            keep = _undecided(data)
            self._held = data[len(data) - keep :]
            data = data[: len(data) - keep]
            if len(data) < imagined:  # nothing but the imagined line end and the start of something
                self._held = data + self._held
                return b""
        if 0 <= dot != end:
            data = data.replace(b"\r\n.", b"\r\n")
        content = data[imagined:]
        self._tail = False
        return self._counted(content)

    def _counted(self, content: bytes) -> bytes:
        if content.replace(b"\r", b"").replace(b"\n", b"\r\n") != content:  # four times as fast as counting pairs
            self.has_bare_newline = True
            if self._normalize:
                content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
        self.size += len(content)
        return content


def _undecided(data: bytes) -> int:
    """How many octets at the end may begin CRLF.CRLF, CRLF. or CRLF."""
    for length in (4, 3, 2, 1):
        if data.endswith(END[:length]):
            return length
    return 0


class Stuffer:
    """Takes content; hands out wire octets. Line ends must be CRLF already.

    `finish()` gives the end of data, with the CRLF that RFC 5321 §4.1.1.4 adds where the content has no final one.
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = b"\r\n"

    def feed(self, data: bytes) -> bytes:
        if not data:
            return b""
        joined = self._last + data
        if b"\r\n." in joined:
            stuffed = joined.replace(b"\r\n.", b"\r\n..")[len(self._last) :]
        else:
            stuffed = data
        self._last = joined[-2:]
        return stuffed

    def finish(self) -> bytes:
        return b".\r\n" if self._last == b"\r\n" else END
