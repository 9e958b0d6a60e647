"""Hours of the day, such as those in which a line is up: `23:00-06:00`, `12:00-13:00 18:30-24:00`. Pure.

Times are those of the wall: the place's own (`zone`, None: this machine's), so a
night of a change of the clock is an hour longer or shorter, as it is for people.
Instants are POSIX seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo

from twistmail.mail.values import frozen

DAY_MINUTES = 24 * 60
#: So many spans of a day are more than anybody means.
MOST_SPANS = 50
#: Nobody asks about longer than that (days); what lies before is taken for open.
LONGEST_LOOK = 400

_SPAN = re.compile(r"([0-9]{1,2}):([0-9]{2})-([0-9]{1,2}):([0-9]{2})")


@frozen
class Hours:
    """`spans`: (from, to) in minutes after midnight, ascending, none touches the next. None at all: always."""

    spans: tuple[tuple[int, int], ...] = ()

    def is_open(self, at: float, zone: tzinfo | None = None) -> bool:
        return not self.spans or any(start <= at < end for start, end in self._around(at, zone))

    def opens_at(self, now: float, zone: tzinfo | None = None) -> float:
        """*now* where it is open, else when it opens next."""
        if not self.spans:
            return now
        return min(max(now, start) for start, end in self._around(now, zone) if end > now)

    def closed_between(self, start: float, end: float, zone: tzinfo | None = None) -> float:
        """For how many seconds of those from *start* to *end* it is closed."""
        if not self.spans or end <= start:
            return 0.0
        start = max(start, end - LONGEST_LOOK * 86400.0)
        days = int((end - start) // 86400.0) + 3
        opened = sum(max(0.0, min(end, to) - max(start, since)) for since, to in self._times(start, -1, days, zone))
        return max(0.0, end - start - opened)

    def _around(self, at: float, zone: tzinfo | None) -> Iterator[tuple[float, float]]:
        return self._times(at, -1, 3, zone)

    def _times(self, at: float, first: int, days: int, zone: tzinfo | None) -> Iterator[tuple[float, float]]:
        """The spans of so many days, from the *first* on, counted from the day of *at*."""
        midnight = datetime.fromtimestamp(at, zone).replace(hour=0, minute=0, second=0, microsecond=0)
        for day in range(first, first + days):
            for start, end in self.spans:
                yield _instant(midnight, day, start), _instant(midnight, day, end)

    def __str__(self) -> str:
        return " ".join(f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}" for start, end in self.spans)


ALWAYS = Hours()


def _instant(midnight: datetime, day: int, minutes: int) -> float:
    date = midnight + timedelta(days=day + minutes // DAY_MINUTES)
    return date.replace(hour=minutes % DAY_MINUTES // 60, minute=minutes % 60).timestamp()


def read(text: str) -> Hours:
    """The Hours that *text* writes; a span may pass midnight, and empty text means always. Raises ValueError (two lines)."""
    spans: list[tuple[int, int]] = []
    words = text.replace(",", " ").split()
    if len(words) > MOST_SPANS:
        raise ValueError(f"{len(words)} spans are too many\nwrite {MOST_SPANS} at most")
    for word in words:
        start, end = _span(word)
        spans += [(start, end)] if start < end else [(start, DAY_MINUTES), (0, end)]
    return Hours(_merged(spans))


def _span(word: str) -> tuple[int, int]:
    match = _SPAN.fullmatch(word)
    if match is None:
        raise ValueError(f"{word} is no span of hours\nwrite 23:00-06:00, or several such with spaces between")
    start_hour, start_minute, end_hour, end_minute = map(int, match.groups())
    start, end = start_hour * 60 + start_minute, end_hour * 60 + end_minute
    if max(start_minute, end_minute) > 59 or start >= DAY_MINUTES or end > DAY_MINUTES:
        raise ValueError(f"{word} is no span of hours\nhours go from 00:00 to 24:00")
    if start == end:
        raise ValueError(f"{word} has no length\nleave the setting empty for the whole day")
    return start, end


def _merged(spans: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if start == end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return () if merged == [(0, DAY_MINUTES)] else tuple(merged)
