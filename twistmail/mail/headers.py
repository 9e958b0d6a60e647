"""Header blocks as bytes: finding fields, choosing some, changing some; and the door to what is inside them.

A header block is everything up to and including the empty line, with CRLF line
ends. Values keep their folding until somebody calls `unfold`. Nothing here
raises for what a peer wrote: a line that is no field is skipped. Everything is
linear in the block, which has at most MOST octets.

Encoded words live in `words`, address lists in `addresses`, dates in `dates`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from twistmail.mail.addresses import ListedAddress, addresses
from twistmail.mail.dates import sent_date
from twistmail.mail.words import decode_words

#: The octets of a header block. Where no empty line comes until then, what follows the last line that fits is body.
MOST = 1024 * 1024
#: A block with more is not taken apart as a whole: it may be half a million lines.
_AT_ONCE = 64 * 1024
#: The line end of a field: not followed by the blank of a continuation line (RFC 5322 §2.2.3).
_FIELD_END = re.compile(rb"\r\n(?![ \t])")
#: The fields that mail programs list mailboxes by, and look for; the store keeps them apart from those of which most headers consist.
LISTED = frozenset(
    b"date from sender reply-to to cc bcc subject message-id in-reply-to references content-type content-description "
    b"content-transfer-encoding newsgroups priority x-priority importance lines list-id list-post list-unsubscribe mail-followup-to "
    b"mail-reply-to disposition-notification-to return-path x-draft-info x-label mime-version".split()
)
#: What stands behind the name of a field; blanks are obsolete there (RFC 5322 §4.5).
_COLON = re.compile(rb"[ \t]*:")
_MESSAGE_ID = re.compile(rb"<[^<>\s]{1,998}>")
#: RFC 5322 §2.2: printable US-ASCII without the colon.
_NAME = re.compile(rb"[!-9;-~]+")


class Field(NamedTuple):
    """One field: `name` as written, raw `value` (folding kept, no final CRLF), and where it lies, final CRLF included."""

    name: bytes
    value: bytes
    start: int
    end: int


def split(message: bytes) -> tuple[bytes, int]:
    """The header block of *message* with its empty line, and the offset of the body. Without an empty line all is header, up to MOST."""
    if message.startswith(b"\r\n"):
        return b"\r\n", 2
    blank = message.find(b"\r\n\r\n", 0, MOST + 4)
    body = within(message, 0, len(message) if blank < 0 else blank + 4)
    return message[:body], body


def within(message: bytes, start: int, body: int) -> int:
    """Where the header that begins at *start* in *message* ends, if it shall go to *body* and have no more than MOST octets."""
    if body - start <= MOST:
        return body
    last = message.rfind(b"\r\n", start, start + MOST)
    return start + MOST if last < 0 else last + 2


def lines(header: bytes) -> Iterable[bytes]:
    """The fields of *header* as they are written, without their last line ends, and whatever else is there."""
    return _FIELD_END.split(header) if len(header) <= _AT_ONCE else _one_by_one(header)


def _one_by_one(header: bytes) -> Iterator[bytes]:
    start = 0
    for line_end in _FIELD_END.finditer(header):
        yield header[start : line_end.start()]
        start = line_end.end()
    yield header[start:]


def fields(header: bytes) -> Iterator[Field]:
    """The fields of *header* in order; lines without a name and a colon are left out."""
    start = 0
    for line in lines(header):
        end = start + len(line) + 2
        name, colon, value = line.partition(b":")
        name = name.rstrip(b" \t")
        if colon and _NAME.fullmatch(name):
            yield Field(name, value, start, min(end, len(header)))
        start = end


def longest(header: bytes) -> int:
    """The octets of the longest line of *header*, continuation lines counted to the line that they continue."""
    return max(map(len, _FIELD_END.split(header)))


def values(header: bytes, name: bytes) -> list[bytes]:
    """The raw values of every field called *name* (any case), in order."""
    return list(_named(header, name))


def first(header: bytes, name: bytes) -> bytes | None:
    """The unfolded value of the first field called *name* (any case), blanks around it removed; None where there is none."""
    value = next(_named(header, name), None)
    return None if value is None else unfold(value)


def _named(header: bytes, name: bytes) -> Iterator[bytes]:
    """SEARCH asks this for every message of a mailbox, so other fields are not even taken apart."""
    folded, wanted = header.lower(), b"\r\n" + name.lower()
    at = -2 if folded.startswith(wanted[2:]) else folded.find(wanted)
    while at != -1:
        behind = at + len(wanted)
        if (colon := _COLON.match(header, behind)) is not None:
            end = _FIELD_END.search(header, colon.end())
            yield header[colon.end() : end.start() if end else len(header)]
        at = folded.find(wanted, behind)


def text(header: bytes, name: bytes) -> str:
    """The first field called *name* as people read it: decoded; empty where there is none. Never raises."""
    value = first(header, name)
    return "" if value is None else decode_words(value)


def unfold(value: bytes) -> bytes:
    """*value* on one line (RFC 5322 §2.2.3: only the line ends go), without blanks around it."""
    return value.replace(b"\r\n", b"").strip(b" \t")


def select(header: bytes, names: Collection[bytes], exclude: bool = False) -> bytes:
    """The fields called one of *names* (lower case) or, with *exclude*, all others; as written, then the empty line, where there is one.

    This is BODY[HEADER.FIELDS (...)] and BODY[HEADER.FIELDS.NOT (...)] of RFC 3501 §6.4.5. Lines that are no fields are
    among the others.
    """
    lines = _FIELD_END.split(header)
    chosen = [line for line in lines if line and (line.partition(b":")[0].rstrip(b" \t").lower() in names) is not exclude]
    end = b"\r\n" if header.endswith(b"\r\n\r\n") or header == b"\r\n" else b""  # a message that has no body may have none
    return b"\r\n".join(chosen) + b"\r\n" + end if chosen else end


def message_ids(value: bytes) -> list[bytes]:
    """The message ids, brackets included, in a Message-ID, In-Reply-To or References *value*; junk between them is skipped."""
    return _MESSAGE_ID.findall(value.replace(b"\r\n", b""))


def add(header: bytes, lines: Iterable[tuple[bytes, bytes]]) -> bytes:
    """*header* with fields (name, value) put behind the last one, before the empty line."""
    block = b"".join(b"%b: %b\r\n" % line for line in lines)
    if header.endswith(b"\r\n\r\n"):
        return header[:-2] + block + b"\r\n"
    if header == b"\r\n":
        return block + header
    return header + (b"" if not header or header.endswith(b"\r\n") else b"\r\n") + block


def without(header: bytes, names: Collection[bytes]) -> bytes:
    """*header* without the fields called one of *names* (lower case); everything else stays to the octet."""
    kept, at = [], 0
    for field in fields(header):
        if field.name.lower() in names:
            kept.append(header[at : field.start])
            at = field.end
    return b"".join(kept) + header[at:]


__all__ = ["Field", "ListedAddress", "add", "addresses", "decode_words", "fields", "first", "message_ids", "select", "sent_date", "split",
           "text", "unfold", "values", "without"]
