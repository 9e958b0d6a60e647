"""Looking for a text in messages, without an index: each is read and decoded. Blocking; in threads."""

from __future__ import annotations

from collections.abc import Iterable

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
