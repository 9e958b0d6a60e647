"""What a server has to show before it gets mail, and what it has shown: the values between policy, handshake and conversation.

`Terms` are decided for each server of a domain before anybody connects
(`tlspolicy`), `handshake` looks at what is shown, `exchange` acts on that.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Protocol

from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.relay.dane import Tlsa
from twistmail.relay.route import Host, Route, Tls, literal


class Level(IntEnum):
    """How well a connection was protected."""

    PLAIN = 0
    ENCRYPTED = 1  # against those who only listen
    VERIFIED = 2  # and it is the server that it should be


@frozen
class Policy:
    """What a domain has published about its encryption, as reports name it (RFC 8460 §4.2).

    `kind`: "tlsa", "sts" or "no-policy-found". `lines`: the policy as it was published. `patterns`: its mail servers (sts).
    """

    domain: str
    kind: str = "no-policy-found"
    lines: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


@frozen
class Terms:
    """What one server has to show. `why`: who wants that, in words.

    VERIFIED: its certificate is for one of `names`, and an authority that everybody knows says so; or, where there are
    `records`, it fits one of these. DANE: it fits one of `records`. `testing`: the domain wants `names` checked and told of,
    but not kept to (RFC 8461 §5). `checked_by`: what to call the check when it was passed.
    """

    want: Tls
    names: tuple[str, ...] = ()
    records: tuple[Tlsa, ...] = ()
    why: str = ""
    testing: bool = False
    checked_by: str = ""
    policy: Policy = Policy("")

    @property
    def is_checked(self) -> bool:
        """Whether a certificate that is not in order ends it."""
        return self.want in (Tls.VERIFIED, Tls.DANE)


@frozen
class Finding:
    """What a connection has shown. `fault`: why the certificate is not in order, in words; empty: it is.

    `kind`: the result type of RFC 8460 §4.3 for that. `protocol`: such as "TLSv1.3"; empty: nothing is encrypted.
    `checked_by`: by what the certificate was found in order; also where nobody had asked for that. `source`: our own address.
    """

    protocol: str = ""
    checked_by: str = ""
    fault: str = ""
    kind: str = ""
    source: str = ""

    @property
    def level(self) -> Level:
        if not self.protocol:
            return Level.PLAIN
        return Level.VERIFIED if self.checked_by and not self.fault else Level.ENCRYPTED

    def __str__(self) -> str:
        """In words, as `Outcome.secured` keeps them."""
        if not self.protocol:
            return ""
        return f"{self.protocol}, certificate " + (f"checked by {self.checked_by}" if self.level is Level.VERIFIED else "not checked")


@frozen
class Decision:
    """What holds for the servers of one route: those that may be tried, in order, and those that are out, with the reason.

    `why`: what was decided for all of them, in words.
    """

    hosts: tuple[tuple[Host, Terms], ...]
    out: tuple[tuple[Host, Status], ...] = ()
    why: str = ""


class Policies(Protocol):
    """Who decides. `tlspolicy.TlsPolicies` asks the world; `AsRouted` nobody."""

    async def decide(self, route: Route, hosts: Sequence[Host]) -> Decision:
        """The Decision about *hosts* of *route*, for a connection."""

    async def look(self, route: Route, hosts: Sequence[Host]) -> Decision:
        """The same, for somebody who only wants to know: nothing of it is counted."""

    def note(self, route: Route, host: Host, terms: Terms, finding: Finding) -> None:
        """A connection to *host* has shown *finding*; also when it was left because of that."""


class AsRouted:
    """Only what the route says counts."""

    async def decide(self, route: Route, hosts: Sequence[Host]) -> Decision:
        return Decision(tuple((host, as_routed(route, host)) for host in hosts))

    look = decide

    def note(self, route: Route, host: Host, terms: Terms, finding: Finding) -> None:
        pass


def as_routed(route: Route, host: Host, why: str = "") -> Terms:
    """The Terms of a route that says all by itself."""
    return Terms(route.tls, (literal(host.name) or host.name,), why=why, checked_by="its authority", policy=Policy(route.next_hop))
