"""What a client from outside may call itself: something that could be a host (RFC 5321 §4.1.1.1), and not us.

    syntax        what is neither the name of a host nor an address literal is refused
    ours          so is our own host name, and an address of this machine as a literal: only a forger calls himself so
    our_domains   ... a local domain
    localhost     ... localhost, or a name below it
    bare_address  ... an address without brackets (RFC 5321 §4.1.3)
    unqualified   ... a name without a dot
    resolves      ... a name that has no address in the DNS

The first two are the default. The others refuse honest clients too, badly
configured ones. That a name belongs to somebody else than the client is no
reason in any of them: RFC 5321 §4.1.4 forbids that. Users' own machines call
themselves anything, so submission takes every name; neighbours (this machine,
private networks, `relay_networks`) are held to the syntax only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zope.interface import implementer

from twistmail.interfaces import DnsTrouble, INameLookup, IPolicyStage, IPolicyStageFactory, NoSuchDomain, Point, Verdict
from twistmail.mail.address import canonical_domain
from twistmail.mail.envelope import Peer, Role
from twistmail.mail.status import Status
from twistmail.networks import address_of
from twistmail.options import WORDS, Kind, Option, Reload, Settings
from twistmail.policy.neighbours import Neighbours
from twistmail.policy.pipeline import House

SYNTAX, RESOLVES = "syntax", "resolves"

NO_NAME = Status(501, "5.5.4", "That is neither the name of a host nor an address literal")
NO_BRACKETS = Status(501, "5.5.4", "An address stands in brackets here")
OUR_NAME = Status(550, "5.7.1", "That is our name, and you are somebody else")
YOUR_OWN = Status(550, "5.7.1", "That name says who you are to yourself, not to us")
UNQUALIFIED = Status(550, "5.7.1", "Say your whole name, with its domain")
UNKNOWN = Status(550, "5.7.1", "There is no host of that name")
DNS_SILENT = Status(451, "4.4.3", "That name cannot be looked up at the moment, please try again later")


def _canonical(hello: str) -> str:
    """The name or literal as `canonical_domain` writes it; "" where it is neither."""
    try:
        return canonical_domain(hello)
    except ValueError:
        return ""


@implementer(IPolicyStage)
class Hello:
    """The rules above. `chosen` are words of KNOWN; they are tried in that order, `resolves` last."""

    name = "hello"
    point = Point.HELLO

    def __init__(self, chosen: tuple[str, ...], house: House) -> None:
        self._hostname = house.hostname.lower()
        self._local_domains = house.local_domains
        self._own_addresses = house.own_addresses
        self._neighbours = Neighbours(house)
        self._syntax = SYNTAX in chosen
        self._lookup: INameLookup | None = house.lookup if RESOLVES in chosen else None
        rules: dict[str, Callable[[Peer, str], Status | None]] = {
            "ours": self._ours,
            "our_domains": self._our_domains,
            "localhost": self._localhost,
            "bare_address": self._bare_address,
            "unqualified": self._unqualified,
        }
        self._rules = tuple((word, rule) for word, rule in rules.items() if word in chosen)

    async def judge(self, peer: Peer) -> Verdict | None:
        hello = _canonical(peer.hello)
        if not hello:
            return Verdict(NO_NAME, SYNTAX) if self._syntax else None
        for word, rule in self._rules:
            if (status := rule(peer, hello)) and not self._neighbours.unlisted(peer.address):
                return Verdict(status, word)
        if self._lookup is None or hello.startswith("[") or self._neighbours.unlisted(peer.address):
            return None
        status = await _resolves(self._lookup, hello)
        return Verdict(status, RESOLVES) if status else None

    def _ours(self, peer: Peer, hello: str) -> Status | None:
        """This machine itself may come by way of any of its addresses."""
        if hello == self._hostname:
            return None if self._is_here(peer.address) else OUR_NAME
        literal = hello.startswith("[") and self._is_here(hello.strip("[]").removeprefix("ipv6:"))
        return OUR_NAME if literal and not self._is_here(peer.address) else None

    def _our_domains(self, peer: Peer, hello: str) -> Status | None:
        return OUR_NAME if hello in self._local_domains and not self._is_here(peer.address) else None

    def _localhost(self, peer: Peer, hello: str) -> Status | None:
        return YOUR_OWN if hello.startswith("localhost.") or hello == "localhost" or hello.endswith(".localhost") else None

    def _bare_address(self, peer: Peer, hello: str) -> Status | None:
        return NO_BRACKETS if address_of(hello) else None

    def _unqualified(self, peer: Peer, hello: str) -> Status | None:
        return None if "." in hello or hello.startswith("[") else UNQUALIFIED

    def _is_here(self, address: str) -> bool:
        return str(address_of(address)) in self._own_addresses()


async def _resolves(lookup: INameLookup, hello: str) -> Status | None:
    """MX counts too: big senders call whole farms by the name of their domain."""
    try:
        return None if await lookup.addresses(hello) or await lookup.mx(hello) else UNKNOWN
    except NoSuchDomain:
        return UNKNOWN
    except DnsTrouble:
        return DNS_SILENT


KNOWN = (SYNTAX, "ours", "our_domains", "localhost", "bare_address", "unqualified", RESOLVES)


def _read(text: str) -> tuple[str, ...]:
    words: tuple[str, ...] = WORDS.read(text)
    for word in words:
        if word not in KNOWN:
            raise ValueError(f"{word} is no rule about names of clients\nthere are: {', '.join(KNOWN)}")
    return words


#: In [mx].
OPTIONS = (
    Option("hello", Kind("rules", _read, " ".join), "syntax ours", "What a client may not call itself: no host at all (syntax), us (ours), "
           "our_domains, localhost, bare_address, unqualified, or a name that the DNS does not know (resolves).", Reload.NEW),
)  # fmt: skip


@implementer(IPolicyStageFactory)
class HelloFactory:
    name = "hello"
    options = None

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        chosen = house.settings.hello if house.role is Role.MX else ()
        return (Hello(chosen, house),) if chosen else ()
