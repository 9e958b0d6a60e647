"""Search keys that ask whether one value of a message lies in an interval: sizes, dates, ages.

However many of them a SEARCH has, each message's value is looked at once: `Scale` has the borders of all intervals of one column,
and a value becomes the number of the step on which it lies, which is one octet; a key is then a choice of steps.
"""

from __future__ import annotations

from bisect import bisect_right
from calendar import timegm
from collections.abc import Callable, Iterable
from datetime import date
from math import inf
from typing import Any, NamedTuple

from twistmail.mail import headers
from twistmail.mail.mailbox import Column
from twistmail.wire.imap import searchkeys as k

DAY = 86400
#: The octet of a message whose value is not known yet, and of one that has none.
UNKNOWN, NOTHING = 255, 254
#: Borders that fit into octets beside those two.
MOST_BORDERS = 253


class Interval(NamedTuple):
    """Values at least `low` and less than `high`."""

    low: float
    high: float


class ColumnTest(NamedTuple):
    """What a key asks of a column. `value`: of what the column holds, what is compared; None for nothing."""

    column: Column
    interval: Interval
    value: Callable[[Any], float | None]


def test_of(key: k.Key, now: float) -> ColumnTest | None:
    """The test that *key* is, or None. *now*: POSIX seconds, for OLDER and YOUNGER."""
    make = _TESTS.get(type(key))
    return None if make is None else make(key, now)


class Scale:
    """The borders of the intervals of one column. More than fit are several scales."""

    def __init__(self, borders: Iterable[float]) -> None:
        self.borders = sorted(set(borders))

    def steps(self, values: Iterable[float | None]) -> bytes:
        """The step of each of *values*."""
        borders = self.borders
        return bytes([NOTHING if value is None else bisect_right(borders, value) for value in values])

    def table(self, interval: Interval) -> bytes:
        """What turns steps into digits: "1" for what is in *interval*, whose ends are borders of this scale, or infinite."""
        low = 0 if interval.low == -inf else self.borders.index(interval.low) + 1
        high = len(self.borders) + 1 if interval.high == inf else self.borders.index(interval.high) + 1
        return b"0" * low + b"1" * (high - low) + b"0" * (256 - max(high, low))


def _same(value: float) -> float:
    return value


def _midnight(day: date) -> float:
    """When *day* begins, in the zone in which we tell INTERNALDATE (UTC)."""
    return float(timegm(day.timetuple()))


def _sent_day(header: bytes) -> float | None:
    """The day of the Date field, whatever the time and the zone (RFC 3501 §6.4.4)."""
    value = headers.first(header, b"date")
    day = headers.sent_date(value) if value else None
    return None if day is None else float(day.toordinal())


def _before(day: float) -> Interval:
    return Interval(-inf, day)


def _since(day: float) -> Interval:
    return Interval(day, inf)


def _arrived(interval: Callable[[float], Interval], column: Column = Column.INTERNALDATE) -> Callable[[Any, float], ColumnTest]:
    return lambda key, now: ColumnTest(column, interval(_midnight(key.day)), _same)


def _sent(interval: Callable[[float], Interval]) -> Callable[[Any, float], ColumnTest]:
    return lambda key, now: ColumnTest(Column.HEADER, interval(float(key.day.toordinal())), _sent_day)


def _on(length: float) -> Callable[[float], Interval]:
    return lambda start: Interval(start, start + length)


_TESTS: dict[type[k.Key], Callable[[Any, float], ColumnTest]] = {
    k.Larger: lambda key, now: ColumnTest(Column.SIZE, Interval(key.size + 1, inf), _same),
    k.Smaller: lambda key, now: ColumnTest(Column.SIZE, Interval(-inf, key.size), _same),
    k.Before: _arrived(_before),
    k.On: _arrived(_on(DAY)),
    k.Since: _arrived(_since),
    k.SavedBefore: _arrived(_before, Column.SAVEDATE),
    k.SavedOn: _arrived(_on(DAY), Column.SAVEDATE),
    k.SavedSince: _arrived(_since, Column.SAVEDATE),
    # RFC 5032 §3: at least so old, and at most; INTERNALDATE has whole seconds on the wire
    k.Older: lambda key, now: ColumnTest(Column.INTERNALDATE, Interval(-inf, int(now) - key.seconds + 1), _same),
    k.Younger: lambda key, now: ColumnTest(Column.INTERNALDATE, Interval(int(now) - key.seconds, inf), _same),
    k.SentBefore: _sent(_before),
    k.SentOn: _sent(_on(1)),
    k.SentSince: _sent(_since),
}
