"""Looking for a text in messages by reading them. What was read can be kept for the full-text index. Blocking; in threads.

The exact search, which the index must agree with, is `holds`: *needle* stands in
the header, or in one of the texts of the body, both decoded and case folded. It
works in pieces, so that no step keeps the interpreter from others for long.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from twistmail.mail import headers as header_fields
from twistmail.mail import texts
from twistmail.mail.folding import folded
from twistmail.mail.matching import holds
from twistmail.mail.searched import searched
from twistmail.store.contents import StoredContent

#: Characters of one message that the index keeps; what is longer is read again where they do not hold what is looked for.
MOST_KEPT = 1024 * 1024
#: Stands between the texts of a message. It is no character, and in a text it is replaced.
SEPARATOR = "\ufdd0"
#: What SQLite cannot hold, or takes for another, and our separator; all become REPLACED.
_AWKWARD = re.compile("[\0\ud800-\udfff\ufdd0\ufffe\uffff]")
REPLACED = "\ufffd"


class Sought(NamedTuple):
    """What is looked for: *needle* (case folded), as the index has it (`plain`), and whether in the header too.

    `exact`: where the index holds `plain`, the message holds *needle*. The other way round is always true.
    """

    needle: str
    headers: bool
    plain: str
    exact: bool


class Texts(NamedTuple):
    """What is searched of one message, without what is awkward. `body`: its texts with a SEPARATOR between, None where there is none.

    `whole`: this is all of it.
    """

    header: str
    body: str | None
    whole: bool


#: Nobody could read it: what it holds has to be asked of the file.
UNREAD = Texts("", None, False)


def sought(needle: str, *, headers: bool) -> Sought:
    wanted = folded(needle)
    plain = _plain(wanted)
    return Sought(wanted, headers, plain, REPLACED not in plain)


def matching(messages: Iterable[tuple[int, StoredContent]], what: Sought) -> set[int]:
    """The UIDs of those *messages* that hold *what*."""
    found = set()
    for uid, content in messages:
        with suppress(FileNotFoundError):
            if holds(content.looked_at(), what.needle, headers=what.headers):
                found.add(uid)
    return found


def matching_and_texts(messages: Iterable[tuple[int, StoredContent]], what: Sought) -> tuple[set[int], list[tuple[int, Texts]]]:
    """As `matching`, and the Texts of each message."""
    found, kept = set(), []
    for uid, content in messages:
        its = UNREAD
        with suppress(FileNotFoundError):
            message = content.looked_at()
            its = texts_of(message)
            if _shows(its, what) if its.whole and what.exact else holds(message, what.needle, headers=what.headers):
                found.add(uid)
        kept.append((uid, its))
    return found, kept


def all_texts(messages: Iterable[tuple[int, StoredContent]]) -> list[tuple[int, Texts]]:
    """The Texts of each of *messages*; UNREAD where that cannot be had."""
    return [(uid, _read(content)) for uid, content in messages]


def texts_of(message: bytes) -> Texts:
    """What the index keeps of *message* (CRLF line ends)."""
    header = _plain(folded(texts.header_of(message)))
    body: list[str] = []
    room = MOST_KEPT
    for text in texts.texts_of(message):
        body.append(SEPARATOR)
        for piece in text:
            body.append(_plain(folded(piece))[:room])
            room -= len(body[-1])
            if room <= 0:
                return Texts(header, "".join(body[1:]), whole=False)
    return Texts(header, "".join(body[1:]) if body else None, whole=True)


def with_field(headers: Mapping[int, tuple[Any, ...]], field: str, needle: str) -> set[int]:
    """The UIDs whose header block (the first value of *headers*) has a *field* that holds *needle* (case folded)."""
    name = field.lower().encode("utf-8", "replace")
    return {uid for uid, (header,) in headers.items() if field_holds(header, name, needle)}


def field_holds(header: bytes, name: bytes, needle: str) -> bool:
    """Whether a field called *name* (lower case) holds *needle* (case folded), decoded (RFC 2047)."""
    if name not in header.lower():  # most often, there is no such field
        return False
    return any(needle in searched(name, value) for value in header_fields.values(header, name))


def _plain(text: str) -> str:
    return text if text.isascii() and "\0" not in text else _AWKWARD.sub(REPLACED, text)


def _shows(its: Texts, what: Sought) -> bool:
    return (what.headers and what.plain in its.header) or (its.body is not None and what.plain in its.body)


def _read(content: StoredContent) -> Texts:
    try:
        return texts_of(content.looked_at())
    except OSError:
        return UNREAD
