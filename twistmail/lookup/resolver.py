"""Asks the DNS: INameLookup with dnspython, a cache, and one question at a time of each kind.

Nothing is asked before somebody asks us (R58): building this reads at most
/etc/resolv.conf. Answers are kept as long as their TTL says, "there is none" as
long as the zone's SOA says (RFC 2308), both within bounds; trouble is not kept.
Equal questions that are under way share one answer.

DNSSEC is checked by the resolver that we ask, which says so with a bit (AD,
RFC 4035 §3.2.3) that anybody on the way could set: it is believed from this machine,
and from elsewhere only where the operator says so (RFC 6698 §4.1, RFC 7672 §2.1.3).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.name
import dns.nameserver
import dns.resolver
import dns.reversename
from twisted.internet.defer import Deferred
from zope.interface import implementer

from twistmail import tasks
from twistmail.interfaces import DnsTrouble, INameLookup, NoSuchDomain, Proved
from twistmail.lookup.backend import TwistedBackend
from twistmail.mail.values import frozen
from twistmail.options import DURATION, TEXT, WORDS, Option, Reload, Section, choice

OPTIONS = Section(
    "dns", "Whom to ask about names.",
    Option("use", TEXT, "resolver", "Which lookup: resolver, none (nobody is asked, mail for others waits), or a plugin's.", Reload.NEW),
    Option("servers", WORDS, "system", "DNS servers (192.0.2.53, 192.0.2.53:5353, [2001:db8::53]:53); system: what /etc/resolv.conf says."),
    Option("timeout", DURATION, "5s", "How long one question may take, with all its repetitions."),
    Option("trust_ad", choice("auto", "yes", "no"), "auto",
           "Whether an answer is proved by DNSSEC because the DNS server says so, which DANE needs: auto believes servers on this machine "
           "(127.0.0.1, ::1); yes all of them, which is right where the way to them is safe.", Reload.NEW),
)
SYSTEM = "system"
RESOLV_CONF = "/etc/resolv.conf"
#: RFC 9715 and DNS Flag Day 2020: no answer is fragmented on the way.
PAYLOAD = 1232
#: Seconds; an answer is kept at least and at most so long, "there is none" at most so long.
SHORTEST, LONGEST, LONGEST_NEGATIVE = 1.0, 86400.0, 900.0
MOST_KEPT = 10_000
MOST_AT_A_TIME = 200


@frozen
class _Kept:
    """An answer: `values`, or None where the name does not exist."""

    until: float
    values: tuple[Any, ...] | None
    secure: bool = False  # proved by DNSSEC
    name: str = ""  # where aliases have led


#: How the values of each kind of record are read.
_READ: dict[str, Callable[[Any], Any]] = {
    "MX": lambda data: (data.preference, _text(data.exchange)),
    "A": lambda data: data.address,
    "AAAA": lambda data: data.address,
    "CNAME": lambda data: _text(data.target),
    "PTR": lambda data: _text(data.target),
    "TXT": lambda data: b"".join(data.strings),
    "TLSA": lambda data: (data.usage, data.selector, data.mtype, data.cert),
}


@implementer(INameLookup)
class DnsLookup:
    """`servers`: addresses as in OPTIONS, or ("system",). `timeout`: seconds. `trust_ad`: "auto", "yes", "no" as in OPTIONS.

    `reactor` also gives the time. `clock` (IReactorTime): what answers grow old by, where that is something else.
    """

    def __init__(
        self, reactor: Any, servers: Sequence[str] = (SYSTEM,), timeout: float = 5.0, trust_ad: str = "auto", clock: Any = None
    ) -> None:
        self._reactor = reactor
        self._clock = clock or reactor
        self._trust_ad = trust_ad
        self._timeout = timeout
        self._backend = TwistedBackend(reactor)
        self._resolver = dns.asyncresolver.Resolver(configure=False)
        self._resolver.nameservers = _system_servers() if tuple(servers) == (SYSTEM,) else [_server(text) for text in servers]
        self._resolver.lifetime = timeout
        self._resolver.timeout = max(timeout / 3, 1.0)
        self._resolver.use_edns(0, dns.flags.DO, PAYLOAD)
        self._resolver.flags = dns.flags.RD | dns.flags.AD  # RFC 6840 §5.7: we would like to know
        self._limit = tasks.Limit(MOST_AT_A_TIME)
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._asking: dict[tuple[str, str], list[Deferred[_Kept]]] = {}

    # ----- INameLookup

    async def mx(self, domain: str) -> tuple[tuple[int, str], ...]:
        if _address(domain) or _is_localhost(domain):
            return ()
        return await self._ask(domain, "MX")

    async def addresses(self, host: str) -> tuple[str, ...]:
        if address := _address(host):
            return (address,)
        if _is_localhost(host):  # RFC 6761 §6.3
            return ("::1", "127.0.0.1")
        answers = await tasks.gather(self._addresses(host, "AAAA"), self._addresses(host, "A"))
        found = tuple(address for answer in answers if not isinstance(answer, Exception) for address in answer)
        if found:
            return found
        for answer in answers:
            if isinstance(answer, DnsTrouble):
                raise answer
        if all(isinstance(answer, NoSuchDomain) for answer in answers):
            raise answers[0]
        return ()

    async def ipv4(self, host: str) -> tuple[str, ...]:
        return await self._ask(host, "A")

    async def txt(self, name: str) -> tuple[bytes, ...]:
        try:
            return await self._ask(name, "TXT")
        except NoSuchDomain:
            return ()

    async def pointer(self, address: str) -> tuple[str, ...]:
        try:
            return await self._ask(dns.reversename.from_address(address).to_text(), "PTR")
        except NoSuchDomain:
            return ()

    async def proved(self, name: str, kind: str) -> Proved:
        if _address(name) or _is_localhost(name):
            return Proved((), False, name)  # known without asking, and proved by nobody
        kept = await self._answer(name, kind)
        return Proved(kept.values or (), kept.secure, kept.name or name.lower().rstrip("."))

    # ----- asking

    async def _addresses(self, host: str, kind: str) -> tuple[str, ...] | DnsTrouble | NoSuchDomain:
        """Trouble with one family of addresses must not hide the other."""
        try:
            return await self._ask(host, kind)
        except (DnsTrouble, NoSuchDomain) as error:
            return error

    async def _ask(self, name: str, kind: str) -> tuple[Any, ...]:
        """The values. Raises DnsTrouble and NoSuchDomain."""
        kept = await self._answer(name, kind)
        if kept.values is None:
            raise NoSuchDomain(f"there is no {name.lower().rstrip('.')}")
        return kept.values

    async def _answer(self, name: str, kind: str) -> _Kept:
        """Kept, or under way, or asked now. Raises DnsTrouble."""
        key = (name.lower().rstrip("."), kind)
        kept = self._kept.get(key)
        if kept is None or kept.until <= self._clock.seconds():
            kept = await (self._share(key) if key in self._asking else self._ask_now(key))
        return kept

    async def _share(self, key: tuple[str, str]) -> _Kept:
        answer: Deferred[_Kept] = Deferred()
        self._asking[key].append(answer)
        return await answer

    async def _ask_now(self, key: tuple[str, str]) -> _Kept:
        sharers = self._asking[key] = []
        try:
            async with self._limit:
                kept = await tasks.with_timeout(self._reactor, self._timeout + 1.0, self._query(key), "a DNS question")
        except (tasks.TimedOut, dns.exception.DNSException, OSError, ValueError) as error:
            del self._asking[key]
            trouble = DnsTrouble(f"{key[1]} of {key[0]}: {error or type(error).__name__}")
            for sharer in sharers:
                sharer.errback(trouble)
            raise trouble from None
        del self._asking[key]
        self._keep(key, kept)
        for sharer in sharers:
            sharer.callback(kept)
        return kept

    async def _query(self, key: tuple[str, str]) -> _Kept:
        """One question to the servers. CNAMEs are followed by the server, as the answer's chain."""
        now = self._clock.seconds()
        try:
            name = dns.name.from_text(key[0])
        except dns.exception.DNSException:
            return _Kept(now + SHORTEST, None)  # what cannot be a name is none
        try:
            answer = await self._resolver.resolve(name, key[1], raise_on_no_answer=False, search=False, backend=self._backend)
        except dns.resolver.NXDOMAIN as error:
            ttl = min((response.resolve_chaining().minimum_ttl for response in error.responses().values()), default=0)
            return _Kept(now + _within(ttl, LONGEST_NEGATIVE), None)
        ttl, secure, where = answer.chaining_result.minimum_ttl, self._is_proved(answer), _text(answer.canonical_name)
        if answer.rrset is None:
            return _Kept(now + _within(ttl, LONGEST_NEGATIVE), (), secure, where)
        return _Kept(now + _within(ttl, LONGEST), tuple(map(_READ[key[1]], answer.rrset)), secure, where)

    def _is_proved(self, answer: dns.resolver.Answer) -> bool:
        """Whether a DNS server says that DNSSEC proves *answer*, all of its aliases too, and we believe that server."""
        if not answer.response.flags & dns.flags.AD or self._trust_ad == "no":
            return False
        return self._trust_ad == "yes" or _is_here(str(answer.nameserver))

    def _keep(self, key: tuple[str, str], kept: _Kept) -> None:
        """Bounded: what is stale goes first, then what has been here longest."""
        if len(self._kept) >= MOST_KEPT:
            now = self._clock.seconds()
            self._kept = {key: one for key, one in self._kept.items() if one.until > now}
            while len(self._kept) >= MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        self._kept[key] = kept


