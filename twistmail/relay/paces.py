"""How fast, and when, mail may go somewhere: the settings of [relay] and of [route:...] sections, as a Pace for each target.

What the queue makes of a Pace is its business (`queue.place`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from twistmail.mail.envelope import Kind as TargetKind
from twistmail.mail.envelope import Target
from twistmail.mail.hours import ALWAYS, Hours
from twistmail.mail.hours import read as read_hours
from twistmail.mail.pace import USUAL, Pace
from twistmail.options import COUNT, RATES, RATES_OR_UNLIMITED, SWITCH, UNLIMITED, Kind, Option, Settings, count_from
from twistmail.relay.table import nearest

AS_THERE = "As in [relay]; empty: as there."


def _read_percent(text: str) -> float:
    match = re.fullmatch(r"(\d{1,3})\s*%", text)
    if match is None or int(match[1]) > 100:
        raise ValueError(f"{text} is no percentage\nwrite 10%, at most 100%")
    return int(match[1]) / 100


def _read_rates_or_none(text: str) -> tuple[tuple[int, float], ...] | None:
    return None if not text else () if text == UNLIMITED else RATES.read(text)


def _read_hours_or_none(text: str) -> Hours | None:
    return None if not text else ALWAYS if text == "always" else read_hours(text)


def _read_positive(text: str) -> int:
    if COUNT.read(text) < 1:
        raise ValueError(f"{text} would let nothing pass\nwrite 1 or more")
    return int(text)


POSITIVE = Kind("a whole number from 1 on", _read_positive)
PERCENT = Kind("a percentage", _read_percent, lambda part: f"{part:.0%}")
HOURS = Kind("hours of the day", read_hours)
_RATES_OF_ROUTE = Kind(
    "rates, or unlimited", _read_rates_or_none, lambda rates: "" if rates is None else RATES.write(rates) if rates else UNLIMITED
)
_HOURS_OF_ROUTE = Kind("hours of the day, or always", _read_hours_or_none, lambda hours: "" if hours is None else str(hours) or "always")
_COUNT_OF_ROUTE = Kind("a whole number", lambda text: count_from(1).read(text) if text else None, lambda value: str(value or ""))

RELAY_PACE = (
    Option(
        "jitter",
        PERCENT,
        "10%",
        "The part of a wait by which chance makes it longer, so that what failed together does not come back together.",
    ),
    Option("concurrency_at_first", POSITIVE, "5", "Connections for one domain to begin with; successes make it more, a busy server less."),
    Option("rate", RATES_OR_UNLIMITED, UNLIMITED, "Messages to one domain (one next server), such as 100/1m or 100/1m 2000/1d."),
    Option(
        "sender_rate",
        RATES_OR_UNLIMITED,
        UNLIMITED,
        "Messages of one sender to others; what is more waits for its turn.",
        example="200/1h 1000/1d",
    ),
    Option(
        "window",
        HOURS,
        "",
        "The hours (of this machine's clock) in which mail goes out, such as 23:00-06:00; empty: always. Mail that "
        "stays here, and what twistmail queue flush names, goes at any hour.",
    ),
    Option(
        "pause_expiry",
        SWITCH,
        "no",
        "Whether only those hours count for expire in which mail may go out: by window, and while the server is online.",
    ),
)
ROUTE_PACE = (
    Option("concurrency", _COUNT_OF_ROUTE, "", "Connections at a time; empty: concurrency_per_domain of [relay]."),
    Option("rate", _RATES_OF_ROUTE, "", AS_THERE, example="100/1m"),
    Option("window", _HOURS_OF_ROUTE, "", AS_THERE + " always: at any hour."),
)


class Paces:
    """`relay`: Settings of [relay]; `routes`: those of the [route:...] sections, by domain."""

    def __init__(self, relay: Settings, routes: Mapping[str, Settings]) -> None:
        self.sender_rates = relay.sender_rate or ()
        self.usual = Pace("", None, relay.rate or (), relay.window)
        if self.usual == USUAL:
            self.usual = USUAL
        self._table = {domain.lower(): self._of(domain.lower(), one) for domain, one in routes.items()}

    def _of(self, domain: str, route: Settings) -> Pace:
        """What the section of *domain* says; the usual where it says nothing of this."""
        if route.concurrency is None and route.rate is None and route.window is None:
            return self.usual
        rates = self.usual.rates if route.rate is None else route.rate
        hours = self.usual.hours if route.window is None else route.window
        return Pace(f"route:{domain}", route.concurrency, rates, hours)

    def of(self, target: Target) -> Pace:
        """How fast, and when, mail for *target* may go."""
        if target.kind is not TargetKind.REMOTE or not self._table:
            return self.usual
        return nearest(self._table, target.address.domain) or self.usual
