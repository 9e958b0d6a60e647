"""The commands around SEARCH: ESEARCH over several mailboxes (RFC 7377), CANCELUPDATE (RFC 5267 §4.3.5), UIDBATCHES (RFC 10022).

Which mailboxes are meant is said as NOTIFY says it (RFC 5465 §6): `sources` reads both.
"""

from __future__ import annotations

import re
from enum import Enum

from twistmail.mail.values import frozen
from twistmail.wire.imap.commands import Command, Searching, Unsearchable
from twistmail.wire.imap.parse_search import checked, search_program
from twistmail.wire.imap.returns import ALL, Returns, returns
from twistmail.wire.imap.rows import AFTER_LOGIN, WITH_MAILBOX, Row
from twistmail.wire.imap.searchkeys import Key
from twistmail.wire.imap.tokens import Cursor, Misspelled, Refused

MOST_TAGS = 100
_BATCHES = re.compile(rb"([0-9]{1,10}):([0-9]{1,10})")


class Scope(Enum):
    """Which mailboxes a Source means (RFC 5465 §6, RFC 7377 §2.2); the value is its word."""

    SELECTED = "SELECTED"
    SELECTED_DELAYED = "SELECTED-DELAYED"  # NOTIFY only
    INBOXES = "INBOXES"
    PERSONAL = "PERSONAL"
    SUBSCRIBED = "SUBSCRIBED"
    SUBTREE = "SUBTREE"  # `names` and all below
    SUBTREE_ONE = "SUBTREE-ONE"  # `names` and one level below; ESEARCH only
    MAILBOXES = "MAILBOXES"  # `names`


_WITH_NAMES = (Scope.SUBTREE, Scope.SUBTREE_ONE, Scope.MAILBOXES)


@frozen
class Source:
    """Some mailboxes. `names` for SUBTREE, SUBTREE_ONE and MAILBOXES."""

    scope: Scope
    names: tuple[str, ...] = ()


@frozen
class Esearch(Searching):
    """`sources`: at least one; the selected mailbox where the client named none. `returns`: ALL where it asked for nothing."""

    sources: tuple[Source, ...]
    key: Key
    charset: str
    returns: Returns

    @property
    def is_of_selected(self) -> bool:
        """Whether the selected mailbox is the only one."""
        return all(source.scope is Scope.SELECTED for source in self.sources)


@frozen
class CancelUpdate(Command):
    """`tags`: of the commands whose results are not to be told of any more."""

    tags: tuple[bytes, ...]


@frozen
class UidBatches(Command):
    """The UIDs of the mailbox in ranges of `size` messages. `wanted`: only these batches, the first being 1; None for all."""

    size: int
    wanted: tuple[int, int] | None = None


def source(cursor: Cursor) -> Source:
    """`filter-mailboxes`, in any case (RFC 5465 §8)."""
    word = cursor.word("which mailboxes").decode("ascii")
    try:
        scope = Scope(word)
    except ValueError:
        raise Misspelled("Mailboxes are told by " + ", ".join(scope.value.lower() for scope in Scope)) from None
    if scope not in _WITH_NAMES:
        return Source(scope)
    cursor.space()
    names = cursor.several(cursor.mailbox, "mailboxes") if cursor.next_is(b"(") else (cursor.mailbox(),)
    return Source(scope, tuple(dict.fromkeys(names)))


def _esearch(cursor: Cursor, tag: bytes) -> Command:
    sources = _sources(cursor)
    wanted = returns(cursor) or ALL
    is_of_selected = all(source.scope is Scope.SELECTED for source in sources)
    if wanted.saves and not is_of_selected:
        raise Misspelled("SAVE is for the selected mailbox alone (RFC 7377 section 2.2)")
    cursor.space()
    try:
        key, charset = search_program(cursor)
    except Refused as error:
        if not wanted.saves:
            raise
        cursor.skip()
        return Unsearchable(tag, error.code, str(error))
    checked(wanted, key)
    return Esearch(tag, sources, key, charset, wanted)


def _sources(cursor: Cursor) -> tuple[Source, ...]:
    start = cursor.position
    if not (cursor.takes(b" ") and (cursor.next_is(b"I") or cursor.next_is(b"i"))) or cursor.word() != b"IN":
        cursor.position = start
        return (Source(Scope.SELECTED),)
    cursor.space()
    sources = cursor.several(lambda: source(cursor), "mailboxes")
    if any(one.scope is Scope.SELECTED_DELAYED for one in sources):
        raise Misspelled("ESEARCH does not know selected-delayed (RFC 7377 section 2.2)")
    return tuple(dict.fromkeys(sources))


def _cancel_update(cursor: Cursor, tag: bytes) -> CancelUpdate:
    tags: list[bytes] = []
    while not tags or not cursor.at_end:
        cursor.space()
        tags.append(cursor.astring("a tag"))
        if len(tags) > MOST_TAGS:
            raise Misspelled(f"CANCELUPDATE takes {MOST_TAGS} tags at most")
    return CancelUpdate(tag, tuple(dict.fromkeys(tags)))


def _uid_batches(cursor: Cursor, tag: bytes) -> UidBatches:
    cursor.space()
    size = cursor.number("the size of a batch")
    if not size:
        raise Misspelled("A batch has at least one message")
    if cursor.at_end:
        return UidBatches(tag, size)
    cursor.space()
    first, last = map(int, cursor.matched(_BATCHES, "a range of batches such as 1:10").groups())
    if not 0 < first <= last <= 0xFFFFFFFF:
        raise Misspelled("A range of batches goes from a number to one that is not lower, such as 1:10")
    return UidBatches(tag, size, (first, last))


ROWS: dict[bytes, Row] = {
    b"ESEARCH": Row(_esearch, AFTER_LOGIN),
    b"CANCELUPDATE": Row(_cancel_update, WITH_MAILBOX),
    b"UIDBATCHES": Row(_uid_batches, WITH_MAILBOX),
}
