"""Lines of more than 998 octets (RFC 5321 §4.5.3.1.6, RFC 5322 §2.1.1): finding them, and cutting what nobody minds being cut.

Other servers may refuse a message with such a line, or cut it anywhere. Parts that have them are encoded (`sevenbit.shortened`);
here is what is not: header fields are folded, base64 and quoted-printable, which may be cut, are. Pure, linear.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

#: Without the CRLF.
LONGEST = 998
#: The length of lines that are cut because they were too long; a multiple of the four characters that base64 makes of three octets.
_PIECE = 76
_BLANKS = (b" ", b"\t")


def has_long_line(chunks: Iterable[bytes]) -> bool:
    """Whether a line in *chunks* (CRLF line ends, cut anywhere) has more than LONGEST octets.

    Looks at one octet in a hundred: from where a line begins the last line end within reach is searched for, from the far side.
    """
    begun = 0  # octets of a line that has begun in an earlier chunk
    for chunk in chunks:
        at = chunk.find(b"\n", 0, max(LONGEST + 2 - begun, 0)) + 1 if begun else 0
        if begun and not at:
            begun += len(chunk)
            if begun > LONGEST + 1:
                return True
            continue
        while len(chunk) - at > LONGEST + 1:
            end = chunk.rfind(b"\n", at, at + LONGEST + 2)
            if end < 0:
                return True
            at = end + 1
        begun = len(chunk) - max(chunk.rfind(b"\n", at) + 1, at)
    return begun > LONGEST


def folded(header: bytes) -> bytes:
    """A header block, with its long lines folded at a blank (RFC 5322 §2.2.3); where a line has none, one is put in."""
    if len(header) <= LONGEST or not has_long_line((header,)):
        return header
    return b"\r\n".join(piece for line in header.split(b"\r\n") for piece in _folded(line))


def _folded(line: bytes) -> Iterator[bytes]:
    start, added = 0, b""
    while len(line) - start + len(added) > LONGEST:
        most = start + LONGEST - len(added)
        end = max(line.rfind(blank, start + 1, most) for blank in _BLANKS)
        if end > start and line[start:end].strip(b" \t"):
            yield added + line[start:end]
            start, added = end, b""
            continue
        end = most
        while end > most - 3 and line[end] & 0xC0 == 0x80:  # not within a character of UTF-8
            end -= 1
        yield added + line[start:end]
        start, added = end, b" "
    yield added + line[start:]


def cut(chunks: Iterable[bytes], *, soft: bool = False) -> Iterator[bytes]:
    """*chunks* with their long lines cut into short ones; *soft*: they are quoted-printable, and mean what they did."""
    rest = b""
    for chunk in chunks:
        lines = (rest + chunk).split(b"\r\n") if rest else chunk.split(b"\r\n")
        rest = lines.pop()
        if lines:
            yield b"\r\n".join([piece for line in lines for piece in _cut(line, soft=soft)]) + b"\r\n"
        if len(rest) > LONGEST:
            *pieces, rest = _cut(rest, soft=soft)
            yield b"".join(piece + b"\r\n" for piece in pieces)
    yield from (b"\r\n".join(_cut(rest, soft=soft)),) if rest else ()


def _cut(line: bytes, *, soft: bool) -> Iterator[bytes]:
    if len(line) <= LONGEST:
        yield line
        return
    start = 0
    while len(line) - start > _PIECE:
        end = start + _PIECE
        if soft:  # room for the "=" that says so, and never within an escape
            end -= 1
            end -= 1 if line[end - 1 : end] == b"=" else 2 if line[end - 2 : end - 1] == b"=" else 0
        yield line[start:end] + (b"=" if soft else b"")
        start = end
    yield line[start:]