def _within(ttl: float, longest: float) -> float:
    return max(SHORTEST, min(ttl, longest))


def _text(name: dns.name.Name) -> str:
    """Lower case, no final dot; the root (a null MX) is empty."""
    return "" if name == dns.name.root else name.to_text(omit_final_dot=True).lower()


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text.strip("[]").removeprefix("IPv6:")))
    except ValueError:
        return None


def _is_here(server: str) -> bool:
    """Whether the DNS server at *server*, an IP address, is on this machine."""
    try:
        return ipaddress.ip_address(server).is_loopback
    except ValueError:
        return False


def _is_localhost(name: str) -> bool:
    name = name.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost")


def _system_servers() -> list[str]:
    """What /etc/resolv.conf names; a server on this machine where it is missing or names none."""
    resolver = dns.resolver.Resolver(configure=False)
    try:
        resolver.read_resolv_conf(RESOLV_CONF)
    except (dns.exception.DNSException, OSError):
        return ["127.0.0.1"]
    return [str(server) for server in resolver.nameservers] or ["127.0.0.1"]


def _server(text: str) -> dns.nameserver.Nameserver:
    """`address`, `address:port` or `[address]:port`. Raises ValueError."""
    if text.startswith("["):
        address, _, port = text[1:].partition("]")
        port = port.lstrip(":")
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    else:
        address, port = text, ""
    if port and not (port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{port} is no port\nwrite a number from 1 to 65535")
    return dns.nameserver.Do53Nameserver(str(ipaddress.ip_address(address)), int(port or 53))
