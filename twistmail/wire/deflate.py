"""DEFLATE between a wire and its transport: what comes is inflated in bounded steps, what goes is deflated (RFC 1951, RFC 4978).

Belongs to no protocol: the pump puts it where a wire's `wants` asks for it. A few octets can stand for a thousand times as many,
so nothing is inflated before the wire has understood what came before, at most STEP octets at a time, and a peer whose octets
stand for more than RATIO as many is Damaged, as is one whose octets are not DEFLATE at all.
"""

from __future__ import annotations

import zlib

STEP = 64 * 1024  # octets that one step brings at most
RATIO = 100  # octets that one octet may stand for, on the whole
GRACE = 1024 * 1024  # octets that may come of nothing before the ratio counts
PIECE = 16 * 1024  # octets that are looked at together

#: Measured: a window of 4 KiB with small tables takes 30 KiB for each connection, where zlib's own choice takes 260, and answers to FETCH
#: are as short (a tenth), in 0.3 ms for 64 KiB. What the peer deflates has a window of 32 KiB, for which the inflater takes 65.
LEVEL, WINDOW_BITS, MEMORY_LEVEL = 3, -12, 4

#: What ends everything that was flushed: the lengths of an empty stored block (RFC 1951 §3.2.4).
_FLUSHED = b"\x00\x00\xff\xff"
#: An empty last block.
_LAST_BLOCK = b"\x03\x00"


class Damaged(Exception):
    """What the peer says cannot be inflated, or shall not be: there is no way to go on."""


class Deflate:
    """Both directions of one connection, each from its first octet on."""

    __slots__ = ("_deflater", "_given", "_inflater", "_input", "_last", "_more", "_piece", "_taken")

    def __init__(self) -> None:
        self._deflater = zlib.compressobj(LEVEL, zlib.DEFLATED, WINDOW_BITS, MEMORY_LEVEL)
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._input = bytearray()  # what has come and was not looked at
        self._piece = b""  # what the inflater was given and has not taken yet
        self._more = False  # the inflater holds back octets that did not find room in a step
        self._last = b""  # the end of what was looked at: it may be the beginning of _FLUSHED
        self._taken = 0
        self._given = 0

    # ----- what comes

    @property
    def waiting(self) -> int:
        """Octets that have come and are not inflated; above 0 while `inflate` has something to do."""
        return len(self._input) + len(self._piece) + self._more

    def receive(self, data: bytes) -> None:
        self._input += data

    def inflate(self) -> bytes:
        """The next step of what waits: up to STEP octets, maybe none. Ends at the latest where the peer has flushed. Raises Damaged."""
        piece = self._piece or self._next_piece()
        try:
            octets = self._inflater.decompress(piece, STEP)
        except zlib.error:
            raise Damaged("what comes is not DEFLATE") from None
        if self._inflater.eof:
            self._piece, self._more = self._inflater.unused_data, False
            if not octets:
                raise Damaged("something comes behind the last block")
            return octets
        self._piece, self._more = self._inflater.unconsumed_tail, len(octets) == STEP
        self._taken += len(piece) - len(self._piece)
        self._given += len(octets)
        if self._given > RATIO * self._taken + GRACE:
            raise Damaged(f"each octet stands for more than {RATIO}")
        return octets

    def _next_piece(self) -> bytes:
        """What is looked at next, up to where the peer has flushed: what follows may be said after the end (RFC 8437 §4.1)."""
        seen = len(self._last)
        window = self._last + bytes(self._input[:PIECE])
        flushed = window.find(_FLUSHED)
        end = len(window) if flushed < 0 else flushed + len(_FLUSHED)
        self._last = window[:end][-(len(_FLUSHED) - 1) :]
        del self._input[: end - seen]
        return window[seen:end]

    def rest(self) -> bytes:
        """What has come and is plain: the peer has ended its own side where `inflate` stands."""
        rest = self._piece + bytes(self._input)
        return rest if self._inflater.eof else rest.removeprefix(_LAST_BLOCK)

    # ----- what goes

    def deflate(self, octets: bytes) -> bytes:
        """*octets* so that the peer can read all of them now (RFC 4978 §3: an answer that waits for the next helps nobody)."""
        return self._deflater.compress(octets) + self._deflater.flush(zlib.Z_SYNC_FLUSH)

    def finish(self, octets: bytes) -> bytes:
        """The last of them."""
        return self._deflater.compress(octets) + self._deflater.flush(zlib.Z_FINISH)
