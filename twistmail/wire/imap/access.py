"""SETACL, DELETEACL, GETACL, LISTRIGHTS and MYRIGHTS (RFC 4314 §3): values, their reading, and the spelling of the answers."""

from __future__ import annotations

from collections.abc import Iterable

from twistmail.mail import acl
from twistmail.mail.acl import Rights, RightsChange
from twistmail.mail.values import frozen
from twistmail.wire.imap.commands import Command
from twistmail.wire.imap.responses import Untagged, astring
from twistmail.wire.imap.rows import AFTER_LOGIN, Row, one_mailbox
from twistmail.wire.imap.tokens import Cursor, Misspelled


@frozen
class SetAcl(Command):
    """`identifier` is as the client has spelled it; what it means is the session's to know."""

    mailbox: str
    identifier: str
    change: RightsChange
    rights: Rights


@frozen
class DeleteAcl(Command):
    mailbox: str
    identifier: str


@frozen
class GetAcl(Command):
    mailbox: str


@frozen
class ListRights(Command):
    mailbox: str
    identifier: str


@frozen
class MyRights(Command):
    mailbox: str


# ----- reading


def _set(cursor: Cursor, tag: bytes) -> SetAcl:
    name, identifier = _named(cursor)
    cursor.space()
    text = cursor.text(cursor.astring("rights"), "rights")
    change = RightsChange(text[:1]) if text[:1] in "+-" else RightsChange.SET
    try:
        return SetAcl(tag, name, identifier, change, acl.read(text.removeprefix(change.value)))
    except ValueError as error:
        raise Misspelled(str(error)) from None


def _named(cursor: Cursor) -> tuple[str, str]:
    """Mailbox and identifier."""
    cursor.space()
    name = cursor.mailbox()
    cursor.space()
    return name, cursor.text(cursor.astring("an identifier"), "the identifier")


ROWS: dict[bytes, Row] = {
    b"SETACL": Row(_set, AFTER_LOGIN),
    b"DELETEACL": Row(lambda cursor, tag: DeleteAcl(tag, *_named(cursor)), AFTER_LOGIN),
    b"GETACL": Row(one_mailbox(GetAcl), AFTER_LOGIN),
    b"LISTRIGHTS": Row(lambda cursor, tag: ListRights(tag, *_named(cursor)), AFTER_LOGIN),
    b"MYRIGHTS": Row(one_mailbox(MyRights), AFTER_LOGIN),
}


# ----- answers (RFC 4314 §3.6 to §3.8); *name* is the mailbox's as the client reads it


def acl_response(name: bytes, entries: Iterable[tuple[str, str]]) -> Untagged:
    """The ACL of a mailbox: pairs of identifier and rights."""
    words = [word for identifier, rights in entries for word in (_word(identifier), _word(rights))]
    return Untagged(b" ".join([b"ACL", name, *words]))


def rights_response(name: bytes, identifier: str, always: str, optional: Iterable[str]) -> Untagged:
    """LISTRIGHTS: what *identifier* has *always*, and what it can be given, each word as a whole or not at all."""
    return Untagged(b" ".join([b"LISTRIGHTS", name, _word(identifier), *map(_word, (always, *optional))]))


def my_rights_response(name: bytes, rights: str) -> Untagged:
    return Untagged(b"MYRIGHTS %b %b" % (name, _word(rights)))


def _word(text: str) -> bytes:
    return astring(text.encode())
