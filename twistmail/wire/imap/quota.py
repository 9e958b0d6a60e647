"""GETQUOTA, GETQUOTAROOT and SETQUOTA as a client says them (RFC 9208 §4.1)."""

from __future__ import annotations

from collections.abc import Mapping

from twistmail.mail.values import frozen
from twistmail.wire.imap.commands import Command
from twistmail.wire.imap.rows import AFTER_LOGIN, Row, one_mailbox
from twistmail.wire.imap.tokens import Cursor, Misspelled


@frozen
class GetQuota(Command):
    root: str


@frozen
class GetQuotaRoot(Command):
    """`mailbox` need not exist (RFC 9208 §4.1.2)."""

    mailbox: str


@frozen
class SetQuota(Command):
    """`limits`: resource (upper case) -> how much of it, in its own unit; what is not named has no limit from now on."""

    root: str
    limits: Mapping[str, int]


def _root(cursor: Cursor) -> str:
    cursor.space()
    return cursor.text(cursor.astring("a quota root"), "the quota root")


def _set(cursor: Cursor, tag: bytes) -> SetQuota:
    root = _root(cursor)
    cursor.space()
    pairs = cursor.several(lambda: _limit(cursor), "resources and limits", may_be_empty=True)
    limits = dict(pairs)
    if len(limits) < len(pairs):
        raise Misspelled("A resource is named twice")
    return SetQuota(tag, root, limits)


def _limit(cursor: Cursor) -> tuple[str, int]:
    resource = cursor.word("a resource").decode("ascii")
    cursor.space()
    return resource, cursor.number64()


ROWS: dict[bytes, Row] = {
    b"GETQUOTA": Row(lambda cursor, tag: GetQuota(tag, _root(cursor)), AFTER_LOGIN),
    b"GETQUOTAROOT": Row(one_mailbox(GetQuotaRoot), AFTER_LOGIN),
    b"SETQUOTA": Row(_set, AFTER_LOGIN),
}
