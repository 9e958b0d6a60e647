"""The store as zope interfaces: all mailboxes, those of one account, one mailbox. The values that cross them are in `mail.mailbox`.

Of what every interface promises, see `interfaces`. One contract suite (`tests/contracts/test_mailstore*.py`) runs over every store.
"""

from __future__ import annotations

from zope.interface import Attribute, Interface


class IMailStore(Interface):
    """All mailboxes of all accounts. Blocking work is done in threads or in bounded pieces below 5 ms."""

    async def deliver(deliveries):  # type: ignore[no-untyped-def]
        """Put each Delivery into its mailbox (made when missing; INBOX instead of a folder that cannot be made).

        Durable when it returns: a list with None, or what stopped it (an exception, see `disk.status_of`), per delivery.
        """

    async def mailboxes(account):  # type: ignore[no-untyped-def]
        """The IMailboxes of account name *account*; its folders are made at first use. Raises OSError."""

    async def peek(account):  # type: ignore[no-untyped-def]
        """As `mailboxes`, but nothing is made: None where there are none yet, or can be none of that name. Raises OSError."""

    async def annotated(accounts, entry):  # type: ignore[no-untyped-def]
        """{account: {mailbox name: value}} of those of *accounts* (names) that have annotation *entry* somewhere; nothing is made.

        Names that can be nobody's have none. Raises OSError.
        """

    async def poll():  # type: ignore[no-untyped-def]
        """Merge what others have done to mailboxes that somebody has open; called about once a second. Cheap when nothing has changed."""

    async def tidy():  # type: ignore[no-untyped-def]
        """Once a day: delete what is not to be kept any longer. In pieces; says nothing, raises nothing."""

    async def remove_account(account):  # type: ignore[no-untyped-def]
        """Delete everything of *account*."""

    async def rename_account(old, new):  # type: ignore[no-untyped-def]
        """The mail of account *old* is that of *new* from now on; sessions that have it open lose it. Nothing where there is none.

        Raises OSError: EEXIST where *new* has mail; nothing has changed then.
        """

    def close():  # type: ignore[no-untyped-def]
        """Write down what is only in memory and let go. Plain function; at shutdown."""


class IMailboxes(Interface):
    """The folder tree of one account. Names are str, "/" divides levels, "INBOX" in any case is INBOX."""

    def watch(watcher):  # type: ignore[no-untyped-def]
        """Call *watcher*(TreeChange) after every change to any mailbox or its messages, until `unwatch(watcher)`. Plain function.

        What others than us do to messages is told where the store can notice it without having the mailbox open.
        """

    def unwatch(watcher):  # type: ignore[no-untyped-def]
        """Plain function; unknown watchers are ignored."""

    async def folders():  # type: ignore[no-untyped-def]
        """All Folders (also those that only have children: selectable False), sorted, INBOX first."""

    async def create(name, uses=()):  # type: ignore[no-untyped-def]
        """Make a mailbox and the levels above it; *uses*: its special uses (RFC 6154 §3).

        StoreError ALREADYEXISTS, CANNOT (a bad name), LIMIT, USEATTR (a use that we do not know, or that another mailbox has).
        """

    async def set_uses(name, uses):  # type: ignore[no-untyped-def]
        """Give a mailbox these special uses and no others. NoSuchMailbox; StoreError USEATTR as with `create`."""

    async def delete(name):  # type: ignore[no-untyped-def]
        """Delete a mailbox and its mail; children stay. NoSuchMailbox; StoreError CANNOT for INBOX, HASCHILDREN for a mere level."""

    async def rename(old, new):  # type: ignore[no-untyped-def]
        """Rename with all children. INBOX: its messages move to *new*, it stays (RFC 3501 §6.3.5)."""

    async def subscribe(name, subscribed):  # type: ignore[no-untyped-def]
        """Add or remove a subscription; the mailbox need not exist (RFC 3501 §6.3.6)."""

    async def subscriptions():  # type: ignore[no-untyped-def]
        """Tuple of subscribed names, sorted, whether they exist or not."""

    async def annotations(name):  # type: ignore[no-untyped-def]
        """{entry: value (bytes)} of a mailbox, or of the account for "" (RFC 5464).

        Entries are str in lower case that begin with "/private/" or "/shared/", or "/server/": those are never shown to clients.
        NoSuchMailbox.
        """

    async def annotations_of(names):  # type: ignore[no-untyped-def]
        """{name: its annotations} for those of *names* (str, as `folders` tells them; any number) that have some."""

    async def annotate(name, values):  # type: ignore[no-untyped-def]
        """Set entries ({entry: bytes, or None to remove it}), all or none, durable. They follow a rename and go with the mailbox.

        It counts as a change of the mailbox: its `highest_modseq` goes up (RFC 7162 §3.2).

        NoSuchMailbox; StoreError "METADATA TOOMANY", "METADATA MAXSIZE n", CANNOT (what cannot be an entry).
        """

    async def status(name, *, deleted=False):  # type: ignore[no-untyped-def]
        """The MailboxStatus; its `deleted` and `deleted_size` only with *deleted*. NoSuchMailbox."""

    async def statuses(names, *, deleted=False):  # type: ignore[no-untyped-def]
        """{name: MailboxStatus} for those of *names* (as `folders` tells them) that can be opened. At most 100 at a time, please."""

    async def open(name):  # type: ignore[no-untyped-def]
        """The IMailbox, one shared object for all who have it open; call `close` once for each open. NoSuchMailbox."""

    # async room_for(octets, messages): of a store's own (`IMailStore.mailboxes`), as IMailbox has it

    async def quota():  # type: ignore[no-untyped-def]
        """The Quota of the account. `append`, `copy` and `deliver` fail with OSError EDQUOT where it allows no more."""


