"""Bytes that have arrived and are not understood yet, cut into lines or counted blocks.

Linear in the input however it is fed: a search for a line end starts where the
last one stopped, and a bytearray drops its beginning without moving the rest.
"""

from __future__ import annotations

CRLF = b"\r\n"


class LineTooLong(Exception):
    """No line end within the limit. The buffer has dropped `dropped` octets of the line; its end too where it is `finished`."""

    def __init__(self, dropped: int = 0, finished: bool = False) -> None:
        super().__init__(f"a line of more than {dropped} octets")
        self.dropped = dropped
        self.finished = finished


class Buffer(bytearray):
    """A queue of octets. Lines end with CRLF only; the caller judges bare CR and LF inside them."""

    __slots__ = ("_end", "_searched")

    def __init__(self) -> None:
        super().__init__()
        self._end = CRLF
        self._searched = 0

    def feed(self, data: bytes) -> None:
        self += data

    def line(self, limit: int) -> bytes | None:
        """The next line without its CRLF, or None where it has not all come.

        Raises LineTooLong once more than *limit* octets (CRLF not counted) have come without a line end; what was
        held of the line is dropped then, so memory stays bounded while the rest of it is skipped by `skip_line`.
        """
        end = self.find(self._end, self._searched)
        if end < 0:
            # the last octet may be the CR of a CRLF to come
            self._searched = max(0, len(self) - 1)
            if len(self) > limit + 1:
                dropped = len(self)
                self.drop_unfinished()
                raise LineTooLong(dropped - len(self))
            return None
        line = bytes(self[:end])
        self._drop(end + len(self._end))
        if end > limit:
            raise LineTooLong(end, finished=True)
        return line

    def drop_unfinished(self) -> None:
        """Forget all but a trailing CR (which may belong to the CRLF that is to come)."""
        self._drop(len(self) - (1 if self.endswith(b"\r") else 0))

    def skip_line(self) -> int | None:
        """Drop up to and with the next CRLF: the octets dropped, or None where it has not come (all is dropped then)."""
        end = self.find(self._end, self._searched)
        if end < 0:
            self.drop_unfinished()
            return None
        dropped = end + len(self._end)
        self._drop(dropped)
        return dropped

    def take(self, most: int) -> bytes:
        """Up to *most* octets, in order; empty where there are none."""
        block = bytes(self) if len(self) <= most else bytes(self[:most])
        self._drop(len(block))
        return block

    def put_back(self, data: bytes) -> None:
        """Let *data* be read (again) before everything else."""
        self[:0] = data
        self._searched = 0

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

    def clear(self) -> None:
        super().clear()
        self._searched = 0

    def _drop(self, octets: int) -> None:
        """Forget the first so many *octets*."""
        del self[:octets]
        self._searched = 0
