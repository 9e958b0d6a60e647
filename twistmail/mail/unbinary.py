"""Messages with binary parts (RFC 3030), made into such as every store and every next system can take.

A mailbox keeps lines, whose ends others may write in their way; octets that
are no text would not survive that. So what came as BODY=BINARYMIME is encoded
once, when it is received: parts that are not lines of text become base64, what
encloses them is then no longer "binary". All other parts stay as they are.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator

from twistmail.mail.headers import add, without
from twistmail.mail.parts import Part, scan

#: RFC 5322 §2.1.1, without the CRLF.
LONGEST_LINE = 998
#: Octets that are encoded at a time: whole lines of 57, which become 76 characters (RFC 2045 §6.8).
_BLOCK = 57 * 1024

_ENCODING = b"content-transfer-encoding"
_KEPT = frozenset({b"base64", b"quoted-printable"})


def unbinary(message: bytes) -> Iterator[bytes]:
    """*message* in pieces, with 8-bit text at most in it, lines ended by CRLF."""
    at = 0
    for part in scan(message).walk():
        yield _lines(message[at : part.start])
        header = _lines(message[part.start : part.body])
        at = part.body
        if part.children:
            yield encoded_as(header, b"8bit") if _is_binary(part) else header
        elif _must_be_encoded(part, message):
            yield encoded_as(header, b"base64")
            yield from base64_lines(message[part.body : part.end], is_last=part.end == len(message))
            at = part.end
        else:
            yield header
    yield _lines(message[at:])


def _is_binary(part: Part) -> bool:
    return (part.encoding or b"").lower() == b"binary"


def _must_be_encoded(part: Part, message: bytes) -> bool:
    if (part.encoding or b"").lower() in _KEPT or part.is_multipart:
        return False
    content = message[part.body : part.end]
    if b"\0" in content or content.replace(b"\r", b"").replace(b"\n", b"\r\n") != content:
        return True
    return _is_binary(part) or (len(content) > LONGEST_LINE and max(map(len, content.split(b"\r\n"))) > LONGEST_LINE)


def encoded_as(header: bytes, encoding: bytes) -> bytes:
    """*header*, with its empty line where it has one, naming another encoding."""
    ending = b"\r\n" if header.endswith(b"\r\n\r\n") or header == b"\r\n" else b""
    fields = header[: len(header) - len(ending)]
    if fields and not fields.endswith(b"\r\n"):
        fields += b"\r\n"
    return add(without(fields, {_ENCODING}), [(b"Content-Transfer-Encoding", encoding)]) + b"\r\n"


def base64_lines(content: bytes, *, is_last: bool) -> Iterator[bytes]:
    """*content* in lines of 76 characters; the end of the last one belongs to the delimiter that follows, if one does."""
    for start in range(0, len(content), _BLOCK):
        block = content[start : start + _BLOCK]
        encoded = b"\r\n".join(
            binascii.b2a_base64(block[line : line + 57], newline=False) for line in range(0, len(block), 57)
        )  # fmt: skip
        ends = start + _BLOCK >= len(content)
        yield encoded if ends and not is_last else encoded + b"\r\n"


def _lines(octets: bytes) -> bytes:
    if octets.replace(b"\r", b"").replace(b"\n", b"\r\n") == octets:
        return octets
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
