"""A message as people look at it: who, what, the words of it, its parts, its files. Values made of octets; whoever shows them escapes.

`view` reads a message with the tools of `mail` and stops where it is too much for
a page: so many fields, rows, files and characters are told, and how many are not.
Everything is there to be had by itself: `part` gives the octets of one part. Texts are
as they were written; what people could be tricked by is named where they are shown
(`templates`). Linear, never raises; with big messages it takes its time, so call it in a thread.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from twistmail.mail import attachments, headers, mime, texts, words
from twistmail.mail.dates import sent_time
from twistmail.mail.headers import addresses
from twistmail.mail.parts import Part, scan
from twistmail.mail.values import frozen
from twistmail.web.safe_html import LONGEST_IMAGE, text_of

#: Fields of the head, rows of the structure, files and people of one field that are told; more are counted.
MOST_FIELDS, MOST_ROWS, MOST_FILES, MOST_PEOPLE = 300, 300, 200, 100
#: Characters of one field, and of a text.
LONGEST_VALUE, LONGEST_TEXT = 2000, 256 * 1024
#: Octets of images that are put into the HTML that names them.
MOST_IMAGES = 2 * 1024 * 1024
_HALVES = re.compile("[\ud800-\udfff]")
_NUMBER = re.compile("[1-9][0-9]{0,4}")
_IMAGES = (b"png", b"jpeg", b"jpg", b"gif", b"webp")


@frozen
class Person:
    """An entry of an address field; either may be empty."""

    name: str
    address: str

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>" if self.name and self.address else self.name or self.address


@frozen
class Row:
    """One part. `number` is IMAP's (RFC 3501 §6.4.5), "" for what has none; `size`: octets as they stand in the message."""

    number: str
    depth: int
    kind: str
    charset: str
    encoding: str
    disposition: str
    name: str
    content_id: str
    size: int
    is_leaf: bool


@frozen
class File:
    """A part that is for keeping, not for reading; `name` can be given to a file. `is_inline`: the HTML shows it."""

    number: str
    name: str
    kind: str
    content_id: str
    size: int  # octets in the message, encoded
    is_inline: bool


@frozen
class Letter:
    """A message. `more_fields`, `more_rows`, `more_files`: how many are there that are not told.

    `text` is made from the HTML where there is none (`is_from_html`); `is_cut`: text or HTML go on. `sent`: POSIX seconds of the
    Date field, None where it tells none.
    """

    size: int
    fields: tuple[tuple[str, str], ...]
    more_fields: int
    subject: str
    sender: tuple[Person, ...]
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    bcc: tuple[Person, ...]
    reply_to: tuple[Person, ...]
    return_path: str
    message_id: str
    references: tuple[str, ...]
    sent: float | None
    text: str
    html: str
    is_from_html: bool
    is_cut: bool
    rows: tuple[Row, ...]
    more_rows: int
    files: tuple[File, ...]
    more_files: int


def view(message: bytes) -> Letter:
    """The Letter that *message* (CRLF line ends) is."""
    header, _ = headers.split(message)
    root = scan(message)
    rows = list(_rows(root))
    shown, more_fields = _fields(header)
    text, html = _words(message, rows, b"plain"), _words(message, rows, b"html")
    files = [(part, row) for part, row, attached in rows if row.is_leaf and _is_file(part, row, attached=attached)]
    references = root.fields.get(b"references") or root.fields.get(b"in-reply-to") or [b""]
    return Letter(
        size=len(message),
        fields=shown,
        more_fields=more_fields,
        subject=_shown(root.fields.get(b"subject")),
        sender=people(root.fields.get(b"from")),
        to=people(root.fields.get(b"to")),
        cc=people(root.fields.get(b"cc")),
        bcc=people(root.fields.get(b"bcc")),
        reply_to=people(root.fields.get(b"reply-to")),
        return_path=_inside(headers.first(header, b"return-path") or b""),
        message_id=_inside(_last(root.fields.get(b"message-id"))),
        references=tuple(_inside(one) for one in headers.message_ids(references[-1])[:MOST_PEOPLE]),
        sent=sent_time(_last(root.fields.get(b"date"))),
        text=text or text_of(html)[:LONGEST_TEXT],
        html=html,
        is_from_html=not text and bool(html),
        is_cut=max(len(text), len(html)) >= LONGEST_TEXT,
        rows=tuple(row for _, row, _ in rows[:MOST_ROWS]),
        more_rows=max(0, len(rows) - MOST_ROWS),
        files=tuple(_file(part, row) for part, row in files[:MOST_FILES]),
        more_files=max(0, len(files) - MOST_FILES),
    )


