"""Header fields of what people write: on lines, encoded where they must be (RFC 2047), in linear time. Pure; `drafts` calls.

email.message is not for the words of strangers: it decodes encoded words in what is set, with the line ends that
they hide, and takes the square of a name's length to fold it. Here text stays text: what only looks encoded is encoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.header import Header

#: RFC 5322 §2.1.1; characters of an encoded word, so that its line has no more than 76 (RFC 2047 §2); of a word that is not encoded.
_LINE, _ENCODED, _PLAIN = 76, 74, 700
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_WORD = re.compile(r" *[^ ]+")


def unstructured(name: str, value: str) -> bytes:
    """A field of text (RFC 5322 §2.2.1). *value* has no controls, and no blanks around it."""
    return _folded(name, _WORD.findall(f" {value}") if _is_plain(value) else _encoded(name, value))


def mailboxes(name: str, people: Iterable[tuple[str, str]]) -> bytes:
    """A field of addresses (RFC 5322 §3.4). *people*: (display name, as a `value` above; address)."""
    pieces: list[str] = []
    for display, address in people:
        if pieces:
            pieces[-1] += ","
        pieces += [*_phrase(name, display), f" <{address}>"] if display else [f" {address}"]
    return _folded(name, pieces)


def _phrase(name: str, text: str) -> list[str]:
    if not _is_plain(text):
        return _encoded(name, text)
    if _ATOMS.fullmatch(text):
        return _WORD.findall(f" {text}")
    return [' "' + text.replace("\\", "\\\\").replace('"', '\\"') + '"']


def _is_plain(text: str) -> bool:
    """Whether it can stand in a header as it is."""
    return text.isascii() and "=?" not in text and max(map(len, text.split(" "))) <= _PLAIN


def _encoded(name: str, text: str) -> list[str]:
    """The first word leaves room for the field's *name*."""
    words = Header(text, "utf-8", maxlinelen=_ENCODED, header_name=name).encode().split("\n")
    return [f" {word.strip()}" for word in words if word.strip()]


def _folded(name: str, pieces: Iterable[str]) -> bytes:
    """*pieces* begin with the blanks before which a line may end (RFC 5322 §2.2.3); where it may be long, the first has a piece."""
    begin = line = f"{name}:"
    lines: list[str] = []
    for piece in pieces:
        if len(line) + len(piece) > _LINE and (line != begin or "=?" in piece):
            lines.append(line)
            line = piece
        else:
            line += piece
    return "\r\n".join([*lines, line, ""]).encode()
