"""Every replaceable part as a zope interface, with the values that cross it.

One contract suite per interface (tests/contracts/) runs over every
implementation; `memory.py` has all of them in memory. Unless a method says
otherwise it is a coroutine, is called on the reactor thread, and may be called
while an earlier call still runs.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from zope.interface import Attribute, Interface

from twistmail.mail.envelope import Fate, Target
from twistmail.mail.status import Status
from twistmail.mail.values import frozen


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
        """One step: the `mail.alias.Step` of *address* (folded Address), None when it is no alias.

        Raises Unavailable; never a partial answer.
        """


class IForwards(Interface):
    """Knows where people themselves have their mail sent on to: ~/.forward and the like. Who follows it is `expansion`."""

    async def lookup(account, extension):  # type: ignore[no-untyped-def]
        """The `mail.alias.Step` that *account* (Account) wants; None: his mail stays in his mailbox.

        *extension*: what stood behind his name and the separator, in lower case; "" where nothing did. It comes from
        outside. A goal that names himself (an Address or Final, full) means his mailbox. Raises Unavailable, never gives a part.
        """


# ----- policy ---------------------------------------------------------------


class Point(Enum):
    """When a stage is asked."""

    __hash__ = object.__hash__  # each is there once; the usual one is Python, and these are keys

    CONNECT = "connect"  # judge(peer): before the greeting
    HELLO = "hello"  # judge(peer): after HELO or EHLO
    SENDER = "sender"  # judge(transaction)
    RECIPIENT = "recipient"  # judge(transaction, address)
    MESSAGE = "message"  # judge(transaction): with content and header


@frozen
class Verdict:
    """What a stage with many rules says: a Status, the rule that decided ("/etc/access:12"), and what becomes of the message.

    `status` None: no objection, the next stages are asked; with a `fate` from SENDER on. A positive one accepts at once.
    """

    status: Status | None
    rule: str = ""
    fate: Fate = Fate.USUAL


@frozen
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


@frozen
class Batch:
    """Targets of one item that go the same way. `place` names the next hop ("far.test", "[mx.test]:587"); empty: it is here."""

    place: str
    targets: tuple[Target, ...]


class ICourier(Interface):
    """Carries mail to a place and reports. Knows nothing of queues and retries."""

    name = Attribute("a word for logs")

    def batches(item, targets):  # type: ignore[no-untyped-def]
        """*targets* (sequence of Target) of *item* divided by where they go next: tuple of Batch. Plain function; nobody is asked.

        Each of them is carried by itself, so that one slow place delays no other's outcome.
        """

    async def carry(item, targets, content):  # type: ignore[no-untyped-def]
        """Try once to bring *item* with *content* (item.prefix is not in it) to *targets* (tuple of Target).

        Returns one Outcome per target, in order. Never raises for weather or peers: those are outcomes. One without `host` means
        that nobody there was reached, so nothing is tried there for a while.
        """

    # async foresee(item, target): optional: the `mail.outcome.Foreseen` of *target*, or None; nothing is done. Raises Unavailable
    # at_once(target): optional, of a courier to mailboxes: whether it may be brought while the peer waits; True where missing


class IQueue(Interface):
    """Keeps items durably until they are settled. Every coroutine returns only when what it says is durable."""

    async def recover():  # type: ignore[no-untyped-def]
        """Read what an earlier process left, repair it by the crash table; tuple of Items in order of arrival. Once, first."""

    async def add(item, content):  # type: ignore[no-untyped-def]
        """Take *item* over. Raises OSError where it cannot be made durable (then nothing of it is kept)."""

    def room_for(size, *, report=False):  # type: ignore[no-untyped-def]
        """The OSError that `add` of so many octets would raise now because the queue or its disk is full, or None. Plain function.

        *report*: of an item without a sender; these have some room of their own (`mail.bounds`).
        """

    async def record(identifier, event):  # type: ignore[no-untyped-def]
        """Write *event* (mail.outcome.Event) down for the item; the new Item. KeyError where there is no such item."""

    async def hold(identifier, held, why=""):  # type: ignore[no-untyped-def]
        """Set (*why*: in his words) or clear the operator's hold; the new Item (`Item.on_hold`)."""

    async def remove(identifier):  # type: ignore[no-untyped-def]
        """Forget the item and its content. KeyError where there is no such item."""

    def items():  # type: ignore[no-untyped-def]
        """All Items now, in order of arrival. Plain function."""

    def content(identifier):  # type: ignore[no-untyped-def]
        """The Content of an item. Plain function; reading it may block."""

    # together(): optional: a context manager, which nobody waits in; what items do meanwhile may be written down at its end, at once


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

    # async proved(name, kind): optional: Proved, of *kind* "MX", "A", "AAAA", "CNAME" or "TLSA"; nothing where there is no such name.
    #     Without it no DNSSEC, and so no DANE (RFC 7672)


@frozen
class Proved:
    """What the DNS says, and whether that is proved: `secure`, validated by DNSSEC, by a resolver that we trust.

    `values` are those of the methods of INameLookup; of TLSA (usage, selector, matching type, bytes). `name`: where aliases lead.
    """

    values: tuple[Any, ...]
    secure: bool
    name: str


@frozen
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


@frozen
class Keep:
    """Put the message into `folder` (a mailbox name; "INBOX")."""

    folder: str = "INBOX"


@frozen
class Redirect:
    """Send the message on to `address` (mail.address.Address)."""

    address: Any


__all__ = [
    name
    for name in dir()
    if not name.startswith("_") and name not in {"annotations", "Any", "Sequence", "frozen", "field", "Attribute", "Interface", "array"}
]
