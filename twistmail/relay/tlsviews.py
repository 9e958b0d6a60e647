"""What is known of how others encrypt, as commands show it and as JSON: over values of the TLS book and of decisions. Plain functions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from twistmail.relay.terms import Decision, Level
from twistmail.relay.tlsbook import KeptPolicy, Result, Seen, summed

Results = Iterable[tuple[Result, int]]


def listed(seen: Sequence[Seen], policies: Sequence[KeptPolicy], results: Results, now: float) -> list[dict[str, Any]]:
    """One row for each domain of which something is known, by name."""
    counts = summed(results)
    held = {kept.domain: kept for kept in policies if kept.holds(now)}
    servers: dict[str, list[Seen]] = {}
    for one in seen:
        servers.setdefault(one.domain, []).append(one)
    return [
        _row(domain, servers.get(domain, []), held.get(domain), counts.get(domain, (0, 0)), now)
        for domain in sorted(servers.keys() | held.keys() | counts.keys())
    ]


def _row(domain: str, servers: list[Seen], kept: KeptPolicy | None, counts: tuple[int, int], now: float) -> dict[str, Any]:
    return {
        "domain": domain,
        "level": max((one.level for one in servers), default=Level.PLAIN).name.lower(),
        "last_s": int(now - max(one.last for one in servers)) if servers else None,
        "servers": [
            {"name": one.host, "level": one.level.name.lower(), "since": one.since, "last_s": int(now - one.last)} for one in servers
        ],
        "mta_sts": kept and {
            "mode": kept.policy.mode, "mx": list(kept.policy.patterns), "id": kept.id, "fetched_s": int(now - kept.fetched),
            "holds_s": int(kept.fetched + kept.policy.max_age - now),
        },
        "good": counts[0],
        "bad": counts[1],
    }  # fmt: skip


def decided(decision: Decision) -> list[dict[str, Any]]:
    """One row for each server, in the order in which they are tried; those that are out at the end."""
    rows: list[dict[str, Any]] = [
        {
            "server": host.name, "address": host.address, "port": host.port, "tls": terms.want.value, "why": terms.why,
            "names": list(terms.names), "records": list(map(str, terms.records)), "testing": terms.testing, "out": "",
        }
        for host, terms in decision.hosts
    ]  # fmt: skip
    rows += [
        {"server": host.name, "address": host.address, "port": host.port, "tls": "", "why": "", "names": [], "records": [],
         "testing": False, "out": str(status)}
        for host, status in decision.out
    ]  # fmt: skip
    return rows


def told(results: Results) -> list[dict[str, Any]]:
    """One row for each kind of result of a day."""
    return [
        {
            "day": one.day, "domain": one.domain, "policy": json.loads(one.policy)[0], "result": one.result or "successful",
            "server": one.host, "address": one.address, "source": one.source, "reason": one.reason, "count": count,
        }
        for one, count in results
    ]  # fmt: skip


def reported(results: Results) -> list[dict[str, Any]]:
    """The `policies` of a report about one domain (RFC 8460 §4.4), made of its *results*."""
    policies: dict[str, dict[str, Any]] = {}
    for one, count in results:
        entry = policies.setdefault(one.policy, _policy(one))
        good = "successful" if not one.result else "failure"
        entry["summary"][f"total-{good}-session-count"] += count
        if one.result:
            entry.setdefault("failure-details", []).append(_detail(one, count))
    return list(policies.values())


def _policy(one: Result) -> dict[str, Any]:
    kind, lines, patterns = json.loads(one.policy)
    policy = {"policy-type": kind, "policy-string": lines, "policy-domain": one.domain, "mx-host": patterns}
    return {
        "policy": {name: value for name, value in policy.items() if value},
        "summary": {"total-successful-session-count": 0, "total-failure-session-count": 0},
    }


def _detail(one: Result, count: int) -> dict[str, Any]:
    detail = {
        "result-type": one.result, "sending-mta-ip": one.source, "receiving-mx-hostname": one.host, "receiving-ip": one.address,
        "failure-reason-code": one.reason,
    }  # fmt: skip
    return {name: value for name, value in detail.items() if value} | {"failed-session-count": count}
