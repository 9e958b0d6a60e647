"""What people type into `nc` or `telnet`, for ports of the classroom: lines that end with a bare LF, and the octets of telnet options.

`nc` sends LF where RFC 5321 §2.3.8 wants CRLF. How the first line ends holds for the whole dialogue: after CRLF everything is as
strict as elsewhere, after a bare LF it is LF alone that ends lines, and the content of DATA with them. So no two readers
can see two dialogues in the same octets, which is what smuggling lives on: no server begins with a bare LF. A CR is then a
stray octet, refused as such. Content that is counted (BDAT, literals of IMAP) is what it is either way.

The wires use it in place of `Buffer` where they are told `lone_lf`; nobody else does.
"""

from __future__ import annotations

import re

from twistmail.wire.buffer import CRLF, Buffer

LF = b"\n"
#: RFC 854: IAC with WILL, WON'T, DO or DON'T and the option; IAC with a command that stands alone.
_OPTIONS = re.compile(rb"(?:\xff(?:[\xfb-\xfe].|[\xf0-\xf9]))+", re.DOTALL)
#: The beginning of one, of which more is to come.
_HALF_AN_OPTION = re.compile(rb"\xff[\xfb-\xfe]?")


class TypedBuffer(Buffer):
    """A `Buffer` whose first line says how lines end here. After `clear` (another dialogue begins, as under TLS) the next one does."""

    __slots__ = ("_decided",)

    def __init__(self) -> None:
        super().__init__()
        self._decided = False

    def line(self, limit: int) -> bytes | None:
        if not self.skip_options():
            return None
        self._decide()
        return super().line(limit)

    def skip_line(self) -> int | None:
        self._decide()
        return super().skip_line()

    def take_lines(self, most: int) -> bytes:
        octets = self.take(most)
        return octets.replace(LF, CRLF) if self.lone_lf else octets

    def put_back_lines(self, data: bytes) -> None:
        # each CR before an LF is ours: undone, it is what has come, octet by octet
        self.put_back(data.replace(CRLF, LF) if self.lone_lf else data)

    def skip_options(self) -> bool:
        """Drop telnet options that stand where a line begins; False where one has not all come."""
        if not self.startswith(b"\xff"):
            return True
        if (options := _OPTIONS.match(self)) is not None:
            end = options.end()
            del options  # it holds the octets, which cannot move before
            self._drop(end)
        return not (len(self) <= 2 and _HALF_AN_OPTION.fullmatch(self))

    def clear(self) -> None:
        super().clear()
        self._end = CRLF
        self._decided = False

    def _decide(self) -> None:
        """By the first LF, if it is there: a CR before it or not."""
        if not self._decided and (end := self.find(LF, self._searched)) >= 0:
            self._decided = True
            self._end = CRLF if self.endswith(b"\r", 0, end) else LF
