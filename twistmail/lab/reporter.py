"""Turns the facts that an office's server tells into events of the ring: the same facts that its journal has, as words for JSON.

The keys of `what`, by kind (what stands in brackets is not always there):

    connection  state: opened, closed, introduced; service, peer ("192.0.2.10:54321"), port, [from: the office there], [why, received, sent]
    line        side ("C": the peer, "S": this office), text, proto ("smtp", "imap", "pop3"), [lone_lf: it ended with a bare LF]
    tls         version, cipher, [verified: by what the certificate was found in order], [fault: why it is not], [issuer]
    auth        mechanism, result ("ok", "failed"), login, service
    check       stage, rule, status, sender, recipient, [fate]
    mail        state: accepted (service, sender, recipients, size, message_id, subject, account),
                delivered, relayed, deferred, failed (recipient, original, kind, status, code, host, secured), removed (why)
    alias       from, to, origin
    queue       state: queued (pending), waiting (attempt, next: POSIX seconds), warned, returned (report, addresses, why),
                given up (status), frozen (why), rerouted (via), servers (next_hop, servers: ["name [address]"], by_mx, ms, status)
    store       account, mailbox, uid, file, recipient (whose mailbox it is)
    read        service, account, mailbox, uids
    net         from, to, what: connecting (address), connected (port), refused, no answer, given up, out of reach, closed
                                                                                                  (told by `network`)
    dns         question, type, answer (a list), result, ms, way, from                            (told by `nameserver`)
    switch      what: office, link ...; state                                                     (told by `town`, `network` ...)
    clock       passed: seconds                                                                   (told by `town`)

`about` is the id of the item for what happens to mail, of the connection for the others; `connection` that of the connection
on which it was. What an office says to another one as its client is told by `outgoing`, with the same keys, `connection` =
"blue>green:54321": the other office's "connection" event has that port.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twistmail import facts
from twistmail.lab.offices import Office
from twistmail.lab.ring import Ring
from twistmail.mail import outcome
from twistmail.mail.outcome import Outcome

PROTOCOLS = {"mx": "smtp", "submission": "smtp", "lmtp": "smtp"}
#: Of a line or a subject, what is told of it.
LONGEST = 1000
#: Of what was said at once, so many lines.
MOST_LINES = 100
#: Items and connections of which something is remembered.
MOST_KNOWN = 1000

Told = tuple[str, Mapping[str, Any]]


class Reporter:
    """`note` is a listener of an office's facts that wants lines."""

    def __init__(self, office: Office, offices: tuple[Office, ...], ring: Ring) -> None:
        self._office = office
        self._names = {one.address: one.name for one in offices}
        self._ring = ring
        self._services: dict[str, str] = {}  # of connections
        self._attempts: dict[str, int] = {}  # of items
        self._stopped = False

    def stop(self) -> None:
        """Tell nothing more: the office has crashed, and what its remains say is of nobody's interest."""
        self._stopped = True

    def note(self, fact: facts.Fact) -> None:
        if self._stopped:
            return
        if isinstance(fact.what, facts.Line):
            self._lines(fact)
        elif (tell := TELL.get(type(fact.what))) is not None:
            self._one(fact, tell)

    def _one(self, fact: facts.Fact, tell: Callable[[Reporter, str, Any], Told]) -> None:
        kind, what = tell(self, fact.about, fact.what)
        self._ring.add(self._office.name, kind, fact.about, what, connection=self._connection(fact))

    def _connection(self, fact: facts.Fact) -> str:
        named = getattr(fact.what, "connection", "")
        return str(named) if named else fact.about if fact.about in self._services else ""

    # ----- on connections

    def connected(self, about: str, what: facts.Connected) -> Told:
        _remember(self._services, about, what.service)
        told = {"state": "opened", "service": what.service, "peer": f"{what.address}:{what.port}", "port": what.port}
        return "connection", told | ({"from": self._names[what.address]} if what.address in self._names else {})

    def closed(self, about: str, what: facts.Closed) -> Told:
        service = self._services.get(about, "")
        return "connection", {"state": "closed", "service": service, "why": what.why, "received": what.received, "sent": what.sent}

    def _lines(self, fact: facts.Fact) -> None:
        """An event for each line, where several were said at once."""
        service = self._services.get(fact.about, "")
        for line in fact.what.text.removesuffix(b"\r\n").split(b"\r\n")[:MOST_LINES]:
            told = {"side": fact.what.side, "text": line[:LONGEST].decode("utf-8", "replace"), "proto": PROTOCOLS.get(service, service)}
            told |= {"lone_lf": True} if fact.what.lone_lf else {}
            self._ring.add(self._office.name, "line", fact.about, told, connection=fact.about)

    def logged_in(self, about: str, what: facts.LoggedIn) -> Told:
        service = what.service or self._services.get(about, "")
        return "auth", {"mechanism": what.mechanism, "result": "ok", "login": what.account, "service": service}

    def login_failed(self, about: str, what: facts.LoginFailed) -> Told:
        service = what.service or self._services.get(about, "")
        return "auth", {"mechanism": what.mechanism, "result": "failed", "login": what.login[:LONGEST], "service": service}

    # ----- about mail

    def postponed(self, about: str, what: outcome.Postponed) -> Told:
        _remember(self._attempts, about, self._attempts.get(about, 0) + 1)
        return "queue", {"state": "waiting", "attempt": self._attempts[about], "next": what.until}

    def removed(self, about: str, what: facts.Removed) -> Told:
        self._attempts.pop(about, None)
        return "mail", {"state": "removed", "why": what.why}


