"""What FETCH can be asked for (RFC 3501 §6.4.5), as values.

`parse_fetch` reads them; `servers/imap/fetch` compiles a tuple of them once per
command. Macros (ALL, FAST, FULL) are expanded before anybody sees them. A new
item is a row in `Item`, or a class of its own beside `Section`.
"""

from __future__ import annotations

import re
from enum import Enum

from twistmail.mail.values import frozen


class Item(Enum):
    """An item without arguments; the value is its label in the response."""

    FLAGS = b"FLAGS"
    UID = b"UID"
    INTERNALDATE = b"INTERNALDATE"
    SIZE = b"RFC822.SIZE"
    MODSEQ = b"MODSEQ"  # RFC 7162 §3.1.4.2
    ENVELOPE = b"ENVELOPE"
    BODY = b"BODY"  # the structure without extension data
    BODYSTRUCTURE = b"BODYSTRUCTURE"
    RFC822 = b"RFC822"  # as BODY[], sets \Seen
    RFC822_HEADER = b"RFC822.HEADER"  # as BODY.PEEK[HEADER], does not set \Seen
    RFC822_TEXT = b"RFC822.TEXT"  # as BODY[TEXT], sets \Seen
    SAVEDATE = b"SAVEDATE"  # RFC 8514
    EMAILID = b"EMAILID"  # RFC 8474
    THREADID = b"THREADID"
    PREVIEW = b"PREVIEW"  # RFC 8970
    PREVIEW_LAZY = b"PREVIEW (LAZY)"  # the same, if it need not be made first

    @property
    def label(self) -> bytes:
        return b"PREVIEW" if self is Item.PREVIEW_LAZY else bytes(self.value)

    @property
    def sets_seen(self) -> bool:
        return self in (Item.RFC822, Item.RFC822_TEXT)


FAST = (Item.FLAGS, Item.INTERNALDATE, Item.SIZE)
MACROS: dict[bytes, tuple[Item, ...]] = {
    b"FAST": FAST,
    b"ALL": (*FAST, Item.ENVELOPE),
    b"FULL": (*FAST, Item.ENVELOPE, Item.BODY),
}


class SectionText(Enum):
    """Which text of a part is meant; the value is its spelling."""

    WHOLE = b""
    HEADER = b"HEADER"
    HEADER_FIELDS = b"HEADER.FIELDS"
    HEADER_FIELDS_NOT = b"HEADER.FIELDS.NOT"
    TEXT = b"TEXT"
    MIME = b"MIME"  # only with a part number


@frozen
class Section:
    """BODY[...]: octets of the message or of one part.

    `part`: part numbers, each at least 1, () for the message itself. `fields`: header field names as the client wrote
    them, for HEADER.FIELDS and HEADER.FIELDS.NOT only. `peek`: do not set \\Seen. `offset` and `count` (octets, count
    at least 1) for a partial fetch, both None for all; an offset behind the end gives an empty string.
    """

    part: tuple[int, ...] = ()
    text: SectionText = SectionText.WHOLE
    fields: tuple[bytes, ...] = ()
    peek: bool = False
    offset: int | None = None
    count: int | None = None

    @property
    def sets_seen(self) -> bool:
        return not self.peek

    @property
    def label(self) -> bytes:
        """The name of the item in the response, such as b"BODY[1.HEADER.FIELDS (FROM TO)]<0>" (RFC 3501 §7.4.2)."""
        pieces = [b"%d" % number for number in self.part]
        if self.text is not SectionText.WHOLE:
            pieces.append(self.text.value)
        spec = b".".join(pieces)
        if self.fields:
            spec += b" (" + b" ".join(map(_field_name, self.fields)) + b")"
        origin = b"" if self.offset is None else b"<%d>" % self.offset
        return b"BODY[" + spec + b"]" + origin


@frozen
class Binary:
    """BINARY[...] (RFC 3516): as BODY[...] of a part, its transfer encoding undone; BINARY.SIZE[...] where `size_only`."""

    part: tuple[int, ...] = ()
    peek: bool = False
    offset: int | None = None
    count: int | None = None
    size_only: bool = False

    @property
    def sets_seen(self) -> bool:
        return not (self.peek or self.size_only)

    @property
    def label(self) -> bytes:
        origin = b"" if self.offset is None else b"<%d>" % self.offset
        name = b"BINARY.SIZE[" if self.size_only else b"BINARY["
        return name + b".".join([b"%d" % number for number in self.part]) + b"]" + origin


FetchItem = Item | Section | Binary

_PLAIN_NAME = re.compile(rb"[!#$&'+\-./0-9:;<=>?@A-Z^_`a-z|}~,]+")


def _field_name(name: bytes) -> bytes:
    """*name* as an astring. Names never hold CR, LF or NUL: the parser refuses such."""
    if _PLAIN_NAME.fullmatch(name):
        return name
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
