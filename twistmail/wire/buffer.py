"""Bytes that have arrived and are not understood yet, cut into lines or counted blocks.

Linear in the input however it is fed: a search for a line end starts where the
last one stopped, and consumed bytes are dropped in one move.
"""

from __future__ import annotations

CRLF = b"\r\n"


class LineTooLong(Exception):
    """No line end within the limit. The buffer has dropped `dropped` octets of the line; its end too where it is `finished`."""

    def __init__(self, dropped: int = 0, finished: bool = False) -> None:
        super().__init__(f"a line of more than {dropped} octets")
        self.dropped = dropped
        self.finished = finished


class Buffer:
    """A queue of octets. Lines end with CRLF only; the caller judges bare CR and LF inside them."""

    __slots__ = ("_data", "_end", "_searched", "_start")

    def __init__(self) -> None:
        self._data = bytearray()
        self._end = CRLF
        self._start = 0
        self._searched = 0

    def __len__(self) -> int:
        return len(self._data) - self._start

    def feed(self, data: bytes) -> None:
        if self._start and self._start == len(self._data):
            self._data.clear()
            self._start = self._searched = 0
        self._data += data

    def line(self, limit: int) -> bytes | None:
        """The next line without its CRLF, or None where it has not all come.

        Raises LineTooLong once more than *limit* octets (CRLF not counted) have come without a line end; what was
        held of the line is dropped then, so memory stays bounded while the rest of it is skipped by `skip_line`.
        """
        data = self._data
        end = data.find(self._end, self._searched)
        if end < 0:
            # the last octet may be the CR of a CRLF to come
            self._searched = max(self._start, len(data) - 1)
            if len(data) - self._start > limit + 1:
                dropped = len(self)
                self.drop_unfinished()
                raise LineTooLong(dropped - len(self))
            return None
        line = bytes(data[self._start : end])
        self._consume_to(end + len(self._end))
        if len(line) > limit:
            raise LineTooLong(len(line), finished=True)
        return line

    def drop_unfinished(self) -> None:
        """Forget all but a trailing CR (which may belong to the CRLF that is to come)."""
        self._consume_to(len(self._data) - (1 if self._data.endswith(b"\r") else 0))

    def skip_line(self) -> int | None:
        """Drop up to and with the next CRLF: the octets dropped, or None where it has not come (all is dropped then)."""
        end = self._data.find(self._end, self._searched)
        if end < 0:
            self.drop_unfinished()
            return None
        dropped = end + len(self._end) - self._start
        self._consume_to(self._start + dropped)
        return dropped

    def take(self, most: int) -> bytes:
        """Up to *most* octets, in order; empty where there are none."""
        end = min(len(self._data), self._start + most)
        block = bytes(self._data[self._start : end])
        self._consume_to(end)
        return block

    def put_back(self, data: bytes) -> None:
        """Let *data* be read (again) before everything else."""
        self._data[: self._start] = data
        self._start = self._searched = 0

    def take_lines(self, most: int) -> bytes:
        """As `take`, of content that a line of its own ends: with the line ends that it has on the wire of RFC 5321."""
        return self.take(most)

    def put_back_lines(self, data: bytes) -> None:
        """As `put_back`, of what `take_lines` has given."""
        self.put_back(data)

    def skip_options(self) -> bool:
        """For `typed.TypedBuffer`: False where what comes next is not known yet."""
        return True

    @property
    def lone_lf(self) -> bool:
        """Whether the lines of this peer end with a bare LF, and may."""
        return self._end != CRLF

    def contains(self, octets: bytes) -> bool:
        """Whether *octets* stand anywhere in what waits."""
        return self._data.find(octets, self._start) >= 0

    def clear(self) -> None:
        self._data.clear()
        self._start = self._searched = 0

    def _consume_to(self, end: int) -> None:
        if end == len(self._data):
            self._data.clear()
            self._start = self._searched = 0
        elif end > 65536 and end * 2 > len(self._data):
            del self._data[:end]
            self._start = self._searched = 0
        else:
            self._start = self._searched = end
