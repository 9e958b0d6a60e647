"""SORT, with RETURN (RFC 5267 §3), and THREAD (RFC 5256, RFC 5957): their values, and how they are read."""

from __future__ import annotations

from functools import partial

from twistmail.mail.mailbox import SortKey, Threading
from twistmail.mail.values import frozen
from twistmail.wire.imap.commands import Command, Searching, Unsearchable
from twistmail.wire.imap.parse_search import program_in_charset
from twistmail.wire.imap.returns import Returns, returns
from twistmail.wire.imap.rows import WITH_MAILBOX, Row
from twistmail.wire.imap.searchkeys import Fuzzy, Key, mentions
from twistmail.wire.imap.tokens import Cursor, Misspelled, Refused

MOST_SORT_KEYS = 20


@frozen
class Sort(Searching):
    """`keys`: (what is compared, whether the order is reversed); `key`: which messages; `charset` in upper case; `returns` as in Search.

    `relevancy`: the score stands before `keys`, which may be none then: the highest first (False), or reversed (True) (RFC 6203 §6).
    """

    keys: tuple[tuple[SortKey, bool], ...]
    key: Key
    charset: str
    uid: bool
    returns: Returns | None = None
    relevancy: bool | None = None


@frozen
class Thread(Searching):
    """As Sort; `how`: the algorithm."""

    how: Threading
    key: Key
    charset: str
    uid: bool


def _sort(cursor: Cursor, tag: bytes, *, uid: bool) -> Command:
    wanted = returns(cursor)
    cursor.space()
    criteria = cursor.several(lambda: _criterion(cursor), "sort criteria")
    if len(criteria) > MOST_SORT_KEYS:
        raise Misspelled(f"SORT takes {MOST_SORT_KEYS} criteria at most")
    relevancy = criteria[0][1] if criteria[0][0] is None else None
    keys = tuple((key, reverse) for key, reverse in criteria if key is not None)
    if len(keys) + (relevancy is not None) < len(criteria):
        raise Misspelled("RELEVANCY can be the first criterion only")
    cursor.space()
    try:
        key, charset = program_in_charset(cursor)
    except Refused as error:
        if wanted is None or not wanted.saves:
            raise
        cursor.skip()
        return Unsearchable(tag, error.code, str(error))
    if not mentions(key, Fuzzy) and (relevancy is not None or (wanted is not None and "RELEVANCY" in wanted)):
        raise Misspelled("RELEVANCY needs a FUZZY search key (RFC 6203 section 6)")
    return Sort(tag, keys, key, charset, uid, wanted, relevancy)


def _criterion(cursor: Cursor) -> tuple[SortKey | None, bool]:
    """None for RELEVANCY, which is no matter of the mailbox."""
    word = cursor.word("a sort criterion")
    reverse = word == b"REVERSE"
    if reverse:
        cursor.space()
        word = cursor.word("a sort criterion")
    if word == b"RELEVANCY":
        return None, reverse
    try:
        return SortKey(word.decode("ascii")), reverse
    except ValueError:
        known = ", ".join(key.value for key in SortKey)
        raise Misspelled(f"SORT knows the criteria {known}, RELEVANCY and REVERSE before one of them") from None


def _thread(cursor: Cursor, tag: bytes, *, uid: bool) -> Thread:
    cursor.space()
    try:
        how = Threading(cursor.word("a threading algorithm").decode("ascii"))
    except ValueError:
        raise Misspelled(f"THREAD knows the algorithms {', '.join(how.value for how in Threading)}") from None
    cursor.space()
    key, charset = program_in_charset(cursor)
    return Thread(tag, how, key, charset, uid)


ROWS = {
    b"SORT": Row(partial(_sort, uid=False), WITH_MAILBOX),
    b"THREAD": Row(partial(_thread, uid=False), WITH_MAILBOX),
    b"UID SORT": Row(partial(_sort, uid=True), WITH_MAILBOX),
    b"UID THREAD": Row(partial(_thread, uid=True), WITH_MAILBOX),
}
