"""Line ends: CRLF on the wire, LF in our files; a CRLF file that somebody else wrote is served right too. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def to_lf(data: bytes) -> bytes:
    """A whole message for the disk."""
    plain = plain_lf(data)
    return data.replace(b"\r\n", b"\n") if plain is None else plain


def plain_lf(data: bytes) -> bytes | None:
    """*data* with LF line ends where all its line ends are CRLF and no CR or LF stands alone; else None.

    Taking the CRs out and looking whether they can be put back costs a quarter of a search for pairs.
    """
    plain = data.replace(b"\r", b"")
    return plain if plain.replace(b"\n", b"\r\n") == data else None


def to_crlf(data: bytes) -> bytes:
    """A whole message for the wire. A CR that stands alone stays."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    return data.replace(b"\n", b"\r\n")


def size_with_crlf(chunks: Iterable[bytes]) -> int:
    """What `to_crlf` would make of the message in *chunks* (as on disk), in octets."""
    size = 0
    last = b""
    for chunk in chunks:
        size += len(chunk) + chunk.count(b"\n") - chunk.count(b"\r\n") - (last == b"\r" and chunk[:1] == b"\n")
        last = chunk[-1:] or last
    return size


def stream_to_lf(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """`to_lf` over *chunks*, whose borders may fall between CR and LF."""
    yield from _with_carry(chunks, to_lf)


def stream_to_crlf(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """`to_crlf` over *chunks*, whose borders may fall between CR and LF."""
    yield from _with_carry(chunks, to_crlf)


def _with_carry(chunks: Iterable[bytes], convert) -> Iterator[bytes]:  # type: ignore[no-untyped-def]
    carry = b""
    for chunk in chunks:
        chunk = carry + chunk if carry else chunk
        carry = b"\r" if chunk.endswith(b"\r") else b""
        if converted := convert(chunk[:-1] if carry else chunk):
            yield converted
    if carry:
        yield carry
