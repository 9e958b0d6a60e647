"""Who is talking to us, and what a message's envelope says so far.

`Peer` is the other end of one connection; `Transaction` is one mail
transaction (RFC 5321 §3.3) as policy stages and `mailflow` see it. Both are
values: an SMTP session replaces them as it learns more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum

from twistmail.mail.account import Account
from twistmail.mail.address import Address
from twistmail.mail.content import Content
from twistmail.mail.values import frozen


class Role(Enum):
    """What a listener is for; the policy list and the rules of submission hang on it."""

    MX = "mx"
    SUBMISSION = "submission"
    LMTP = "lmtp"


@frozen
class TlsState:
    """What the handshake agreed on."""

    version: str  # "TLSv1.3"
    cipher: str  # "TLS_AES_256_GCM_SHA384"
    bits: int
    server_name: str = ""  # what the client asked for by SNI
    client: str = ""  # whose certificate the peer showed and proved to hold, checked against `client_ca`: its name, else empty
    client_fault: str = ""  # why the certificate that it showed counts for nothing
    #: What binds a login to this connection: name of a channel binding (RFC 5929, RFC 9266) -> octets.
    bindings: Mapping[str, bytes] | None = field(default=None, repr=False, compare=False)


@frozen
class Peer:
    """The other end of a connection. `connection` is its id; `hello` what it called itself.

    `address` and `port` are the client's own, also where a proxy told them; `via` is then the proxy's address.
    `name` is the host name that the address has in the DNS and that leads back to it; empty while nobody has asked.
    """

    connection: str
    address: str  # "192.0.2.7", "2001:db8::7" or "unix"
    port: int
    role: Role = Role.MX
    hello: str = ""
    extended: bool = False  # said EHLO (or LHLO), not HELO
    tls: TlsState | None = None
    account: Account | None = None
    name: str = ""
    via: str = ""


class Kind(Enum):
    """Where a target of an expansion lies."""

    __hash__ = object.__hash__  # each is there once; the usual one is Python, and these are keys

    MAILBOX = "mailbox"  # an account's mailbox in our store
    REMOTE = "remote"  # to be relayed
    FILE = "file"  # appended to a file of this machine
    PROGRAM = "program"  # given to a program
    LIST = "list"  # to the members of a mailing list, as a new message
    DISCARD = "discard"  # thrown away


@frozen
class Target:
    """One end of an expansion: a mailbox (then `account` is its owner's name), an address elsewhere, or what `kind` says.

    `address` is what the target is called; `original` the address of RCPT that led here.
    `folder` is a mailbox name the courier should prefer (empty: INBOX). `seen`: it is to lie there as read already. `front`:
    header fields (CRLF line ends) that stand in front of the message there and nowhere else. `way`: of a FILE its path, of a
    PROGRAM its command, of a LIST its name; `account` is then whose they are (whose ~/.forward said so), empty: the system's.
    `sender` gets the reports about it, and is its sender in the envelope, where that is not the message's (`owner-NAME`).
    """

    kind: Kind
    address: Address
    original: Address
    account: str = ""
    folder: str = ""
    seen: bool = False
    front: bytes = b""
    way: str = ""
    sender: Address | None = None

    @property
    def place(self) -> tuple[Kind, str]:
        """What makes two targets the same, whatever they were called."""
        if self.way:
            return self.kind, f"{self.account} {self.way}"
        return self.kind, self.account or str(self.address)

    def __hash__(self) -> int:
        """Of what differs between most; the one that is generated hashes every field, for each recipient again and again."""
        return hash((self.address.local, self.address.domain))


class Notify(Enum):
    """When the sender wants a report about a recipient (RFC 3461 §4.1). An empty set of them: as usual, FAILURE and DELAY."""

    __hash__ = object.__hash__  # each is there once; the usual one is Python, and these are keys

    NEVER = "NEVER"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


@frozen
class Recipient:
    """An accepted RCPT: the address, where it leads (expanded when it was accepted), and what was asked for it.

    `orcpt`: the ORCPT parameter as it was given, `rfc822;bob+40blue.test` (RFC 3461 §4.2, xtext), or "".
    """

    address: Address
    targets: tuple[Target, ...] = ()
    notify: frozenset[Notify] = frozenset()
    orcpt: str = ""


@frozen
class Deadline:
    """DELIVERBY (RFC 2852 §4): `at` is POSIX seconds; after it `returns`: give up and report; else: report the delay, go on.

    `trace`: the sender wants a report from each system that passes it on.
    """

    at: float
    returns: bool
    trace: bool = False


@frozen
class Wishes:
    """What the sender asks of the delivery with the parameters of MAIL; kept with the message and passed on by the relay.

    `ret` and `envid` are those of RFC 3461 §4.3 and §4.4 (`envid` as it was given, xtext); `utf8`: SMTPUTF8 (RFC 6531 §3.4);
    `require_tls`: REQUIRETLS (RFC 8689); `hold_until`: FUTURERELEASE (RFC 4865), POSIX seconds; `priority`: MT-PRIORITY
    (RFC 6710), -9 to 9; `auth`: the AUTH= parameter (RFC 4954 §5), decoded, "<>" or an address; `verp`: XVERP, the delimiters
    that the sender wants, or `verp.AS_USUAL`. `tls_optional` stands in the header of the message: it shall arrive, encrypted
    or not (RFC 8689 §3).
    """

    ret: str = ""  # "FULL", "HDRS" or ""
    envid: str = ""
    utf8: bool = False
    require_tls: bool = False
    hold_until: float | None = None
    deadline: Deadline | None = None
    priority: int = 0
    auth: str = ""
    verp: str = ""
    tls_optional: bool = False


NO_WISHES = Wishes()


class Fate(Enum):
    """What becomes of a message that is accepted: the usual, or what the operator has said of its kind. Later ones outrank."""

    USUAL = 0
    HOLD = 1  # it waits in the queue until an operator has looked at it
    DISCARD = 2  # it is thrown away


@frozen
class Transaction:
    """One mail transaction. `sender` is None for the null reverse-path `<>`.

    `parameters` are the ESMTP parameters of MAIL, keys in upper case (`{"SIZE": "1000", "BODY": "8BITMIME"}`).
    `header` is the header block of the content, set before the MESSAGE stages judge it.
    """

    peer: Peer
    id: str
    started: float  # POSIX seconds
    sender: Address | None
    parameters: dict[str, str] = field(default_factory=dict)
    recipients: tuple[Recipient, ...] = ()
    content: Content | None = None
    header: bytes = b""
    wishes: Wishes = NO_WISHES
    fate: Fate = Fate.USUAL
    fate_reason: str = ""  # the stage and the rule that decided it

    @property
    def account(self) -> Account | None:
        return self.peer.account