class IMailbox(Interface):
    """One open mailbox, shared by all sessions. Plain attributes are true at this moment, on the reactor thread."""

    name = Attribute("its name")
    uidvalidity = Attribute("int")
    mailboxid = Attribute("str (RFC 8474): the same as long as it is this mailbox, whatever it is called")
    uidnext = Attribute("int")
    highest_modseq = Attribute("int, at least 1")
    uids = Attribute("array of all UIDs, ascending; read only. Replaced by a new array on expunge, appended to on arrival")
    bits = Attribute("array('Q') parallel to `uids`: Flag bits and keyword bits; changed in place")
    modseqs = Attribute("array('Q') parallel to `uids`: modification sequences (RFC 7162); changed in place")
    keywords = Attribute("list of keyword names; number n has the bit FIRST_KEYWORD_BIT + n")
    rights = Attribute("what its user may do here, a frozenset of letters (`mail.acl`); a store says ALL, and leaves others to others")

    def watch(watcher):  # type: ignore[no-untyped-def]
        """Call *watcher*(Change) after every change, until `unwatch(watcher)`. Plain function."""

    def unwatch(watcher):  # type: ignore[no-untyped-def]
        """Plain function; unknown watchers are ignored."""

    def close():  # type: ignore[no-untyped-def]
        """One user less. Plain function."""

    async def refresh():  # type: ignore[no-untyped-def]
        """Merge what others have done to the folder. Cheap when nothing has changed."""

    async def claim_recent():  # type: ignore[no-untyped-def]
        """The UIDs that are \\Recent for the caller (tuple, ascending); they are so for nobody after that."""

    # ----- reading

    async def rows(uids, columns):  # type: ignore[no-untyped-def]
        """For each of *uids* (ascending) that exists, in order: a tuple (uid, value, value ...) for *columns* (tuple of Column).

        One bounded block: callers ask for at most 500 at a time, or 2000 where only small numbers are wanted (SIZE, MODSEQ, dates).
        """

    async def read(uids):  # type: ignore[no-untyped-def]
        """For each of *uids* that exists, in order: (uid, Stored) with CRLF line ends, whose methods may block (use threads)."""

    async def load(uids):  # type: ignore[no-untyped-def]
        """As `read`, but the whole bytes, read in one thread: (uid, bytes). For small messages; callers bound the sum."""

    async def unique_ids():  # type: ignore[no-untyped-def]
        """{uid: bytes} of messages that POP3 clients know by a name which another server has given (Dovecot's uidlist); mostly empty."""

    async def span(uid, start, length):  # type: ignore[no-untyped-def]
        """The octets from *start* on, at most *length*, of one message with CRLF line ends; None where it has gone.

        Reading a big message in order, piece by piece, costs about as much as reading it once.
        """

    # ----- changes and their numbers (RFC 7162)

    def changed_since(modseq):  # type: ignore[no-untyped-def]
        """UIDs (list, ascending) of messages whose modification sequence is above *modseq*. Plain function."""

    async def vanished_since(modseq):  # type: ignore[no-untyped-def]
        """UIDs of messages expunged after *modseq*; of all that are missing where that is not remembered.

        A list of inclusive ranges (low, high), ascending, which do not touch: what is missing may be much.
        """

    async def store(uids, change, flags, by=None, unchanged_since=None):  # type: ignore[no-untyped-def]
        """Change flags (names; FlagChange) of *uids*. (changed, failed): UIDs now different, and UIDs newer than *unchanged_since*."""

    async def expunge(uids, by=None, durable=False):  # type: ignore[no-untyped-def]
        """Remove those of *uids* (ascending) that exist, whatever their flags; their UIDs, ascending.

        A crash may bring some back, as they were; not where *durable* was asked for and it has returned.
        """

    async def copy(uids, target, by=None):  # type: ignore[no-untyped-def]
        """Copy to mailbox name *target* of the same account, all or none, flags and dates kept: Copied. NoSuchMailbox, OSError."""

    async def move(uids, target, by=None):  # type: ignore[no-untyped-def]
        """As copy, then expunge here (RFC 6851)."""

    async def append(messages, freed=()):  # type: ignore[no-untyped-def]
        """Append NewMessages, all or none, durable: Copied. Calls that wait together become durable together, in the order of the calls.

        *freed*: sizes of messages that the caller removes right after, which do not count for the quota any more.
        """

    async def room_for(octets, messages):  # type: ignore[no-untyped-def]
        """Whether the quota of the account allows so much more. What it says may not be true any more when they come."""

    # ----- searching and sorting

    async def text_search(uids, needle, headers):  # type: ignore[no-untyped-def]
        """Those of *uids* whose body (with *headers* True: header too) holds *needle* (a `folded` str, decoded as MIME says): a set.

        Of any number: the mailbox sees to it that one who searches for long neither blocks the reactor nor takes all threads.
        """

    async def header_search(uids, field, needle):  # type: ignore[no-untyped-def]
        """Those of *uids* that have a *field* (str, any case) which, decoded and `folded`, holds *needle* (folded): a set."""

    async def sort(uids, keys):  # type: ignore[no-untyped-def]
        """Those of *uids* that exist, ordered by *keys*, a tuple of (SortKey, is reversed); what is equal by UID (RFC 5256 §3).

        A sequence, which is read only.
        """

    async def thread(uids, how):  # type: ignore[no-untyped-def]
        """Those of *uids* that exist, threaded in one of the ways of `Threading`: Threads."""