def listed(header: bytes) -> dict[str, Any]:
    """What a list of messages tells of *header*: `sender`, `to`, `cc`, `bcc`, `reply_to`, `subject`, `message_id`, as in Letter."""
    fields = {name: headers.values(header, name) for name in (b"from", b"to", b"cc", b"bcc", b"reply-to", b"subject", b"message-id")}
    return {
        "sender": people(fields[b"from"]),
        "to": people(fields[b"to"]),
        "cc": people(fields[b"cc"]),
        "bcc": people(fields[b"bcc"]),
        "reply_to": people(fields[b"reply-to"]),
        "subject": _shown(fields[b"subject"]),
        "message_id": _inside(_last(fields[b"message-id"])),
    }


def view_field(message: bytes, name: bytes) -> str:
    """The first field called *name*, as people read it; empty where there is none."""
    return whole(headers.text(headers.split(message)[0], name)[:LONGEST_VALUE])


def part(message: bytes, number: str) -> tuple[File, bytes] | None:
    """The part with that IMAP *number*, its encoding undone; None where there is none of it."""
    numbers = _numbers(number)
    found = mime.part(message, numbers) if numbers else None
    if found is None or found.is_multipart:
        return None
    return _file(found, _row(found, number, 0, is_leaf=True)), mime.content(message, found)


def contents(message: bytes) -> list[tuple[File, bytes]]:
    """The files of *message* (`Letter.files`) with their octets, encodings undone."""
    files = [(found, row) for found, row, attached in _rows(scan(message)) if row.is_leaf and _is_file(found, row, attached=attached)]
    return [(_file(found, row), mime.content(message, found)) for found, row in files[:MOST_FILES]]


def images(message: bytes) -> dict[str, str]:
    """data: URLs of the images in *message* that have a Content-ID, by that id: what its HTML may show."""
    found: dict[str, str] = {}
    octets = 0
    for piece, row, _ in _rows(scan(message)):
        if row.content_id and row.is_leaf and piece.type.lower() == b"image" and piece.subtype.lower() in _IMAGES:
            octets += piece.size
            if octets > MOST_IMAGES or piece.size > LONGEST_IMAGE // 2:
                continue
            content = base64.b64encode(mime.content(message, piece)).decode()
            found.setdefault(row.content_id, f"data:image/{piece.subtype.decode('ascii').lower()};base64,{content}")
    return found


def whole(text: str) -> str:
    """*text* without halves of characters, which UTF-7 may hold and nothing can encode."""
    return text if text.isascii() else _HALVES.sub("\ufffd", text)


def people(values: list[bytes] | None) -> tuple[Person, ...]:
    """Who stands in the fields *values* of one name."""
    listed = [one for value in values or () for one in addresses(value[: words.MOST_OCTETS])][:MOST_PEOPLE]
    return tuple(_person(words.decode_words(one.name or b""), one.local or b"", one.domain or b"") for one in listed if one.is_mailbox)


def _person(name: str, local: bytes, domain: bytes) -> Person:
    address = words.decode(b"%b@%b" % (local, domain) if domain else local, "")
    return Person(whole(name.strip()[:LONGEST_VALUE]), whole(address[:LONGEST_VALUE]))


# ----- the head


