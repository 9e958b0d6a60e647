"""GENURLAUTH, URLFETCH and RESETKEY as a client says them (RFC 4467 §7, §9). What a URL means is `mail.imapurl`'s business."""

from __future__ import annotations

from typing import TypeVar

from twistmail.mail.values import frozen
from twistmail.wire.imap.commands import Command
from twistmail.wire.imap.rows import AFTER_LOGIN, Row
from twistmail.wire.imap.tokens import Cursor, Misspelled

T = TypeVar("T")

#: URLs of one command; each may be a whole message.
MOST_URLS = 100


@frozen
class GenUrlAuth(Command):
    """`urls`: pairs of a URL that wants a token and the mechanism (upper case) that shall make it."""

    urls: tuple[tuple[str, str], ...]


@frozen
class UrlFetch(Command):
    """`urls`: complete with their tokens."""

    urls: tuple[str, ...]


@frozen
class ResetKey(Command):
    """`mailbox`: None for all; `mechanisms` in upper case, () for those that there are."""

    mailbox: str | None
    mechanisms: tuple[str, ...] = ()


def _url(cursor: Cursor) -> str:
    cursor.space()
    return cursor.text(cursor.astring("a URL"), "a URL")


def _mechanism(cursor: Cursor) -> str:
    cursor.space()
    return cursor.word("a mechanism").decode("ascii")


def _gen_url_auth(cursor: Cursor, tag: bytes) -> GenUrlAuth:
    urls: list[tuple[str, str]] = []
    while not urls or not cursor.at_end:
        urls.append((_url(cursor), _mechanism(cursor)))
    return GenUrlAuth(tag, tuple(_few(urls)))


def _url_fetch(cursor: Cursor, tag: bytes) -> UrlFetch:
    urls: list[str] = []
    while not urls or not cursor.at_end:
        urls.append(_url(cursor))
    return UrlFetch(tag, tuple(_few(urls)))


def _few(urls: list[T]) -> list[T]:
    if len(urls) > MOST_URLS:
        raise Misspelled(f"A command may have {MOST_URLS} URLs")
    return urls


def _reset_key(cursor: Cursor, tag: bytes) -> ResetKey:
    if cursor.at_end:
        return ResetKey(tag, None)
    cursor.space()
    mailbox = cursor.mailbox()
    mechanisms: list[str] = []
    while not cursor.at_end:
        mechanisms.append(_mechanism(cursor))
    return ResetKey(tag, mailbox, tuple(mechanisms))


ROWS: dict[bytes, Row] = {
    b"GENURLAUTH": Row(_gen_url_auth, AFTER_LOGIN),
    b"URLFETCH": Row(_url_fetch, AFTER_LOGIN),
    b"RESETKEY": Row(_reset_key, AFTER_LOGIN),
}
