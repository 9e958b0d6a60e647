"""What an IMAP client can say, as values: the events of `ImapWire`.

Every Command is an Ask: the session yields any number of untagged responses and
then the final one, `responses.Tagged(event.tag, ...)`, unless its docstring says
otherwise. The wire has checked grammar, limits and state (`grammar.COMMANDS`
says in which state a command is legal), so a session never sees a FETCH
without a selected mailbox.

Spelling is undone: mailbox names are str decoded from modified UTF-7, with "/"
between levels as the client wrote it, "INBOX" in any case is "INBOX"; flags are
str, system flags in the spelling of RFC 3501 ("\\\\Seen"); keywords as written.

A new command is a value here, a parse function and a row in `grammar.COMMANDS`. APPEND and REPLACE are in `uploads`.
"""

from __future__ import annotations

from dataclasses import field
from enum import Enum

from twistmail.mail.values import frozen
from twistmail.wire.contract import Ask
from twistmail.wire.imap.fetchitems import FetchItem, Item
from twistmail.wire.imap.returns import Partial, Returns
from twistmail.wire.imap.searchkeys import Key, ModSeq, mentions, uses_numbers
from twistmail.wire.imap.sequence import SequenceSet


@frozen
class Command(Ask):
    """Anything with a tag that wants a final response."""

    tag: bytes

    @property
    def keeps_numbers(self) -> bool:
        """True while answering which no EXPUNGE may be said (RFC 3501 §7.4.1): FETCH, STORE and SEARCH without UID."""
        return False

    @property
    def by_number(self) -> bool:
        """It names messages by their sequence numbers, which is over once a client has enabled UIDONLY (RFC 9586 §3)."""
        return getattr(self, "uid", True) is False

    @property
    def wants_modseqs(self) -> bool:
        """It is a "CONDSTORE enabling command" (RFC 7162 §3.1). ENABLE and SELECT, which may be, see to it themselves."""
        return False


# ----- what the wire itself has to say


@frozen
class Bad(Command):
    """The client said something that cannot be understood or is not legal now. Answer: `responses.refusal(event)`.

    `tag` is b"*" where the client's could not be read. `close`: it has been too much; the answer is a Bye then.
    """

    text: str
    close: bool = False


@frozen
class No(Command):
    """Well said, but the wire refuses it (a literal too large, an unknown charset). Answer: `responses.refusal(event)`.

    `code` is a response code without brackets, such as b"TOOBIG", or empty.
    """

    code: bytes
    text: str


@frozen
class Continue(Command):
    """The client waits for leave to send a literal of `size` octets, which the wire has found within its limits.

    Answer: `responses.Continuation()`, final. Every session answers so at once; it exists because a wire cannot speak
    unasked. The command follows as its own event when it is complete.
    """

    size: int


# ----- any state (RFC 3501 §6.1)


@frozen
class Capability(Command):
    pass


@frozen
class Noop(Command):
    pass


@frozen
class Logout(Command):
    """Answer: `Bye(text)`, then Tagged OK. The wire wants to close after that."""


@frozen
class Id(Command):
    """RFC 2971. `parameters`: (field, value or None) in order, at most 30; () for NIL."""

    parameters: tuple[tuple[str, str | None], ...]


# ----- before login (RFC 3501 §6.2)


@frozen
class StartTls(Command):
    """Tagged OK makes the wire want TLS. Whether TLS is on already or offered at all is the session's to know."""


@frozen
class Login(Command):
    """Tagged OK moves the wire to the authenticated state and to the limits behind login."""

    user: str
    password: str = field(repr=False)


@frozen
class Authenticate(Command):
    """`mechanism` in upper case; `initial`: the decoded initial response (RFC 4959), b"" for "=", None where there is none.

    Answer: `Challenge(data)` (final; an AuthResponse follows), or Tagged, where OK means logged in as with Login.
    """

    mechanism: str
    initial: bytes | None = field(repr=False)


@frozen
class AuthResponse(Command):
    """The client's decoded answer to a Challenge; `data` is None where it cancelled with "*" (answer BAD). As Authenticate."""

    data: bytes | None = field(repr=False)


# ----- after login (RFC 3501 §6.3)


@frozen
class Compress(Command):
    """RFC 4978. Tagged OK makes the wire want compression, from behind its CRLF on."""


@frozen
class Unauthenticate(Command):
    """RFC 8437. Answer: Tagged OK, with which the wire is before login again and wants no compression; or a Bye, never NO."""


@frozen
class Enable(Command):
    """RFC 5161. `names` in upper case, unknown ones included."""

    names: tuple[str, ...]


@frozen
class Namespace(Command):
    """RFC 2342."""


