"""Flags as fields of the header: Status, X-Status and X-Keywords, as mbox files keep them since BSD mail. Pure; LF line ends.

Reading takes them off, together with the bookkeeping of other servers (X-UID,
X-IMAP, X-IMAPbase): they say something about the mailbox and not about the
message, and whoever sends mail must not set flags at the recipient's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from twistmail.mail.mailbox import FLAG_NAMES

MOST_KEYWORDS = 26

_LETTERS = {"R": "\\Seen", "A": "\\Answered", "F": "\\Flagged", "D": "\\Deleted", "T": "\\Draft"}
#: In one expression, because what follows a field that was taken off must not become its continuation.
_OURS = re.compile(
    rb"^(?:(?:X-)?Status:[ \t]*(?P<letters>[RONUADFT]{0,9})[ \t]*"
    rb"|(?:X-UID|X-IMAP|X-IMAPbase|X-Keywords(?P<is_keywords>)):(?P<words>[^\n]*(?:\n[ \t][^\n]*)*))(?:\n|\Z)",
    re.IGNORECASE | re.MULTILINE,
)
#: RFC 3501 §9: an atom, which a keyword is.
_KEYWORD = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]{1,50}")
_INTERNAL = re.compile(rb"^X-IMAP:", re.IGNORECASE | re.MULTILINE)


def taken_off(header: bytes) -> tuple[bytes, tuple[str, ...]]:
    """*header* without the fields that are about the mailbox, and the flags and keywords that they told."""
    letters: set[str] = set()
    words: list[str] = []

    def note(field: re.Match[bytes]) -> bytes:
        letters.update((field["letters"] or b"").decode("ascii").upper())
        if field["is_keywords"] is not None:
            words.extend(field["words"].decode("utf-8", "replace").split())
        return b""

    header = _OURS.sub(note, header)
    flags = [name for letter, name in _LETTERS.items() if letter in letters]
    return header, tuple(flags + keywords(words))


def keywords(words: Sequence[str]) -> list[str]:
    """Those of *words* that can be keywords, each once, as many as a mailbox can have."""
    found = {word.lower(): word for word in words if _KEYWORD.fullmatch(word)}
    return list(found.values())[:MOST_KEYWORDS]


def fields(flags: Sequence[str]) -> bytes:
    """The fields that tell *flags*; to stand before all others. Status comes last, so nothing that follows can continue X-Keywords."""
    words = [flag for flag in flags if flag not in FLAG_NAMES and _KEYWORD.fullmatch(flag)]
    letters = "".join(letter for letter, name in _LETTERS.items() if name in flags and letter != "R")
    seen = "\\Seen" in flags
    result = f"X-Keywords: {' '.join(words)}\n" if words else ""
    result += f"X-Status: {letters}\n" if letters else ""
    return (result + f"Status: {'R' * seen}O\n").encode() if result or seen else b""


def is_bookkeeping(header: bytes) -> bool:
    """Whether this is the message in which c-client keeps its own notes ("DON'T DELETE THIS MESSAGE")."""
    return _INTERNAL.search(header) is not None and b"FOLDER INTERNAL DATA" in header
