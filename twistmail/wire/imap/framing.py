"""One command as it comes in: lines, each but the last ending with the mark of a literal, and the literals (RFC 3501 §4.3).

`Gathered` holds what has come of a command and knows its limits; `ImapLimits`
are all limits of the wire. Reading the octets and answering is `server`'s.
"""

from __future__ import annotations

from twistmail.mail.values import frozen
from twistmail.wire.imap.tokens import LITERAL_MARK, Cursor


@frozen
class ImapLimits:
    """All in octets, except the counts `literals` and `bad_commands`."""

    line_before_login: int = 1024
    line: int = 65_536
    auth_line: int = 12_288  # RFC 4954 §4's number, for AUTHENTICATE and what follows it
    literal_before_login: int = 1024
    literal: int = 102_400
    unasked_literal: int = 4096  # a non-synchronising one that is not APPEND's message
    command_before_login: int = 65_536  # lines and literals together
    command: int = 1_048_576
    literals: int = 1000
    append: int = 36_700_160
    unasked_append: int = 1 << 40  # a non-synchronising one that is APPEND's message
    swallowed: int = 41_943_040  # of unasked literals that we refuse, before we rather close
    bad_commands: int = 10  # in a row, before we close
    lone_lf: bool = False  # who ends all lines with a bare LF is understood (`wire.typed`)


@frozen
class Mark:
    """The announcement of a literal. `waits`: the client waits for leave (a synchronising literal)."""

    size: int
    waits: bool


def mark_of(line: bytes) -> Mark | None:
    """The mark that *line* ends with, if it does."""
    if not line.endswith(b"}"):
        return None
    match = LITERAL_MARK.search(line, max(0, len(line) - 22))
    return Mark(int(match[1]), waits=not match[2]) if match else None


class Gathered:
    """What has come of one command."""

    __slots__ = ("_chunks", "_lines", "_missing", "_size", "literals")

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._chunks: list[bytes] = []
        self._missing = 0
        self._size = 0
        self.literals: list[bytes] = []

    @property
    def is_empty(self) -> bool:
        return not self._lines

    def add_line(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line)

    def text(self) -> bytes:
        """The lines so far, as `Cursor` wants them."""
        return self._lines[0] if len(self._lines) == 1 else b"\r\n".join(self._lines)

    def cursor(self, position: int, *, utf8: bool = False) -> Cursor:
        return Cursor(self.text(), self.literals, position, utf8=utf8)

    def objection(self, mark: Mark, limits: ImapLimits, *, logged_in: bool) -> str:
        """Why the literal that *mark* announces may not come, or ""."""
        most, total = (limits.literal, limits.command) if logged_in else (limits.literal_before_login, limits.command_before_login)
        if not mark.waits:
            most = min(most, limits.unasked_literal)
        if mark.size > most:
            return f"A literal may have {most} octets here"
        if len(self.literals) >= limits.literals:
            return f"A command may have {limits.literals} literals"
        if self._size + mark.size > total:
            return f"A command may have {total} octets here"
        return ""

    def await_literal(self, size: int) -> None:
        """The next *size* octets are a literal: to be given to `add_chunk`."""
        self._missing = size
        self._size += size

    @property
    def missing(self) -> int:
        """Octets that the present literal still lacks."""
        return self._missing

    def add_chunk(self, chunk: bytes) -> bool:
        """Octets of the present literal; True when it is complete."""
        self._chunks.append(chunk)
        self._missing -= len(chunk)
        if self._missing:
            return False
        self.literals.append(b"".join(self._chunks))
        self._chunks.clear()
        return True
