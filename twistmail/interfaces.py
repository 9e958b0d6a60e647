"""Every replaceable part as a zope interface, with the values that cross it.

One contract suite per interface (tests/contracts/) runs over every
implementation; `memory.py` has all of them in memory. Unless a method says
otherwise it is a coroutine, is called on the reactor thread, and may be called
while an earlier call still runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from zope.interface import Attribute, Interface

from twistmail.mail.envelope import Fate
from twistmail.mail.status import Status


class Unavailable(Exception):
    """The answer cannot be had now (a table, a server or a disk is out of reach): the peer is told to try later."""


class IPart(Interface):
    """Makes one replaceable part, and is found by name through `twisted.plugin` (`plugins.discover`). A plugin.

    It must provide `twisted.plugin.IPlugin` too. Factories of policy stages may provide IPolicyStageFactory instead.
    """

    kind = Attribute('"alias source", "policy stage", "store", "accounts", "authenticator", "courier", "lookup", "queue" or "filter"')
    name = Attribute("the word that stands for it in the configuration")
    options = Attribute("a Section of its own settings, or None")
    # check(settings): optional, plain: (key, what is wrong, what would be right) for all that is wrong with the settings as a whole

    def build(settings, house):  # type: ignore[no-untyped-def]
        """The part. *settings*: Settings of `options` (None without); *house*: what the kind is given (`assembly`). Plain function.

        Sources of accounts get an `accounts.house.House`.
        """


# ----- people ---------------------------------------------------------------


class IAccounts(Interface):
    """Knows who has a mailbox here."""

    async def find(address):  # type: ignore[no-untyped-def]
        """The Account to whose mailbox *address* (folded Address) belongs directly, or None. Raises Unavailable."""

    async def list():  # type: ignore[no-untyped-def]
        """All accounts, as a tuple of Account sorted by name."""


class IAccountSource(Interface):
    """One place where accounts are kept. A plugin's part of kind "accounts".

    Methods marked "optional" are missing where a source cannot do that.
    """

    async def lookup(name):  # type: ignore[no-untyped-def]
        """The `accounts.secrets.Entry` that has the address *name* (full, lower case), or None. Raises Unavailable."""

    async def namesakes(local):  # type: ignore[no-untyped-def]
        """The entries whose account's name has *local* before the @, as a tuple; two are enough. () where it cannot be told."""

    # async list(): optional: every Account, as a tuple
    # async add(account, secret), async remove(name), async change(name, **fields): optional; KeyError where *name* is unknown
    # async renew(name, old, new, keys): optional: put the hash *new* in the place of *old*, and *keys* (of ScramKeys) beside it; False
    #     where *old* is not there any more
    # async set_secret(name, secret, keys): optional: another password; KeyError where *name* is unknown
    # async verify(entry, password): optional, where an entry without `secret` is checked by the source itself; True or False. Unavailable
    # async provable(kind): optional: whether everybody here who can log in by a password has evidence of *kind* (False where missing)
    # watch(changed): optional, plain: call *changed*(name, or None for any) whenever what is kept of somebody has changed


class IAuthenticator(Interface):
    """Knows whether somebody is who he says."""

    async def authenticate(login, password, service=""):  # type: ignore[no-untyped-def]
        """The Account of *login* (str, as typed) if *password* (str) is right for *service* ("imap"), else None. Raises Unavailable.

        Takes the same time whether the login is unknown or the password wrong. Throttling is the caller's business.
        """

    async def evidence(login, kind, service=""):  # type: ignore[no-untyped-def]
        """What proves *login* without its password being sent (`mail.evidence`): ScramKeys or Clear. Raises Unavailable.

        *kind* is "SCRAM-SHA-256", "SCRAM-SHA-1" or "PLAIN" (only Clear will do; None where there is none). Whoever has no
        keys, is disabled or does not exist gets keys that no password fits, always the same.
        """

    # async provable(kind): optional: whether everybody who can log in by a password could as well by evidence of *kind*

    async def whose(login):  # type: ignore[no-untyped-def]
        """The Account that *login* means, whoever asks; None where it is nobody's. Raises Unavailable."""


class IAliasResolver(Interface):
    """Knows which addresses stand for which others. Loops, duplicates, subaddresses and accounts are `expansion`'s business."""

    async def lookup(address):  # type: ignore[no-untyped-def]
        """One step: the targets of *address* (folded Address), a tuple of Address in written order; empty when it is no alias.

        A target without a domain means a name in the domain of *address*. Raises Unavailable; never a partial answer.
        """


# ----- policy ---------------------------------------------------------------


