"""A message's journey as values: what happened to it in which office, who said what, who was asked, where it lies, who has read it.

Made by `journey_making` of events of the ring and of nothing else, so any moment of it can be shown again. Which events
belong to it is found out by `journeys`; what its six stations show by `stations`. Pure.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

from twistmail.mail.values import frozen

#: What a dialogue is told to be whose client says no CRs.
LF_ONLY = ("The client ends its lines with LF, as nc does; SMTP, POP3 and IMAP want CR LF (RFC 5321 §2.3.8), so a server outside the "
           "classroom would refuse them or wait for ever: nc -C says both.")
#: An item: the name of the office and the id that this office has given it.
Node = tuple[str, str]


@frozen
class Line:
    """One line that was said. `side`: "C" the client, "S" the server. `mood` of a server's answer: "", "later" (4xx), "refused" (5xx).
    `lone_lf`: it ended with a bare LF."""

    number: int
    at: float
    side: str
    text: str
    mood: str = ""
    lone_lf: bool = False


@frozen
class Dialogue:
    """What was said on one connection, as `office` heard it. `key` is its name; `kind`: "in", "out", "reading"; `end`: why it closed."""

    key: str
    kind: str
    office: str
    peer: str
    service: str
    lines: tuple[Line, ...]
    end: str = ""
    tls: str = ""

    @property
    def lone_lf(self) -> bool:
        """Whether the client has ended its lines with LF alone."""
        return any(line.lone_lf for line in self.lines)

    @property
    def title(self) -> str:
        if self.kind == "out":
            return f"{self.office} to {self.peer}"
        who = self.peer or "client"
        return f"{who} reads by {self.service.upper()}" if self.kind == "reading" else f"{who} to {self.office}, {self.service}"


@frozen
class Attempt:
    """What came of one recipient in one attempt. `state`: "relayed", "delivered", "deferred", "failed"."""

    number: int
    at: float
    recipient: str
    kind: str
    state: str
    status: str
    host: str = ""
    secured: str = ""


@frozen
class Reading:
    """Somebody has fetched it."""

    at: float
    service: str
    account: str
    connection: str


@frozen
class Copy:
    """Where it lies. `file`: what its file was called when it came."""

    office: str
    at: float
    account: str
    mailbox: str
    uid: int
    file: str
    readings: tuple[Reading, ...] = ()


@frozen
class Question:
    """One question to the DNS, and the answer."""

    at: float
    office: str
    name: str
    type: str
    answer: tuple[str, ...]
    result: str
    ms: float


@frozen
class Alias:
    """`name` leads to `targets`."""

    name: str
    targets: tuple[str, ...]
    origin: str = ""


@frozen
class LookUp:
    """Where the relay found that it has to go. `status`: why nowhere."""

    at: float
    next_hop: str
    servers: tuple[str, ...]
    status: str = ""


@frozen
class Call:
    """A connection to `host` that is asked for since `at`; `answered`: it is made, and the letter is being told on it."""

    at: float
    host: str
    answered: bool = False


@frozen
class Leg:
    """What happened to it in one office, as one item. `parent`: the item of the office that it came from.

    `peer`: "address:port" of who brought it; `account`: who had logged in; `connection`: on which it came. `state`: "coming" (it is
    still being said), "taken", "queued", "waiting" (`next`: POSIX seconds of the lesson's clock), "frozen", "done" (`why`).
    `in_vain`: the servers that were asked for a connection since they were looked up last, and why there is none.
    """

    office: str
    id: str
    at: float
    parent: Node | None = None
    service: str = ""
    sender: str = ""
    recipients: tuple[str, ...] = ()
    size: int = 0
    message_id: str = ""
    subject: str = ""
    account: str = ""
    connection: str = ""
    peer: str = ""
    program: str = ""
    mechanism: str = ""
    tls: str = ""
    state: str = "taken"
    why: str = ""
    queued_at: float = 0.0
    tries: int = 0
    next: float = 0.0
    warned: float = 0.0
    aliases: tuple[Alias, ...] = ()
    look_ups: tuple[LookUp, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    copies: tuple[Copy, ...] = ()
    reports: tuple[str, ...] = ()
    call: Call | None = None
    in_vain: tuple[str, ...] = ()

    @property
    def node(self) -> Node:
        return self.office, self.id

    @property
    def addressees(self) -> tuple[str, ...]:
        """Whom its envelope names; of what an office has written itself, to whom it was brought."""
        return self.recipients or tuple(dict.fromkeys(one.recipient for one in self.attempts))

    @property
    def is_report(self) -> bool:
        """Whether an office has written it itself."""
        return not self.service


@frozen
class Journey:
    """`key`: the id of its first item. `about`: the key of the message that it reports on. `last`: number of its last event."""

    key: str
    legs: tuple[Leg, ...]
    dialogues: tuple[Dialogue, ...] = ()
    questions: tuple[Question, ...] = ()
    about: str = ""
    last: int = 0
    moments: tuple[int, ...] = field(default=(), repr=False)  # the numbers of those of its events after which there is more to see

    @property
    def first(self) -> Leg:
        return self.legs[0]

    @property
    def began(self) -> float:
        """When its writer's program was heard of first."""
        return min((self.first.at, *(one.lines[0].at for one in self.dialogues)))

    @property
    def recipients(self) -> tuple[str, ...]:
        """To whom it was sent; of a report, to whom it was brought."""
        return self.first.addressees

    @property
    def copies(self) -> tuple[Copy, ...]:
        return tuple(copy for leg in self.legs for copy in leg.copies)

    @property
    def message_id(self) -> str:
        return next((leg.message_id for leg in self.legs if leg.message_id), "")

    @property
    def subject(self) -> str:
        return next((leg.subject for leg in self.legs if leg.subject), "")

    @property
    def next(self) -> float:
        """When the next attempt of all is due; 0: none is, or it is under way."""
        return min((leg.next for leg in self.legs if leg.state == "waiting" and leg.call is None), default=0.0)

    @property
    def found(self) -> tuple[tuple[str, LookUp], ...]:
        """(office, what was found), each answer once."""
        return tuple({(leg.office, one.next_hop, one.servers, one.status): (leg.office, one)
                      for leg in self.legs for one in leg.look_ups}.values())

    @property
    def asked(self) -> tuple[tuple[Question, int], ...]:
        """The questions to the DNS, each with how many times it was asked and answered so."""
        counts: dict[tuple[Any, ...], tuple[Question, int]] = {}
        for one in self.questions:
            key = one.office, one.type, one.name, one.answer, one.result
            counts[key] = one, counts.get(key, (one, 0))[1] + 1
        return tuple(counts.values())

    def children(self, leg: Leg) -> tuple[Leg, ...]:
        return tuple(other for other in self.legs if other.parent == leg.node)
