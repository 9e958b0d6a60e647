"""Messages made into such as another server can take: with seven bits where it has no 8BITMIME (RFC 6152 §3, RFC 2045 §6), and
with lines that end in time (RFC 5321 §4.5.3.1.6).

Text parts become quoted-printable (or base64 where little of them is ASCII),
others base64; the structure stays, and what can be taken already stays to the octet.
What cannot be encoded is told by `can_be_sevenbit`: something signed, whose
signature would break, or parts that may have no encoding. Headers are left as
they are: eight bits in them are SMTPUTF8's business.

A message is bytes, or anything that can be sliced and searched like them
(`paged.Paged`); no more than a window of it is looked at at a time. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from twistmail.mail.headers import add, first
from twistmail.mail.longlines import cut, folded, has_long_line
from twistmail.mail.parts import Part, scan
from twistmail.mail.unbinary import base64_lines, encoded_as

#: Octets that are looked at at a time: whole lines of 57, which base64 makes 76 characters of.
WINDOW = 57 * 1024
#: The longest line that is not broken: a soft break and the escape of a first character find room behind it (RFC 2045 §6.7 (5): 76).
_LONGEST_LINE = 73

_UNSAFE = re.compile(rb"[^\t\x20-<>-~]")
_EIGHT_BIT = re.compile(rb"[\x80-\xff]")
_ENCODED = frozenset({b"base64", b"quoted-printable"})


def can_be_sevenbit(message: Any) -> bool:
    """Whether `sevenbit` can make something of *message* that means the same."""
    return not any(_is_obstacle(message, part) for part in scan(message).walk())


def sevenbit(message: Any) -> Iterator[bytes]:
    """*message*, for which `can_be_sevenbit` is true, in pieces (none empty) whose bodies are ASCII; lines of at most 76 characters
    where they were encoded, and nowhere longer than 998."""
    return filter(None, _pieces(message, eight_bit=False))


def shortened(message: Any) -> Iterator[bytes]:
    """*message* in pieces (none empty), with eight bits where it has them, and no line of more than 998 octets; what is signed
    stays as it is whatever its lines."""
    return filter(None, _pieces(message, eight_bit=True))


def _pieces(message: Any, *, eight_bit: bool) -> Iterator[bytes]:
    at, sealed = 0, 0
    for part in scan(message).walk():
        if part.start < sealed:  # signed, with all that is in it
            continue
        yield from _between(_windows(message, at, part.start), eight_bit=eight_bit)
        header = message[part.start : part.body]
        at = part.body
        if _is_signed(part):
            yield header
            sealed = part.end
        elif not part.children and _wants_encoding(message, part, eight_bit=eight_bit):
            yield from _encoded(message, part, header)
            at = part.end
        else:
            yield folded(encoded_as(header, b"7bit") if _says_eight_bit(part) and not eight_bit else header)
        if part.start < sealed or not (part.children or part.is_multipart):
            yield from _windows(message, at, part.end)
            at = part.end
    yield from _between(_windows(message, at, len(message)), eight_bit=eight_bit)


def _encoded(message: Any, part: Part, header: bytes) -> Iterator[bytes]:
    """A part that has no others in it, with its *header*."""
    named = (part.encoding or b"").lower()
    if named in _ENCODED:
        yield folded(header)
        yield from cut(_windows(message, part.body, part.end), soft=named == b"quoted-printable")
        return
    quoted = _is_mostly_text(message, part)
    charset = b"us-ascii" if _is_ascii(message, part.body, part.end) else b"unknown-8bit"
    header = header if part.depth else _with_mime(header, charset)
    yield folded(encoded_as(header, b"quoted-printable" if quoted else b"base64"))
    yield from (_quoted if quoted else _base64)(message, part, is_last=part.end == len(message))


def _wants_encoding(message: Any, part: Part, *, eight_bit: bool) -> bool:
    if not eight_bit and not _is_ascii(message, part.body, part.end):
        return True
    is_whole = part.type.lower() == b"message" and not part.subtype.lower().startswith(b"global")  # RFC 2046 §5.2: never encoded
    return not is_whole and part.type.lower() != b"multipart" and has_long_line(_windows(message, part.body, part.end))


def _is_signed(part: Part) -> bool:
    return (part.type.lower(), part.subtype.lower()) == (b"multipart", b"signed")


def _between(windows: Iterator[bytes], *, eight_bit: bool) -> Iterator[bytes]:
    """What stands before, between and behind parts."""
    return cut(windows if eight_bit else map(_masked, windows))


def _is_obstacle(message: Any, part: Part) -> bool:
    kind, subtype = part.type.lower(), part.subtype.lower()
    if kind == b"multipart":
        boundary_is_odd = not (part.parameter(b"boundary") or b"").isascii()
        return (subtype == b"signed" or not part.children or boundary_is_odd) and not _is_ascii(message, part.body, part.end)
    if part.children:
        return False
    # RFC 2046 §5.2, RFC 6532 §3.7: of messages inside only message/global may be encoded
    whole = kind == b"message" and not subtype.startswith(b"global")
    return (whole or (part.encoding or b"").lower() in _ENCODED) and not _is_ascii(message, part.body, part.end)


def _says_eight_bit(part: Part) -> bool:
    return (part.encoding or b"").lower() in (b"8bit", b"binary")


def _with_mime(header: bytes, charset: bytes) -> bytes:
    """The header of the message itself: an encoding counts only in MIME; what is not said about a text is not known (RFC 1428 §3)."""
    wanted = []
    if first(header, b"mime-version") is None:
        wanted.append((b"MIME-Version", b"1.0"))
    if first(header, b"content-type") is None:
        wanted.append((b"Content-Type", b"text/plain; charset=" + charset))
    return add(header, wanted)


# ----- octets -----------------------------------------------------------------


def _windows(message: Any, start: int, end: int) -> Iterator[bytes]:
    return (message[at : min(at + WINDOW, end)] for at in range(start, end, WINDOW))


def _is_ascii(message: Any, start: int, end: int) -> bool:
    return all(window.isascii() for window in _windows(message, start, end))


def _masked(octets: bytes) -> bytes:
    """Nobody reads it, and nothing can encode it."""
    return octets if octets.isascii() else _EIGHT_BIT.sub(b"?", octets)


def _is_mostly_text(message: Any, part: Part) -> bool:
    """Whether it is text, and people without MIME could read most of it."""
    sample = message[part.body : min(part.body + WINDOW, part.end)]
    return part.type.lower() == b"text" and 2 * len(_UNSAFE.findall(sample.replace(b"\r\n", b""))) < len(sample)


def _base64(message: Any, part: Part, *, is_last: bool) -> Iterator[bytes]:
    for at in range(part.body, part.end, WINDOW):
        end = min(at + WINDOW, part.end)
        yield from base64_lines(message[at:end], is_last=is_last or end < part.end)


def _quoted(message: Any, part: Part, *, is_last: bool) -> Iterator[bytes]:
    """RFC 2045 §6.7. Line ends stay line ends."""
    rest = b""
    for window in _windows(message, part.body, part.end):
        *lines, rest = (rest + window).split(b"\r\n")
        yield b"".join(_quoted_line(line) + b"\r\n" for line in lines)
        if len(rest) > WINDOW:  # a line without an end
            yield _quoted_line(rest[:WINDOW]) + b"=\r\n"
            rest = rest[WINDOW:]
    if rest:
        # what ends without a line end gets one on the way, which must not count
        yield _quoted_line(rest) + (b"=\r\n" if is_last else b"")


def _quoted_line(line: bytes) -> bytes:
    encoded = _UNSAFE.sub(_escaped, line)
    if encoded.endswith((b" ", b"\t")):
        encoded = encoded[:-1] + b"=%02X" % encoded[-1]
    if len(encoded) <= _LONGEST_LINE:
        return _begun(encoded)
    pieces, at = [], 0
    while len(encoded) - at > _LONGEST_LINE:
        cut = at + _LONGEST_LINE
        cut -= 1 if encoded[cut - 1 : cut] == b"=" else 2 if encoded[cut - 2 : cut - 1] == b"=" else 0
        pieces.append(_begun(encoded[at:cut]))
        at = cut
    pieces.append(_begun(encoded[at:]))
    return b"=\r\n".join(pieces)


def _begun(line: bytes) -> bytes:
    """A broken line must not begin as a delimiter does, nor as a new message in an mbox."""
    return b"=%02X%b" % (line[0], line[1:]) if line.startswith((b"-", b"From ")) else line


def _escaped(match: re.Match[bytes]) -> bytes:
    return b"=%02X" % match[0][0]
