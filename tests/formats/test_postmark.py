"""The From line of an mbox: which lines are one, and what time they tell."""

import time

import pytest

from twistmail.formats import postmark

AT = 533240568.0  # 1986-11-24 18:22:48 UTC


@pytest.mark.parametrize(
    ("line", "at"),
    [
        pytest.param(b"From anna@blue.example Mon Nov 24 18:22:48 1986\n", AT, id="rfc-4155"),
        pytest.param(b"From - Mon Nov 24 18:22:48 1986\r\n", AT, id="thunderbird"),
        pytest.param(b"From x@y  Mon Nov 24 18:22 1986\n", AT - 48, id="without-seconds"),
        pytest.param(b"From 1234@xxx Mon Nov 24 18:22:48 +0000 1986\n", AT, id="gmail"),
        pytest.param(b"From x@y Mon Nov 24 13:22:48 1986 -0500\n", AT, id="zone-behind"),
        pytest.param(b"From x@y Mon Nov 24 13:22:48 EST 1986\n", AT, id="zone-by-name"),
        pytest.param(b"From x@y Mon Nov 24 18:22:48 1986 remote from mars\n", AT, id="uucp"),
        pytest.param(b'From "anna b"@blue.example Mon Nov 24 18:22:48 1986\n', AT, id="blank-in-the-sender"),
        pytest.param(b"From x@y Mon, 24 Nov 1986 18:22:48 +0000\n", AT, id="as-in-a-date-field"),
    ],
)
def test_the_time_of_a_postmark(line, at):
    assert postmark.is_likely(line)
    assert postmark.time_of(line) == at


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"From the beginning we knew\n", id="prose"),
        pytest.param(b"From here on, at 10:30, in 19 days\n", id="time-without-year"),
        pytest.param(b"From 2024 on\n", id="year-without-time"),
        pytest.param(b"From \n", id="nothing"),
    ],
)
def test_prose_is_no_postmark(line):
    assert not postmark.is_certain(line)
    assert not postmark.is_likely(line)


def test_a_time_without_a_zone_may_be_ours(monkeypatch):
    monkeypatch.setenv("TZ", "EST5EDT")
    time.tzset()
    try:
        assert postmark.time_of(b"From x@y Mon Nov 24 13:22:48 1986\n", time.mktime) == AT
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("sender", "word"),
    [
        pytest.param(b"anna@blue.example", b"anna@blue.example", id="address"),
        pytest.param(b"", b"MAILER-DAEMON", id="nobody"),
        pytest.param(b"a b\r\n@c", b"ab@c", id="blanks"),
    ],
)
def test_what_is_written_is_read(sender, word):
    line = postmark.line(sender, AT)
    assert line == b"From %b Mon Nov 24 18:22:48 1986\n" % word
    assert postmark.is_certain(line)
    assert postmark.time_of(line) == AT


@pytest.mark.parametrize("date", [-1e12, -1.5, 1e12, 253402300799.0])
def test_a_date_that_no_calendar_has_is_written_as_the_nearest(date):
    assert postmark.time_of(postmark.line(b"x", date)) == min(max(int(date), 0), 253402300799)
