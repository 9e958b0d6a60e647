"""What happened, as values, and who listens. Trace, metrics, live views and tests all read the same facts.

A `Fact` is (when, about which connection or item, what). What happens to an
item is in `mail/outcome.py`; this module has what happens on connections and at
the door. Telling costs one attribute test when nobody listens: callers write

    if facts.listened: facts.tell(Fact(now, id, Connected(...)))
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import field
from typing import Any

from twisted.logger import Logger

from twistmail.mail.address import Address
from twistmail.mail.envelope import Target, TlsState
from twistmail.mail.status import Status
from twistmail.mail.values import frozen

log = Logger()


@frozen
class Fact:
    """`at`: POSIX seconds. `about`: the id of a connection or an item."""

    at: float
    about: str
    what: Any


@frozen
class Connected:
    """A peer has connected to service `service` ("mx", "imap", ...); `via`: through the proxy of that address."""

    service: str
    address: str
    port: int
    via: str = ""


@frozen
class TlsStarted:
    tls: TlsState


@frozen
class TlsFailed:
    """The handshake has failed; `why` in OpenSSL's words, such as "no shared cipher"."""

    why: str


@frozen
class LoggedIn:
    """`service` is that of the connection, `address` the client's; both may be unknown. `by`: the master who acts for `account`.

    `app_password`: he did not use his own password, and may not be allowed more than this service.
    """

    account: str
    mechanism: str
    service: str = ""
    address: str = ""
    by: str = ""
    app_password: bool = False


@frozen
class LoginFailed:
    """`login` is the name as it was given; never a password. `service` and `address` as in LoggedIn."""

    login: str
    mechanism: str
    service: str = ""
    address: str = ""


@frozen
class Banned:
    """Nobody of `network` may come in where one logs in, until `until` (POSIX seconds), because of `reason`."""

    network: str
    until: float
    reason: str


@frozen
class Introduced:
    """What a client's program says of itself (IMAP ID): (field in lower case, value), in its order. Nobody has checked it."""

    parameters: tuple[tuple[str, str], ...]


@frozen
class Closed:
    """`why`: "quit", "peer gone", "TLS failed", "refused", "timed out", "too many errors", "bug", "shutdown", "kicked"."""

    why: str
    received: int  # octets
    sent: int


@frozen
class Line:
    """One transcript entry, secrets masked. `side` is "C" for the peer and "S" for us. `lone_lf`: the peer has ended it with a bare LF."""

    side: str
    text: bytes
    lone_lf: bool = field(default=False, repr=False)  # for who looks on in the classroom; the journal has no use for it


@frozen
class Refused:
    """A policy stage or a rule of the house refused something. `stage` names it, `rule` which of its rules, where it has several.

    Sender and recipient as far as they were known.
    """

    stage: str
    status: Status
    connection: str
    sender: Address | None = None
    recipient: Address | None = None
    rule: str = ""


@frozen
class Vouched:
    """A stranger sends to `recipient` through us, because `account` has just read mail by `service` from the same `address`."""

    account: str
    service: str
    address: str
    recipient: Address


@frozen
class Accepted:
    """We have answered (or are about to answer) 250 for an item: from here on it is our duty."""

    connection: str
    service: str
    sender: Address | None
    recipients: tuple[Address, ...]
    size: int
    account: str = ""
    message_id: str = ""
    subject: str = ""


@frozen
class Fated:
    """A message that was accepted is held or thrown away (`fate`: "HOLD", "DISCARD"), because of `reason`: stage and rule."""

    fate: str
    reason: str


@frozen
class Renamed:
    """The sender `address` is `becomes` from here on, by `rule`: the lines of canonical tables."""

    address: Address
    becomes: Address
    rule: str


@frozen
class Expanded:
    """Address `address` leads to `targets`."""

    address: Address
    targets: tuple[Target, ...]


@frozen
class Queued:
    """What could not be delivered at once is durable in the queue."""

    pending: int


@frozen
class Removed:
    """The item has left the queue: `why` is "done" or "deleted by an operator"."""

    why: str


@frozen
class Read:
    """Somebody fetched messages from a mailbox: `service` is "imap" or "pop3", `uids` a sequence set of IMAP such as "1:20,22"."""

    service: str
    account: str
    mailbox: str
    uids: str


@frozen
class ServersFound:
    """Where an item goes next: the `servers` of `next_hop`, in the order in which they are tried, as "mx.green.test [192.0.2.20]".

    `by_mx`: MX records were asked for, not only addresses. `status`: why there is none. `seconds`: how long the look-up took.
    """

    next_hop: str
    by_mx: bool
    servers: tuple[str, ...]
    seconds: float
    status: Status | None = None


@frozen
class Stored:
    """A copy of an item lies in `mailbox` of `account`, as message `uid`; `file`: what its file was called then, where it has one."""

    account: str
    mailbox: str
    uid: int
    file: str = ""


@frozen
class Entered:
    """`account` has opened a mailbox that is not his own: `mailbox` of account `owner`; `writes`: he may change something there."""

    account: str
    owner: str
    mailbox: str
    writes: bool


@frozen
class Granted:
    """`account` has given `identifier` these `rights` (RFC 4314) in `mailbox` of account `owner`; none: taken away."""

    account: str
    owner: str
    mailbox: str
    identifier: str
    rights: str


class Facts:
    """Hands each fact to every listener, on the reactor thread. A listener's bug is logged and harms nobody."""

    def __init__(self) -> None:
        self._listeners: tuple[_Listening, ...] = ()
        self._who_hears: dict[type, tuple[Listener, ...]] = {}  # of the kinds that were told since somebody came or went
        #: True when somebody listens; test it before a Fact is made.
        self.listened = False
        #: True when somebody wants `Line` facts (transcripts).
        self.lines_wanted = False

    def listen(self, listener: Listener, *, of: Collection[type] = (), lines: bool = False) -> Callable[[], None]:
        """Call *listener* from now on; the returned function ends that.

        *of*: with facts of these kinds, and nothing costs it anything else; empty: with every fact, `Line` facts only if *lines*.
        """
        listening = _Listening(listener, frozenset(of), lines)
        self._set((*self._listeners, listening))
        return lambda: self._set(tuple(other for other in self._listeners if other is not listening))

    def _set(self, listeners: tuple[_Listening, ...]) -> None:
        self._listeners = listeners
        self._who_hears = {}
        self.listened = bool(listeners)
        self.lines_wanted = any(one.hears(Line) for one in listeners)

    def tell(self, fact: Fact) -> None:
        kind = type(fact.what)
        listeners = self._who_hears.get(kind)
        if listeners is None:
            listeners = self._who_hears[kind] = tuple(one.listener for one in self._listeners if one.hears(kind))
        for listener in listeners:
            try:
                listener(fact)
            except Exception:
                log.failure("a listener failed on {fact}", fact=fact)


Listener = Callable[[Fact], None]


@frozen
class _Listening:
    listener: Listener
    of: frozenset[type]
    lines: bool

    def hears(self, kind: type) -> bool:
        return kind in self.of if self.of else self.lines or kind is not Line


class Teller:
    """Tells *facts* of what happens by the clock *epoch* (POSIX seconds): for parts that have no other use for either."""

    def __init__(self, facts: Facts, epoch: Callable[[], float]) -> None:
        self._facts = facts
        self.epoch = epoch

    @property
    def listened(self) -> bool:
        """Whether somebody listens; test it before a fact is made."""
        return self._facts.listened

    def tell(self, about: str, what: Any) -> None:
        self._facts.tell(Fact(self.epoch(), about, what))
