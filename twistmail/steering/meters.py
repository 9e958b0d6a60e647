"""Counts what happens, from the facts, for Prometheus (its text format 0.0.4).

Every label has few values, whatever strangers say: services, stages and results
are ours, of an answer only class and subject count (RFC 3463 §2, §3). The
package prometheus-client, which writes the page, is imported when somebody
asks for it: it brings an HTTP server and a client, and many never ask.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.metadata import version
from itertools import accumulate
from typing import Any

from twistmail.facts import Accepted, Banned, Closed, Connected, Fact, LoggedIn, LoginFailed, Queued, Refused, Removed, TlsFailed
from twistmail.mail.envelope import Kind
from twistmail.mail.ids import born
from twistmail.mail.outcome import GaveUp, Outcome, Reported, Result, SenderWarned
from twistmail.mail.status import Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Seconds from taking a message over to its delivery.
BUCKETS = (0.1, 0.5, 1, 5, 30, 60, 300, 900, 3600, 14400, 86400, 432000)
ENDS = (Result.DELIVERED, Result.RELAYED, Result.DEFERRED, Result.FAILED)
WAYS = {kind: kind.value for kind in Kind} | {Kind.REMOTE: "relay"}
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


class Counts:
    """Numbers that only grow, by name and labels. Plain ones: every message counts eight times, and nobody looks more than once in
    some seconds. As a Collector has it for Prometheus."""

    def __init__(self) -> None:
        self.numbers: defaultdict[tuple[str, ...], float] = defaultdict(float, {(name,): 0.0 for name in COUNTERS if not COUNTERS[name][1]})
        self._buckets: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def expect(self, way: str) -> None:
        """From now on *way* is told of, be there deliveries or not."""
        self._buckets[way], self._sums[way] = [0] * (len(BUCKETS) + 1), 0.0
        for result in ENDS:
            self.numbers["deliveries", way, result.value] += 0

    def took(self, way: str, seconds: float) -> None:
        """A delivery has taken so long."""
        self._buckets[way][bisect_left(BUCKETS, seconds)] += 1
        self._sums[way] += seconds

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
        from prometheus_client.utils import floatToGoString

        families = {name: CounterMetricFamily(f"twistmail_{name}", help, labels=labels) for name, (help, labels) in COUNTERS.items()}
        for (name, *labels), number in self.numbers.items():
            families[name].add_metric(labels, number)
        yield from families.values()
        seconds = HistogramMetricFamily(
            "twistmail_delivery_seconds", "Seconds from taking a message over to its delivery.", labels=("way",)
        )
        for way, counts in self._buckets.items():
            below = zip((*map(float, BUCKETS), float("inf")), accumulate(counts), strict=True)
            seconds.add_metric([way], [(floatToGoString(bound), float(count)) for bound, count in below], self._sums[way])
        yield seconds


class Meters:
    """A listener of `facts.Facts`. *began*: when the server was started (POSIX seconds)."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._counts = Counts()
        self._numbers = self._counts.numbers
        self._open: dict[str, int] = {}  # connections of each service
        self._services: dict[str, str] = {}  # of open connections
        self._hear: dict[type, Callable[[Fact, Any], None]] = {
            Outcome: self._outcome,
            Connected: self._connected,
            Closed: self._closed,
            LoggedIn: self._named("logins", lambda what: (what.service or "other", "right")),
            LoginFailed: self._named("logins", lambda what: (what.service or "other", "wrong")),
            Accepted: self._accepted,
            Refused: self._named("refusals", lambda what: (what.stage,)),
            Queued: self._counted("queue_added"),
            Removed: self._named("queue_removed", lambda what: (what.why.partition(" ")[0],)),
            GaveUp: self._counted("queue_expired"),
            Reported: self._reported,
            SenderWarned: self._counted("reports", "delay"),
            Banned: self._counted("bans"),
            TlsFailed: self._counted("tls_failures"),
        }
        #: Ends the listening.
        self.stop: Callable[[], None] = lambda: None
        for way in WAYS.values():
            self._counts.expect(way)

    @property
    def hears(self) -> Collection[type]:
        """The kinds of facts that it counts."""
        return self._hear

    def note(self, fact: Fact) -> None:
        if (hear := self._hear.get(type(fact.what))) is not None:
            hear(fact, fact.what)

    def _connected(self, fact: Fact, what: Connected) -> None:
        self._services[fact.about] = what.service
        self._numbers["connections", what.service] += 1
        self._open[what.service] = self._open.get(what.service, 0) + 1

    def _closed(self, fact: Fact, what: Closed) -> None:
        if (known := self._services.pop(fact.about, None)) is not None:
            self._open[known] -= 1

    def _accepted(self, fact: Fact, what: Accepted) -> None:
        self._numbers["accepted_messages", what.service] += 1
        self._numbers["accepted_bytes", what.service] += what.size

    def _counted(self, *key: str) -> Callable[[Fact, Any], None]:
        """What counts one more of *key*."""

        def count(fact: Fact, what: Any) -> None:
            self._numbers[key] += 1

        return count

    def _named(self, name: str, label: Callable[[Any], tuple[str, ...]]) -> Callable[[Fact, Any], None]:
        """What counts one more of *name*, with the *label* of what has happened."""

        def count(fact: Fact, what: Any) -> None:
            self._numbers[name, *label(what)] += 1

        return count

    def _reported(self, fact: Fact, what: Reported) -> None:
        if what.report:
            self._numbers["reports", "success" if what.success else "failure"] += 1

    def _outcome(self, fact: Fact, outcome: Outcome) -> None:
        way = WAYS[outcome.target.kind]
        self._numbers["deliveries", way, outcome.result.value] += 1
        if outcome.target.kind is Kind.REMOTE and outcome.host:
            self._numbers["relay_answers", code_of(outcome.status)] += 1
        if outcome.result is Result.RELAYED:
            self._numbers["relayed", *protection(outcome.secured)] += 1
        if outcome.result in (Result.RELAYED, Result.DELIVERED):
            try:
                self._counts.took(way, max(0.0, fact.at - born(fact.about)))
            except ValueError:
                pass  # it has a name of another kind

    def page(self, queue: Mapping[str, Any], places: Iterable[Mapping[str, Any]] = ()) -> tuple[str, bytes]:
        """(content type, text). *queue*: what `Shape.as_json` says at this moment; *places*: what `queue.place` does of each."""
        from prometheus_client import CollectorRegistry, Gauge, generate_latest

        registry: Any = CollectorRegistry()
        registry.register(self._counts)
        gauges = {name: Gauge(f"twistmail_{name}", help, labels, registry=registry) for name, (help, labels) in GAUGES.items()}
        gauges["info"].labels(version("twistmail")).set(1)
        for name, value in self._at_this_moment(queue, places).items():
            gauges[name].set(value)
        for service, count in self._open.items():
            gauges["connections_open"].labels(service).set(count)
        for state, count in queue["states"].items():
            gauges["queue_messages"].labels(state).set(count)
        return CONTENT_TYPE, generate_latest(registry)

    def _at_this_moment(self, queue: Mapping[str, Any], places: Iterable[Mapping[str, Any]]) -> dict[str, float]:
        """The gauges without labels."""
        resting = running = lined = 0
        for place in places:
            resting += place["rests_s"] > 0
            running += place["running"]
            lined += place["waiting"]
        return {"start_time_seconds": self._began, "queue_bytes": queue["size"], "queue_oldest_seconds": queue["oldest_s"] or 0,
                "relay_places_resting": resting, "relay_under_way": running, "relay_in_line": lined}
