"""Dates that other people wrote into Date fields, in nearly any spelling.

SEARCH SENTON and its relatives compare the day as it is written, "disregarding
time and timezone" (RFC 3501 §6.4.4); SORT compares moments. Writing dates is in `trace`.
"""

from __future__ import annotations

import re
from calendar import timegm
from datetime import date

_MONTHS = {name: number for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_DAY_FIRST = re.compile(rb"(?<!\d)(\d{1,2})[ \t-]+([A-Za-z]{3})[a-z]{0,6}\.?[ \t,-]+(\d{2,4})(?!\d)")
_ASCTIME = re.compile(
    rb"([A-Za-z]{3})[a-z]{0,6}\.?[ \t]+(\d{1,2}),?"
    rb"(?:[ \t]+\d{1,2}:\d\d(?::\d\d)?)?(?:[ \t]+[A-Z]{3,4})?[ \t]+(\d{4})(?!\d)")  # fmt: skip
_NUMBERS = re.compile(rb"(?<!\d)(\d{4})-(\d\d)-(\d\d)(?!\d)")
_TIME = re.compile(rb"(?<![\d:])(\d{1,2}):(\d\d)(?::(\d\d))?(?:\.\d{1,9})?(?:[ \t]*([+-]\d{4}|[A-Za-z]{1,4}\b))?")
#: RFC 5322 §4.3: hours from UTC. The military letters say nothing certain, and count as UTC.
_ZONES = {b"EDT": -4, b"EST": -5, b"CDT": -5, b"CST": -6, b"MDT": -6, b"MST": -7, b"PDT": -7, b"PST": -8}
#: A Date field that says something says it within this many octets.
MOST_OCTETS = 200


def sent_date(value: bytes) -> date | None:
    """The day of a Date field's *value* (RFC 5322 §3.3 and §4.3, asctime, ISO 8601), or None where none can be found. Never raises."""
    text = value[:MOST_OCTETS].replace(b"\r\n", b"")
    for pattern, order in ((_DAY_FIRST, (1, 2, 3)), (_ASCTIME, (2, 1, 3)), (_NUMBERS, (3, 2, 1))):
        for match in pattern.finditer(text):
            day, month, year = (match[group] for group in order)
            number = _MONTHS.get(month.lower()) or (int(month) if month.isdigit() else 0)
            try:
                return date(_full_year(year), number, int(day))
            except ValueError:
                continue
    return None


def sent_time(value: bytes) -> float | None:
    """The moment that a Date field's *value* tells, POSIX seconds; None where it tells no day (RFC 5256 §2.2). Never raises.

    A time that is missing or wrong is 00:00:00, a zone that is missing or unknown UTC.
    """
    day = sent_date(value)
    if day is None:
        return None
    midnight = timegm(day.timetuple())
    match = _TIME.search(value[:MOST_OCTETS].replace(b"\r\n", b""))
    if match is None:
        return float(midnight)
    hour, minute, second, zone = int(match[1]), int(match[2]), int(match[3] or 0), match[4] or b""
    if hour > 23 or minute > 59 or second > 60:
        return float(midnight)
    return float(midnight + hour * 3600 + minute * 60 + second - _offset(zone))


def _offset(zone: bytes) -> int:
    """Seconds east of UTC."""
    if zone[:1] not in b"+-" or not zone:
        return 3600 * _ZONES.get(zone.upper(), 0)
    seconds = int(zone[1:3]) * 3600 + int(zone[3:5]) * 60
    return -seconds if zone.startswith(b"-") else seconds


def _full_year(digits: bytes) -> int:
    """RFC 5322 §4.3: two digits below 50 mean 20xx, else 19xx; three digits count from 1900."""
    year = int(digits)
    if len(digits) == 2:
        return year + (2000 if year < 50 else 1900)
    return year + 1900 if len(digits) == 3 else year