class Point(Enum):
    """When a stage is asked."""

    CONNECT = "connect"  # judge(peer): before the greeting
    HELLO = "hello"  # judge(peer): after HELO or EHLO
    SENDER = "sender"  # judge(transaction)
    RECIPIENT = "recipient"  # judge(transaction, address)
    MESSAGE = "message"  # judge(transaction): with content and header


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a stage with many rules says: a Status, the rule that decided ("/etc/access:12"), and what becomes of the message.

    `status` None: no objection, the next stages are asked; with a `fate` from SENDER on. A positive one accepts at once.
    """

    status: Status | None
    rule: str = ""
    fate: Fate = Fate.USUAL


@dataclass(frozen=True, slots=True)
class Edit:
    """What a MESSAGE stage changes: fields to put in front, and (where not None) a whole new header block. CRLF line ends.

    `peer_name`: the client's host name, which it has found out (`Peer.name`).
    What becomes of the message beside that, and by which rule, is told as in a Verdict.
    """

    prepend: bytes = b""
    header: bytes | None = None
    peer_name: str = ""
    rule: str = ""
    fate: Fate = Fate.USUAL


class IPolicyStage(Interface):
    """One rule at one point of the SMTP conversation."""

    name = Attribute("the word that stands for it in `stages`")
    point = Attribute("the Point at which it is asked")
    # `is_gate`, True where a stage has it: asked even where an earlier one has accepted; `left(peer)`: the connection has ended;
    # `refused(transaction, address, status)`: a recipient was refused, by whatever stage

    async def judge(*about):  # type: ignore[no-untyped-def]
        """None (no opinion), a Status (ends the question; a positive one accepts at once), a Verdict, or at MESSAGE an Edit.

        RECIPIENT stages get the transaction and the Address. What it raises is a 451; so is taking longer than the
        pipeline allows.
        """


class IPolicyStageFactory(Interface):
    """Makes the stage called `name`. A plugin."""

    name = Attribute("the word that stands for it in `stages`")
    options = Attribute("a Section of its own settings, or None")

    def build(settings, house):  # type: ignore[no-untyped-def]
        """The IPolicyStage. *settings*: Settings of `options` (None without); *house*: `policy.pipeline.House`. Plain function."""


# ----- transport of mail ----------------------------------------------------


class ICourier(Interface):
    """Carries mail to a place and reports. Knows nothing of queues and retries."""

    name = Attribute("a word for logs")

    def batches(targets):  # type: ignore[no-untyped-def]
        """*targets* (tuple of Target) divided so that one slow place delays no other's outcome. Plain function; no question asked."""

    async def carry(item, targets, content):  # type: ignore[no-untyped-def]
        """Try once to bring *item* with *content* (item.prefix is not in it) to *targets* (tuple of Target).

        Returns one Outcome per target, in order. Never raises for weather or peers: those are outcomes.
        """


class IQueue(Interface):
    """Keeps items durably until they are settled. Every coroutine returns only when what it says is durable."""

    async def recover():  # type: ignore[no-untyped-def]
        """Read what an earlier process left, repair it by the crash table; tuple of Items in order of arrival. Once, first."""

    async def add(item, content):  # type: ignore[no-untyped-def]
        """Take *item* over. Raises OSError where it cannot be made durable (then nothing of it is kept)."""

    async def record(identifier, event):  # type: ignore[no-untyped-def]
        """Write *event* (mail.outcome.Event) down for the item; the new Item. KeyError where there is no such item."""

    async def hold(identifier, held):  # type: ignore[no-untyped-def]
        """Set or clear the operator's hold; the new Item."""

    async def remove(identifier):  # type: ignore[no-untyped-def]
        """Forget the item and its content. KeyError where there is no such item."""

    def items():  # type: ignore[no-untyped-def]
        """All Items now, in order of arrival. Plain function."""

    def content(identifier):  # type: ignore[no-untyped-def]
        """The Content of an item. Plain function; reading it may block."""


class INameLookup(Interface):
    """The DNS questions that mail asks. Names are str without a final dot. Raises `DnsTrouble` for SERVFAIL and time-outs."""

    async def mx(domain):  # type: ignore[no-untyped-def]
        """Tuple of (preference, host), unsorted; empty where there are none. NoSuchDomain for NXDOMAIN. Null MX: ((0, ""),)."""

    async def addresses(host):  # type: ignore[no-untyped-def]
        """Tuple of IP addresses (str), IPv6 and IPv4; empty where there are none. NoSuchDomain for NXDOMAIN."""

    async def ipv4(host):  # type: ignore[no-untyped-def]
        """As `addresses`, but IPv4 only: what lists in the DNS answer with (RFC 5782 §2.1). One question instead of two."""

    async def txt(name):  # type: ignore[no-untyped-def]
        """Tuple of TXT records (bytes, strings joined); empty where there are none."""

    async def pointer(address):  # type: ignore[no-untyped-def]
        """Tuple of host names that *address* points back to; empty where there are none."""


@dataclass(frozen=True, slots=True)
class Pickup:
    """What comes of a server that calls for its mail (ETRN, RFC 1985): `count` messages are tried now; or why none is.

    Not `served`: no mail is kept for that name (458). Not `allowed`: not for this client (459).
    """

    count: int = 0
    served: bool = True
    allowed: bool = True


class DnsTrouble(Exception):
    """No answer can be had now: time-out, SERVFAIL, REFUSED. The text says what was asked of whom."""


class NoSuchDomain(Exception):
    """The name does not exist (NXDOMAIN)."""


class IFilter(Interface):
    """What an account wants done with a message before it reaches its INBOX."""

    async def sort(account, transaction, content):  # type: ignore[no-untyped-def]
        """What account name *account* wants done: a tuple of `Keep(folder)` and `Redirect(address)`; empty: discard. Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Put the message into `folder` (a mailbox name; "INBOX")."""

    folder: str = "INBOX"


@dataclass(frozen=True, slots=True)
class Redirect:
    """Send the message on to `address` (mail.address.Address)."""

    address: Any


# ----- the store (its values are in `mail.mailbox`) -------------------------


class IMailStore(Interface):
    """All mailboxes of all accounts. Blocking work is done in threads or in bounded pieces below 5 ms."""

    async def deliver(deliveries):  # type: ignore[no-untyped-def]
        """Put each Delivery into its mailbox (made when missing; INBOX instead of a folder that cannot be made).

        Durable when it returns: a list with None, or what stopped it (an exception, see `disk.status_of`), per delivery.
        """

    async def mailboxes(account):  # type: ignore[no-untyped-def]
        """The IMailboxes of account name *account*; its folders are made at first use. Raises OSError."""

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


__all__ = [
    name
    for name in dir()
    if not name.startswith("_") and name not in {"annotations", "Any", "Sequence", "dataclass", "field", "Attribute", "Interface", "array"}
]
