"""What the server and its carrier process say to each other, as octets: frames over a socket pair (`link`, `carrying`).

    kind (1 octet)   octets of the words (4)   octets of the load (4)   the words: JSON   the load: as it is

Who says what in which words is the business of `told`. Pure. What comes in is
believed as little as what comes from the network: limits, and no frame is handed
out before all of it is there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import orjson

HEAD = struct.Struct("!cII")
#: Octets of a frame's words, and of its load.
MOST_WORDS, MOST_LOAD = 1024 * 1024, 2 * 1024 * 1024

# the server's
EQUIPMENT, ROUTE, DEPARTURE, ANSWER, STOP, LOOK = b"E", b"R", b"D", b"A", b"S", b"L"
# the carrier's
READY, QUESTION, SEEN, CARRIED, LOGGED, LEFT, HERE = b"r", b"q", b"s", b"c", b"l", b"g", b"h"


class Broken(Exception):
    """What came is no frame, or makes no sense; the text says why. Nothing after it can be understood."""


def frame(kind: bytes, words: Any, *load: bytes) -> bytes:
    """One frame. ValueError where *words* cannot be said (a text that is none), or there are too many, or the load is too large."""
    try:
        said = orjson.dumps(words)
    except TypeError as error:
        raise ValueError(str(error)) from None
    behind = sum(map(len, load))
    if len(said) > MOST_WORDS or behind > MOST_LOAD:
        raise ValueError(f"{len(said)} octets of words and {behind} of load are too many")
    return b"".join((HEAD.pack(kind, len(said), behind), said, *load))


class Frames:
    """What has come and is not a whole frame yet."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[bytes, Any, bytes]]:
        """The frames that are whole with *data*: (kind, words, load). Raises Broken. To be iterated to its end."""
        data = self._rest + data if self._rest else data
        self._rest, at = b"", 0
        while len(data) - at >= HEAD.size:
            kind, words, load = HEAD.unpack_from(data, at)
            if words > MOST_WORDS or load > MOST_LOAD:
                raise Broken(f"a frame of {words} and {load} octets")
            begin = at + HEAD.size
            end = begin + words + load
            if end > len(data):
                break
            yield kind, _words(data[begin : begin + words]), data[begin + words : end]
            at = end
        self._rest = data[at:]


def _words(said: bytes) -> Any:
    try:
        return orjson.loads(said)
    except ValueError:
        raise Broken("words that are no JSON") from None