@frozen
class Resync:
    """What a client remembers of a mailbox: it wants to hear what has changed since (RFC 7162 §3.2.5).

    `known`: the UIDs that it asks about, None for all. `sample`: sequence numbers and, in the same order, as many UIDs that
    they had. Neither holds "*".
    """

    uidvalidity: int
    modseq: int
    known: SequenceSet | None = None
    sample: tuple[SequenceSet, SequenceSet] | None = None


@frozen
class Select(Command):
    """SELECT, or EXAMINE where `read_only`. What follows it are its parameters (`modifiers.SELECT`).

    Tagged OK moves the wire to the selected state; NO leaves no mailbox selected, whatever was before (RFC 3501 §6.3.1).
    """

    mailbox: str
    read_only: bool
    condstore: bool = False
    resync: Resync | None = None

    @property
    def by_number(self) -> bool:
        return self.resync is not None and self.resync.sample is not None


@frozen
class Create(Command):
    """`mailbox` without the "/" that may end it. `uses`: special uses such as "\\\\Sent" (RFC 6154 §3, CREATE-SPECIAL-USE)."""

    mailbox: str
    uses: tuple[str, ...] = ()


@frozen
class Delete(Command):
    mailbox: str


@frozen
class Rename(Command):
    old: str
    new: str


@frozen
class Subscribe(Command):
    mailbox: str


@frozen
class Unsubscribe(Command):
    mailbox: str


# ----- selected (RFC 3501 §6.4)


@frozen
class Check(Command):
    pass


@frozen
class Close(Command):
    """Tagged OK moves the wire back to the authenticated state."""


@frozen
class Unselect(Command):
    """RFC 3691: Close without the expunge."""


@frozen
class Expunge(Command):
    """`uids`: None for EXPUNGE, the set of UID EXPUNGE (RFC 4315 §2.1)."""

    uids: SequenceSet | None = None


@frozen
class Searching(Command):
    """A command with a search `key`."""

    @property
    def keeps_numbers(self) -> bool:
        return self.by_number

    @property
    def by_number(self) -> bool:
        return getattr(self, "uid", True) is False or uses_numbers(self.key)  # type: ignore[attr-defined]

    @property
    def wants_modseqs(self) -> bool:
        return mentions(self.key, ModSeq)  # type: ignore[attr-defined]


@frozen
class Search(Searching):
    """`key`: the whole question; `charset` in upper case, "" where none was given (needles are decoded already).

    `returns`: None for a plain SEARCH; otherwise the answer is an ESEARCH (RFC 4731 §3.1).
    """

    key: Key
    charset: str
    uid: bool
    returns: Returns | None = None


@frozen
class Unsearchable(Command):
    """A SEARCH with SAVE that the wire has to refuse: it has saved nothing (RFC 5182 §2.1). Answer: Tagged NO with `code`."""

    code: bytes
    text: str


@frozen
class Fetch(Command):
    """`items` without repetitions, as the client wants them: a UID FETCH tells the UID, too, where it is not among them.

    What follows `uid` are modifiers (`modifiers.FETCH`). `changed_since`: only messages with a higher modification sequence
    (RFC 7162 §3.1.4.1); then `vanished`, with `uid` only: tell those that are gone, too (§3.2.6). `partial`, with `uid` only: of
    the messages in the set only these (RFC 9394 §3.3).
    """

    set: SequenceSet
    items: tuple[FetchItem, ...]
    uid: bool
    changed_since: int | None = None
    vanished: bool = False
    partial: Partial | None = None

    @property
    def keeps_numbers(self) -> bool:
        return not self.uid

    @property
    def wants_modseqs(self) -> bool:
        return self.changed_since is not None or Item.MODSEQ in self.items


class StoreMode(Enum):
    """How STORE changes flags; the value is the item's name without ".SILENT"."""

    SET = "FLAGS"
    ADD = "+FLAGS"
    REMOVE = "-FLAGS"


@frozen
class Store(Command):
    """`flags` may be empty. \\Recent is refused by the wire.

    `unchanged_since`: not for messages with a higher modification sequence (RFC 7162 §3.1.3).
    """

    set: SequenceSet
    mode: StoreMode
    flags: tuple[str, ...]
    silent: bool
    uid: bool
    unchanged_since: int | None = None

    @property
    def keeps_numbers(self) -> bool:
        return not self.uid

    @property
    def wants_modseqs(self) -> bool:
        return self.unchanged_since is not None


@frozen
class Copy(Command):
    set: SequenceSet
    mailbox: str
    uid: bool


@frozen
class Move(Command):
    """RFC 6851."""

    set: SequenceSet
    mailbox: str
    uid: bool


@frozen
class Idle(Command):
    """RFC 2177. Answer: `Continuation("idling")`, final; then `pending_updates` are said as they come, until Done."""


@frozen
class Done(Command):
    """The client ends IDLE; `tag` is IDLE's. Answer: the Tagged that IDLE has not had yet."""
