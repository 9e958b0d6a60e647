"""Reads what SEARCH asks into a tree of `searchkeys` (RFC 3501 §6.4.4, §9 `search-key`).

Iterative: what is open (a list, a NOT, an OR) stands on a stack of our own, so
depth costs no Python frames and is counted exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from twistmail.wire.imap.returns import Returns
from twistmail.wire.imap.searchkeys import (
    All,
    And,
    Before,
    Body,
    EmailId,
    Fuzzy,
    Has,
    Header,
    Key,
    Lacks,
    Larger,
    ModSeq,
    Not,
    Numbers,
    Older,
    On,
    Or,
    Recent,
    SavedBefore,
    SavedOn,
    SavedSince,
    SentBefore,
    SentOn,
    SentSince,
    Since,
    Smaller,
    Text,
    ThreadId,
    Uid,
    Younger,
    mentions,
)
from twistmail.wire.imap.sequence import SequenceSet
from twistmail.wire.imap.tokens import Cursor, Misspelled, Refused

MOST_KEYS = 500
DEEPEST = 32

#: Charset name -> Python codec (RFC 5255 §4.2 wants UTF-8).
CHARSETS = {"US-ASCII": "ascii", "ASCII": "ascii", "UTF-8": "utf-8"}
WITHOUT_CHARSET = "utf-8"  # of which US-ASCII, the default of RFC 3501 §6.4.4, is a part

_FLAGS = {b"ANSWERED": "\\Answered", b"DELETED": "\\Deleted", b"DRAFT": "\\Draft", b"FLAGGED": "\\Flagged", b"SEEN": "\\Seen"}
_WORDS: dict[bytes, Key] = {
    b"ALL": All(),
    b"NEW": And((Recent(), Lacks("\\Seen"))),
    b"OLD": Not(Recent()),
    b"RECENT": Recent(),
    b"SAVEDATESUPPORTED": All(),
    **{word: Has(flag) for word, flag in _FLAGS.items()},
    **{b"UN" + word: Lacks(flag) for word, flag in _FLAGS.items()},
}
_FIELDS = {b"BCC": "bcc", b"CC": "cc", b"FROM": "from", b"SUBJECT": "subject", b"TO": "to"}
_TEXTS: dict[bytes, Callable[[str], Key]] = {b"BODY": Body, b"TEXT": Text}
_DAYS: dict[bytes, Callable[..., Key]] = {
    b"BEFORE": Before,
    b"ON": On,
    b"SINCE": Since,
    b"SENTBEFORE": SentBefore,
    b"SENTON": SentOn,
    b"SENTSINCE": SentSince,
    b"SAVEDBEFORE": SavedBefore,
    b"SAVEDON": SavedOn,
    b"SAVEDSINCE": SavedSince,
}
_SIZES: dict[bytes, Callable[[int], Key]] = {b"LARGER": Larger, b"SMALLER": Smaller}
_AGES: dict[bytes, Callable[[int], Key]] = {b"OLDER": Older, b"YOUNGER": Younger}
_IDENTIFIERS: dict[bytes, Callable[[str], Key]] = {b"EMAILID": EmailId, b"THREADID": ThreadId}
ENTRY_TYPES = frozenset({b"PRIV", b"SHARED", b"ALL"})
_KEYWORDS: dict[bytes, Callable[[str], Key]] = {b"KEYWORD": Has, b"UNKEYWORD": Lacks}


def search_program(cursor: Cursor) -> tuple[Key, str]:
    """[CHARSET name] and the keys: one Key and the charset ("" where none was given).

    Raises Misspelled, and Refused with BADCHARSET.
    """
    start = cursor.position
    if not (cursor.next_is(b"C") or cursor.next_is(b"c")) or cursor.word() != b"CHARSET":
        cursor.position = start
        return search_key(cursor, WITHOUT_CHARSET), ""
    cursor.space()
    return program_in_charset(cursor)


def program_in_charset(cursor: Cursor) -> tuple[Key, str]:
    """The name of a charset and the keys, as SORT and THREAD have them (RFC 5256 §5); the same is returned and raised."""
    charset = cursor.text(cursor.astring("a charset"), "the charset's name").upper()
    if charset not in CHARSETS:
        raise Refused(b"BADCHARSET (US-ASCII UTF-8)", "We search in US-ASCII and UTF-8")
    cursor.space()
    return search_key(cursor, CHARSETS[charset]), charset


def checked(wanted: Returns | None, key: Key) -> Returns | None:
    """*wanted*, if it suits *key*. Raises Misspelled for scores where nothing is fuzzy (RFC 6203 §4)."""
    if wanted is not None and "RELEVANCY" in wanted and not mentions(key, Fuzzy):
        raise Misspelled("RELEVANCY needs a FUZZY search key (RFC 6203 section 4)")
    return wanted


@dataclass(slots=True)
class _Open:
    """A key whose inner keys are being read: `wants` many, or None for a list that ends with ")" or with the command."""

    build: Callable[..., Key]
    wants: int | None
    keys: list[Key] = field(default_factory=list)

    def built(self) -> Key:
        return self.build(*self.keys)


def _all_of(*keys: Key) -> Key:
    return keys[0] if len(keys) == 1 else And(keys)


def _any_of(*keys: Key) -> Key:
    """As a tree that is as flat as may be: clients write long chains of OR."""
    while len(keys) > 1:
        pairs = [Or(left, right) for left, right in zip(keys[::2], keys[1::2], strict=False)]
        keys = (*pairs, keys[-1]) if len(keys) % 2 else tuple(pairs)
    return keys[0]


_SHAPES: dict[bytes, tuple[Callable[..., Key], int]] = {b"NOT": (Not, 1), b"OR": (_any_of, 2), b"FUZZY": (Fuzzy, 1)}


def search_key(cursor: Cursor, codec: str) -> Key:
    """All keys up to the end of the command, as one."""
    stack = [_Open(_all_of, None)]
    for _ in range(MOST_KEYS):
        found = _opened_or_leaf(cursor, codec)
        if isinstance(found, _Open) and found.build is stack[-1].build is _any_of:
            assert stack[-1].wants is not None
            stack[-1].wants += 1  # an OR in an OR, at whichever side, is one alternative more
        elif isinstance(found, _Open):
            stack.append(found)
            if len(stack) > DEEPEST:
                raise Misspelled(f"Search keys are nested deeper than {DEEPEST}")
        elif _handed_up(cursor, stack, found):
            return stack[0].built()
    raise Misspelled(f"SEARCH takes {MOST_KEYS} keys at most")


def _handed_up(cursor: Cursor, stack: list[_Open], key: Key) -> bool:
    """Give *key* to what is open, and on to what is complete with it; True at the end of the command."""
    while True:
        innermost = stack[-1]
        innermost.keys.append(key)
        if innermost.wants is None:
            if len(stack) == 1 and cursor.at_end:
                return True
            complete = len(stack) > 1 and cursor.takes(b")")
        else:
            complete = len(innermost.keys) == innermost.wants
        if not complete:
            cursor.space()
            return False
        key = stack.pop().built()


def _opened_or_leaf(cursor: Cursor, codec: str) -> _Open | Key:
    if cursor.takes(b"("):
        return _Open(_all_of, None)
    start = cursor.position
    word = cursor.word("a search key") if not cursor.next_is(b"*") else b"*"
    if word in _SHAPES:
        cursor.space()
        return _Open(*_SHAPES[word])
    if word in _WORDS:
        return _WORDS[word]
    if word[:1].isdigit() or word in (b"*", b"$"):
        cursor.position = start
        return Numbers(cursor.sequence_set())
    cursor.space()
    return _with_argument(word, cursor, codec)


def _with_argument(word: bytes, cursor: Cursor, codec: str) -> Key:
    if word in _FIELDS:
        return Header(_FIELDS[word], _needle(cursor, codec))
    if word in _TEXTS:
        return _TEXTS[word](_needle(cursor, codec))
    if word in _DAYS:
        return _DAYS[word](cursor.date())
    if word in _SIZES:
        return _SIZES[word](cursor.number())
    if word in _AGES:
        return _AGES[word](_age(cursor))
    if word in _IDENTIFIERS:
        return _IDENTIFIERS[word](cursor.text(cursor.astring("an identifier"), "the identifier"))
    if word in _KEYWORDS:
        return _KEYWORDS[word](cursor.atom("a keyword").decode("ascii"))
    if word == b"UID":
        return Uid(cursor.sequence_set())
    if word in (b"UIDAFTER", b"UIDBEFORE"):
        return _uids_beside(cursor.number("a UID"), after=word == b"UIDAFTER")
    if word == b"MODSEQ":
        return _mod_sequence(cursor)
    if word == b"HEADER":
        name = cursor.text(cursor.astring("a header field name"), "the field name", "ascii").lower()
        cursor.space()
        return Header(name, _needle(cursor, codec))
    raise Misspelled("SEARCH knows no such key")


def _age(cursor: Cursor) -> int:
    """An interval in seconds (RFC 5032 §4: not 0)."""
    seconds = cursor.number("a number of seconds")
    if not seconds:
        raise Misspelled("An interval has at least one second (RFC 5032 section 4)")
    return seconds


def _uids_beside(uid: int, *, after: bool) -> Key:
    """UIDAFTER and UIDBEFORE (RFC 9738 §3.2)."""
    if not uid:
        raise Misspelled("A UID is a number from 1 on")
    low, high = (uid + 1, 0xFFFFFFFF) if after else (1, uid - 1)
    return Uid(SequenceSet(((low, high),))) if low <= high else Not(All())


def _mod_sequence(cursor: Cursor) -> ModSeq:
    """MODSEQ ["/flags/x" shared] 7: there is one sequence for all of a message, so name and type do not matter (RFC 7162 §3.1.5)."""
    if cursor.next_is(b'"'):
        cursor.string("the name of an entry")
        cursor.space()
        if cursor.word("priv, shared or all") not in ENTRY_TYPES:
            raise Misspelled("The type of an entry is priv, shared or all")
        cursor.space()
    return ModSeq(cursor.number64("a modification sequence"))


def _needle(cursor: Cursor, codec: str) -> str:
    return cursor.text(cursor.astring("a text to search for"), "the text to search for", codec)
