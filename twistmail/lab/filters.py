"""How times and sizes are written on the pages: `{{ event.at | time_of_day }}`, `{{ seconds | span }}`, `{{ size | octets }}`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from twistmail.lab.prose import inline

#: (seconds, what so many are called), the greatest first.
UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def time_of_day(at: float) -> str:
    """POSIX seconds as "14:02:11", in the time zone of the computer that shows it."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%H:%M:%S")


def moment(at: float, now: float) -> str:
    """POSIX seconds as "14:02:11", or as "21 Nov 14:02" where *now* is another day."""
    then, today = (datetime.fromtimestamp(one, UTC).astimezone() for one in (at, now))
    return then.strftime("%H:%M:%S" if then.date() == today.date() else "%-d %b %H:%M")


def iso(at: float) -> str:
    """POSIX seconds for a `datetime` attribute."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(seconds: float) -> str:
    """A time that passes: "0.2 s", "15 s", "1 min 30 s", "4 h", "5 d": two units at most."""
    if 0 < seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f} s"
    left, words = round(seconds), []
    for length, name in UNITS:
        count, left = divmod(left, length)
        if count:
            words.append(f"{count} {name}")
    return " ".join(words[:2]) or "0 s"


def since(seconds: float) -> str:
    """A moment of a journey, counted from its beginning: "0.213"; what was before it has a minus."""
    return f"{seconds:.3f}"


def octets(size: int) -> str:
    """A size as people say it: "812 B", "1.4 kB", "2.0 MB"."""
    if size < 1000:
        return f"{size} B"
    if size < 999_500:
        return f"{size / 1000:.{1 if size < 99_500 else 0}f} kB"
    return f"{size / 1_000_000:.1f} MB"


FILTERS: dict[str, Callable[..., Any]] = {
    "time_of_day": time_of_day, "moment": moment, "iso": iso, "span": span, "octets": octets, "since": since, "inline": inline,
}  # fmt: skip
