"""ENVELOPE, BODY and BODYSTRUCTURE as IMAP says them (RFC 3501 §7.4.2), rendered once and kept by the store.

What odd mail looks like follows Dovecot: absent Sender and Reply-To repeat
From, a text part without a charset is us-ascii, a multipart without parts has
one empty text part, an address without a domain gets MISSING_DOMAIN. Values are
quoted strings where they can be and literals where they must, so that nothing
in a message can break the protocol.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from twistmail.mail.addresses import ListedAddress, addresses
from twistmail.mail.headers import unfold
from twistmail.mail.parts import Parameters, Part

NIL = b"NIL"
_EMPTY_PART = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0'
_QUOTABLE = re.compile(rb'[\t\x20-\x7e]*+').fullmatch
_NO_ESCAPE = re.compile(rb'[\t\x20\x21\x23-\x5b\x5d-\x7e]*+').fullmatch

ADDRESS_FIELDS = (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")


def string(value: bytes) -> bytes:
    """*value* as a quoted string, or as a literal where it holds what a quoted string may not. NUL becomes 0x80 (no CHAR8)."""
    if _NO_ESCAPE(value):
        return b'"%b"' % value
    if _QUOTABLE(value):
        return b'"%b"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    value = value.replace(b"\0", b"\x80")
    return b"{%d}\r\n%b" % (len(value), value)


def nstring(value: bytes | None) -> bytes:
    """*value* as a string, None as NIL."""
    return NIL if value is None else string(value)


def envelope(fields: dict[bytes, list[bytes]]) -> bytes:
    """The ENVELOPE of a message with these `Part.fields`."""
    sender_like = NIL
    rendered: list[bytes] = []
    for name in ADDRESS_FIELDS:
        listed = _address_list(fields[name]) if name in fields else NIL
        if name == b"from":
            sender_like = listed
        elif listed is NIL and name in (b"sender", b"reply-to"):
            listed = sender_like
        rendered.append(listed)
    return b"(%b %b %b %b %b)" % (
        _text(fields, b"date"), _text(fields, b"subject"), b" ".join(rendered), _text(fields, b"in-reply-to"), _text(fields, b"message-id"))


def _text(fields: dict[bytes, list[bytes]], name: bytes) -> bytes:
    """Where there are several the last counts: DKIM signs from below (RFC 6376 §5.4.2), so a stranger can only put his above it."""
    raw = fields.get(name)
    return string(unfold(raw[-1]).replace(b"\r", b" ")) if raw else NIL


def _address_list(raw: list[bytes]) -> bytes:
    """The addresses of all fields of one name: senders who write two To fields mean both."""
    entries = addresses(raw[0]) if len(raw) == 1 else addresses(b",".join(raw))
    return b"(%b)" % b"".join(map(_address, entries)) if entries else NIL


def _address(entry: ListedAddress) -> bytes:
    name, route, local, domain = entry
    if domain is None:
        return b"(NIL NIL %b NIL)" % nstring(local)
    return b"(%b %b %b %b)" % (nstring(name), nstring(route), string(local or b"MISSING_MAILBOX"), string(domain or b"MISSING_DOMAIN"))


def body_structures(message: bytes, root: Part, *, rev2: bool = False) -> tuple[bytes, bytes]:
    """(BODY, BODYSTRUCTURE) of the message whose parts are *root*.

    *rev2*: as clients of IMAP4rev2 want it, to whom message/global is a message (RFC 9051 §9, media-message). To others it is
    a part like any other, because nothing in RFC 3501 tells them to expect an ENVELOPE there.
    """
    parts = root.walk()
    lines = _line_counter(message, parts)
    rendered: dict[int, tuple[bytes, bytes]] = {}
    for part in reversed(parts):  # children first: no recursion
        inside = [rendered.pop(id(child)) for child in part.children]
        rendered[id(part)] = _multipart(part, inside) if part.is_multipart else _leaf(part, inside, lines, rev2=rev2)
    return rendered[id(root)]


def _multipart(part: Part, inside: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    subtype = string(part.subtype)
    plain = b"".join(body for body, _ in inside) or _EMPTY_PART + b")"
    full = b"".join(structure for _, structure in inside) or _EMPTY_PART + b" NIL NIL NIL NIL)"
    return b"(%b %b)" % (plain, subtype), b"(%b %b %b %b)" % (full, subtype, _parameters(part.parameters), _placing(part))


def _leaf(part: Part, inside: list[tuple[bytes, bytes]], lines: dict[int, int], *, rev2: bool) -> tuple[bytes, bytes]:
    is_text = part.type.lower() == b"text"
    basic = b"%b %b %b %b %b %b %d" % (
        string(part.type), string(part.subtype), _parameters(part.parameters, charset=is_text), nstring(part.value(b"content-id")),
        nstring(part.value(b"content-description")), string(part.encoding or b"7bit"), part.size)  # fmt: skip
    extension = b"%b %b" % (nstring(part.value(b"content-md5")), _placing(part))
    if inside and (rev2 or part.subtype.lower() == b"rfc822"):
        counted = lines[part.end] - lines[part.body]
        letter, ((body, structure),) = envelope(part.children[0].fields), inside
        return b"(%b %b %b %d)" % (basic, letter, body, counted), b"(%b %b %b %d %b)" % (basic, letter, structure, counted, extension)
    if is_text:
        basic = b"%b %d" % (basic, lines[part.end] - lines[part.body])
    return b"(%b)" % basic, b"(%b %b)" % (basic, extension)


def _placing(part: Part) -> bytes:
    """Disposition, language and location: the extension data that every part has."""
    if not part.fields.keys() & _PLACING_FIELDS:
        return b"NIL NIL NIL"
    found = part.disposition
    disposition = b"(%b %b)" % (string(found[0]), _parameters(found[1])) if found else NIL
    languages = part.languages
    language = b"(%b)" % b" ".join(map(string, languages)) if languages else NIL
    return b"%b %b %b" % (disposition, language, nstring(part.value(b"content-location")))


_PLACING_FIELDS = {b"content-disposition", b"content-language", b"content-location"}


def _parameters(pairs: Parameters, *, charset: bool = False) -> bytes:
    words = [b"%b %b" % (string(key), string(value)) for key, value in pairs]
    if charset and not any(key.lower() == b"charset" for key, _ in pairs):
        words.append(b'"charset" "us-ascii"')
    return b"(%b)" % b" ".join(words) if words else NIL


def _line_counter(message: bytes, parts: Iterable[Part]) -> dict[int, int]:
    """Offset -> line ends before it, for every border of a part whose lines are told; each octet is counted once."""
    borders = {offset for part in parts if part.is_message or part.type.lower() == b"text" for offset in (part.body, part.end)}
    counts: dict[int, int] = {}
    total = at = 0
    for offset in sorted(borders):
        total += message.count(b"\n", at, offset)
        counts[offset], at = total, offset
    return counts