def _remember(known: dict[str, Any], key: str, value: Any) -> None:
    """Bounded: what has been here longest goes first."""
    known.pop(key, None)
    known[key] = value
    if len(known) > MOST_KNOWN:
        del known[next(iter(known))]


def _stored(what: facts.Stored) -> Told:
    told = {"account": what.account, "mailbox": what.mailbox, "uid": what.uid, "file": what.file, "recipient": what.account}
    return "store", told


def _servers(what: facts.ServersFound) -> Told:
    status = str(what.status) if what.status else ""
    told = {"state": "servers", "next_hop": what.next_hop, "servers": list(what.servers), "by_mx": what.by_mx}
    return "queue", told | {"ms": round(what.seconds * 1000, 1), "status": status}


def _tried(what: Outcome) -> Told:
    told = {"state": what.result.value, "recipient": str(what.target.address), "original": str(what.target.original),
            "kind": what.target.kind.value, "status": str(what.status), "code": what.status.code, "host": what.host}  # fmt: skip
    return "mail", told | ({"secured": what.secured} if what.secured else {})


def _accepted(what: facts.Accepted) -> Told:
    return "mail", {
        "state": "accepted",
        "service": what.service,
        "sender": str(what.sender or ""),
        "recipients": [str(recipient) for recipient in what.recipients],
        "size": what.size,
        "message_id": what.message_id[:LONGEST],
        "subject": what.subject[:LONGEST],
        "account": what.account,
    }


def _refused(what: facts.Refused) -> Told:
    told = {"stage": what.stage, "rule": what.rule, "status": str(what.status), "sender": str(what.sender or "")}
    return "check", told | {"recipient": str(what.recipient or "")}


def _reported(what: outcome.Reported) -> Told:
    told = {"state": "returned", "report": what.report, "addresses": [str(one) for one in what.addresses], "success": what.success}
    return "queue", told | {"why": what.why}


def _expanded(what: facts.Expanded) -> Told:
    return "alias", {"from": str(what.address), "to": [str(target.address) for target in what.targets], "origin": ""}


#: How each kind of fact is told; the others are not.
TELL: dict[type, Callable[[Reporter, str, Any], Told]] = {
    facts.Connected: Reporter.connected,
    facts.Closed: Reporter.closed,
    facts.LoggedIn: Reporter.logged_in,
    facts.LoginFailed: Reporter.login_failed,
    facts.TlsStarted: lambda _, about, what: ("tls", {"version": what.tls.version, "cipher": what.tls.cipher}),
    facts.TlsFailed: lambda _, about, what: ("tls", {"version": "", "cipher": "", "fault": what.why}),
    facts.Introduced: lambda _, about, what: ("connection", {"state": "introduced", "parameters": dict(what.parameters)}),
    facts.Refused: lambda _, about, what: _refused(what),
    facts.Accepted: lambda _, about, what: _accepted(what),
    facts.Fated: lambda _, about, what: ("check", {"fate": what.fate, "rule": what.reason}),
    facts.Renamed: lambda _, about, what: ("alias", {"from": str(what.address), "to": [str(what.becomes)], "origin": what.rule}),
    facts.Expanded: lambda _, about, what: _expanded(what),
    facts.Queued: lambda _, about, what: ("queue", {"state": "queued", "pending": what.pending}),
    facts.Removed: Reporter.removed,
    facts.Read: lambda _, about, what: (
        "read", {"service": what.service, "account": what.account, "mailbox": what.mailbox, "uids": what.uids}),
    facts.Stored: lambda _, about, what: _stored(what),
    facts.ServersFound: lambda _, about, what: _servers(what),
    Outcome: lambda _, about, what: _tried(what),
    outcome.Postponed: Reporter.postponed,
    outcome.SenderWarned: lambda _, about, what: ("queue", {"state": "warned", "overdue": what.overdue}),
    outcome.Reported: lambda _, about, what: _reported(what),
    outcome.GaveUp: lambda _, about, what: ("queue", {"state": "given up", "status": str(what.status)}),
    outcome.Frozen: lambda _, about, what: ("queue", {"state": "frozen", "why": what.why}),
    outcome.Rerouted: lambda _, about, what: ("queue", {"state": "rerouted", "via": what.via}),
}  # fmt: skip
