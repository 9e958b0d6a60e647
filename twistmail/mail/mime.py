"""What can be asked about a message's MIME structure: its description, one part, one section, its text.

The finding is in `parts`, the spelling for IMAP in `structure`. The store calls
`describe` once for each message; `section` answers BODY[...]; what SEARCH looks
through is in `texts`. All of it is linear, bounded and never raises.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from twistmail.mail import headers, texts
from twistmail.mail.parts import Part, scan
from twistmail.mail.structure import body_structures, envelope
from twistmail.mail.summary import Summary, summarise


class Description(NamedTuple):
    """What the store keeps of a message: the header block, and those of its fields that are LISTED; ENVELOPE, BODY, BODYSTRUCTURE
    rendered for the wire; what is compared.
    """

    header: bytes
    listed: bytes
    envelope: bytes
    body: bytes
    bodystructure: bytes
    summary: Summary


def describe(message: bytes) -> Description:
    """The Description of *message* (CRLF line ends)."""
    root = scan(message)
    body, bodystructure = body_structures(message, root)
    header = message[: root.body]
    return Description(header, headers.select(header, headers.LISTED), envelope(root.fields), body, bodystructure, summarise(message, root))


def is_told_otherwise(structure: bytes) -> bool:
    """Whether a BODY or BODYSTRUCTURE may be another for clients of IMAP4rev2: `for_rev2`."""
    return b'"global"' in structure.lower()


def for_rev2(message: bytes) -> tuple[bytes, bytes]:
    """(BODY, BODYSTRUCTURE) of *message* for clients of IMAP4rev2 (`structure.body_structures`)."""
    return body_structures(message, scan(message), rev2=True)


def part(message: bytes, numbers: tuple[int, ...]) -> Part | None:
    """The part of *message* that has these *numbers* (RFC 3501 §6.4.5), () for the message itself; None where there is none."""
    return find(scan(message), numbers)


def find(root: Part, numbers: tuple[int, ...]) -> Part | None:
    """As `part`, in a tree that is known already.

    A message that is no multipart has one part, number 1, which is its body; a message/rfc822 part is numbered through:
    its parts are those of the message inside.
    """
    node, is_whole = root, True
    for number in numbers:
        if node.is_message and not is_whole:
            node, is_whole = node.children[0], True
        if node.is_multipart:
            if number > len(node.children):
                return None
            node, is_whole = node.children[number - 1], False
        elif is_whole and number == 1:
            is_whole = False
        else:
            return None
    return node


def section(message: bytes, numbers: tuple[int, ...], text: str = "", fields: Collection[bytes] = ()) -> bytes | None:
    """The octets of BODY[...] (RFC 3501 §6.4.5), or None where the message has no such part.

    *text* is "", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT" or "MIME"; *fields* are field names in any case.
    """
    if not numbers:
        if not text:
            return message
        header, body = headers.split(message)
        return message[body:] if text == "TEXT" else chosen(header, text, fields)
    place = span(scan(message), numbers, text)
    return None if place is None else chosen(message[place[0] : place[1]], text, fields)


def span(root: Part, numbers: tuple[int, ...], text: str = "") -> tuple[int, int] | None:
    """Where the octets of BODY[...] lie: offsets (start, end) in the message whose parts are *root*; None where there are none.

    For HEADER.FIELDS and HEADER.FIELDS.NOT: where the header lies of which they are chosen.
    """
    found = find(root, numbers)
    if found is None:
        return None
    if text == "MIME":
        return found.start, found.body
    if numbers:
        if not text:
            return found.body, found.end
        if not found.is_message:
            return None
        found = found.children[0]
    if text == "TEXT":
        return found.body, found.end
    return (found.start, found.body) if text else (found.start, found.end)


def chosen(octets: bytes, text: str, fields: Collection[bytes]) -> bytes:
    """The fields of the header *octets* that HEADER.FIELDS or HEADER.FIELDS.NOT want; for every other *text* *octets* as they are."""
    if text not in ("HEADER.FIELDS", "HEADER.FIELDS.NOT"):
        return octets
    return headers.select(octets, {name.lower() for name in fields}, exclude=text == "HEADER.FIELDS.NOT")


def content(message: bytes, found: Part) -> bytes:
    """The octets of a part with its Content-Transfer-Encoding undone; an unknown encoding leaves them as they are."""
    return texts.undone(message[found.body : found.end], found.encoding)


def text_of(message: bytes) -> Iterator[str]:
    """The texts of *message* as people read them: every text part and every header inside, decoded. The outermost header is left out."""
    return map("".join, texts.texts_of(message))
