"""The texts of a message as people read them: what SEARCH looks through.

A text comes in pieces of about PIECE octets each, so that no single call takes
long, however big the part is: who searches lives beside others in one process.
Small parts are one piece. Never raises, whatever the message holds.
"""

from __future__ import annotations

import binascii
import codecs
from collections.abc import Callable, Iterable, Iterator

from twistmail.mail import headers, words
from twistmail.mail.parts import Part, scan

#: Octets of a part that are decoded in one go: some tenths of a millisecond.
PIECE = 64 * 1024
#: Octets of a header that can matter: unfolding makes at most three into one, and `words` drops what is beyond its limit.
MOST_HEADER = 4 * words.MOST_OCTETS


def header_of(message: bytes) -> str:
    """The outermost header of *message* (CRLF line ends), unfolded and decoded (RFC 2047)."""
    end = message.find(b"\r\n\r\n", 0, MOST_HEADER)
    header = message[: MOST_HEADER if end < 0 else end + 2]
    return words.decode_words(header.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" "))


def texts_of(message: bytes) -> Iterator[Iterable[str]]:
    """Every text part of *message* and every header inside it, decoded, each in pieces. The outermost header is left out."""
    for part in scan(message).walk():
        if part.type.lower() == b"text":
            yield _text(message, part)
        elif part.is_message:
            inner = part.children[0]
            for field in headers.fields(message[inner.start : inner.body]):
                yield (words.decode_words(field.value),)


def undone(octets: bytes, encoding: bytes | None) -> bytes:
    """*octets* with a Content-Transfer-Encoding undone; an unknown one leaves them as they are."""
    match (encoding or b"").lower():
        case b"base64":
            return words.base64(octets)
        case b"quoted-printable":
            return binascii.a2b_qp(octets)
        case b"x-uuencode" | b"x-uue" | b"uuencode":
            return _uudecoded(octets)
    return octets


def _text(message: bytes, part: Part) -> Iterable[str]:
    charset = (part.parameter(b"charset") or b"").decode("latin-1")
    if part.size <= PIECE:
        return (words.decode(undone(message[part.body : part.end], part.encoding), charset),)
    return _decoded(lambda: octets(message, part), charset)


def octets(message: bytes, part: Part) -> Iterator[bytes]:
    """The content of a part, its encoding undone, in pieces."""
    encoding = (part.encoding or b"").lower()
    if encoding != b"base64":
        for raw in cut(message, part.body, part.end):
            yield undone(raw, encoding)
        return
    rest = b""
    for raw in cut(message, part.body, part.end):
        clean = rest + words.base64_alphabet(raw)
        whole = len(clean) // 4 * 4
        yield words.base64(clean[:whole])
        rest = clean[whole:]
    yield words.base64(rest)


def cut(message: bytes, start: int, end: int) -> Iterator[bytes]:
    """Pieces that end with a line, or at least not inside what quoted-printable escapes."""
    while start < end:
        stop = min(start + PIECE, end)
        if stop < end:
            escape = message.find(b"=", stop - 2, stop)
            stop = message.rfind(b"\n", start, stop) + 1 or (escape if escape > start else stop)
        yield message[start:stop]
        start = stop


def _decoded(pieces: Callable[[], Iterable[bytes]], charset: str) -> Iterator[str]:
    """As `words.decode`, piece by piece; *pieces* can be had twice, for an unknown charset has to be guessed first."""
    codec = words.codec_of(charset) or ("utf_8" if _is_utf8(pieces()) else "latin_1")
    decoder = codecs.getincrementaldecoder(codec)("replace")
    for piece in pieces():
        yield _step(decoder, piece, final=False)
        if len(decoder.getstate()[0]) > PIECE:  # UTF-7 waits for the end of its base64: not for ever
            yield _step(decoder, b"", final=True)
    yield _step(decoder, b"", final=True)


def _step(decoder: codecs.IncrementalDecoder, octets: bytes, *, final: bool) -> str:
    try:
        return words.whole(decoder.decode(octets, final))
    except (UnicodeError, LookupError, ValueError):  # a stateful codec that cannot replace
        decoder.reset()
        return octets.decode("latin-1")


def _is_utf8(pieces: Iterable[bytes]) -> bool:
    decoder = codecs.getincrementaldecoder("utf_8")("strict")
    try:
        for piece in pieces:
            decoder.decode(piece)
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        return False
    return True


def _uudecoded(octets: bytes) -> bytes:
    lines = []
    for line in octets.split(b"\r\n"):
        if line.startswith(b"begin ") or line == b"end":
            continue
        try:
            lines.append(binascii.a2b_uu(line))
        except binascii.Error:
            continue
    return b"".join(lines)
