"""How much encryption a server has to show, decided in one place: what the operator wants, what the domain publishes, what was seen before.

In this order, for each server of a route:

1. `off`, `match` and `key` of the operator's table (`tlstable`) are the last word.
2. DANE (`dane`), where DNSSEC proves the records. MTA-STS must not override what it finds (RFC 8461 §2).
3. MTA-STS (`stspolicies`), where the domain has a policy.
4. What the route, or the table, asks for as the least.
5. No less than that server has shown before (`tlsmemory`).

Nobody is connected to here. `note` learns what came of it: for the memory, and
for the reports that domains ask for (RFC 8460).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from twisted.logger import Logger

from twistmail import tasks
from twistmail.interfaces import DnsTrouble, INameLookup, Proved, Unavailable
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.relay.dane import Published, published
from twistmail.relay.route import Host, Route, Tls, literal
from twistmail.relay.routes import nearest
from twistmail.relay.stspolicies import Found, StsPolicies
from twistmail.relay.terms import Decision, Finding, Level, Policy, Terms
from twistmail.relay.tlsmemory import TlsMemory
from twistmail.relay.tlstable import Line

log = Logger()

DNS_SILENT = Status(451, "4.7.5", "What that domain publishes about its encryption cannot be looked up at the moment")
NOT_NAMED = Status(451, "4.7.5", "Not one of the mail servers that the domain names in its MTA-STS policy")
NO_RECORDS = Status(451, "4.7.5", "DANE is required for that domain here, and this server has no records that DNSSEC proves")
TABLE_BROKEN = Status(451, "4.3.5", "Our own table of TLS policies cannot be read; its administrator must see to it")
#: RFC 8689 §4.2.1 (2).
UNPROVED = Status(554, "5.7.10", "The sender wants encryption all the way, and nothing proves whose servers these are (DNSSEC, MTA-STS)")

_STRENGTH = {want: number for number, want in enumerate(Tls)}
_OWED = {Level.PLAIN: Tls.OPPORTUNISTIC, Level.ENCRYPTED: Tls.REQUIRED, Level.VERIFIED: Tls.VERIFIED}


@frozen
class Rules:
    """What the operator has chosen. `memory`: the level up to which what was seen once is asked for again; PLAIN: it is not."""

    dane: bool = True
    memory: Level = Level.ENCRYPTED


_Trouble = tuple[Policy, Host, Finding]
NOBODY = Host("", "", 0)
#: The operator's table: a coroutine that gives the lines (raises Unavailable), and the name of its file.
Table = tuple[Callable[[], Any], str]


class TlsPolicies:
    """Implements `terms.Policies`. `sts` None: no MTA-STS. `table` None: there is none."""

    def __init__(self, lookup: INameLookup, memory: TlsMemory, rules: Rules, sts: StsPolicies | None, table: Table | None = None) -> None:
        self._prove = getattr(lookup, "proved", None)
        self._memory, self._rules, self._sts, self._table = memory, rules, sts, table

    async def decide(self, route: Route, hosts: Sequence[Host]) -> Decision:
        """The Decision about *hosts* of *route*, for a connection. What ends before there is one is counted."""
        troubles: list[_Trouble] = []
        decision = await self._decide(route, hosts, troubles)
        for policy, host, finding in troubles:
            self._memory.count(policy, host, finding, finding.kind)
        return decision

    async def look(self, route: Route, hosts: Sequence[Host]) -> Decision:
        """As `decide`, for somebody who only wants to know."""
        return await self._decide(route, hosts, [])

    async def _decide(self, route: Route, hosts: Sequence[Host], troubles: list[_Trouble]) -> Decision:
        try:
            lines = await self._lines()
        except Unavailable:
            return _all_out(hosts, TABLE_BROKEN)
        line = nearest(lines, str(route)) or nearest(lines, route.next_hop)
        least = _Least(route, line, self._table[1] if self._table else "")
        if least.want is Tls.OFF or route.tls_optional or (line is not None and line.is_final):
            return Decision(tuple((host, least.final(host)) for host in hosts), why=least.why)
        try:
            mx = await self._mx(route)
        except DnsTrouble:
            return _all_out(hosts, DNS_SILENT)
        sts = await self._sts_of(route)
        if sts.kind:
            troubles.append((Policy(str(route), "sts"), NOBODY, Finding(fault=sts.trouble, kind=sts.kind)))
        if route.require_tls and route.use_mx and not _are_proved(mx, sts):
            return _all_out(hosts, DNS_SILENT if sts.trouble else UNPROVED)
        question = _Question(route, least, mx, sts, troubles)
        answers = await tasks.gather(*(self._about(question, host) for host in hosts))
        pairs = list(zip(hosts, answers, strict=True))
        return Decision(
            tuple((host, answer) for host, answer in pairs if isinstance(answer, Terms)),
            tuple((host, answer) for host, answer in pairs if isinstance(answer, Status)),
            _summary(sts, least),
        )

    async def _lines(self) -> Mapping[str, Line]:
        return await self._table[0]() if self._table else {}  # type: ignore[no-any-return]

    async def _mx(self, route: Route) -> Proved | None:
        """The MX records once more (they lie in the cache), with whether they are proved; None where nobody can tell."""
        if self._prove is None or not route.use_mx or not (self._rules.dane or route.require_tls):
            return None
        return await self._prove(route.next_hop, "MX")  # type: ignore[no-any-return]

    async def _sts_of(self, route: Route) -> Found:
        """RFC 8461 is about servers that were found by MX records."""
        if self._sts is None or not route.use_mx:
            return Found(None)
        return await self._sts.of(route.next_hop)

    # ----- one server

    async def _about(self, question: _Question, host: Host) -> Terms | Status:
        dane = await self._dane(question, host)
        if isinstance(dane, Terms | Status):
            return dane
        return self._by_memory(question.route, host, self._by_sts(question, host, dane))

    async def _dane(self, question: _Question, host: Host) -> Terms | Status | bool:
        """Terms where DANE applies; else whether encryption is a must all the same, because there are records that cannot be used."""
        found: Published | None = None
        if self._prove is not None and self._rules.dane and question.is_named(host):
            try:
                found = await published(self._prove, host.name, host.port, "AAAA" if ":" in host.address else "A")
            except DnsTrouble:
                return DNS_SILENT
        route = question.route
        if found is not None and found.usable:
            names = dict.fromkeys((found.base, host.name, *((route.next_hop,) if route.use_mx else ())))
            why = f"DANE: {found.base} publishes which certificates it shows, and DNSSEC proves it"
            policy = Policy(route.next_hop, "tlsa", tuple(map(str, found.usable)))
            return Terms(Tls.DANE, tuple(names), found.usable, why, checked_by="DANE", policy=policy)
        policy = Policy(route.next_hop, "tlsa", tuple(map(str, found.records)) if found else ())
        if question.least.want is Tls.DANE:
            kind = "tlsa-invalid" if found and found.records else "dane-required"
            question.troubles.append((policy, host, Finding(fault=NO_RECORDS.text, kind=kind)))
            return replace(NO_RECORDS, text=f"{NO_RECORDS.text} ({question.least.why})")
        if found is not None and found.records:  # RFC 7672 §2.2: whoever publishes anything speaks TLS
            question.troubles.append((policy, host, Finding(fault="none of its TLSA records can be used", kind="tlsa-invalid")))
            return True
        return False

    def _by_sts(self, question: _Question, host: Host, encrypted: bool) -> Terms | Status:
        """What MTA-STS and the least ask for together."""
        least, policy = question.least, question.sts.policy
        terms = least.terms(host)
        if encrypted and _STRENGTH[terms.want] < _STRENGTH[Tls.REQUIRED]:
            why = f"{host.name} publishes TLSA records, though none that can be used"
            terms = replace(terms, want=Tls.REQUIRED, why=why)
        if policy is None or policy.mode == "none":
            return terms
        told = Policy(question.route.next_hop, "sts", policy.lines, policy.patterns)
        is_named = policy.covers(host.name)
        if not is_named:
            question.troubles.append((told, host, Finding(fault=NOT_NAMED.text, kind="validation-failure")))
        if policy.mode == "testing":
            return replace(terms, testing=is_named, policy=told)
        if not is_named:
            return NOT_NAMED
        return Terms(Tls.VERIFIED, (host.name,), why=f"MTA-STS: {question.route.next_hop} enforces it", checked_by="MTA-STS", policy=told)

    def _by_memory(self, route: Route, host: Host, terms: Terms | Status) -> Terms | Status:
        if isinstance(terms, Status) or self._rules.memory is Level.PLAIN:
            return terms
        domain = str(route)
        owed = _OWED[min(self._memory.owed(domain, host.name), self._rules.memory)]
        if _STRENGTH[owed] <= _STRENGTH[terms.want]:
            return terms
        what = "encrypted" if owed is Tls.REQUIRED else "shown a certificate in order"
        return replace(terms, want=owed, why=f"{domain} has {what} before; if it does so no more: twistmail tls forget {domain}")

    async def refresh(self) -> None:
        """Fetch again what is kept of others and getting old; now and then."""
        if self._sts is not None:
            await self._sts.refresh()

    # ----- what came of it

    def note(self, route: Route, host: Host, terms: Terms, finding: Finding) -> None:
        """A connection to *host* has shown *finding*; also when it was left because of that."""
        self._memory.saw(str(route), host.name, finding.level)
        failed = finding.level is Level.PLAIN or ((terms.is_checked or terms.testing) and finding.fault)
        self._memory.count(terms.policy if terms.policy.domain else Policy(str(route)), host, finding, finding.kind if failed else "")


@frozen
class _Least:
    """What the operator asks for at least: line `line` of the table in `file`, or the route."""

    route: Route
    line: Line | None
    file: str

    @property
    def want(self) -> Tls:
        wanted = self.line.want if self.line else self.route.tls
        if self.route.login and wanted is Tls.OPPORTUNISTIC:  # whoever stands between would hear the password
            wanted = Tls.VERIFIED
        return Tls.VERIFIED if self.route.require_tls and _STRENGTH[wanted] < _STRENGTH[Tls.VERIFIED] else wanted

    @property
    def why(self) -> str:
        if self.route.tls_optional:
            return "the sender wants it to arrive, encrypted or not (TLS-Required: No)"
        if self.route.require_tls:
            return "the sender wants encryption all the way (REQUIRETLS)"
        if self.line is not None:
            return f"{self.file}:{self.line.number} says {self.line.want.value}"
        return f"the configuration says {self.want.value}"

    def terms(self, host: Host) -> Terms:
        names: tuple[str, ...] = (literal(host.name) or host.name,)
        if self.route.login and self.route.use_mx:  # whoever forges an MX record must not hear the password
            names = (self.route.next_hop, "." + self.route.next_hop)
        return Terms(self.want, names, why=self.why, policy=Policy(str(self.route)))

    def final(self, host: Host) -> Terms:
        """What holds where nothing that is published counts."""
        terms = self.terms(host)
        if self.line is None:
            return terms
        by = f"line {self.line.number} of {self.file}" if self.line.is_final else ""
        return replace(terms, names=self.line.names or terms.names, records=self.line.keys, checked_by=by)


@frozen
class _Question:
    """What is known of a route before its single servers are looked at."""

    route: Route
    least: _Least
    mx: Proved | None
    sts: Found
    troubles: list[_Trouble]  # that end it before there is a connection

    def is_named(self, host: Host) -> bool:
        """Whether it is proved that *host* is one of the domain's servers, so that what is published of it counts (RFC 7672 §2.2.1).

        A server that the operator wrote down needs no proof; nor does a domain without MX records, which is its own.
        """
        if literal(host.name) is not None or not host.port:  # an address, or a UNIX socket
            return False
        if self.mx is None or not self.mx.values:
            return not self.route.use_mx or host.name == self.route.next_hop
        return self.mx.secure and host.name in {name.rstrip(".").lower() for _, name in self.mx.values}


def _are_proved(mx: Proved | None, sts: Found) -> bool:
    """RFC 8689 §4.2.1 (2): whether the servers are known to be the domain's. Each is looked at by MTA-STS afterwards."""
    return (mx is not None and (mx.secure or not mx.values)) or (sts.policy is not None and sts.policy.mode == "enforce")


def _all_out(hosts: Sequence[Host], status: Status) -> Decision:
    return Decision((), tuple((host, status) for host in hosts), status.text)


def _summary(sts: Found, least: _Least) -> str:
    said = f"MTA-STS: {sts.policy.mode}" if sts.policy else (f"MTA-STS: no policy ({sts.trouble})" if sts.trouble else "")
    return f"{least.why}; {said}" if said else least.why
