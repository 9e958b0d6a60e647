"""Reads what FETCH asks for into `fetchitems` values (RFC 3501 §6.4.5, §9 `fetch-att`)."""

from __future__ import annotations

import re

from twistmail.wire.imap.fetchitems import MACROS, Binary, FetchItem, Item, Section, SectionText
from twistmail.wire.imap.tokens import Cursor, Misspelled

MOST_ITEMS = 64  # no mail program asks for twenty; each may be the whole message once more
DEEPEST_PART = 100  # MIME is not followed deeper than this anywhere

_NAME = re.compile(rb"[A-Za-z0-9.]+")
_SPEC = re.compile(rb"[A-Za-z0-9.]*")
_PARTIAL = re.compile(rb"<([0-9]{1,10})\.([0-9]{1,10})>")
_PART_NUMBER = re.compile(rb"[1-9][0-9]{0,9}")
_LAZY = re.compile(rb" \((?i:LAZY)(?: (?i:LAZY))*\)")  # RFC 8970 §6: its modifiers, of which there is one
_FIELD_NAME = re.compile(rb"[\x21-\x39\x3b-\x7e]+")

_ITEMS: dict[bytes, Item] = {item.value: item for item in Item}
_TEXTS: dict[bytes, SectionText] = {text.value: text for text in SectionText}
_WITH_FIELDS = (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT)
_SECTIONS = {b"BODY": False, b"BODY.PEEK": True}
_BINARIES = frozenset({b"BINARY", b"BINARY.PEEK", b"BINARY.SIZE"})


def fetch_items(cursor: Cursor) -> tuple[FetchItem, ...]:
    """A macro, one item, or a list of items; repetitions dropped. Raises Misspelled."""
    if cursor.next_is(b"("):
        items = cursor.several(lambda: _item(cursor), "items")
        if len(items) > MOST_ITEMS:
            raise Misspelled(f"FETCH takes {MOST_ITEMS} items at most")
        return tuple(dict.fromkeys(items))
    start = cursor.position
    macro = MACROS.get(cursor.matched(_NAME, "an item to fetch")[0].upper())
    if macro is not None:
        return macro
    cursor.position = start
    return (_item(cursor),)


def _item(cursor: Cursor) -> FetchItem:
    name = cursor.matched(_NAME, "an item to fetch")[0].upper()
    if name in _SECTIONS and cursor.takes(b"["):
        return _section(cursor, peek=_SECTIONS[name])
    if name in _BINARIES and cursor.takes(b"["):
        return _binary(cursor, name)
    item = _ITEMS.get(name)
    if item is None:
        raise Misspelled("FETCH knows no such item")
    if item is Item.PREVIEW and cursor.takes_match(_LAZY):
        return Item.PREVIEW_LAZY
    return item


def section_named(spec: bytes) -> Section:
    """The section that *spec* (what stands between the brackets of BODY.PEEK[...]) names. Raises Misspelled."""
    cursor = Cursor(spec + b"]")
    section = _section(cursor, peek=True)
    cursor.end()
    return section


def _section(cursor: Cursor, *, peek: bool) -> Section:
    """What stands behind "BODY[": the section and the partial range."""
    part, text = _spec(cursor.matched(_SPEC, "a section")[0].upper())
    fields: tuple[bytes, ...] = ()
    if text in _WITH_FIELDS:
        cursor.space()
        fields = cursor.several(lambda: _field(cursor), "header field names")
    cursor.expect(b"]", "]")
    return Section(part, text, fields, peek, *_partial(cursor))


def _binary(cursor: Cursor, name: bytes) -> Binary:
    """What stands behind the bracket (RFC 3516 §7)."""
    part, text = _spec(cursor.matched(_SPEC, "a part number")[0].upper())
    if text is not SectionText.WHOLE:
        raise Misspelled("BINARY takes the number of a part")
    cursor.expect(b"]", "]")
    if name == b"BINARY.SIZE":
        return Binary(part, size_only=True)
    return Binary(part, name == b"BINARY.PEEK", *_partial(cursor))


def _partial(cursor: Cursor) -> tuple[int | None, int | None]:
    """Where the octets that are wanted begin and how many they are; None for all."""
    if not cursor.next_is(b"<"):
        return None, None
    offset, count = map(int, cursor.matched(_PARTIAL, "a range such as <0.2048>").groups())
    if not 0 < count <= 0xFFFFFFFF or offset > 0xFFFFFFFF:
        raise Misspelled("A partial range begins below 4294967296 and has at least one octet")
    return offset, count


def _spec(spec: bytes) -> tuple[tuple[int, ...], SectionText]:
    """ "1.2.HEADER" as its part numbers and its text."""
    words = spec.split(b".") if spec else []
    numbers = 0
    while numbers < len(words) and _PART_NUMBER.fullmatch(words[numbers]):
        numbers += 1
    text = _TEXTS.get(b".".join(words[numbers:]))
    if text is None or (text is SectionText.WHOLE and numbers < len(words)):
        raise Misspelled("There is no such section")
    if text is SectionText.MIME and not numbers:
        raise Misspelled("MIME needs a part number (RFC 3501 section 6.4.5)")
    if numbers > DEEPEST_PART:
        raise Misspelled(f"Parts are not nested deeper than {DEEPEST_PART}")
    return tuple(map(int, words[:numbers])), text


def _field(cursor: Cursor) -> bytes:
    name = cursor.astring("a header field name")
    if not _FIELD_NAME.fullmatch(name):
        raise Misspelled("A header field name is printable ASCII without a colon")
    return name
