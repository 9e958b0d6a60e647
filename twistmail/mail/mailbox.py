"""What a mailbox is made of, as values: flags, columns, news, and what goes into one. The interfaces are in `twistmail.interfaces`."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from enum import Enum, IntFlag
from typing import Any

from twistmail.mail.content import Content
from twistmail.mail.values import frozen


class Flag(IntFlag):
    """System flags as bits. Keywords follow from bit 8 on, numbered per mailbox (`IMailbox.keywords`)."""

    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16


FIRST_KEYWORD_BIT = 8
#: Modification sequences follow the clock, and go ahead of it only by as many changes as there are in such a fraction of a second:
#: in microseconds no burst of changes gets ahead, so that what was told before a crash is never told again.
MODSEQS_A_SECOND = 1_000_000
#: Order and spelling on the wire.
FLAG_NAMES: dict[str, Flag] = {
    "\\Answered": Flag.ANSWERED,
    "\\Flagged": Flag.FLAGGED,
    "\\Deleted": Flag.DELETED,
    "\\Seen": Flag.SEEN,
    "\\Draft": Flag.DRAFT,
}


class FlagChange(Enum):
    """How STORE changes flags."""

    SET = "FLAGS"
    ADD = "+FLAGS"
    REMOVE = "-FLAGS"


class Column(Enum):
    """What `IMailbox.rows` can tell of a message. Rendered values are bytes, ready for the wire."""

    SIZE = "size"  # int, octets with CRLF line ends (RFC822.SIZE)
    INTERNALDATE = "internaldate"  # float, POSIX seconds
    MODSEQ = "modseq"  # int (RFC 7162)
    SAVEDATE = "savedate"  # float, POSIX seconds: when it came into this mailbox (RFC 8514)
    ENVELOPE = "envelope"  # bytes, rendered as RFC 3501 §7.4.2
    BODYSTRUCTURE = "bodystructure"  # bytes, rendered, with extension data
    BODY = "body"  # bytes, rendered, without extension data
    HEADER = "header"  # bytes, the header block with its empty line, CRLF
    LISTED = "listed"  # bytes, of the header block those fields that are `headers.LISTED`
    PREVIEW = "preview"  # str, at most 200 characters (RFC 8970)
    PREVIEW_AT_HAND = "preview_at_hand"  # the same, or None where the message would have to be read for it (RFC 8970 §4.1)
    EMAILID = "emailid"  # str (RFC 8474): the same for the same content, wherever it lies
    THREADID = "threadid"  # str (RFC 8474): the same for all messages of a thread
    SENT = "sent"  # float, POSIX seconds of the Date field, or of INTERNALDATE where it tells none (RFC 5256 §2.2)
    BASE_SUBJECT = "base_subject"  # str (RFC 5256 §2.1), mapped by `collation.casemap`
    REPLY = "reply"  # bool: the subject is that of a reply or forward (RFC 5256 §2.1)
    THREADING = "threading"  # str: its Message-ID, then those that it refers to, oldest first (RFC 5256 §3), separated by blanks


class SortKey(Enum):
    """By what SORT can order (RFC 5256 §3, RFC 5957)."""

    ARRIVAL = "ARRIVAL"
    CC = "CC"
    DATE = "DATE"
    FROM = "FROM"
    SIZE = "SIZE"
    SUBJECT = "SUBJECT"
    TO = "TO"
    DISPLAYFROM = "DISPLAYFROM"
    DISPLAYTO = "DISPLAYTO"


class Threading(Enum):
    """How THREAD can thread: RFC 5256 §3, and REFS as Dovecot has it: REFERENCES without subjects, what was written to last at the end."""

    ORDEREDSUBJECT = "ORDEREDSUBJECT"
    REFERENCES = "REFERENCES"
    REFS = "REFS"


@frozen
class Delivery:
    """One copy for one mailbox: `prefix` (Return-Path, Delivered-To, Received ...) goes before `content`. `seen`: marked as read.

    `landed`(mailbox name, UID, file name or "") is called on the reactor thread once it is durable, by stores that can tell.
    """

    account: str
    prefix: bytes
    content: Content
    folder: str = "INBOX"
    id: str = ""  # the item's, for logs
    seen: bool = False
    landed: Callable[[str, int, str], None] | None = None


@frozen
class NewMessage:
    """A message that APPEND brings. `flags` are flag and keyword names; `internaldate` POSIX seconds, None: now."""

    content: Content
    flags: tuple[str, ...] = ()
    internaldate: float | None = None


@frozen
class Folder:
    """One mailbox name. `name` is str, hierarchy separator "/"; INBOX is spelled so. `uses`: special uses, such as "\\Sent"."""

    name: str
    subscribed: bool = False
    selectable: bool = True
    has_children: bool = False
    uses: tuple[str, ...] = ()


@frozen
class MailboxStatus:
    """What STATUS tells. `size` is the sum of RFC822.SIZE, `deleted_size` that of the `deleted` messages, `mailboxid` that of RFC 8474."""

    messages: int
    recent: int
    unseen: int
    uidnext: int
    uidvalidity: int
    size: int = 0
    highest_modseq: int = 1
    mailboxid: str = ""
    deleted: int = 0
    deleted_size: int = 0


@frozen
class Quota:
    """How much an account holds, with CRLF line ends, and how much it may hold; None: unlimited (RFC 9208 STORAGE, MESSAGE)."""

    octets: int
    messages: int
    most_octets: int | None = None
    most_messages: int | None = None

    def allows(self, octets: int, messages: int) -> bool:
        """Whether so much more finds room."""
        return not (
            (self.most_octets is not None and self.octets + octets > self.most_octets)
            or (self.most_messages is not None and self.messages + messages > self.most_messages)
        )


@frozen
class Copied:
    """What COPY, MOVE and APPEND tell (RFC 4315): UIDs in the source (empty for APPEND) and in the target, in the same order.

    `target` is empty where nothing was copied, and where the target has lost its UIDs meanwhile: then nobody knows them (§3).
    """

    uidvalidity: int
    source: tuple[int, ...]
    target: tuple[int, ...]


@frozen
class Change:
    """News of a mailbox, told to its watchers on the reactor thread, after it is true. Any part may be empty.

    `by` is the watcher that caused it (as given to `store` and `expunge`), so that it can keep silent about its own doing.
    """

    arrived: Sequence[int] = ()  # UIDs, ascending, all above every earlier one
    expunged: Sequence[int] = ()  # UIDs, ascending
    flagged: Sequence[int] = ()  # UIDs, ascending
    gone: bool = False  # the mailbox itself was deleted or has got a new UIDVALIDITY
    by: Any = None


class TreeEvent(Enum):
    """What can happen to a mailbox of an account."""

    ARRIVED = "arrived"  # it has got messages
    EXPUNGED = "expunged"  # it has lost messages
    FLAGGED = "flagged"  # flags of its messages have changed
    STIRRED = "stirred"  # one of these, or nothing: somebody else was at work there
    CREATED = "created"
    DELETED = "deleted"
    RENAMED = "renamed"  # it was `old` until now; what is below it has gone with it
    SUBSCRIBED = "subscribed"  # or no longer
    ANNOTATED = "annotated"  # `entries` were set or removed; of the account where the name is ""
    SHOWN = "shown"  # whoever watches may see it from now on; no store tells that, nor
    HIDDEN = "hidden"  # that he may no longer


@frozen
class TreeChange:
    """News of the mailboxes of one account, told to those who watch its tree on the reactor thread, after it is true."""

    what: TreeEvent
    name: str
    old: str = ""
    entries: tuple[str, ...] = ()


class StoreError(Exception):
    """A request that the store refuses: its text is safe to show; `code` is an IMAP response code (RFC 5530) or empty."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class NoSuchMailbox(StoreError):
    """There is no such mailbox. COPY and APPEND answer TRYCREATE."""

    def __init__(self, name: str, code: str = "NONEXISTENT") -> None:
        super().__init__(f"There is no mailbox {name}", code)


UidArray = array
