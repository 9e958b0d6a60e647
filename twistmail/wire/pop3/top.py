"""TOP (RFC 1939 §7): the header and the first lines of a body, out of chunks of any size."""

from __future__ import annotations


class Beginning:
    """Cuts a message behind its header and *lines* lines of its body. CRLF line ends.

    `complete` is True once everything that is wanted has come; what follows is not.
    """

    __slots__ = ("_in_header", "_left", "_unfinished", "complete")

    def __init__(self, lines: int) -> None:
        self._left = lines
        self._in_header = True
        self._unfinished = 0  # octets of the present line that have come
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        """As much of *data* as belongs to the beginning."""
        if self.complete:
            return b""
        at = 0
        while (end := data.find(b"\n", at) + 1) > 0:
            length, at, self._unfinished = self._unfinished + end - at, end, 0
            self._end_line(length)
            if self.complete:
                return data[:at]
        self._unfinished += len(data) - at
        return data

    def _end_line(self, length: int) -> None:
        if not self._in_header:
            self._left -= 1
        elif length <= 2:  # nothing but its line end: the header is over
            self._in_header = False
        self.complete = not self._in_header and self._left <= 0
