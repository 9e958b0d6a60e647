"""The commands: who they are, when they are legal, how their arguments are read.

`COMMANDS` is the one table: name -> Row. Here are the commands of RFC 3501 and
its near relatives (`commands`); a family of extensions has a module with its
values, the functions that read their arguments from a Cursor standing
behind the name, and its ROWS (`rows`). The wire checks that nothing is left over.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Callable
from functools import partial
from typing import Any

from twistmail.wire.imap import access, listing, metadata, modifiers, notify, quota, searching, sorting, uploads, urlauth
from twistmail.wire.imap import commands as c
from twistmail.wire.imap.parse_fetch import fetch_items
from twistmail.wire.imap.parse_search import checked, search_program
from twistmail.wire.imap.returns import returns
from twistmail.wire.imap.rows import AFTER_LOGIN, ANY, BEFORE_LOGIN, WITH_MAILBOX, Parse, Row, State, bare, one_mailbox
from twistmail.wire.imap.tokens import Cursor, Misspelled, Refused

MOST_ID_FIELDS = 30
LONGEST_ID_FIELD = 30
LONGEST_ID_VALUE = 1024
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*={0,2}")


# ----- readers of arguments: each stands behind the command's name


def _id(cursor: Cursor, tag: bytes) -> c.Id:
    """RFC 2971 §3.1, with the limits of §3.3."""
    cursor.space()
    if not cursor.next_is(b"("):
        if cursor.word("a list or NIL") != b"NIL":
            raise Misspelled("ID takes a list or NIL")
        return c.Id(tag, ())
    words = cursor.several(lambda: cursor.nstring(), "fields and values", may_be_empty=True)
    names, values = words[::2], words[1::2]
    if len(names) != len(values) or len(names) > MOST_ID_FIELDS:
        raise Misspelled(f"ID takes up to {MOST_ID_FIELDS} pairs of field and value")
    return c.Id(tag, tuple(_id_pair(cursor, name, value) for name, value in zip(names, values, strict=True)))


def _id_pair(cursor: Cursor, name: bytes | None, value: bytes | None) -> tuple[str, str | None]:
    if name is None or len(name) > LONGEST_ID_FIELD or len(value or b"") > LONGEST_ID_VALUE:
        raise Misspelled("An ID field has 30 octets at most and its value 1024")
    return cursor.text(name, "an ID field"), None if value is None else cursor.text(value, "an ID value")


def _login(cursor: Cursor, tag: bytes) -> c.Login:
    cursor.space()
    user = cursor.text(cursor.astring("a user name"), "the user name")
    cursor.space()
    return c.Login(tag, user, cursor.text(cursor.astring("a password"), "the password"))


def _authenticate(cursor: Cursor, tag: bytes) -> c.Authenticate:
    cursor.space()
    mechanism = cursor.word("a mechanism").decode("ascii")
    if cursor.at_end:
        return c.Authenticate(tag, mechanism, None)
    cursor.space()
    return c.Authenticate(tag, mechanism, sasl_data(cursor.atom("an initial response")))


def sasl_data(line: bytes) -> bytes:
    """*line* from base64; "=" stands for nothing at all (RFC 4959 §3). Raises Misspelled."""
    if line == b"=":
        return b""
    if len(line) % 4 or not _BASE64.fullmatch(line):
        raise Misspelled("The response is not base64")
    return a2b_base64(line)


def _compress(cursor: Cursor, tag: bytes) -> c.Compress:
    cursor.space()
    if cursor.word("an algorithm") != b"DEFLATE":
        raise Misspelled("COMPRESS knows DEFLATE only")
    return c.Compress(tag)


def _enable(cursor: Cursor, tag: bytes) -> c.Enable:
    names: list[str] = []
    while not names or not cursor.at_end:
        cursor.space()
        names.append(cursor.word("a capability").decode("ascii"))
    return c.Enable(tag, tuple(dict.fromkeys(names)))


def _select(cursor: Cursor, tag: bytes, *, read_only: bool) -> c.Select:
    cursor.space()
    mailbox = cursor.mailbox()
    if cursor.at_end:
        return c.Select(tag, mailbox, read_only)
    cursor.space()
    return c.Select(tag, mailbox, read_only, **modifiers.read(cursor, modifiers.SELECT))


def _create(cursor: Cursor, tag: bytes) -> c.Create:
    cursor.space()
    mailbox = cursor.mailbox().removesuffix("/")  # RFC 3501 §6.3.3: a declaration of intent
    if cursor.at_end:
        return c.Create(tag, mailbox)
    cursor.expect(b" (", "the end of the line or (USE ...)")
    if cursor.word() != b"USE":
        raise Misspelled("CREATE knows the parameter USE only (RFC 6154)")
    cursor.space()
    uses = cursor.several(lambda: _special_use(cursor), "special uses", may_be_empty=True)
    cursor.expect(b")", ")")
    return c.Create(tag, mailbox, uses)


def _special_use(cursor: Cursor) -> str:
    cursor.expect(b"\\", "a special use such as \\Sent")
    return "\\" + cursor.word().decode("ascii").capitalize()


def _rename(cursor: Cursor, tag: bytes) -> c.Rename:
    cursor.space()
    old = cursor.mailbox()
    cursor.space()
    return c.Rename(tag, old, cursor.mailbox().removesuffix("/"))


def _expunge_uids(cursor: Cursor, tag: bytes) -> c.Expunge:
    cursor.space()
    return c.Expunge(tag, cursor.sequence_set())


def _search(cursor: Cursor, tag: bytes, *, uid: bool) -> c.Command:
    wanted = returns(cursor)
    cursor.space()
    try:
        key, charset = search_program(cursor)
    except Refused as error:
        if wanted is None or not wanted.saves:
            raise
        cursor.skip()
        return c.Unsearchable(tag, error.code, str(error))
    return c.Search(tag, key, charset, uid, checked(wanted, key))


def _fetch(cursor: Cursor, tag: bytes, *, uid: bool) -> c.Fetch:
    cursor.space()
    numbers = cursor.sequence_set()
    cursor.space()
    items = fetch_items(cursor)
    if cursor.at_end:
        return c.Fetch(tag, numbers, items, uid)
    cursor.space()
    fetch = c.Fetch(tag, numbers, items, uid, **modifiers.read(cursor, modifiers.FETCH))
    if fetch.vanished and (not uid or fetch.changed_since is None):
        raise Misspelled("VANISHED goes with UID FETCH and CHANGEDSINCE only (RFC 7162 section 3.2.6)")
    if fetch.partial is not None and not uid:
        raise Misspelled("PARTIAL goes with UID FETCH only (RFC 9394 section 3.3)")
    return fetch


#: Name of STORE's item -> (mode, silent).
STORE_ITEMS = {mode.value.encode("ascii") + suffix: (mode, bool(suffix)) for mode in c.StoreMode for suffix in (b"", b".SILENT")}


def _store(cursor: Cursor, tag: bytes, *, uid: bool) -> c.Store:
    cursor.space()
    numbers = cursor.sequence_set()
    cursor.space()
    given: dict[str, Any] = {}
    if cursor.next_is(b"("):
        given = modifiers.read(cursor, modifiers.STORE)
        cursor.space()
    mode, silent = STORE_ITEMS.get(cursor.word("FLAGS, +FLAGS or -FLAGS"), (None, False))
    if mode is None:
        raise Misspelled("STORE changes FLAGS, +FLAGS or -FLAGS, each with or without .SILENT")
    cursor.space()
    return c.Store(tag, numbers, mode, _bare_or_listed_flags(cursor), silent, uid, **given)


def _bare_or_listed_flags(cursor: Cursor) -> tuple[str, ...]:
    if cursor.next_is(b"("):
        return cursor.flags()
    flags = [cursor.flag()]
    while cursor.takes(b" "):
        flags.append(cursor.flag())
    return tuple(dict.fromkeys(flags))


def _to_mailbox(kind: Callable[..., c.Command], *, uid: bool) -> Parse:
    def parse(cursor: Cursor, tag: bytes) -> c.Command:
        cursor.space()
        numbers = cursor.sequence_set()
        cursor.space()
        return kind(tag, numbers, cursor.mailbox(), uid)

    return parse


COMMANDS: dict[bytes, Row] = {
    **listing.ROWS,
    **metadata.ROWS,
    **quota.ROWS,
    b"CAPABILITY": Row(bare(c.Capability), ANY),
    b"NOOP": Row(bare(c.Noop), ANY),
    b"LOGOUT": Row(bare(c.Logout), ANY),
    b"ID": Row(_id, ANY),
    b"STARTTLS": Row(bare(c.StartTls), BEFORE_LOGIN),
    b"LOGIN": Row(_login, BEFORE_LOGIN),
    b"AUTHENTICATE": Row(_authenticate, BEFORE_LOGIN),
    b"COMPRESS": Row(_compress, AFTER_LOGIN),
    b"UNAUTHENTICATE": Row(bare(c.Unauthenticate), AFTER_LOGIN),
    b"ENABLE": Row(_enable, AFTER_LOGIN),  # RFC 5161 §3.1 wants it before SELECT; clients in use do not all obey
    b"NAMESPACE": Row(bare(c.Namespace), AFTER_LOGIN),
    b"SELECT": Row(partial(_select, read_only=False), AFTER_LOGIN),
    b"EXAMINE": Row(partial(_select, read_only=True), AFTER_LOGIN),
    b"CREATE": Row(_create, AFTER_LOGIN),
    b"DELETE": Row(one_mailbox(c.Delete), AFTER_LOGIN),
    b"RENAME": Row(_rename, AFTER_LOGIN),
    b"SUBSCRIBE": Row(one_mailbox(c.Subscribe), AFTER_LOGIN),
    b"UNSUBSCRIBE": Row(one_mailbox(c.Unsubscribe), AFTER_LOGIN),
    b"IDLE": Row(bare(c.Idle), AFTER_LOGIN),
    b"CHECK": Row(bare(c.Check), WITH_MAILBOX),
    b"CLOSE": Row(bare(c.Close), WITH_MAILBOX),
    b"UNSELECT": Row(bare(c.Unselect), WITH_MAILBOX),
    b"EXPUNGE": Row(bare(c.Expunge), WITH_MAILBOX),
    b"SEARCH": Row(partial(_search, uid=False), WITH_MAILBOX),
    b"FETCH": Row(partial(_fetch, uid=False), WITH_MAILBOX),
    b"STORE": Row(partial(_store, uid=False), WITH_MAILBOX),
    b"COPY": Row(_to_mailbox(c.Copy, uid=False), WITH_MAILBOX),
    b"MOVE": Row(_to_mailbox(c.Move, uid=False), WITH_MAILBOX),
    b"UID EXPUNGE": Row(_expunge_uids, WITH_MAILBOX),
    b"UID SEARCH": Row(partial(_search, uid=True), WITH_MAILBOX),
    b"UID FETCH": Row(partial(_fetch, uid=True), WITH_MAILBOX),
    b"UID STORE": Row(partial(_store, uid=True), WITH_MAILBOX),
    b"UID COPY": Row(_to_mailbox(c.Copy, uid=True), WITH_MAILBOX),
    b"UID MOVE": Row(_to_mailbox(c.Move, uid=True), WITH_MAILBOX),
    **searching.ROWS,
    **uploads.ROWS,
    **urlauth.ROWS,
    **sorting.ROWS,
    **access.ROWS,
    **notify.ROWS,
}

#: State after a positive answer; a missing class leaves it as it was.
ON_OK: dict[type[c.Command], State] = {
    c.Login: State.AUTHENTICATED,
    c.Authenticate: State.AUTHENTICATED,
    c.AuthResponse: State.AUTHENTICATED,
    c.Unauthenticate: State.NOT_AUTHENTICATED,
    c.Select: State.SELECTED,
    c.Close: State.AUTHENTICATED,
    c.Unselect: State.AUTHENTICATED,
}
#: State after NO (RFC 3501 §6.3.1: a SELECT that fails leaves nothing selected).
ON_NO: dict[type[c.Command], State] = {c.Select: State.AUTHENTICATED}
