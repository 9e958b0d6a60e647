"""The line that begins a message in an mbox: `From sender Thu Nov 24 18:22:48 1986` (RFC 4155). Pure.

Its time is UTC, as RFC 4155 asks and as we write it; most programs write local
time instead, which whoever reads may know (`Postmarks.local`). A zone that is
written counts in any case.
"""

from __future__ import annotations

import re
import time
from calendar import timegm
from collections.abc import Callable
from email.utils import mktime_tz, parsedate_tz

#: A longer line that begins with "From " is text.
LONGEST = 1000

_MONTHS = {name: number for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_ASCTIME = re.compile(
    rb"[ \t](?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),?[ \t]+(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[ \t]+(\d{1,2})"
    rb"[ \t]+(\d{1,2}):(\d\d)(?::(\d\d))?(?:[ \t]+([A-Z]{1,5}|[+-]\d{4}))?[ \t]+(\d{4})(?:[ \t]+([+-]\d{4}|[A-Z]{1,5})(?![A-Za-z]))?"
)  # fmt: skip
#: What any date has: a time of day and a year.
_LOOSE = re.compile(rb"From [^ \t\r\n]+[ \t].*\d:\d\d.*")
_YEAR = re.compile(rb"(?<!\d)(?:19|20)\d\d(?!\d)")
_BLANKS = re.compile(rb"[\x00-\x20\x7f]+")
#: What asctime can tell.
_LATEST = 253402300799


def is_certain(line: bytes) -> bool:
    """Whether *line* (which begins with "From ") is a postmark wherever it stands."""
    return _ASCTIME.search(line) is not None


def is_likely(line: bytes) -> bool:
    """Whether *line* is a postmark when an empty line, or nothing, comes before it."""
    return _LOOSE.match(line) is not None and _YEAR.search(line) is not None


def time_of(line: bytes, zoneless: Callable[[tuple[int, ...]], float] = timegm) -> float | None:
    """POSIX seconds, or None where no date can be read. *zoneless* makes them of a time without a zone: timegm, or time.mktime."""
    match = _ASCTIME.search(line)
    if match is None:
        return date_of(line[5:].partition(b" ")[2])
    month, day, hour, minute, second, before, year, after = match.groups()
    zone = before or after
    if zone:
        return date_of(b"%b %b %b %b:%b:%b %b" % (day, month, year, hour, minute, second or b"00", zone))
    try:
        return float(zoneless((int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second or 0), 0, 1, -1)))
    except (ValueError, OverflowError):
        return None


def date_of(value: bytes) -> float | None:
    """POSIX seconds of the date in a Date field's *value* or behind a Received field's semicolon; None where there is none."""
    parsed = parsedate_tz(value[:200].decode("ascii", "replace").strip())
    try:
        return None if parsed is None else float(mktime_tz(parsed))
    except (ValueError, OverflowError, TypeError):
        return None


def line(sender: bytes, date: float) -> bytes:
    """The postmark of a message from *sender* (without brackets; empty: nobody), with its line end."""
    word = _BLANKS.sub(b"", sender)[:256] or b"MAILER-DAEMON"
    return b"From %b %b\n" % (word, time.asctime(time.gmtime(min(max(date, 0), _LATEST))).encode())
