"""Counts what happens, from the facts, for Prometheus (its text format 0.0.4).

Every label has few values, whatever strangers say: services, stages and results
are ours, of an answer only class and subject count (RFC 3463 §2, §3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from twistmail.facts import Accepted, Banned, Closed, Connected, Fact, LoggedIn, LoginFailed, Queued, Refused, Removed, TlsFailed
from twistmail.mail.envelope import Kind
from twistmail.mail.ids import born
from twistmail.mail.outcome import GaveUp, Outcome, Reported, Result, SenderWarned
from twistmail.mail.status import Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Seconds from taking a message over to its delivery.
BUCKETS = (0.1, 0.5, 1, 5, 30, 60, 300, 900, 3600, 14400, 86400, 432000)
ENDS = (Result.DELIVERED, Result.RELAYED, Result.DEFERRED, Result.FAILED)
WAYS = {Kind.MAILBOX: "mailbox", Kind.REMOTE: "relay"}
#: Name (without twistmail_ and _total) -> what it counts, and its labels.
COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "connections": ("Connections that have come.", ("service",)),
    "logins": ("Logins that were right, and those that were not.", ("service", "result")),
    "bans": ("Networks that were banned.", ()),
    "tls_failures": ("Handshakes with clients that have failed.", ()),
    "accepted_messages": ("Messages that we have taken over.", ("service",)),
    "accepted_bytes": ("Their octets.", ("service",)),
    "refusals": ("What was refused, by the stage or rule that did.", ("stage",)),
    "deliveries": ("Ends of attempts at one recipient.", ("way", "result")),
    "relay_answers": ("What next servers have answered, by class and subject of the code.", ("code",)),
    "relayed": ("Recipients passed on, by the protection of the connection.", ("tls", "checked")),
    "queue_added": ("Messages that were put into the queue.", ()),
    "queue_removed": ("Messages that have left the queue.", ("why",)),
    "queue_expired": ("Messages whose time to wait was over.", ()),
    "reports": ("Reports to senders.", ("about",)),
}
GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "info": ("Which twistmail this is.", ("version",)),
    "start_time_seconds": ("When the server was started, POSIX seconds.", ()),
    "connections_open": ("Connections of now.", ("service",)),
    "queue_messages": ("Messages that wait.", ("state",)),
    "queue_bytes": ("Their octets.", ()),
    "queue_oldest_seconds": ("The age of the oldest of them.", ()),
    "relay_places_resting": ("Places where nobody gets through, and which one connection tries now and then.", ()),
    "relay_under_way": ("Messages that are being carried, each place by itself.", ()),
    "relay_in_line": ("Messages that are due and wait for their turn at a place.", ()),
}
_ENHANCED = re.compile(r"[245]\.[0-7](?=\.\d)", re.ASCII)


def code_of(status: Status) -> str:
    """Class and subject of an answer: `4.2`; its class alone where it says no more."""
    return _code_of(status.code, status.enhanced)


@lru_cache(256)
def _code_of(code: int, enhanced: str) -> str:
    found = _ENHANCED.match(enhanced)
    return found[0] if found else f"{str(code)[0]}.x"


@lru_cache(256)
def protection(secured: str) -> tuple[str, str]:
    """(`TLSv1.3`, whether who it was has been checked) of `Outcome.secured`."""
    if not secured:
        return "none", "no"
    found = re.match(r"TLSv1(?:\.[0-3])?(?![\w.])", secured, re.ASCII)
    return (found[0] if found else "other"), ("yes" if "checked" in secured else "no")


class Meters:
    """A listener of `facts.Facts`. *began*: when the server was started (POSIX seconds)."""

    def __init__(self, began: float) -> None:
        disable_created_metrics()  # a second line for each number, of when it began: all did when the server was started
        self._registry = registry = CollectorRegistry()
        self._counters = {name: Counter(f"twistmail_{name}", help, labels, registry=registry) for name, (help, labels) in COUNTERS.items()}
        self._gauges = {name: Gauge(f"twistmail_{name}", help, labels, registry=registry) for name, (help, labels) in GAUGES.items()}
        self._seconds = Histogram("twistmail_delivery_seconds", "Seconds from taking a message over to its delivery.", ("way",),
                                  registry=registry, buckets=BUCKETS)
        self._services: dict[str, str] = {}  # of open connections
        self._children: dict[tuple[str, ...], Any] = {}  # counters by name and labels: finding one each time costs more than counting
        #: Ends the listening.
        self.stop: Callable[[], None] = lambda: None
        self._gauges["info"].labels(version("twistmail")).set(1)
        self._gauges["start_time_seconds"].set(began)
        for way in WAYS.values():
            self._seconds.labels(way)
            for result in ENDS:
                self._counters["deliveries"].labels(way, result.value)

    def note(self, fact: Fact) -> None:
        match fact.what:
            case Outcome() as outcome:
                self._outcome(fact, outcome)
            case Connected(service):
                self._services[fact.about] = service
                self._count("connections", service)
                self._gauges["connections_open"].labels(service).inc()
            case Closed() if (known := self._services.pop(fact.about, None)) is not None:
                self._gauges["connections_open"].labels(known).dec()
            case LoggedIn(service=service):
                self._count("logins", service or "other", "right")
            case LoginFailed(service=service):
                self._count("logins", service or "other", "wrong")
            case Accepted(service=service, size=size):
                self._count("accepted_messages", service)
                self._count("accepted_bytes", service, by=size)
            case Refused(stage):
                self._count("refusals", stage)
            case Queued():
                self._count("queue_added")
            case Removed(why):
                self._count("queue_removed", why.partition(" ")[0])
            case GaveUp():
                self._count("queue_expired")
            case Reported(report, _, success) if report:
                self._count("reports", "success" if success else "failure")
            case SenderWarned():
                self._count("reports", "delay")
            case Banned():
                self._count("bans")
            case TlsFailed():
                self._count("tls_failures")

    def _count(self, name: str, *labels: str, by: float = 1) -> None:
        key = (name, *labels)
        child = self._children.get(key)
        if child is None:
            counter = self._counters[name]
            child = self._children[key] = counter.labels(*labels) if labels else counter
        child.inc(by)

    def _outcome(self, fact: Fact, outcome: Outcome) -> None:
        way = WAYS.get(outcome.target.kind, "other")
        self._count("deliveries", way, outcome.result.value)
        if outcome.target.kind is Kind.REMOTE and outcome.host:
            self._count("relay_answers", code_of(outcome.status))
        if outcome.result is Result.RELAYED:
            self._count("relayed", *protection(outcome.secured))
        if outcome.result in (Result.RELAYED, Result.DELIVERED):
            try:
                self._seconds.labels(way).observe(max(0.0, fact.at - born(fact.about)))
            except ValueError:
                pass  # it has a name of another kind

    def page(self, queue: Mapping[str, Any], places: Iterable[Mapping[str, Any]] = ()) -> tuple[str, bytes]:
        """(content type, text). *queue*: what `Shape.as_json` says at this moment; *places*: what `queue.place` does of each."""
        resting = running = lined = 0
        for place in places:
            resting += place["rests_s"] > 0
            running += place["running"]
            lined += place["waiting"]
        now = {"queue_bytes": queue["size"], "queue_oldest_seconds": queue["oldest_s"] or 0, "relay_places_resting": resting,
               "relay_under_way": running, "relay_in_line": lined}
        for name, value in now.items():
            self._gauges[name].set(value)
        for state, count in queue["states"].items():
            self._gauges["queue_messages"].labels(state).set(count)
        return CONTENT_TYPE, generate_latest(self._registry)