def _fields(header: bytes) -> tuple[tuple[tuple[str, str], ...], int]:
    """The first fields as (name, value), and how many more there are."""
    found = headers.fields(header)
    told = [(field.name.decode("ascii", "replace"), _value(field.value)) for field in islice(found, MOST_FIELDS)]
    return tuple(told), sum(1 for _ in found)


def _value(raw: bytes) -> str:
    text = whole(words.decode_words(raw[: 4 * LONGEST_VALUE]).strip())
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]} ... ({len(raw)} octets in all)"


def _last(values: list[bytes] | None) -> bytes:
    return headers.unfold(values[-1][: words.MOST_OCTETS]) if values else b""


def _shown(values: list[bytes] | None) -> str:
    return whole(words.decode_words(_last(values)).strip()[:LONGEST_VALUE])


def _inside(value: bytes) -> str:
    """What stands between the brackets."""
    return words.decode(value[:LONGEST_VALUE], "").strip().removeprefix("<").removesuffix(">")


# ----- the parts


def _rows(root: Part) -> Iterator[tuple[Part, Row, bool]]:
    """Every part with its number, in the order of the message, and whether it belongs to a message inside this one."""
    waiting: list[tuple[Part, tuple[int, ...], bool, bool]] = [(root, (), True, False)]  # ..., stands for a whole message, is inside
    while waiting:
        found, numbers, whole, inside = waiting.pop()
        numbers = (*numbers, 1) if whole and not found.is_multipart else numbers
        label = "" if whole and found.is_multipart else ".".join(map(str, numbers))
        yield found, _row(found, label, found.depth, is_leaf=not found.is_multipart), inside
        if found.is_multipart:
            children = [(child, (*numbers, place), False, inside) for place, child in enumerate(found.children, 1)]
            waiting.extend(reversed(children))
        elif found.is_message:
            waiting.append((found.children[0], numbers, True, True))


def _row(found: Part, number: str, depth: int, *, is_leaf: bool) -> Row:
    disposition = found.disposition
    return Row(
        number,
        depth,
        _word(b"%b/%b" % (found.type, found.subtype)).lower(),
        _word(found.parameter(b"charset")),
        _word(found.encoding).lower(),
        _word(disposition[0] if disposition else None).lower(),
        whole(attachments.name_of(found)[:LONGEST_VALUE]),
        _inside(found.value(b"content-id") or b""),
        found.size,
        is_leaf,
    )


def _word(octets: bytes | None) -> str:
    return words.decode((octets or b"")[:200], "")


def _is_file(found: Part, row: Row, *, attached: bool) -> bool:
    """What belongs to an attached message goes with that."""
    if attached:
        return False
    return row.disposition == "attachment" or bool(row.name) or found.is_message or found.type.lower() != b"text"


def _file(found: Part, row: Row) -> File:
    kind = row.kind
    name = row.name or (f"message-{row.number or 1}.eml" if kind == "message/rfc822" else f"part-{row.number or 1}")
    is_inline = bool(row.content_id) and row.disposition != "attachment"
    return File(row.number, attachments.safe_name(name), kind, row.content_id, row.size, is_inline)


def _words(message: bytes, rows: list[tuple[Part, Row, bool]], subtype: bytes) -> str:
    """All that is to be read of one kind, up to LONGEST_TEXT characters."""
    pieces: list[str] = []
    left = LONGEST_TEXT
    for found, row, attached in rows:
        if left <= 0:
            break
        if (
            not row.is_leaf
            or _is_file(found, row, attached=attached)
            or attached
            or (found.subtype.lower() == b"html") != (subtype == b"html")
        ):
            continue
        octets = texts.undone(message[found.body : min(found.end, found.body + 4 * left)], found.encoding)
        pieces.append(whole(words.decode(octets, row.charset).replace("\r\n", "\n")[:left]))
        left -= len(pieces[-1]) + 1
    return "\n".join(pieces)


def _numbers(number: str) -> tuple[int, ...]:
    pieces = number.split(".")[:200]
    return tuple(map(int, pieces)) if all(_NUMBER.fullmatch(piece) for piece in pieces) else ()
