"""The content of a part as it was before it was encoded for transport (RFC 3516): in pieces, never the whole in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twistmail.mail import mime, texts
from twistmail.mail.parts import Part

#: What Content-Transfer-Encoding may say here; without one it is 7bit (RFC 2045 §6.1).
KNOWN = frozenset({b"7bit", b"8bit", b"binary", b"base64", b"quoted-printable", b"x-uuencode", b"x-uue", b"uuencode"})


class UnknownEncoding(Exception):
    """The part is encoded in a way that we cannot undo."""


def decoded(message: Any, root: Part | None, numbers: tuple[int, ...]) -> Iterator[bytes] | None:
    """The octets of the part *numbers* of *message* (bytes, or a `paged.Paged`), () for all of it; None where it has no such part.

    What holds other parts is as it is: only a part that holds none is encoded. Raises UnknownEncoding.
    """
    if not numbers or root is None:
        return texts.cut(message, 0, len(message))
    part = mime.find(root, numbers)
    if part is None:
        return None
    if part.children or part.is_multipart:
        return texts.cut(message, part.body, part.end)
    encoding = part.encoding
    if encoding is not None and encoding.lower() not in KNOWN:
        raise UnknownEncoding
    return texts.octets(message, part)


def measured(pieces: Iterator[bytes]) -> tuple[int, bool]:
    """How many octets *pieces* have together, and whether NUL is among them."""
    size, has_nul = 0, False
    for piece in pieces:
        size += len(piece)
        has_nul = has_nul or b"\0" in piece
    return size, has_nul
