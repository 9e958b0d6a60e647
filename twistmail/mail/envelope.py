"""Who is talking to us, and what a message's envelope says so far.

`Peer` is the other end of one connection; `Transaction` is one mail
transaction (RFC 5321 §3.3) as policy stages and `mailflow` see it. Both are
values: an SMTP session replaces them as it learns more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from twistmail.mail.account import Account
from twistmail.mail.address import Address
from twistmail.mail.content import Content


class Role(Enum):
    """What a listener is for; the policy list and the rules of submission hang on it."""

    MX = "mx"
    SUBMISSION = "submission"
    LMTP = "lmtp"


@dataclass(frozen=True, slots=True)
class TlsState:
    """What the handshake agreed on."""

    version: str  # "TLSv1.3"
    cipher: str  # "TLS_AES_256_GCM_SHA384"
    bits: int
    server_name: str = ""  # what the client asked for by SNI


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection. `connection` is its id; `hello` what it called itself."""

    connection: str
    address: str  # "192.0.2.7", "2001:db8::7" or "unix"
    port: int
    role: Role = Role.MX
    hello: str = ""
    extended: bool = False  # said EHLO, not HELO
    tls: TlsState | None = None
    account: Account | None = None


class Kind(Enum):
    """Where a target of an expansion lies."""

    MAILBOX = "mailbox"  # an account's mailbox in our store
    REMOTE = "remote"  # to be relayed


@dataclass(frozen=True, slots=True)
class Target:
    """One end of an expansion: a mailbox (then `account` is its owner's name) or an address elsewhere.

    `address` is what the target is called; `original` the address of RCPT that led here.
    `folder` is a mailbox name the courier should prefer (empty: INBOX).
    """

    kind: Kind
    address: Address
    original: Address
    account: str = ""
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Recipient:
    """An accepted RCPT: the address, and where it leads (expanded when it was accepted)."""

    address: Address
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True)
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

    @property
    def account(self) -> Account | None:
        return self.peer.account
