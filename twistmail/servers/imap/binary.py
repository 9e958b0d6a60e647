"""FETCH BINARY and BINARY.SIZE (RFC 3516): parts with their transfer encoding undone.

The length of a literal is known before its octets, and NUL decides which kind of literal it is: so a big part is decoded twice,
in pieces, and never in memory as a whole. A part in an encoding that nobody knows ends the command with UNKNOWN-CTE.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from twistmail.mail import binary
from twistmail.mail.parts import Part
from twistmail.servers.imap.client import Refusal

#: Octets that one thread hop brings.
PIECE = 256 * 1024

class Torn(Exception):
    """A message has become shorter while it was being sent. The literal cannot be finished, so the connection must end."""


Decoded = Callable[[], Iterator[bytes] | None]


def undone(message: Any, root: Part | None, numbers: tuple[int, ...]) -> Iterator[bytes] | None:
    """As `binary.decoded`. Refusal where the encoding is not known."""
    try:
        return binary.decoded(message, root, numbers)
    except binary.UnknownEncoding:
        raise Refusal("A part is encoded in a way that we do not know", "UNKNOWN-CTE") from None


def size_of(pieces: Iterator[bytes] | None) -> bytes:
    """What BINARY.SIZE tells. Blocking."""
    return b" %d" % (0 if pieces is None else binary.measured(pieces)[0])


def rendered(pieces: Iterator[bytes] | None, offset: int, count: int | None) -> bytes:
    """What BINARY tells of a part that may be in memory."""
    if pieces is None:
        return b" NIL"
    octets = b"".join(pieces)
    octets = octets[offset : None if count is None else offset + count]
    return _mark(len(octets), has_nul=b"\0" in octets) + octets


def _mark(size: int, *, has_nul: bool) -> bytes:
    return b" ~{%d}\r\n" % size if has_nul else b" {%d}\r\n" % size  # RFC 3516 §4.3


async def streamed(threads: Any, decode: Decoded, offset: int, count: int | None) -> AsyncIterator[bytes]:
    """The same of a big part, in pieces; *decode*() begins to decode it, in a thread."""
    measure = await threads.run(_measured, decode, offset, count)
    if measure is None:
        yield b" NIL"
        return
    size, has_nul = measure
    yield _mark(size, has_nul=has_nul)
    pieces = await threads.run(_chosen, decode, offset, count)
    while piece := await threads.run(next_piece, pieces):
        yield piece
        size -= len(piece)
    if size:
        raise Torn(f"a part has lost {size} octets")


def _measured(decode: Decoded, offset: int, count: int | None) -> tuple[int, bool] | None:
    pieces = decode()
    return None if pieces is None else binary.measured(_within(pieces, offset, count))


def _chosen(decode: Decoded, offset: int, count: int | None) -> Iterator[bytes]:
    return _within(decode() or iter(()), offset, count)


def _within(pieces: Iterator[bytes], offset: int, count: int | None) -> Iterator[bytes]:
    """Of the octets in *pieces* those from *offset* on, *count* or all."""
    at = 0
    for piece in pieces:
        stop = len(piece) if count is None else offset + count - at
        if chosen := piece[max(0, offset - at) : max(0, stop)]:
            yield chosen
        at += len(piece)
        if count is not None and at >= offset + count:
            return


def next_piece(pieces: Iterator[bytes]) -> bytes:
    """About PIECE octets; blocking."""
    taken: list[bytes] = []
    total = 0
    for piece in pieces:
        taken.append(piece)
        total += len(piece)
        if total >= PIECE:
            break
    return b"".join(taken)
