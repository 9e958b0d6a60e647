"""Looking for a text in messages, without an index: each is read and decoded. Blocking; in threads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from twistmail.mail import headers as header_fields
from twistmail.mail import mime, words
from twistmail.store.contents import StoredContent


def matching(messages: Iterable[tuple[int, StoredContent]], needle: str, *, headers: bool) -> set[int]:
    """The UIDs of those *messages* that hold *needle*, in the body or (*headers*) in the header too. Case does not matter."""
    wanted = needle.casefold()
    found = set()
    for uid, content in messages:
        try:
            message = content.whole()
        except FileNotFoundError:
            continue
        if holds(message, wanted, headers=headers):
            found.add(uid)
    return found


def holds(message: bytes, wanted: str, *, headers: bool) -> bool:
    """Whether *message* (CRLF line ends) holds *wanted* (case folded)."""
    if headers:
        end = message.find(b"\r\n\r\n")
        header = message if end < 0 else message[: end + 2]
        if wanted in words.decode_words(header.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")).casefold():
            return True
    return any(wanted in text.casefold() for text in mime.text_of(message))


def with_field(headers: Mapping[int, tuple[Any, ...]], field: str, needle: str) -> set[int]:
    """The UIDs whose header block (the first value of *headers*) has a *field* that holds *needle* (case folded)."""
    name = field.lower().encode("utf-8", "replace")
    return {uid for uid, (header,) in headers.items() if field_holds(header, name, needle)}


def field_holds(header: bytes, name: bytes, needle: str) -> bool:
    """Whether a field called *name* (lower case) holds *needle* (case folded), decoded (RFC 2047)."""
    if name not in header.lower():  # most often, there is no such field
        return False
    return any(needle in header_fields.decode_words(value).casefold() for value in header_fields.values(header, name))
