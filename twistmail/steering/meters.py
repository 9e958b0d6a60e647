"""Counts what happens, from the facts, for Prometheus (its text format 0.0.4).

Every label has few values, whatever strangers say: services, stages and results
are ours, of an answer only class and subject count (RFC 3463 §2, §3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
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
_ENHANCED = re.compile(r"[245]\.[0-7](?=\.\d)", re.ASCII)


def code_of(status: Status) -> str:
    """Class and subject of an answer: `4.2`; its class alone where it says no more."""
    found = _ENHANCED.match(status.enhanced)
    return found[0] if found else f"{str(status.code)[0]}.x"


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
        self.stop: Callable[[], None] = lambda: None

        def counter(name: str, help: str, *labels: str) -> Counter:
            return Counter(f"twistmail_{name}", help, labels, registry=registry)

        def gauge(name: str, help: str, *labels: str) -> Gauge:
            return Gauge(f"twistmail_{name}", help, labels, registry=registry)

        gauge("info", "Which twistmail this is.", "version").labels(version("twistmail")).set(1)
        gauge("start_time_seconds", "When the server was started, POSIX seconds.").set(began)
        self._connections = counter("connections", "Connections that have come.", "service")
        self._open = gauge("connections_open", "Connections of now.", "service")
        self._logins = counter("logins", "Logins that were right, and those that were not.", "service", "result")
        self._bans = counter("bans", "Networks that were banned.")
        self._tls_failed = counter("tls_failures", "Handshakes with clients that have failed.")
        self._accepted = counter("accepted_messages", "Messages that we have taken over.", "service")
        self._octets = counter("accepted_bytes", "Their octets.", "service")
        self._refused = counter("refusals", "What was refused, by the stage or rule that did.", "stage")
        self._outcomes = counter("deliveries", "Ends of attempts at one recipient.", "way", "result")
        self._answers = counter("relay_answers", "What next servers have answered, by class and subject of the code.", "code")
        self._protected = counter("relayed", "Recipients passed on, by the protection of the connection.", "tls", "checked")
        self._seconds = Histogram("twistmail_delivery_seconds", "Seconds from taking a message over to its delivery.", ("way",),
                                  registry=registry, buckets=BUCKETS)
        self._expired = counter("queue_expired", "Messages whose time to wait was over.")
        self._queued = counter("queue_added", "Messages that were put into the queue.")
        self._left = counter("queue_removed", "Messages that have left the queue.", "why")
        self._reports = counter("reports", "Reports to senders.", "about")
        self._waiting = gauge("queue_messages", "Messages that wait.", "state")
        self._size = gauge("queue_bytes", "Their octets.")
        self._oldest = gauge("queue_oldest_seconds", "The age of the oldest of them.")
        self._services: dict[str, str] = {}  # of open connections
        self._hear: dict[type, Callable[[Fact], None]] = {
            Connected: self._connected, Closed: self._closed, LoggedIn: self._logged_in, LoginFailed: self._login_failed,
            Banned: lambda _: self._bans.inc(), TlsFailed: lambda _: self._tls_failed.inc(),
            Accepted: self._has_accepted, Refused: lambda fact: self._refused.labels(fact.what.stage).inc(),
            Outcome: self._outcome, GaveUp: lambda _: self._expired.inc(), Queued: lambda _: self._queued.inc(),
            Removed: lambda fact: self._left.labels(fact.what.why.partition(" ")[0]).inc(),
            Reported: lambda fact: self._report("success" if fact.what.success else "failure") if fact.what.report else None,
            SenderWarned: lambda _: self._report("delay"),
        }  # fmt: skip
        for way in WAYS.values():
            for result in ENDS:
                self._outcomes.labels(way, result.value)
            self._seconds.labels(way)

    def note(self, fact: Fact) -> None:
        if (hear := self._hear.get(type(fact.what))) is not None:
            hear(fact)

    def page(self, queue: Mapping[str, Any]) -> tuple[str, bytes]:
        """(content type, text). *queue*: what `Shape.as_json` says of it at this moment."""
        for state, count in queue["states"].items():
            self._waiting.labels(state).set(count)
        self._size.set(queue["size"])
        self._oldest.set(queue["oldest_s"] or 0)
        return CONTENT_TYPE, generate_latest(self._registry)

    # ----- connections

    def _connected(self, fact: Fact) -> None:
        service = self._services[fact.about] = fact.what.service
        self._connections.labels(service).inc()
        self._open.labels(service).inc()

    def _closed(self, fact: Fact) -> None:
        if (service := self._services.pop(fact.about, None)) is not None:
            self._open.labels(service).dec()

    def _logged_in(self, fact: Fact) -> None:
        self._logins.labels(fact.what.service or "other", "right").inc()

    def _login_failed(self, fact: Fact) -> None:
        self._logins.labels(fact.what.service or "other", "wrong").inc()

    # ----- messages

    def _has_accepted(self, fact: Fact) -> None:
        self._accepted.labels(fact.what.service).inc()
        self._octets.labels(fact.what.service).inc(fact.what.size)

    def _outcome(self, fact: Fact) -> None:
        outcome: Outcome = fact.what
        way = WAYS.get(outcome.target.kind, "other")
        self._outcomes.labels(way, outcome.result.value).inc()
        if outcome.target.kind is Kind.REMOTE and outcome.host:
            self._answers.labels(code_of(outcome.status)).inc()
        if outcome.result is Result.RELAYED:
            self._protected.labels(*protection(outcome.secured)).inc()
        if outcome.result in (Result.RELAYED, Result.DELIVERED):
            try:
                self._seconds.labels(way).observe(max(0.0, fact.at - born(fact.about)))
            except ValueError:
                pass  # it has a name of another kind

    def _report(self, about: str) -> None:
        self._reports.labels(about).inc()
