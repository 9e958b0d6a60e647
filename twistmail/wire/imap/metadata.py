"""GETMETADATA and SETMETADATA as a client says them (RFC 5464 §4.2, §4.3).

What an entry may be called is checked here, because a wrong name is BAD (§3.2); how many there may be and how long is the store's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field

from twistmail.mail.values import frozen
from twistmail.wire.imap.commands import Command
from twistmail.wire.imap.rows import AFTER_LOGIN, Row
from twistmail.wire.imap.tokens import Cursor, Misspelled

#: RFC 5464 §3.2: printable ASCII without "*" and "%", no component empty; below vendor/ there is a token and a name.
_ENTRY = re.compile(rb"/(?:private|shared)(?!/vendor(?:/[^/]*)?\Z)(?:/[!-$&-)+-.0-~]+)+", re.IGNORECASE)
LONGEST_ENTRY = 1024
#: Infinity, for DEPTH.
ALL_BELOW = 1 << 32
_OPTIONS_BEGIN = (b"(M", b"(m", b"(D", b"(d")
_DEPTHS = {b"0": 0, b"1": 1, b"INFINITY": ALL_BELOW}


@frozen
class GetMetadata(Command):
    """`mailbox` "" is the server. `entries` as the client has spelled them; case means nothing (§3.2).

    `depth`: so many levels below each entry are meant, too; `largest`: octets of a value that is still to be told, None: any.
    """

    mailbox: str
    entries: tuple[str, ...]
    depth: int = 0
    largest: int | None = None


@frozen
class SetMetadata(Command):
    """`values`: entry (lower case) -> octets, or None to remove it."""

    mailbox: str
    values: Mapping[str, bytes | None] = field(repr=False)


def entry(cursor: Cursor) -> str:
    """The name of an entry. Raises Misspelled."""
    name = cursor.astring("an entry")
    if not _ENTRY.fullmatch(name) or len(name) > LONGEST_ENTRY:
        raise Misspelled("An entry is called such as /private/comment or /shared/vendor/TOKEN/NAME (RFC 5464 section 3.2)")
    return name.decode("ascii")


def entries(cursor: Cursor) -> tuple[str, ...]:
    """A list of entries in parentheses; repetitions, in whatever case, dropped."""
    found: dict[str, str] = {}
    for name in cursor.several(lambda: entry(cursor), "entries"):
        found.setdefault(name.lower(), name)
    return tuple(found.values())


def _get(cursor: Cursor, tag: bytes) -> GetMetadata:
    """Options stand before the mailbox by the grammar and behind it in the examples of §4.2: we take them in both places."""
    cursor.space()
    options: dict[bytes, int] = {}
    if cursor.next_is(b"("):
        cursor.several(lambda: _option(cursor, options), "options")
        cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    if any(map(cursor.next_is, _OPTIONS_BEGIN)):
        cursor.several(lambda: _option(cursor, options), "options")
        cursor.space()
    wanted = entries(cursor) if cursor.next_is(b"(") else (entry(cursor),)
    return GetMetadata(tag, mailbox, wanted, options.get(b"DEPTH", 0), options.get(b"MAXSIZE"))


def _option(cursor: Cursor, options: dict[bytes, int]) -> None:
    name = cursor.word("MAXSIZE or DEPTH")
    cursor.space()
    if name == b"MAXSIZE":
        options[name] = cursor.number()
        return
    depth = _DEPTHS.get(cursor.word("a depth")) if name == b"DEPTH" else None
    if depth is None:
        raise Misspelled("GETMETADATA knows the options MAXSIZE with a number, and DEPTH with 0, 1 or infinity")
    options[name] = depth


def _set(cursor: Cursor, tag: bytes) -> SetMetadata:
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    return SetMetadata(tag, mailbox, dict(cursor.several(lambda: _pair(cursor), "entries and values")))


def _pair(cursor: Cursor) -> tuple[str, bytes | None]:
    name = entry(cursor).lower()
    cursor.space()
    if cursor.takes(b"~"):  # a literal8 may hold any octet
        return name, cursor.string("a literal")
    return name, cursor.nstring("a value or NIL")


ROWS: dict[bytes, Row] = {
    b"GETMETADATA": Row(_get, AFTER_LOGIN),
    b"SETMETADATA": Row(_set, AFTER_LOGIN),
}
