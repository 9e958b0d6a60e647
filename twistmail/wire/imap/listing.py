"""LIST, LSUB and STATUS as a client says them: the extended LIST of RFC 5258, with the options of its many relatives.

RFC 3501 §6.3.8 to §6.3.10; RFC 5819 (LIST-STATUS), RFC 6154 (SPECIAL-USE), RFC 9590 (LIST-METADATA); the items of STATUS from
RFC 7162, RFC 8438, RFC 8474 and RFC 9208.
"""

from __future__ import annotations

from twistmail.mail.values import frozen
from twistmail.wire.imap import metadata
from twistmail.wire.imap.commands import Command
from twistmail.wire.imap.rows import AFTER_LOGIN, Row
from twistmail.wire.imap.tokens import Cursor, Misspelled

STATUS_ITEMS = (
    "MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN",
    "APPENDLIMIT", "DELETED", "DELETED-STORAGE", "HIGHESTMODSEQ", "MAILBOXID", "SIZE",
)  # fmt: skip
SELECT_OPTIONS = frozenset({"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"})
#: Those without arguments; STATUS and METADATA have some.
RETURN_OPTIONS = frozenset({"SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "MYRIGHTS"})
#: Patterns of one LIST, and their characters together: each name is held against all of them.
MOST_PATTERNS = 100
LONGEST_PATTERNS = 4096


@frozen
class List(Command):
    """LIST, or LSUB where `subscribed_only`. `patterns` hold the wildcards "*" and "%"; at least one pattern, maybe "".

    `select` and `returned` are the options without arguments, upper case (SELECT_OPTIONS, RETURN_OPTIONS). `status`: what
    RETURN (STATUS ...) asks of each mailbox, as Status has it; `metadata`: the entries of RETURN (METADATA ...). `is_extended`:
    it was said in the extended form, in which "" is no question for the hierarchy's delimiter (RFC 5258 §3).
    """

    reference: str
    patterns: tuple[str, ...]
    select: frozenset[str] = frozenset()
    returned: frozenset[str] = frozenset()
    subscribed_only: bool = False
    status: tuple[str, ...] = ()
    metadata: tuple[str, ...] = ()
    is_extended: bool = False

    @property
    def wants_modseqs(self) -> bool:
        return "HIGHESTMODSEQ" in self.status


@frozen
class Status(Command):
    """`items` in upper case, in the client's order, each one of STATUS_ITEMS."""

    mailbox: str
    items: tuple[str, ...]

    @property
    def wants_modseqs(self) -> bool:
        return "HIGHESTMODSEQ" in self.items


def _list(cursor: Cursor, tag: bytes) -> List:
    """RFC 5258 §6."""
    cursor.space()
    select: frozenset[str] = frozenset()
    if is_extended := cursor.next_is(b"("):
        select = _select_options(cursor)
        cursor.space()
    reference = cursor.mailbox()
    cursor.space()
    is_extended |= cursor.next_is(b"(")
    patterns = _patterns(cursor)
    if cursor.at_end:
        return List(tag, reference, patterns, select, is_extended=is_extended)
    cursor.space()
    if cursor.word() != b"RETURN":
        raise cursor.lacking("RETURN")
    cursor.space()
    returned = Returned()
    cursor.several(lambda: returned.read(cursor), "options", may_be_empty=True)
    return List(tag, reference, patterns, select, frozenset(returned.plain), False, returned.status, returned.metadata, True)


def _patterns(cursor: Cursor) -> tuple[str, ...]:
    patterns = cursor.several(cursor.pattern, "patterns") if cursor.next_is(b"(") else (cursor.pattern(),)
    if len(patterns) > MOST_PATTERNS or sum(map(len, patterns)) > LONGEST_PATTERNS:
        raise Misspelled(f"LIST takes {MOST_PATTERNS} patterns at most, of {LONGEST_PATTERNS} characters together")
    return patterns


def _select_options(cursor: Cursor) -> frozenset[str]:
    options = frozenset(cursor.several(lambda: cursor.word("an option").decode("ascii"), "options", may_be_empty=True))
    if not options <= SELECT_OPTIONS:
        raise Misspelled(f"LIST knows the options {', '.join(sorted(SELECT_OPTIONS))} here")
    if "RECURSIVEMATCH" in options and "SUBSCRIBED" not in options:  # RFC 5258 §6, `list-select-base-opt`
        raise Misspelled("RECURSIVEMATCH needs the selection option SUBSCRIBED")
    return options


class Returned:
    """The return options, as they are read; who says one twice has said it once (RFC 5258 §3)."""

    def __init__(self) -> None:
        self.plain: set[str] = set()
        self.status: tuple[str, ...] = ()
        self.metadata: tuple[str, ...] = ()

    def read(self, cursor: Cursor) -> None:
        option = cursor.word("an option").decode("ascii")
        if option == "STATUS":
            cursor.space()
            self.status = status_items(cursor)
        elif option == "METADATA":
            cursor.space()
            self.metadata = metadata.entries(cursor)
        elif option in RETURN_OPTIONS:
            self.plain.add(option)
        else:
            raise Misspelled(f"LIST returns the options {', '.join(sorted(RETURN_OPTIONS))}, STATUS (...), METADATA (...)")


def status_items(cursor: Cursor) -> tuple[str, ...]:
    """What STATUS can be asked, in parentheses; repetitions dropped. Raises Misspelled."""
    items = cursor.several(lambda: cursor.word("an item").decode("ascii"), "items")
    if not set(items) <= set(STATUS_ITEMS):
        raise Misspelled(f"STATUS knows the items {', '.join(STATUS_ITEMS)}")
    return tuple(dict.fromkeys(items))


def _lsub(cursor: Cursor, tag: bytes) -> List:
    cursor.space()
    reference = cursor.mailbox()
    cursor.space()
    return List(tag, reference, (cursor.pattern(),), subscribed_only=True)


def _status(cursor: Cursor, tag: bytes) -> Status:
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    return Status(tag, mailbox, status_items(cursor))


ROWS: dict[bytes, Row] = {
    b"LIST": Row(_list, AFTER_LOGIN),
    b"LSUB": Row(_lsub, AFTER_LOGIN),
    b"STATUS": Row(_status, AFTER_LOGIN),
}
