"""The day that a Date field names, in the spellings that occur."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.mail.dates import sent_date


@pytest.mark.parametrize(("value", "day"), [
    pytest.param(b"Fri, 21 Nov 1997 09:55:06 -0600", date(1997, 11, 21), id="rfc5322-a1"),
    pytest.param(b"21 Nov 97 09:55:06 GMT", date(1997, 11, 21), id="rfc5322-a62-obsolete"),
    pytest.param(b"Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n  -0330 (Newfoundland)", date(1969, 2, 13),
                 id="rfc5322-a5-folded"),
    pytest.param(b"1 Jan 03 00:00:00 +0000", date(2003, 1, 1), id="two-digits-of-this-century"),
    pytest.param(b"1 Jan 103 00:00:00 +0000", date(2003, 1, 1), id="three-digits"),
    pytest.param(b"Fri, 21-Nov-2026 03:20:00 +0000", date(2026, 11, 21), id="dashes"),
    pytest.param(b"Sat Nov 21 03:20:00 2026", date(2026, 11, 21), id="asctime"),
    pytest.param(b"Sat Nov  1 03:20:00 EST 2026", date(2026, 11, 1), id="date-1"),
    pytest.param(b"2026-11-21T03:20:00Z", date(2026, 11, 21), id="iso-8601"),
    pytest.param(b"Mon, 21 November 2026", date(2026, 11, 21), id="long-month"),
    pytest.param(b"Mon, 31 Feb 2026 00:00:00 +0000", None, id="no-such-day"),
    pytest.param(b"0 Foo 2026", None, id="no-such-month"),
    pytest.param(b"yesterday", None, id="words"),
    pytest.param(b"", None, id="nothing"),
])  # fmt: skip
def test_the_day(value: bytes, day: date | None) -> None:
    assert sent_date(value) == day


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([b"1", b"31", b" ", b"-", b"Nov", b"2026", b",", b":", b"\xff", b"99999", b"\r\n "])))
def test_nothing_raises(pieces: list[bytes]) -> None:
    sent_date(b"".join(pieces))
